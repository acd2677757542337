//! The workflow of an event on a route: durable orchestration, and nothing else. Everything it does is an
//! activity, retried by the engine.

use std::time::Duration;

use segno_event::Event;
use segno_routing::{Plan, PlannedAction, PlannedHandler, Retry};
use serde::{Deserialize, Serialize};
use temporalio_client::RetryPolicy;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, ApplicationFailure, WorkflowContext, WorkflowResult,
    WorkflowTermination, workflows::join_all,
};

use super::{
    DEAD_LETTER, WORKFLOW_TYPE, activities::Activities, consume::ConsumeInput, deliver::DeliverInput,
    event_ref::EventRef, keep_alive::HEARTBEAT_TIMEOUT,
};

/// How long one attempt may take. A worker that dies is noticed far sooner, by its missing heartbeat.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Longest text of one cause in a dead letter, in bytes.
const MAX_CAUSE: usize = 1000;

/// Result of an execution that did all it had to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What each action did, in the order they were started.
    pub(crate) actions: Vec<ActionReport>,
}

/// What an action did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ActionReport {
    /// Name of the action, or of the consumer.
    pub(crate) action: String,
    /// How many payloads it delivered; for a consumer none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivered: Option<u64>,
}

/// An action that failed for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FailedAction {
    action: String,
    cause: String,
}

/// Runs a [`Plan`].
#[workflow]
#[derive(Default)]
pub(crate) struct EventWorkflow;

#[workflow_methods]
impl EventWorkflow {
    #[run(name = WORKFLOW_TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, plan: Plan) -> WorkflowResult<Report> {
        let Plan { event, handler, .. } = plan;
        let mut report = Report::default();
        let mut failed = Vec::new();
        match handler {
            PlannedHandler::Actions { stages } => {
                let event = EventRef::of(event);
                for stage in stages {
                    for (action, outcome) in run_stage(ctx, &event, stage).await {
                        match outcome {
                            Ok(delivered) => {
                                report.actions.push(ActionReport {
                                    action,
                                    delivered: Some(delivered),
                                });
                            }
                            Err(error) => failed.push(FailedAction {
                                action,
                                cause: cause(&error),
                            }),
                        }
                    }
                    // One action's failure does not stop the others; a cancellation does.
                    if ctx.cancellation_token().is_cancelled() {
                        return Err(WorkflowTermination::cancelled());
                    }
                }
            }
            PlannedHandler::Consumer { name, retry } => match consume(ctx, event, &name, retry).await {
                Ok(()) => report.actions.push(ActionReport {
                    action: name,
                    delivered: None,
                }),
                Err(_) if ctx.cancellation_token().is_cancelled() => {
                    return Err(WorkflowTermination::cancelled());
                }
                Err(error) => failed.push(FailedAction {
                    action: name,
                    cause: cause(&error),
                }),
            },
            PlannedHandler::Workflow { name } => {
                let text = format!("a plan for the workflow {name:?} was started as {WORKFLOW_TYPE}");
                return Err(ApplicationFailure::non_retryable(text).into());
            }
        }
        if failed.is_empty() {
            Ok(report)
        } else {
            Err(dead_letter(report.actions.len(), failed).into())
        }
    }
}

/// Starts the actions of a stage together and waits for all of them.
async fn run_stage(
    ctx: &WorkflowContext<EventWorkflow>,
    event: &EventRef,
    stage: Vec<PlannedAction>,
) -> Vec<(String, Result<u64, ActivityExecutionError>)> {
    let names: Vec<_> = stage.iter().map(|action| action.name.clone()).collect();
    let running: Vec<_> = stage
        .into_iter()
        .map(|action| {
            let options = options(&action.name, &action.retry);
            let input = DeliverInput {
                event: event.clone(),
                action,
            };
            ctx.execute_activity(Activities::deliver, input, options)
        })
        .collect();
    names.into_iter().zip(join_all(running).await).collect()
}

async fn consume(
    ctx: &WorkflowContext<EventWorkflow>,
    event: Event,
    name: &str,
    retry: Retry,
) -> Result<(), ActivityExecutionError> {
    let options = options(name, &retry);
    let input = ConsumeInput {
        event: EventRef::of(event),
        consumer: name.to_owned(),
    };
    ctx.execute_activity(Activities::consume, input, options).await
}

/// The name doubles as the activity's id, by which people find it: names are unique within a route.
fn options(name: &str, retry: &Retry) -> ActivityOptions {
    let retry = RetryPolicy::builder()
        .initial_interval(retry.initial)
        .backoff_coefficient(retry.backoff)
        .maximum_interval(retry.max_interval)
        .maximum_attempts(retry.max_attempts)
        .build();
    ActivityOptions::with_start_to_close_timeout(ATTEMPT_TIMEOUT)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .activity_id(name.to_owned())
        .summary(name.to_owned())
        .retry_policy(retry)
        .build()
}

fn cause(error: &ActivityExecutionError) -> String {
    let mut text = match error.reason() {
        Some(reason) => reason.to_string(),
        None => error.to_string(),
    };
    text.truncate(text.floor_char_boundary(MAX_CAUSE));
    text
}

/// The failure of an execution whose `failed` actions gave up, while `done` others did their work.
fn dead_letter(done: usize, failed: Vec<FailedAction>) -> ApplicationFailure {
    let total = done + failed.len();
    let causes: Vec<_> = failed
        .iter()
        .map(|f| format!("{}: {}", f.action, f.cause))
        .collect();
    let text = format!(
        "{} of {total} actions failed: {}",
        failed.len(),
        causes.join("; ")
    );
    ApplicationFailure::builder(text)
        .type_name(DEAD_LETTER.to_owned())
        .non_retryable(true)
        .details(failed)
        .build()
}
