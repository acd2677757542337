//! Listing timers.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use temporalio_client::tonic::{Code, IntoRequest};
use temporalio_common::{
    data_converters::{SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::{
        common::v1::Memo, enums::v1::WorkflowExecutionStatus, workflow::v1::WorkflowExecutionInfo,
        workflowservice::v1::ListWorkflowExecutionsRequest,
    },
};
use utoipa::ToSchema;

use super::{ORIGIN_MEMO, Timers};
use crate::{
    DEADLINE_ATTRIBUTE, Deadline, Error,
    record::{self, Status},
    workflow::TYPE,
};

/// Which timers to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Those that stand so; all if left out.
    pub status: Option<Status>,
    /// At most so many, from 1 to 1000; 100 if left out.
    pub limit: Option<u16>,
    /// What the page before gave.
    pub page_token: Option<String>,
}

/// Some timers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimerPage)]
pub struct Page {
    /// The timers; the latest made come first.
    pub timers: Vec<Summary>,
    /// Gives the next page. Left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// One timer in a list. Lists follow what happens to timers with a short delay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimerSummary)]
pub struct Summary {
    /// The timer's id.
    #[schema(format = Uuid)]
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// When it fires or was to fire: RFC 3339.
    #[schema(format = DateTime)]
    pub deadline: Option<String>,
    /// Whole seconds until then, rounded up; 0 when past or cancelled.
    pub time_left: u64,
    /// Scheme, host and port of its URL.
    pub origin: Option<String>,
    /// When it was made: RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: Option<String>,
    /// When it was delivered, failed or was cancelled: RFC 3339.
    #[schema(format = DateTime)]
    pub closed_at: Option<String>,
}

impl Timers {
    /// Lists timers.
    ///
    /// # Errors
    ///
    /// [`Error::PageToken`] if the page token is not one of a page before.
    pub async fn list(&self, query: &Query) -> Result<Page, Error> {
        let now = Deadline::now();
        let token = query.page_token.as_deref().unwrap_or_default();
        let next_page_token = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::PageToken)?;
        let paged = !next_page_token.is_empty();
        let request = ListWorkflowExecutionsRequest {
            namespace: self.client.options().namespace.clone(),
            page_size: i32::from(query.limit.unwrap_or(100)),
            next_page_token,
            query: filter(query.status, now),
        };
        let answer = self
            .client
            .connection()
            .workflow_service()
            .list_workflow_executions(request.into_request())
            .await;
        let answer = match answer {
            Err(status) if paged && status.code() == Code::InvalidArgument => return Err(Error::PageToken),
            answer => answer?.into_inner(),
        };
        let mut timers = Vec::with_capacity(answer.executions.len());
        for execution in answer.executions {
            timers.push(self.summary(execution, now).await);
        }
        let token = answer.next_page_token;
        let next_page_token = (!token.is_empty()).then(|| URL_SAFE_NO_PAD.encode(token));
        Ok(Page {
            timers,
            next_page_token,
        })
    }

    async fn summary(&self, execution: WorkflowExecutionInfo, now: Deadline) -> Summary {
        let attributes = execution.search_attributes.as_ref();
        // Search attributes are plain JSON: the engine reads them.
        let deadline = attributes
            .and_then(|attributes| attributes.indexed_fields.get(DEADLINE_ATTRIBUTE))
            .and_then(|payload| serde_json::from_slice::<String>(&payload.data).ok())
            .and_then(|text| Deadline::from_rfc3339(&text));
        let status = match execution.status() {
            WorkflowExecutionStatus::Completed => Status::Fired,
            WorkflowExecutionStatus::Failed | WorkflowExecutionStatus::TimedOut => Status::Failed,
            WorkflowExecutionStatus::Canceled | WorkflowExecutionStatus::Terminated => Status::Canceled,
            _ => deadline.map_or(Status::Pending, |deadline| Status::of_open(deadline, now)),
        };
        let time_left = match (status, deadline) {
            (Status::Pending, Some(deadline)) => deadline.seconds_left(now),
            _ => 0,
        };
        let written = |moment| record::moment(moment).map(Deadline::to_rfc3339);
        Summary {
            status,
            deadline: deadline.map(Deadline::to_rfc3339),
            time_left,
            created_at: execution.start_time.and_then(written),
            closed_at: execution.close_time.and_then(written),
            origin: self.origin(execution.memo).await,
            id: execution
                .execution
                .map(|execution| execution.workflow_id)
                .unwrap_or_default(),
        }
    }

    async fn origin(&self, memo: Option<Memo>) -> Option<String> {
        let payload = memo?.fields.remove(ORIGIN_MEMO)?;
        let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
        self.client
            .options()
            .data_converter
            .from_payload(&context, payload)
            .await
            .ok()
    }
}

/// The visibility query for timers that stand so. A run that went on in a next one is left out.
fn filter(status: Option<Status>, now: Deadline) -> String {
    let now = now.to_rfc3339();
    let condition = match status {
        None => "ExecutionStatus IN ('Running', 'Completed', 'Failed', 'TimedOut', 'Canceled', 'Terminated')"
            .to_owned(),
        Some(Status::Pending) => format!("ExecutionStatus = 'Running' AND {DEADLINE_ATTRIBUTE} > '{now}'"),
        Some(Status::Firing) => format!("ExecutionStatus = 'Running' AND {DEADLINE_ATTRIBUTE} <= '{now}'"),
        Some(Status::Fired) => "ExecutionStatus = 'Completed'".to_owned(),
        Some(Status::Failed) => "ExecutionStatus IN ('Failed', 'TimedOut')".to_owned(),
        Some(Status::Canceled) => "ExecutionStatus IN ('Canceled', 'Terminated')".to_owned(),
    };
    format!("WorkflowType = '{TYPE}' AND {condition}")
}
