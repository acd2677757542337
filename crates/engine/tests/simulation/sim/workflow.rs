//! What the workers' workflow code does: anything, by a number.

use temporalio_protos::temporal::api::{
    command::v1::{
        CancelTimerCommandAttributes, CancelWorkflowExecutionCommandAttributes, Command,
        CompleteWorkflowExecutionCommandAttributes, ContinueAsNewWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes, ModifyWorkflowPropertiesCommandAttributes,
        RecordMarkerCommandAttributes, RequestCancelActivityTaskCommandAttributes,
        RequestCancelExternalWorkflowExecutionCommandAttributes, ScheduleActivityTaskCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes, StartChildWorkflowExecutionCommandAttributes,
        StartTimerCommandAttributes, command::Attributes,
    },
    common::v1::{ActivityType, Memo, Payload, Payloads, RetryPolicy, WorkflowExecution, WorkflowType},
    enums::v1::{CommandType, EventType},
    failure::v1::Failure,
    history::v1::{HistoryEvent, history_event::Attributes as Event},
    taskqueue::v1::TaskQueue,
};

use super::{
    ledger::{Fate, Ledger},
    rng::Rng,
};

/// The task queue of all workflows and activities.
pub(crate) const QUEUE: &str = "queue";

/// What of a history matters to the workflow.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Ids of timers that run.
    timers: Vec<String>,
    /// Activities that have not ended: the scheduled event, and whether they were asked to cancel.
    activities: Vec<(i64, bool)>,
    pub(crate) signals: Vec<String>,
    /// Updates that are accepted and not completed.
    pub(crate) updates: Vec<String>,
    cancel_requested: bool,
    events: usize,
}

impl View {
    pub(crate) fn of(history: &[HistoryEvent]) -> Self {
        let mut view = Self {
            events: history.len(),
            ..Self::default()
        };
        for event in history {
            let Some(attributes) = &event.attributes else {
                continue;
            };
            match attributes {
                Event::TimerStartedEventAttributes(started) => view.timers.push(started.timer_id.clone()),
                Event::TimerFiredEventAttributes(fired) => view.timers.retain(|id| *id != fired.timer_id),
                Event::TimerCanceledEventAttributes(gone) => view.timers.retain(|id| *id != gone.timer_id),
                Event::ActivityTaskScheduledEventAttributes(_) => {
                    view.activities.push((event.event_id, false))
                }
                Event::ActivityTaskCancelRequestedEventAttributes(asked) => {
                    for (id, is_asked) in &mut view.activities {
                        *is_asked |= *id == asked.scheduled_event_id;
                    }
                }
                Event::WorkflowExecutionSignaledEventAttributes(signal) => {
                    view.signals.push(signal.signal_name.clone());
                }
                Event::WorkflowExecutionUpdateAcceptedEventAttributes(accepted) => {
                    view.updates.push(accepted.protocol_instance_id.clone());
                }
                Event::WorkflowExecutionUpdateCompletedEventAttributes(completed) => {
                    let meta = completed.meta.clone().unwrap_or_default();
                    view.updates.retain(|id| *id != meta.update_id);
                }
                Event::WorkflowExecutionCancelRequestedEventAttributes(_) => view.cancel_requested = true,
                _ => {
                    if let Some(scheduled) = ended_activity(event) {
                        view.activities.retain(|(id, _)| *id != scheduled);
                    }
                }
            }
        }
        view
    }
}

/// The scheduled event of the activity that this event ends.
pub(crate) fn ended_activity(event: &HistoryEvent) -> Option<i64> {
    match event.attributes.as_ref()? {
        Event::ActivityTaskCompletedEventAttributes(ended) => Some(ended.scheduled_event_id),
        Event::ActivityTaskFailedEventAttributes(ended) => Some(ended.scheduled_event_id),
        Event::ActivityTaskTimedOutEventAttributes(ended) => Some(ended.scheduled_event_id),
        Event::ActivityTaskCanceledEventAttributes(ended) => Some(ended.scheduled_event_id),
        _ => None,
    }
}

