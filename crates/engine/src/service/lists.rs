//! The lists of older clients: by filters in place of a query. Each is the query that says the same.
#![allow(deprecated, reason = "older clients call it")]

use temporalio_protos::temporal::api::{
    enums::v1::{IndexedValueType, WorkflowExecutionStatus},
    filter::v1::{StartTimeFilter, WorkflowExecutionFilter, WorkflowTypeFilter},
    workflowservice::v1::{
        GetSearchAttributesRequest, GetSearchAttributesResponse, ListArchivedWorkflowExecutionsRequest,
        ListArchivedWorkflowExecutionsResponse, ListClosedWorkflowExecutionsRequest,
        ListClosedWorkflowExecutionsResponse, ListOpenWorkflowExecutionsRequest,
        ListOpenWorkflowExecutionsResponse, ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse,
        ScanWorkflowExecutionsRequest, ScanWorkflowExecutionsResponse,
        list_closed_workflow_executions_request::Filters as ClosedFilters,
        list_open_workflow_executions_request::Filters as OpenFilters,
    },
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::Service;
use crate::{
    clock::nanos_of,
    rpc::RpcError,
    visibility::{predefined_attributes, status_name, system_attributes},
};

impl Service {
    pub(super) async fn list_open(
        &self,
        request: ListOpenWorkflowExecutionsRequest,
    ) -> Result<ListOpenWorkflowExecutionsResponse, RpcError> {
        let mut query = Conditions::new("ExecutionStatus = 'Running'");
        query.times("StartTime", request.start_time_filter.as_ref());
        match &request.filters {
            Some(OpenFilters::ExecutionFilter(filter)) => query.execution(filter),
            Some(OpenFilters::TypeFilter(filter)) => query.workflow_type(filter),
            None => {}
        }
        let found = self
            .filtered(
                request.namespace,
                request.maximum_page_size,
                request.next_page_token,
                query,
            )
            .await?;
        Ok(ListOpenWorkflowExecutionsResponse {
            executions: found.executions,
            next_page_token: found.next_page_token,
        })
    }

    pub(super) async fn list_closed(
        &self,
        request: ListClosedWorkflowExecutionsRequest,
    ) -> Result<ListClosedWorkflowExecutionsResponse, RpcError> {
        let mut query = Conditions::new("ExecutionStatus != 'Running'");
        query.times("CloseTime", request.start_time_filter.as_ref());
        match &request.filters {
            Some(ClosedFilters::ExecutionFilter(filter)) => query.execution(filter),
            Some(ClosedFilters::TypeFilter(filter)) => query.workflow_type(filter),
            Some(ClosedFilters::StatusFilter(filter)) => {
                let status = filter.status();
                if matches!(
                    status,
                    WorkflowExecutionStatus::Unspecified | WorkflowExecutionStatus::Running
                ) {
                    return Err(RpcError::InvalidArgument(
                        "StatusFilter must be specified and must be not Running.".into(),
                    ));
                }
                query.equal("ExecutionStatus", &status_name(status));
            }
            None => {}
        }
        let found = self
            .filtered(
                request.namespace,
                request.maximum_page_size,
                request.next_page_token,
                query,
            )
            .await?;
        Ok(ListClosedWorkflowExecutionsResponse {
            executions: found.executions,
            next_page_token: found.next_page_token,
        })
    }

    pub(super) async fn scan(
        &self,
        request: ScanWorkflowExecutionsRequest,
    ) -> Result<ScanWorkflowExecutionsResponse, RpcError> {
        let list = ListWorkflowExecutionsRequest {
            namespace: request.namespace,
            page_size: request.page_size,
            next_page_token: request.next_page_token,
            query: request.query,
        };
        let found = self.list_workflows(list).await?;
        Ok(ScanWorkflowExecutionsResponse {
            executions: found.executions,
            next_page_token: found.next_page_token,
        })
    }

    /// There is no archive; said as a server without one says it.
    pub(super) async fn list_archived(
        &self,
        request: ListArchivedWorkflowExecutionsRequest,
    ) -> Result<ListArchivedWorkflowExecutionsResponse, RpcError> {
        self.host
            .call(move |host| host.namespaces.key_of(&request.namespace).map(drop))
            .await?;
        Err(RpcError::InvalidArgument(
            "Cluster is not configured for visibility archival.".into(),
        ))
    }

    /// The attributes that every namespace has: the request names none.
    pub(super) async fn get_search_attributes(
        &self,
        _request: GetSearchAttributesRequest,
    ) -> Result<GetSearchAttributesResponse, RpcError> {
        let all = system_attributes().chain(predefined_attributes());
        let keys = all.map(|(name, value_type)| {
            let value_type = IndexedValueType::try_from(value_type as i32).unwrap_or_default();
            (name.to_owned(), value_type as i32)
        });
        Ok(GetSearchAttributesResponse { keys: keys.collect() })
    }

    async fn filtered(
        &self,
        namespace: String,
        page_size: i32,
        next_page_token: Vec<u8>,
        query: Conditions,
    ) -> Result<ListWorkflowExecutionsResponse, RpcError> {
        let request = ListWorkflowExecutionsRequest {
            namespace,
            page_size,
            next_page_token,
            query: query.0,
        };
        self.list_workflows(request).await
    }
}

/// A query of conditions that must all hold.
struct Conditions(String);

impl Conditions {
    fn new(first: &str) -> Self {
        Self(first.to_owned())
    }

    fn equal(&mut self, attribute: &str, value: &str) {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        self.0.push_str(&format!(" AND {attribute} = '{value}'"));
    }

    fn execution(&mut self, filter: &WorkflowExecutionFilter) {
        self.equal("WorkflowId", &filter.workflow_id);
        if !filter.run_id.is_empty() {
            self.equal("RunId", &filter.run_id);
        }
    }

    fn workflow_type(&mut self, filter: &WorkflowTypeFilter) {
        self.equal("WorkflowType", &filter.name);
    }

    fn times(&mut self, attribute: &str, filter: Option<&StartTimeFilter>) {
        let Some(filter) = filter else { return };
        for (operator, time) in [(">=", &filter.earliest_time), ("<=", &filter.latest_time)] {
            let time = time.as_ref().map(nanos_of).map(i128::from);
            let time = time.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
            if let Some(text) = time.and_then(|time| time.format(&Rfc3339).ok()) {
                self.0.push_str(&format!(" AND {attribute} {operator} '{text}'"));
            }
        }
    }
}
