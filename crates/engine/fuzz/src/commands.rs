//! What workers complete workflow tasks with: an encoded `Story`, whose completions are applied to one run of the pure
//! core, one a workflow task. Children, signals and activities are answered as a host would, well and badly by turns.

use prost::Message as _;
use segno_engine::{
    clock::SECOND,
    core::{
        ChildClosed, ChildEnd, Completion, Identity, Message, NewRun, Run, RunState, StartedActivity,
        Surroundings, WorkerVersion, rebuild,
    },
};
use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{
        CancelExternalWorkflowExecutionFailedCause, SignalExternalWorkflowExecutionFailedCause,
        StartChildWorkflowExecutionFailedCause, VersioningBehavior,
    },
    failure::v1::Failure,
    update::v1::{Input, Meta, Request},
    workflowservice::v1::RespondWorkflowTaskCompletedRequest,
};

use super::times::NOW;

const SURROUNDINGS: Surroundings<'static> = Surroundings {
    namespace: "default",
    namespace_id: "id",
    accept_attributes: &|_| Ok(()),
};

/// Completions, one after the other.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Story {
    #[prost(message, repeated, tag = "1")]
    pub completions: Vec<RespondWorkflowTaskCompletedRequest>,
}

pub fn run(data: &[u8]) {
    let Ok(story) = Story::decode(data) else { return };
    let new = NewRun {
        namespace_key: 1,
        workflow_id: "w".to_owned(),
        run_id: "0b4a25e8-3f5e-4dd0-8a1b-52d4d1a3a4c9".to_owned(),
        workflow_type: "Type".to_owned(),
        task_queue: "queue".to_owned(),
        ..Default::default()
    };
    let mut world = World {
        run: Run::begin(1, new, NOW),
        now: NOW,
        answers: 0,
    };
    for (number, completion) in story.completions.into_iter().take(8).enumerate() {
        if !world.run.is_running() {
            break;
        }
        world.complete(number, completion);
        world.check();
        world.answer_effects();
        world.check();
        world.pass();
        world.check();
    }
}

struct World {
    run: Run,
    now: i64,
    answers: u32,
}

