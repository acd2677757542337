//! `ListActivityExecutions`, `CountActivityExecutions`: the list filter over standalone activities.

use temporalio_protos::temporal::api::{
    activity::v1::ActivityExecutionListInfo,
    common::v1::{ActivityType, SearchAttributes},
    workflowservice::v1::{
        CountActivityExecutionsRequest, CountActivityExecutionsResponse, ListActivityExecutionsRequest,
        ListActivityExecutionsResponse, count_activity_executions_response::AggregationGroup,
    },
};

use prost::Message as _;

use super::{
    Service,
    activity_execution::status_of,
    visibility::{counted, page_size},
};
use crate::{
    clock::{duration, timestamp},
    rpc::RpcError,
    visibility::{self, ActivityAttributes, ExecutionRow, Query, activity_namespace},
};

impl Service {
    pub(super) async fn list_activities(
        &self,
        request: ListActivityExecutionsRequest,
    ) -> Result<ListActivityExecutionsResponse, RpcError> {
        let (namespace, query) = self.activity_query(request.namespace, &request.query).await?;
        let size = page_size(request.page_size);
        let token = request.next_page_token;
        let page = self
            .read(move |connection| Ok(visibility::list(connection, namespace, &query, size, &token)?))
            .await?;
        let executions = page.executions.iter().map(info).collect::<Result<_, _>>();
        let executions =
            executions.map_err(|_| RpcError::Internal("a stored activity does not decode".into()))?;
        Ok(ListActivityExecutionsResponse {
            executions,
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn count_activities(
        &self,
        request: CountActivityExecutionsRequest,
    ) -> Result<CountActivityExecutionsResponse, RpcError> {
        let (namespace, query) = self.activity_query(request.namespace, &request.query).await?;
        let count = self
            .read(move |connection| Ok(visibility::count(connection, namespace, &query)?))
            .await?;
        let (count, groups) = counted(count, |group_values, count| AggregationGroup {
            group_values,
            count,
        });
        Ok(CountActivityExecutionsResponse { count, groups })
    }

    /// Where the namespace's activities are listed, and the query on them.
    async fn activity_query(&self, namespace: String, text: &str) -> Result<(i64, Query), RpcError> {
        let (key, registry) = self
            .host
            .call(move |host| {
                let key = host.namespaces.key_of(&namespace)?;
                Ok((key, host.namespaces.registry(key)))
            })
            .await?;
        let query = Query::parse(text, &ActivityAttributes(&*registry))
            .map_err(|error| RpcError::InvalidArgument(error.to_string()))?;
        Ok((activity_namespace(key), query))
    }
}

fn info(row: &ExecutionRow) -> Result<ActivityExecutionListInfo, prost::DecodeError> {
    let attributes = row.search_attributes.as_deref().unwrap_or_default();
    Ok(ActivityExecutionListInfo {
        activity_id: row.workflow_id.clone(),
        run_id: row.run_id.clone(),
        activity_type: Some(ActivityType {
            name: row.workflow_type.clone(),
        }),
        schedule_time: Some(timestamp(row.start_time)),
        close_time: row.close_time.map(timestamp),
        status: status_of(row.status, false) as i32,
        search_attributes: Some(SearchAttributes::decode(attributes)?),
        task_queue: row.task_queue.clone(),
        state_transition_count: row.state_transition_count.unwrap_or_default(),
        state_size_bytes: row.history_size_bytes.unwrap_or_default(),
        execution_duration: row
            .close_time
            .map(|closed| duration((closed - row.start_time).max(0))),
        execution_time: Some(timestamp(row.execution_time)),
    })
}