/// Whether the event ends its run.
pub(crate) fn is_close(event: &HistoryEvent) -> bool {
    use EventType as E;
    matches!(
        event.event_type(),
        E::WorkflowExecutionCompleted
            | E::WorkflowExecutionFailed
            | E::WorkflowExecutionTimedOut
            | E::WorkflowExecutionCanceled
            | E::WorkflowExecutionTerminated
            | E::WorkflowExecutionContinuedAsNew
    )
}

/// The commands that `choice` means, with `marker` as the first of them.
pub(crate) fn commands(view: &View, choice: u64, marker: &str, ledger: &mut Ledger) -> Vec<Command> {
    let mut rng = Rng::new(choice);
    let mut commands = vec![record(marker)];
    for _ in 0..rng.below(4) {
        let next = if rng.one_in(3) {
            Some(to_others(&mut rng, ledger))
        } else {
            one(view, &mut rng, commands.len(), marker)
        };
        commands.extend(next);
    }
    if rng.one_in(25) {
        // No timer has such an id: the task fails.
        commands.push(command(
            CommandType::CancelTimer,
            Attributes::CancelTimerCommandAttributes(CancelTimerCommandAttributes {
                timer_id: "none".to_owned(),
            }),
        ));
    }
    let is_long = view.events > 120;
    if view.cancel_requested && rng.one_in(2) {
        let canceled = CancelWorkflowExecutionCommandAttributes::default();
        commands.push(command(
            CommandType::CancelWorkflowExecution,
            Attributes::CancelWorkflowExecutionCommandAttributes(canceled),
        ));
    } else if is_long || rng.one_in(8) {
        commands.push(complete());
    } else if rng.one_in(12) {
        commands.push(command(
            CommandType::ContinueAsNewWorkflowExecution,
            Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(
                ContinueAsNewWorkflowExecutionCommandAttributes {
                    workflow_type: Some(WorkflowType {
                        name: "Simulated".to_owned(),
                    }),
                    task_queue: Some(queue(QUEUE)),
                    backoff_start_interval: rng.one_in(2).then(|| millis(rng.below(5_000))),
                    ..Default::default()
                },
            ),
        ));
    } else if rng.one_in(12) {
        let failure = Failure {
            message: "the workflow fails".to_owned(),
            ..Default::default()
        };
        commands.push(command(
            CommandType::FailWorkflowExecution,
            Attributes::FailWorkflowExecutionCommandAttributes(FailWorkflowExecutionCommandAttributes {
                failure: Some(failure),
            }),
        ));
    }
    commands
}

/// Ends the workflow.
pub(crate) fn complete() -> Command {
    command(
        CommandType::CompleteWorkflowExecution,
        Attributes::CompleteWorkflowExecutionCommandAttributes(
            CompleteWorkflowExecutionCommandAttributes::default(),
        ),
    )
}

fn one(view: &View, rng: &mut Rng, number: usize, marker: &str) -> Option<Command> {
    // Unique in the run: the marker is.
    let id = format!("{marker}/{number}");
    Some(match rng.below(10) {
        0..4 => command(
            CommandType::StartTimer,
            Attributes::StartTimerCommandAttributes(StartTimerCommandAttributes {
                timer_id: id,
                start_to_fire_timeout: Some(millis(rng.below(20_000))),
            }),
        ),
        4..7 => command(
            CommandType::ScheduleActivityTask,
            Attributes::ScheduleActivityTaskCommandAttributes(activity(id, rng)),
        ),
        7 => {
            let timer = view.timers.get(rng.index(view.timers.len().max(1)))?;
            command(
                CommandType::CancelTimer,
                Attributes::CancelTimerCommandAttributes(CancelTimerCommandAttributes {
                    timer_id: timer.clone(),
                }),
            )
        }
        8 => {
            let (scheduled_event_id, is_asked) =
                *view.activities.get(rng.index(view.activities.len().max(1)))?;
            if is_asked {
                return None;
            }
            command(
                CommandType::RequestCancelActivityTask,
                Attributes::RequestCancelActivityTaskCommandAttributes(
                    RequestCancelActivityTaskCommandAttributes { scheduled_event_id },
                ),
            )
        }
        _ => {
            let fields = [("note".to_owned(), text(marker))].into_iter().collect();
            command(
                CommandType::ModifyWorkflowProperties,
                Attributes::ModifyWorkflowPropertiesCommandAttributes(
                    ModifyWorkflowPropertiesCommandAttributes {
                        upserted_memo: Some(Memo { fields }),
                    },
                ),
            )
        }
    })
}

