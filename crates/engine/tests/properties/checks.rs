//! What holds of the world after every input.

use std::collections::HashMap;

use segno_engine::{
    clock::Nanos,
    core::{Activity, Identity, RunState, Timer, UpdateStage, WorkflowTask, rebuild},
};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::world::World;

impl World {
    pub(crate) fn check(&mut self) {
        for (index, event) in self.run.history.iter().enumerate() {
            assert_eq!(event.event_id, index as i64 + 1, "ids are without gaps");
        }
        assert_eq!(self.run.state.next_event_id, self.run.history.len() as i64 + 1);
        let due = self.run.next_wake();
        assert!(
            due.is_none_or(|at| at > self.now) || !self.run.is_running() || self.is_waiting_for_poll(),
            "woken in time"
        );
        let times = self
            .run
            .history
            .iter()
            .map(|event| event.event_time.map(|t| (t.seconds, t.nanos)));
        assert!(times.is_sorted(), "times do not go back");
        self.check_rebuilt();
        self.check_updates_in_history();
        self.check_told_updates();
    }

    /// The state that the transitions made is the one that the history tells.
    fn check_rebuilt(&self) {
        let state = &self.run.state;
        if !state.buffered.is_empty() {
            // What is buffered has happened, and is not in the history yet.
            return;
        }
        let identity = Identity {
            namespace_key: state.namespace_key,
            run_id: state.run_id.clone(),
            start_request_id: state.start_request_id.clone(),
            parent: state.parent.clone(),
        };
        let rebuilt = rebuild(identity, &self.run.history).expect("a history that can be replayed");
        let mut rebuilt = told(rebuilt.state);
        let state = told(state.clone());
        if state.reset_at != 0 {
            // Its events are another run's, its times are its own.
            rebuilt.reset_at = state.reset_at;
            rebuilt.reset_request_id.clone_from(&state.reset_request_id);
            rebuilt.original_start_time = rebuilt.start_time;
            rebuilt.start_time = state.start_time;
            rebuilt.execution_time = state.execution_time;
            for (rebuilt, activity) in rebuilt.activities.iter_mut().zip(&state.activities) {
                rebuilt.scheduled_at = activity.scheduled_at.max(rebuilt.scheduled_at);
            }
        }
        assert_eq!(rebuilt, state);
    }

    /// Each update is accepted once, and completed once after that.
    fn check_updates_in_history(&self) {
        let mut accepted = HashMap::new();
        for event in self.run.history.iter() {
            match event.attributes {
                Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(a)) => {
                    let before = accepted.insert(a.protocol_instance_id, (event.event_id, false));
                    assert_eq!(before, None, "an update is accepted once");
                }
                Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(a)) => {
                    let id = a.meta.unwrap_or_default().update_id;
                    let before = accepted.insert(id, (a.accepted_event_id, true));
                    assert_eq!(
                        before,
                        Some((a.accepted_event_id, false)),
                        "an update is completed once"
                    );
                }
                _ => {}
            }
        }
    }

    /// What clients were told of updates stays true, and what waits for a worker gets one.
    fn check_told_updates(&mut self) {
        let mut waiting = false;
        for (id, told) in std::mem::take(&mut self.told) {
            let status = self.run.update_status(&id);
            let ends = &self.run.effects.update_ends;
            match status {
                Some(status) => {
                    assert!(status.stage >= told, "{id} was further: {told:?}, {status:?}");
                    waiting |= status.stage == UpdateStage::Admitted;
                    self.told.insert(id, status.stage);
                }
                None => assert!(
                    told == UpdateStage::Admitted && ends.iter().any(|(ended, _)| *ended == id),
                    "{id} is forgotten, and was {told:?}"
                ),
            }
        }
        self.run.effects.update_ends.clear();
        assert!(
            !waiting || self.run.state.workflow_task.is_some(),
            "no worker is asked for the updates that wait"
        );
    }

    /// A retry that became due by the very input that just passed is offered with the next wake-up.
    fn is_waiting_for_poll(&self) -> bool {
        self.run
            .state
            .activities
            .iter()
            .any(|activity| activity.backing_off && activity.attempt_at <= self.now)
    }
}

/// What of a state its history tells. Times to the microsecond: a task that is taken back is offered again
/// a nanosecond later, so that an event may be that much later than its cause.
fn told(state: RunState) -> RunState {
    let rounded = |at: Nanos| at / 1_000 * 1_000;
    let task = state.workflow_task.filter(|task| task.scheduled_event_id != 0);
    let activity = |activity: Activity| Activity {
        attempt: 1,
        scheduled_at: rounded(activity.scheduled_at),
        attempt_at: 0,
        backing_off: false,
        started: None,
        last_heartbeat_at: 0,
        heartbeat_details: None,
        last_failure: None,
        last_identity: String::new(),
        last_attempt_ended_at: 0,
        last_started_at: 0,
        ..activity
    };
    RunState {
        transition_count: 0,
        workflow_task: task.map(|task| WorkflowTask {
            scheduled_at: 0,
            original_scheduled_at: 0,
            scheduled_before: 0,
            ..task
        }),
        activities: state.activities.into_iter().map(activity).collect(),
        timers: state
            .timers
            .into_iter()
            .map(|timer| Timer {
                fire_at: rounded(timer.fire_at),
                ..timer
            })
            .collect(),
        close_time: rounded(state.close_time),
        ..state
    }
}
