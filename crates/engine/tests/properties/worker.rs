//! The worker of the world's run: it does what the script says.

use segno_engine::core::{Completion, Outcome, Surroundings};
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkflowTaskFailedCause, history::v1::HistoryEvent,
};

use crate::{model, updates::Asked, world::World};

const SURROUNDINGS: Surroundings<'static> = Surroundings {
    namespace: "default",
    namespace_id: "id",
    accept_attributes: &|_| Ok(()),
};

/// A workflow task in a worker's hands, as the worker knows it: it may not be the run's any more.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    started_event_id: i64,
    attempt: i32,
    is_speculative: bool,
    asked: Vec<Asked>,
}

impl World {
    pub(crate) fn start_task(&mut self) {
        let request_id = "request".to_owned();
        let Ok(started) = self.run.start_workflow_task(self.now, "worker", request_id) else {
            return;
        };
        let (started_event_id, attempt) = (started.started_event_id, started.attempt);
        let seen = self.run.state.last_started_event_id;
        let admitted = self.run.history.iter().filter(|event| event.event_id > seen);
        let mut asked: Vec<_> = admitted.filter_map(|event| Asked::admitted_by(&event)).collect();
        asked.extend(self.run.outgoing_messages(true).iter().map(Asked::by));
        let task = self.run.state.workflow_task.as_ref();
        self.held = Some(Held {
            started_event_id,
            attempt,
            is_speculative: task.is_some_and(|task| task.speculative),
            asked,
        });
    }

    pub(crate) fn complete_task(&mut self, can_discard: bool, wants_next: bool) {
        let Some(held) = self.held.take() else {
            return;
        };
        if held.is_speculative && self.run.started_task.is_none() {
            // Its token does not fit any more.
            return;
        }
        let is_current = self.has(&held);
        let history: Vec<HistoryEvent> = self.run.history.iter().collect();
        let answer = model::answer(&history, &self.steps, &held.asked);
        let leaves_no_trace = answer.commands.is_empty();
        let completion = Completion {
            started_event_id: held.started_event_id,
            attempt: held.attempt,
            commands: answer.commands,
            messages: answer.messages,
            identity: "worker".to_owned(),
            can_discard_events: can_discard,
            wants_next_task: wants_next,
            ..Default::default()
        };
        let completed = self
            .run
            .complete_workflow_task(self.now, completion, &SURROUNDINGS);
        match completed {
            Ok(Outcome::Discarded { .. }) => assert!(held.is_speculative && leaves_no_trace),
            // It would have closed the run in spite of events that it has not seen.
            Ok(Outcome::Refused(_)) => assert!(self.run.is_running()),
            Ok(Outcome::Applied { .. }) => {}
            Err(error) => assert!(!is_current, "the started task can be completed: {error}"),
        }
    }

    pub(crate) fn fail_task(&mut self) {
        let Some(held) = self.held.take_if(|_| self.run.started_task.is_some()) else {
            return;
        };
        let cause = WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure;
        let is_current = self.has(&held);
        let (now, id, attempt) = (self.now, held.started_event_id, held.attempt);
        let failed = self
            .run
            .fail_workflow_task(now, id, attempt, cause, None, "worker");
        assert!(
            failed.is_ok() || !is_current,
            "the started task can fail: {failed:?}"
        );
    }

    pub(crate) fn return_task(&mut self) {
        if let Some(held) = self.held.take() {
            self.run
                .return_workflow_task(self.now, held.started_event_id, held.attempt);
        }
    }

    /// Whether the run has the task in this worker's hands.
    fn has(&self, held: &Held) -> bool {
        self.run.started_task.as_ref().is_some_and(|task| {
            task.started_event_id == held.started_event_id && task.attempt == held.attempt
        })
    }
}