/// A child, or a message to another execution.
fn to_others(rng: &mut Rng, ledger: &mut Ledger) -> Command {
    let child = format!("c{}", rng.below(4));
    let target = if rng.one_in(2) {
        child.clone()
    } else {
        format!("w{}", rng.below(5))
    };
    match rng.below(5) {
        0..3 => command(
            CommandType::StartChildWorkflowExecution,
            Attributes::StartChildWorkflowExecutionCommandAttributes(
                StartChildWorkflowExecutionCommandAttributes {
                    workflow_id: child,
                    workflow_type: Some(WorkflowType {
                        name: "Simulated".to_owned(),
                    }),
                    task_queue: Some(queue(QUEUE)),
                    parent_close_policy: [0, 1, 2, 3][rng.index(4)],
                    workflow_run_timeout: rng.one_in(3).then(|| millis(rng.below(60_000) + 1_000)),
                    ..Default::default()
                },
            ),
        ),
        3 => {
            // Whether it arrives, the history of who sends it says.
            let label = ledger.label_at("signal", &target);
            ledger.sent(&label);
            ledger.answered(&label, Fate::Unknown);
            command(
                CommandType::SignalExternalWorkflowExecution,
                Attributes::SignalExternalWorkflowExecutionCommandAttributes(
                    SignalExternalWorkflowExecutionCommandAttributes {
                        execution: Some(WorkflowExecution {
                            workflow_id: target,
                            run_id: String::new(),
                        }),
                        signal_name: label,
                        ..Default::default()
                    },
                ),
            )
        }
        _ => command(
            CommandType::RequestCancelExternalWorkflowExecution,
            Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(
                RequestCancelExternalWorkflowExecutionCommandAttributes {
                    workflow_id: target,
                    ..Default::default()
                },
            ),
        ),
    }
}

fn activity(id: String, rng: &mut Rng) -> ScheduleActivityTaskCommandAttributes {
    ScheduleActivityTaskCommandAttributes {
        activity_id: id,
        activity_type: Some(ActivityType {
            name: "Act".to_owned(),
        }),
        task_queue: Some(queue(QUEUE)),
        start_to_close_timeout: Some(millis(rng.below(20_000) + 1_000)),
        heartbeat_timeout: rng.one_in(3).then(|| millis(2_000)),
        schedule_to_close_timeout: rng.one_in(3).then(|| millis(rng.below(60_000) + 1_000)),
        schedule_to_start_timeout: rng.one_in(6).then(|| millis(rng.below(9_000) + 1_000)),
        retry_policy: Some(RetryPolicy {
            maximum_attempts: i32::try_from(rng.below(4)).unwrap_or(0),
            initial_interval: Some(millis(500)),
            maximum_interval: Some(millis(10_000)),
            ..Default::default()
        }),
        request_eager_execution: rng.one_in(3),
        ..Default::default()
    }
}

fn record(marker: &str) -> Command {
    command(
        CommandType::RecordMarker,
        Attributes::RecordMarkerCommandAttributes(RecordMarkerCommandAttributes {
            marker_name: marker.to_owned(),
            ..Default::default()
        }),
    )
}

fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command {
        command_type: command_type as i32,
        attributes: Some(attributes),
        ..Default::default()
    }
}

pub(crate) fn millis(millis: u64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: (millis / 1_000) as i64,
        nanos: (millis % 1_000) as i32 * 1_000_000,
    }
}

pub(crate) fn queue(name: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        ..Default::default()
    }
}

fn text(text: &str) -> Payload {
    let metadata = [("encoding".to_owned(), b"binary/plain".to_vec())];
    Payload {
        metadata: metadata.into_iter().collect(),
        data: text.as_bytes().to_vec(),
        ..Default::default()
    }
}

pub(crate) fn payloads(of: &str) -> Option<Payloads> {
    Some(Payloads {
        payloads: vec![text(of)],
    })
}

/// What [`payloads`] was made of.
pub(crate) fn text_of(payloads: Option<&Payloads>) -> Option<String> {
    let payload = payloads?.payloads.first()?;
    String::from_utf8(payload.data.clone()).ok()
}
