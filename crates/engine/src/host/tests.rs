//! After every batch the disk holds what memory holds, and a host opened on it goes on from there.

use std::{path::Path, sync::Arc, time::Duration};

use proptest::prelude::*;
use tempfile::TempDir;
use temporalio_protos::temporal::api::{
    command::v1::{
        Command, CompleteWorkflowExecutionCommandAttributes, ScheduleActivityTaskCommandAttributes,
        StartTimerCommandAttributes, command::Attributes,
    },
    common::v1::ActivityType,
    enums::v1::{CommandType, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
};

use super::{
    Host,
    matching::{QueueId, QueueKind},
    start::IdPolicy,
};
use crate::{
    clock::{ManualClock, SECOND},
    core::{Completion, NewRun, Run, RunKey, Signal},
    limits::Limits,
    store::Store,
};

/// Something that happens to one of the runs.
#[derive(Clone, Debug)]
enum Op {
    Start {
        id: u8,
    },
    Signal {
        run: usize,
    },
    /// A worker takes the workflow task and completes it with one of these.
    Work {
        run: usize,
        command: Option<Made>,
    },
    StartActivity {
        run: usize,
    },
    FailActivity {
        run: usize,
    },
    Terminate {
        run: usize,
    },
    Pass {
        millis: u64,
    },
    EndBatch,
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Made {
    Timer,
    Activity,
    Complete,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let run = 0..6_usize;
    let made = proptest::option::of(prop_oneof![
        Just(Made::Timer),
        Just(Made::Activity),
        Just(Made::Complete)
    ]);
    let op = prop_oneof![
        3 => (0..4_u8).prop_map(|id| Op::Start { id }),
        2 => run.clone().prop_map(|run| Op::Signal { run }),
        5 => (run.clone(), made).prop_map(|(run, command)| Op::Work { run, command }),
        2 => run.clone().prop_map(|run| Op::StartActivity { run }),
        1 => run.clone().prop_map(|run| Op::FailActivity { run }),
        1 => run.prop_map(|run| Op::Terminate { run }),
        2 => (1..30_000_u64).prop_map(|millis| Op::Pass { millis }),
        3 => Just(Op::EndBatch),
        1 => Just(Op::Reopen),
    ];
    proptest::collection::vec(op, 1..80)
}

struct World {
    host: Host,
    clock: ManualClock,
    folder: TempDir,
    runs: Vec<RunKey>,
    batches: u32,
    timers: u32,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock = ManualClock::new(1_700_000_000 * SECOND);
        let host = open(folder.path(), &clock);
        Self {
            host,
            clock,
            folder,
            runs: Vec::new(),
            batches: 0,
            timers: 0,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Start { id } => {
                let namespace_key = self.host.namespaces.key_of("default").expect("the namespace");
                let new = NewRun {
                    namespace_key,
                    workflow_id: format!("w{id}"),
                    run_id: uuid::Uuid::new_v4().to_string(),
                    workflow_type: "Test".to_owned(),
                    task_queue: "queue".to_owned(),
                    ..Default::default()
                };
                let policy = IdPolicy {
                    reuse: WorkflowIdReusePolicy::AllowDuplicate,
                    conflict: WorkflowIdConflictPolicy::Fail,
                };
                // Refused where the id is running.
                self.runs
                    .extend(self.host.start(new, policy).ok().map(|started| started.key));
            }
            Op::Signal { run } => self.change(run, |run, now| {
                drop(run.signal(
                    now,
                    Signal {
                        name: "s".to_owned(),
                        ..Default::default()
                    },
                ));
            }),
            Op::Work { run, command } => self.work(run, command),
            Op::StartActivity { run } => {
                let Some(key) = self.key(run) else { return };
                let due = self
                    .host
                    .run(key)
                    .expect("the run")
                    .state
                    .activities
                    .first()
                    .cloned();
                if let Some(due) = due {
                    let started = self.host.start_activity(
                        key,
                        due.scheduled_event_id,
                        due.attempt,
                        &due.task_queue,
                        "worker",
                        true,
                    );
                    started.expect("a start, or a stale task");
                }
            }
            Op::FailActivity { run } => self.change(run, |run, now| {
                let started = run
                    .state
                    .activities
                    .iter()
                    .find(|activity| activity.started.is_some());
                if let Some((id, attempt)) = started.map(|a| (a.scheduled_event_id, a.attempt)) {
                    run.fail_activity(now, id, attempt, Default::default(), None, "worker")
                        .expect("it is started");
                }
            }),
            Op::Terminate { run } => self.change(run, |run, now| {
                drop(run.terminate(now, "enough".to_owned(), None, "test".to_owned()));
            }),
            Op::Pass { millis } => {
                self.clock.advance(Duration::from_millis(millis));
                self.host.wake_due();
            }
            Op::EndBatch => self.end_batch(),
            Op::Reopen => self.reopen(),
        }
    }

    fn key(&self, run: usize) -> Option<RunKey> {
        self.runs.get(run).copied()
    }

    fn change(&mut self, run: usize, change: impl FnOnce(&mut Run, i64)) {
        let Some(key) = self.key(run) else { return };
        let changed = self.host.change(key, |run, now| {
            change(run, now);
            Ok(())
        });
        changed.expect("a change");
    }

    fn work(&mut self, run: usize, made: Option<Made>) {
        let Some(key) = self.key(run) else { return };
        let namespace = self.host.run(key).expect("the run").state.namespace_key;
        let queue = QueueId::new(namespace, QueueKind::Workflow, "queue".to_owned());
        let task = self
            .host
            .start_workflow_task(&queue, key, None, "worker")
            .expect("a task, or none");
        let Some((task, _)) = task else { return };
        self.timers += 1;
        let commands = made.map(|made| command(made, self.timers)).into_iter().collect();
        let completion = Completion {
            started_event_id: task.message.started_event_id,
            attempt: task.message.attempt,
            commands,
            ..Default::default()
        };
        let completed = self.host.complete_workflow_task(key, completion);
        completed.expect("a completion");
        self.host.settle(key).expect("a change");
    }

    /// Ends the batch, and compares the disk with memory: each third time by the tables, else by the
    /// journal, which is what the next host reads.
    fn end_batch(&mut self) {
        self.batches += 1;
        if !self.batches.is_multiple_of(3) {
            return self.host.end_batch();
        }
        self.host.file_with_this_batch();
        self.host.end_batch();
        for key in &self.runs {
            let stored = self.host.store.load_run(*key).expect("readable").expect("stored");
            let slot = self.host.slot(*key).expect("the run");
            assert_eq!(stored.state, slot.run.state);
            assert_eq!(stored.history, slot.run.history);
            assert_eq!(slot.run.is_running(), slot.open_row.is_some());
        }
    }

    /// Drops the host, as a crash between two batches would, and opens another on the same file.
    fn reopen(&mut self) {
        self.end_batch();
        let before: Vec<_> = self
            .runs
            .iter()
            .map(|key| self.host.run(*key).expect("the run").clone())
            .collect();
        self.host = open(self.folder.path(), &self.clock);
        for old in before {
            let new = self.host.run(old.key).expect("it is still there");
            assert_eq!(
                new.history.encoded(0..old.history.len()),
                old.history.encoded(0..old.history.len()),
                "nothing written is lost"
            );
            assert_eq!(new.is_running(), old.is_running());
        }
    }
}

fn open(folder: &Path, clock: &ManualClock) -> Host {
    let store = Store::open(&folder.join("engine.db")).expect("a store");
    Host::open(store, Arc::new(clock.clone()), Limits::usual()).expect("a host")
}

fn command(made: Made, number: u32) -> Command {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let (command_type, attributes) = match made {
        Made::Timer => (
            CommandType::StartTimer,
            Attributes::StartTimerCommandAttributes(StartTimerCommandAttributes {
                timer_id: number.to_string(),
                start_to_fire_timeout: seconds(10),
            }),
        ),
        Made::Activity => (
            CommandType::ScheduleActivityTask,
            Attributes::ScheduleActivityTaskCommandAttributes(ScheduleActivityTaskCommandAttributes {
                activity_id: number.to_string(),
                activity_type: Some(ActivityType {
                    name: "Act".to_owned(),
                }),
                task_queue: Some(crate::core::normal_queue("queue")),
                start_to_close_timeout: seconds(5),
                ..Default::default()
            }),
        ),
        Made::Complete => (
            CommandType::CompleteWorkflowExecution,
            Attributes::CompleteWorkflowExecutionCommandAttributes(
                CompleteWorkflowExecutionCommandAttributes::default(),
            ),
        ),
    };
    Command {
        command_type: command_type as i32,
        attributes: Some(attributes),
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_holds_what_memory_holds(ops in ops()) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.end_batch();
    }
}

/// A run whose rows are damaged costs nobody else anything, and what the journal has of it stays there.
#[test]
fn a_damaged_run_in_the_journal_is_left_alone() {
    let mut world = World::new();
    let mut start = |name: &str| {
        let new = NewRun {
            namespace_key: world.host.namespaces.key_of("default").expect("the namespace"),
            workflow_id: name.to_owned(),
            run_id: uuid::Uuid::new_v4().to_string(),
            workflow_type: "Test".to_owned(),
            task_queue: "queue".to_owned(),
            ..Default::default()
        };
        world.host.create(new).expect("a run")
    };
    let (damaged, sound) = (start("damaged"), start("sound"));
    world.host.file_with_this_batch();
    world.host.end_batch();
    for key in [damaged, sound] {
        let signal = |run: &mut crate::core::Run, now| run.signal(now, Default::default());
        world.host.change(key, signal).expect("a signal");
    }
    world.host.end_batch();
    let harm = "UPDATE run SET state = x'ff' WHERE key = ?1";
    let harmed = world.host.store.connection().execute(harm, [damaged]);
    assert_eq!(harmed.expect("the file can be written"), 1);

    for _ in 0..2 {
        world.host = open(world.folder.path(), &world.clock);
        let signals = |run: &crate::core::Run| run.history.len();
        assert_eq!(signals(world.host.run(sound).expect("it is served")), 3);
        world.host.run(damaged).expect_err("it is not");
        world.host.file_with_this_batch();
        world.host.end_batch();
        let kept = world.host.store.journal().expect("readable");
        assert_eq!(
            kept.iter().map(|change| change.key).collect::<Vec<_>>(),
            [damaged]
        );
    }
}
