//! Reading the engine's answers.

use futures::TryStreamExt;
use prost_types::Timestamp;
use temporalio_client::{Client, WorkflowFetchHistoryOptions, tonic::IntoRequest};
use temporalio_common::{
    data_converters::{SerializationContextData, TemporalDeserializable, WorkflowSerializationContext},
    protos::{
        proto_ts_to_system_time,
        temporal::api::{
            common::v1::{Payloads, WorkflowExecution},
            enums::v1::PendingActivityState,
            failure::v1::{Failure, failure::FailureInfo},
            history::v1::{HistoryEvent, history_event::Attributes},
            workflowservice::v1::DescribeWorkflowExecutionRequest,
        },
    },
};

use super::{Fact, Record, Status};
use crate::{
    Attempt, Deadline, Error, SegnoTimer, Timer, TimerId,
    workflow::{SIGNAL, TYPE, deadline_in},
};

/// The record of a timer, from the history of its latest run.
///
/// # Errors
///
/// [`Error::NotFound`] if the engine holds no timer of this id.
pub(crate) async fn read(client: &Client, id: TimerId) -> Result<Record, Error> {
    let handle = client.get_workflow_handle::<SegnoTimer>(id.to_string());
    let mut history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    let mut facts = Vec::new();
    while let Some(event) = history.try_next().await? {
        facts.extend(fact(client, event).await?);
    }
    Record::new(facts).ok_or_else(|| Error::Unreadable("the history does not begin with its start".into()))
}

/// The attempts of a delivery that is under way.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) attempts: Vec<Attempt>,
    /// When the next one begins, if it waits for that.
    pub(crate) next: Option<Deadline>,
}

/// What is under way for a timer whose execution is open.
pub(crate) async fn pending(client: &Client, id: TimerId) -> Result<Pending, Error> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.options().namespace.clone(),
        execution: Some(WorkflowExecution {
            workflow_id: id.to_string(),
            ..Default::default()
        }),
    };
    let answer = client
        .connection()
        .workflow_service()
        .describe_workflow_execution(request.into_request())
        .await?;
    let Some(activity) = answer.into_inner().pending_activities.into_iter().next() else {
        return Ok(Pending::default());
    };
    let mut attempts: Vec<Attempt> = decode(client, activity.heartbeat_details.clone()).await;
    let number = u32::try_from(activity.attempt).unwrap_or_default();
    let runs = activity.state() == PendingActivityState::Started;
    if runs
        && attempts.iter().all(|attempt| attempt.number != number)
        && let Some(at) = activity.last_started_time.and_then(moment)
    {
        attempts.push(Attempt {
            number,
            at,
            status: None,
            error: None,
        });
    }
    Ok(Pending {
        attempts,
        next: activity.next_attempt_schedule_time.and_then(moment),
    })
}

/// What an event says of a timer, if anything.
async fn fact(client: &Client, event: HistoryEvent) -> Result<Option<Fact>, Error> {
    let fact = match event.attributes {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
            // An execution of another kind that happens to have this id is no timer.
            if started.workflow_type.is_none_or(|ty| ty.name != TYPE) {
                return Err(Error::NotFound);
            }
            let input = started.input.unwrap_or_default();
            let timer: Timer = converted(client, input).await?;
            Fact::Started {
                run: started.original_execution_run_id,
                timer,
            }
        }
        Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal))
            if signal.signal_name == SIGNAL =>
        {
            let payloads = signal.input.unwrap_or_default().payloads;
            let converter = &client.options().data_converter;
            let payloads = converter.codec().decode(&context(), payloads).await?;
            match deadline_in(&payloads) {
                Some(deadline) => Fact::Moved(deadline),
                // The workflow takes no notice of it either.
                None => return Ok(None),
            }
        }
        Some(Attributes::ActivityTaskScheduledEventAttributes(_)) => Fact::DeliveryBegan,
        Some(Attributes::ActivityTaskCompletedEventAttributes(done)) => {
            Fact::DeliveryEnded(decode(client, done.result).await)
        }
        Some(Attributes::ActivityTaskFailedEventAttributes(failed)) => {
            Fact::DeliveryEnded(decode(client, failed.failure.and_then(details)).await)
        }
        Some(Attributes::ActivityTaskTimedOutEventAttributes(late)) => {
            Fact::DeliveryEnded(decode(client, late.failure.and_then(details)).await)
        }
        Some(Attributes::WorkflowExecutionCompletedEventAttributes(_)) => Fact::Closed(Status::Fired),
        Some(
            Attributes::WorkflowExecutionFailedEventAttributes(_)
            | Attributes::WorkflowExecutionTimedOutEventAttributes(_),
        ) => Fact::Closed(Status::Failed),
        Some(
            Attributes::WorkflowExecutionCanceledEventAttributes(_)
            | Attributes::WorkflowExecutionTerminatedEventAttributes(_),
        ) => Fact::Closed(Status::Canceled),
        _ => return Ok(None),
    };
    Ok(Some(fact))
}

/// The details that `fire_timer` put into a failure, or into the heartbeat before a time-out.
fn details(failure: Failure) -> Option<Payloads> {
    match failure.failure_info? {
        FailureInfo::ApplicationFailureInfo(info) => info.details,
        FailureInfo::TimeoutFailureInfo(info) => info.last_heartbeat_details,
        _ => None,
    }
}

/// The attempts in these payloads. What cannot be read (of another version, of a worker that ended before
/// it could tell) is left out: they are for people to look at.
async fn decode(client: &Client, payloads: Option<Payloads>) -> Vec<Attempt> {
    match payloads {
        Some(payloads) => converted(client, payloads).await.unwrap_or_default(),
        None => Vec::new(),
    }
}

async fn converted<T: TemporalDeserializable + 'static>(
    client: &Client,
    payloads: Payloads,
) -> Result<T, Error> {
    let converter = &client.options().data_converter;
    Ok(converter.from_payloads(&context(), payloads.payloads).await?)
}

fn context() -> SerializationContextData {
    SerializationContextData::Workflow(WorkflowSerializationContext::new())
}

/// A moment as the engine writes it.
pub(crate) fn moment(timestamp: Timestamp) -> Option<Deadline> {
    proto_ts_to_system_time(&timestamp).map(Deadline::from)
}
