//! A run, a clock and a worker that does what the script says, moved by single inputs.

use segno_engine::{
    clock::Nanos,
    core::{
        Activity, Completion, Identity, NewRun, Run, RunState, Signal, StartedActivity, Surroundings, Timer,
        WorkflowTask, rebuild,
    },
};
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkflowTaskFailedCause, failure::v1::Failure, history::v1::HistoryEvent,
};

use crate::script::{self, Step};

const SECOND: Nanos = 1_000_000_000;
const SURROUNDINGS: Surroundings<'static> = Surroundings {
    namespace: "default",
    namespace_id: "id",
    check_attributes: &|_| Ok(()),
};

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    StartTask,
    CompleteTask,
    FailTask,
    /// The task did not reach its worker.
    ReturnTask,
    Signal,
    StartActivity,
    CompleteActivity,
    FailActivity,
    /// The engine's process ends and starts again.
    Restart,
    Pass {
        millis: u64,
    },
}

pub(crate) struct World {
    run: Run,
    steps: Vec<Step>,
    now: Nanos,
    signals: u32,
}

impl World {
    pub(crate) fn new(steps: &[Step]) -> Self {
        let now = 1_700_000_000 * SECOND;
        let new = NewRun {
            namespace_key: 1,
            workflow_id: "w".to_owned(),
            run_id: "0b4a25e8-3f5e-4dd0-8a1b-52d4d1a3a4c9".to_owned(),
            workflow_type: script::workflow_type(),
            task_queue: "queue".to_owned(),
            input: Some(script::input(steps)),
            ..Default::default()
        };
        Self {
            run: Run::begin(1, new, now),
            steps: steps.to_vec(),
            now,
            signals: 0,
        }
    }

    pub(crate) fn history(&self) -> Vec<HistoryEvent> {
        self.run.history.iter().collect()
    }

    pub(crate) fn event_types(&self) -> Vec<&'static str> {
        self.run
            .history
            .iter()
            .map(|event| event.event_type().as_str_name())
            .collect()
    }

    /// Does what the input says, where it can be done now.
    pub(crate) fn apply(&mut self, input: Input) {
        let now = self.now;
        match input {
            Input::StartTask => drop(
                self.run
                    .start_workflow_task(now, "worker", "request".to_owned())
                    .ok(),
            ),
            Input::CompleteTask => self.complete_task(),
            Input::FailTask => {
                if let Some((id, attempt)) = self.started_task() {
                    let cause = WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure;
                    let failed = self
                        .run
                        .fail_workflow_task(now, id, attempt, cause, None, "worker");
                    failed.expect("the started task can fail");
                }
            }
            Input::ReturnTask => {
                if let Some((id, attempt)) = self.started_task() {
                    self.run.return_workflow_task(now, id, attempt);
                }
            }
            Input::Signal => {
                self.signals += 1;
                let signal = Signal {
                    name: "go".to_owned(),
                    input: Some(script::json("null")),
                    request_id: self.signals.to_string(),
                    ..Default::default()
                };
                // A closed run takes none.
                drop(self.run.signal(now, signal));
            }
            Input::StartActivity => {
                let due = self
                    .run
                    .state
                    .activities
                    .iter()
                    .find(|a| a.started.is_none() && !a.backing_off);
                if let Some(id) = due.map(|activity| activity.scheduled_event_id) {
                    let worker = StartedActivity {
                        identity: "worker".to_owned(),
                        in_process: true,
                        ..Default::default()
                    };
                    self.run.start_activity(now, id, worker);
                }
            }
            Input::CompleteActivity => {
                if let Some((id, attempt)) = self.started_activity() {
                    let result = Some(script::json("null"));
                    self.run
                        .complete_activity(now, id, attempt, result, "worker")
                        .expect("it is started");
                }
            }
            Input::FailActivity => {
                if let Some((id, attempt)) = self.started_activity() {
                    let failure = Failure {
                        message: "broken".to_owned(),
                        ..Default::default()
                    };
                    self.run
                        .fail_activity(now, id, attempt, failure, None, "worker")
                        .expect("it is started");
                }
            }
            Input::Restart => {
                self.run = Run::load(1, self.run.state.clone(), self.run.history.clone());
                let _changed = self.run.resume(now);
            }
            Input::Pass { millis } => self.pass(millis as Nanos * 1_000_000),
        }
    }

    /// What holds after every input.
    pub(crate) fn check(&self) {
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
        assert_eq!(told(rebuilt.state), told(state.clone()));
    }

    /// Goes on until the workflow has ended.
    pub(crate) fn run_to_the_end(&mut self) {
        for _ in 0..1_000 {
            if !self.run.is_running() {
                return;
            }
            for input in [
                Input::StartActivity,
                Input::CompleteActivity,
                Input::Signal,
                Input::StartTask,
                Input::CompleteTask,
                Input::Pass { millis: 30_000 },
            ] {
                self.apply(input);
            }
        }
        panic!("the workflow does not end: {:#?}", self.event_types());
    }

    fn complete_task(&mut self) {
        let Some((started_event_id, attempt)) = self.started_task() else {
            return;
        };
        let commands = script::next_commands(&self.run, &self.steps);
        let completion = Completion {
            started_event_id,
            attempt,
            commands,
            identity: "worker".to_owned(),
            ..Default::default()
        };
        let completed = self
            .run
            .complete_workflow_task(self.now, completion, &SURROUNDINGS);
        completed.expect("the started task can be completed");
    }

    /// Lets time pass, waking the run whenever it wants to be.
    fn pass(&mut self, by: Nanos) {
        let until = self.now + by;
        while let Some(at) = self.run.next_wake().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.run.wake(self.now);
        }
        self.now = until;
    }

    fn started_task(&self) -> Option<(i64, i32)> {
        self.run
            .started_task
            .as_ref()
            .map(|task| (task.started_event_id, task.attempt))
    }

    fn started_activity(&self) -> Option<(i64, i32)> {
        let started = self
            .run
            .state
            .activities
            .iter()
            .find(|activity| activity.started.is_some())?;
        Some((started.scheduled_event_id, started.attempt))
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
