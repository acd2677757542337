//! A run, a clock and all that moves the run by single inputs. `worker` has its worker, `relatives` its
//! children and others that it deals with, `resets` the run that takes its place.

use std::collections::{BTreeMap, VecDeque};

use segno_engine::{
    clock::Nanos,
    core::{Message, NewRun, Run, RunKey, Signal, StartedActivity, UpdateStage},
};
use temporalio_common::protos::temporal::api::{failure::v1::Failure, history::v1::HistoryEvent};

use crate::{
    relatives::{Child, End},
    script::{self, Step},
    updates::{self, Kind},
    worker::Held,
};

const SECOND: Nanos = 1_000_000_000;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    StartTask,
    CompleteTask {
        /// The worker takes speculative tasks back that brought events along.
        can_discard: bool,
        wants_next: bool,
    },
    FailTask,
    /// The task did not reach its worker.
    ReturnTask,
    Signal,
    /// A client sends an update, perhaps not for the first time.
    Update {
        number: u8,
        kind: Kind,
    },
    StartActivity,
    CompleteActivity,
    FailActivity,
    /// What the run has sent to another one gets there, or cannot.
    Deliver {
        succeeds: bool,
    },
    EndChild {
        which: usize,
        end: End,
    },
    /// Another run goes on from a point of this one.
    Reset {
        point: usize,
        reapplies: bool,
    },
    /// The engine's process ends and starts again.
    Restart,
    Pass {
        millis: u64,
    },
}

pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) steps: Vec<Step>,
    pub(crate) now: Nanos,
    signals: u32,
    /// The workflow task that a worker has.
    pub(crate) held: Option<Held>,
    /// What runs have sent, with who sent it.
    pub(crate) messages: VecDeque<(RunKey, Message)>,
    pub(crate) children: Vec<Child>,
    /// How far clients have been told that their updates are.
    pub(crate) told: BTreeMap<String, UpdateStage>,
    /// The runs that resets have replaced.
    pub(crate) replaced: Vec<Run>,
}

impl World {
    pub(crate) fn new(steps: &[Step]) -> Self {
        let now = 1_700_000_000 * SECOND;
        let new = NewRun {
            namespace_key: 1,
            workflow_id: "w".to_owned(),
            run_id: run_id(1),
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
            held: None,
            messages: VecDeque::new(),
            children: Vec::new(),
            told: BTreeMap::new(),
            replaced: Vec::new(),
        }
    }

    /// The histories of all runs, the last one's last.
    pub(crate) fn histories(&self) -> Vec<Vec<HistoryEvent>> {
        let runs = self.replaced.iter().chain([&self.run]);
        runs.map(|run| run.history.iter().collect()).collect()
    }

    pub(crate) fn event_types(&self) -> Vec<&'static str> {
        let events = self.run.history.iter();
        events.map(|event| event.event_type().as_str_name()).collect()
    }

    /// Does what the input says, where it can be done now.
    pub(crate) fn apply(&mut self, input: Input) {
        let now = self.now;
        match input {
            Input::StartTask => self.start_task(),
            Input::CompleteTask {
                can_discard,
                wants_next,
            } => self.complete_task(can_discard, wants_next),
            Input::FailTask => self.fail_task(),
            Input::ReturnTask => self.return_task(),
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
            Input::Update { number, kind } => self.update(&format!("update-{number}"), kind),
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
            Input::Deliver { succeeds } => self.deliver(succeeds),
            Input::EndChild { which, end } => self.end_child(which, end),
            Input::Reset { point, reapplies } => self.reset(point, reapplies),
            Input::Restart => self.restart(),
            Input::Pass { millis } => self.pass(millis as Nanos * 1_000_000),
        }
        self.collect_messages();
    }

    /// Goes on until the workflow has ended.
    pub(crate) fn run_to_the_end(&mut self) {
        for number in 100..160 {
            if !self.run.is_running() {
                return;
            }
            let kind = Kind::Immediate;
            for input in [
                Input::Deliver { succeeds: true },
                Input::EndChild {
                    which: 0,
                    end: End::Completed,
                },
                Input::StartActivity,
                Input::CompleteActivity,
                Input::Signal,
                Input::Update { number, kind },
                Input::StartTask,
                Input::CompleteTask {
                    can_discard: false,
                    wants_next: false,
                },
                Input::Pass { millis: 30_000 },
            ] {
                self.apply(input);
                self.check();
            }
        }
        panic!("the workflow does not end: {:#?}", self.event_types());
    }

    fn update(&mut self, id: &str, kind: Kind) {
        // A run that is closed, or whose tasks keep failing, takes none.
        if let Ok(status) = self.run.admit_update(self.now, id, updates::request(id, kind)) {
            self.told.insert(id.to_owned(), status.stage);
        }
    }

    /// What is in memory alone is lost.
    fn restart(&mut self) {
        // What one batch has sent is delivered before the batch is on disk.
        while !self.messages.is_empty() {
            self.deliver(true);
            self.collect_messages();
        }
        let mut state = self.run.state.clone();
        state.workflow_task.take_if(|task| task.speculative);
        self.run = Run::load(self.run.key, state, self.run.history.clone());
        let _changed = self.run.resume(self.now);
        // Clients that wait for an update are told when it is accepted.
        self.told.retain(|_, stage| *stage >= UpdateStage::Accepted);
    }

    /// Lets time pass, waking the run whenever it wants to be.
    pub(crate) fn pass(&mut self, by: Nanos) {
        let until = self.now + by;
        while let Some(at) = self.run.next_wake().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.run.wake(self.now);
        }
        self.now = until;
    }

    fn collect_messages(&mut self) {
        let key = self.run.key;
        let sent = self.run.effects.messages.drain(..);
        self.messages.extend(sent.map(|message| (key, message)));
    }

    fn started_activity(&self) -> Option<(i64, i32)> {
        let mut activities = self.run.state.activities.iter();
        let started = activities.find(|activity| activity.started.is_some())?;
        Some((started.scheduled_event_id, started.attempt))
    }
}

/// The id of the so manieth run.
pub(crate) fn run_id(number: RunKey) -> String {
    format!("0b4a25e8-3f5e-4dd0-8a1b-{number:012x}")
}
