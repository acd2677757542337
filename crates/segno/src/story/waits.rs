//! What a running execution waits for, as long as it is something other than its work.

use std::time::Duration;

use segno_routing::flow::{PlannedFlow, Standing};
use temporalio_client::Client;
use temporalio_common::protos::temporal::api::enums::v1::WorkflowExecutionStatus;
use time::OffsetDateTime;

use crate::{
    flow,
    pauses::What,
    run::{Summary, format},
    search_attributes::PAUSED,
};

/// How long a flow may take to say what an execution waits for.
const FLOW_PATIENCE: Duration = Duration::from_secs(3);

/// What a running execution waits for, in a sentence: the end of a pause, its delay, or the word of its flow. None where it waits for nothing of that, or its flow does not answer in time: nothing else is held up by
/// that.
pub(crate) async fn waits(client: &Client, run: &Summary, flow: Option<&PlannedFlow>) -> Option<String> {
    if run.status != WorkflowExecutionStatus::Running {
        return None;
    }
    let paused = run.attributes.get(&PAUSED).unwrap_or_default();
    if !paused.is_empty() {
        let paused: Vec<_> = paused.into_iter().map(|what| What::from(what).named()).collect();
        let verb = if paused.len() == 1 { "is" } else { "are" };
        return Some(format!("it waits until {} {verb} resumed", paused.join(" and ")));
    }
    // What its flow holds begins with that one's word.
    let delayed = flow.is_none_or(|flow| flow.asks);
    let begins = run.begins.filter(|begins| *begins > OffsetDateTime::now_utc());
    if let Some(begins) = begins.filter(|_| delayed) {
        return Some(format!("it waits for its delay, until {}", format(begins)));
    }
    let standing = flow::standing(client, &flow?.id, &run.workflow_id);
    let standing = tokio::time::timeout(FLOW_PATIENCE, standing).await.ok()?.ok()?;
    (standing != Standing::Runs).then(|| standing.to_string())
}