impl World {
    fn complete(&mut self, number: usize, request: RespondWorkflowTaskCompletedRequest) {
        let id = format!("u{number}");
        let update = Request {
            meta: Some(Meta {
                update_id: id.clone(),
                ..Default::default()
            }),
            input: Some(Input {
                name: "update".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let _ = self.run.admit_update(self.now, &id, update);
        let started = self
            .run
            .start_workflow_task(self.now, "worker", "request".to_owned());
        let Ok((started_event_id, attempt)) = started.map(|task| (task.started_event_id, task.attempt))
        else {
            return;
        };
        self.run.outgoing_messages(attempt > 1);
        let behavior = VersioningBehavior::try_from(request.versioning_behavior).unwrap_or_default();
        let completion = Completion {
            started_event_id,
            attempt,
            commands: request.commands,
            identity: request.identity,
            sticky: None,
            force_new_task: request.force_create_new_workflow_task,
            wants_next_task: request.return_new_workflow_task,
            messages: request.messages,
            can_discard_events: request
                .capabilities
                .is_some_and(|can| can.discard_speculative_workflow_task_with_events),
            sdk_metadata: request.sdk_metadata,
            metering_metadata: request.metering_metadata,
            version: WorkerVersion {
                behavior,
                deployment: request.deployment_options,
                ..Default::default()
            },
        };
        // Refused or not: what has to hold holds after it.
        let _ = self
            .run
            .complete_workflow_task(self.now, completion, &SURROUNDINGS);
    }

    /// Does what the host does with effects.
    fn answer_effects(&mut self) {
        let now = self.now;
        let effects = std::mem::take(&mut self.run.effects);
        for message in effects.messages {
            self.answers += 1;
            let is_good = !self.answers.is_multiple_of(3);
            match message {
                Message::StartChild {
                    initiated_event_id: id,
                } if is_good => {
                    if self.run.new_child(now, id).is_some() {
                        let run_id = format!("child-{id}");
                        self.run.child_started(now, id, run_id.clone());
                        if self.answers.is_multiple_of(2) {
                            self.end_child(id, run_id);
                        }
                    }
                }
                Message::StartChild { initiated_event_id } => self.run.child_not_started(
                    now,
                    initiated_event_id,
                    StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists,
                ),
                Message::Signal {
                    initiated_event_id: id,
                } => {
                    let is_due = self.run.outgoing_signal(id).is_some();
                    let outcome = if is_good {
                        Ok(())
                    } else {
                        Err(SignalExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound)
                    };
                    if is_due {
                        self.run.signal_delivered(now, "default", id, outcome);
                    }
                }
                Message::RequestCancel {
                    initiated_event_id: id,
                } => {
                    let is_due = self.run.outgoing_cancel(id).is_some();
                    let outcome = if is_good {
                        Ok(())
                    } else {
                        Err(CancelExternalWorkflowExecutionFailedCause::ExternalWorkflowExecutionNotFound)
                    };
                    if is_due {
                        self.run.cancel_delivered(now, "default", id, outcome);
                    }
                }
                Message::ChildClosed(_) | Message::CloseChild(_) => {}
            }
        }
        let waiting = self
            .run
            .state
            .activities
            .iter()
            .find(|activity| activity.started.is_none());
        if let Some(id) = waiting.map(|activity| activity.scheduled_event_id) {
            let worker = StartedActivity {
                at: now,
                identity: "worker".to_owned(),
                ..Default::default()
            };
            self.run.start_activity(now, id, worker);
            let _ = if self.answers.is_multiple_of(2) {
                self.run.complete_activity(now, id, 0, None, "worker")
            } else {
                self.run
                    .fail_activity(now, id, 0, Failure::default(), None, "worker")
            };
        }
    }

    fn end_child(&mut self, initiated_event_id: i64, run_id: String) {
        let closed = ChildClosed {
            parent: 1,
            initiated_event_id,
            execution: WorkflowExecution {
                workflow_id: "child".to_owned(),
                run_id,
            },
            how: ChildEnd::Completed(None),
        };
        self.run.child_closed(self.now, closed);
    }

    /// Time goes by, and the run is woken when it wants to be.
    fn pass(&mut self) {
        for _ in 0..20 {
            self.now = self.now.saturating_add(SECOND);
            if let Some(at) = self.run.next_wake() {
                self.now = self.now.max(at);
                self.run.wake(self.now);
                let next = self.run.next_wake();
                assert!(
                    next.is_none_or(|next| next > at || next > self.now),
                    "woken again and again"
                );
            }
            if self.run.state.workflow_task.is_some() || !self.run.is_running() {
                return;
            }
        }
    }

    fn check(&self) {
        let state = &self.run.state;
        for (index, event) in self.run.history.iter().enumerate() {
            assert_eq!(event.event_id, i64::try_from(index).unwrap() + 1);
        }
        assert_eq!(
            state.next_event_id,
            i64::try_from(self.run.history.len()).unwrap() + 1
        );
        let times = self
            .run
            .history
            .iter()
            .map(|event| event.event_time.map(|at| (at.seconds, at.nanos)));
        assert!(times.is_sorted(), "times do not go back");
        let written = state.encode_to_vec();
        assert_eq!(RunState::decode(written.as_slice()).as_ref(), Ok(state));
        if state.buffered.is_empty() {
            let identity = Identity {
                namespace_key: state.namespace_key,
                run_id: state.run_id.clone(),
                start_request_id: state.start_request_id.clone(),
                parent: state.parent.clone(),
            };
            let rebuilt = rebuild(identity, &self.run.history)
                .expect("a history that can be replayed")
                .state;
            assert_eq!(rebuilt.status, state.status);
            assert_eq!(rebuilt.timers.len(), state.timers.len());
            assert_eq!(rebuilt.activities.len(), state.activities.len());
            assert_eq!(rebuilt.children, state.children);
        }
    }
}
