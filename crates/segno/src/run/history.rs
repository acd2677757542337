//! Reading histories.

use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, history::v1::HistoryEvent,
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use crate::encryption::open;

/// History events that are looked through: the executions of events have tens.
const MAX_EVENTS: usize = 5_000;

/// The history of a run; without a run id that of the latest.
pub(crate) async fn history(
    client: &Client,
    execution: WorkflowExecution,
) -> Result<Vec<HistoryEvent>, Status> {
    let mut events = Vec::new();
    let mut token = Vec::new();
    loop {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: client.namespace(),
            execution: Some(execution.clone()),
            next_page_token: token,
            ..Default::default()
        };
        let mut service = client.connection().workflow_service();
        let reply = service
            .get_workflow_execution_history(request.into_request())
            .await?
            .into_inner();
        let reply = open(client, reply).await;
        events.extend(reply.history.unwrap_or_default().events);
        token = reply.next_page_token;
        if token.is_empty() || events.len() >= MAX_EVENTS {
            return Ok(events);
        }
    }
}
