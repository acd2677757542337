//! After every batch the disk holds what memory holds of schedules; an action and its run are there
//! together or not at all, also across restarts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use tempfile::TempDir;
use temporalio_protos::temporal::api::{
    common::v1::WorkflowType,
    schedule::v1::{
        Schedule, ScheduleAction, SchedulePatch, SchedulePolicies, ScheduleSpec, TriggerImmediatelyRequest,
        schedule_action::Action,
    },
    taskqueue::v1::TaskQueue,
    workflow::v1::NewWorkflowExecutionInfo,
};

use super::{Host, WakeKey};
use crate::{
    clock::{ManualClock, SECOND},
    limits::Limits,
    schedule::{ScheduleRecord, Scheduler, Spec, canonical::canonical},
    store::{ScheduleKey, Store, load_schedule},
};

#[derive(Clone, Debug)]
enum Op {
    Create { id: u8, every: u32, overlap: i32 },
    Trigger { id: u8, overlap: i32 },
    Delete { id: u8 },
    Close { run: i64 },
    Pass { seconds: u64 },
    EndBatch,
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let id = 0..3_u8;
    let op = prop_oneof![
        3 => (id.clone(), 1..30_u32, 1..7_i32).prop_map(|(id, every, overlap)| Op::Create { id, every, overlap }),
        2 => (id.clone(), 0..7_i32).prop_map(|(id, overlap)| Op::Trigger { id, overlap }),
        1 => id.prop_map(|id| Op::Delete { id }),
        5 => (1..40_i64).prop_map(|run| Op::Close { run }),
        5 => (1..60_u64).prop_map(|seconds| Op::Pass { seconds }),
        4 => Just(Op::EndBatch),
        1 => Just(Op::Reopen),
    ];
    proptest::collection::vec(op, 1..60)
}

struct World {
    host: Host,
    clock: ManualClock,
    folder: TempDir,
    namespace: u32,
    /// The keys of all there have been, by their keys the ids.
    made: BTreeMap<ScheduleKey, String>,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock = ManualClock::new(1_700_000_000 * SECOND);
        let host = open(&folder, &clock);
        let namespace = host.namespaces.key_of("default").expect("the namespace");
        Self {
            host,
            clock,
            folder,
            namespace,
            made: BTreeMap::new(),
        }
    }

    fn find(&self, id: u8) -> Option<ScheduleKey> {
        self.host.find_schedule(self.namespace, &format!("s{id}")).ok()
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Create { id, every, overlap } => self.create(&format!("s{id}"), every, overlap),
            Op::Trigger { id, overlap } => {
                let Some(key) = self.find(id) else { return };
                let patch = SchedulePatch {
                    trigger_immediately: Some(TriggerImmediatelyRequest {
                        overlap_policy: overlap,
                        scheduled_time: None,
                    }),
                    ..Default::default()
                };
                let patched = self.host.change_schedule(key, |scheduler, now| {
                    scheduler.patch(patch, "", now);
                    Ok(())
                });
                patched.expect("a patch");
            }
            Op::Delete { id } => {
                if let Some(key) = self.find(id) {
                    self.host.delete_schedule(key).expect("it is there");
                }
            }
            Op::Close { run } => {
                if self.host.run(run).is_ok_and(crate::core::Run::is_running) {
                    let closed = self.host.change(run, |run, now| {
                        run.terminate(now, "enough".to_owned(), None, "test".to_owned())
                    });
                    closed.expect("it is running");
                }
            }
            Op::Pass { seconds } => {
                self.clock.advance(Duration::from_secs(seconds));
                self.host.wake_due();
            }
            Op::EndBatch => self.end_batch(),
            Op::Reopen => {
                self.end_batch();
                self.host = open(&self.folder, &self.clock);
                self.check();
            }
        }
    }

    fn create(&mut self, id: &str, every: u32, overlap: i32) {
        let spec = ScheduleSpec {
            cron_string: vec![format!("@every {every}s")],
            ..Default::default()
        };
        let spec = canonical(&spec).expect("a right spec");
        let compiled = Spec::compile(&spec).expect("a right spec");
        let workflow = NewWorkflowExecutionInfo {
            workflow_id: format!("{id}-job"),
            workflow_type: Some(WorkflowType { name: "Test".into() }),
            task_queue: Some(TaskQueue {
                name: "queue".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let record = ScheduleRecord {
            namespace_key: self.namespace,
            id: id.to_owned(),
            schedule: Some(Schedule {
                spec: Some(spec),
                action: Some(ScheduleAction {
                    action: Some(Action::StartWorkflow(workflow)),
                }),
                policies: Some(SchedulePolicies {
                    overlap_policy: overlap,
                    ..Default::default()
                }),
                state: None,
            }),
            create_request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let request_id = record.create_request_id.clone();
        let created = self.host.create_schedule(self.namespace, id, &request_id, |now| {
            Scheduler::create(record, compiled, None, now)
        });
        // Refused where the id is taken.
        if let Ok(key) = created {
            let is_new = self.made.insert(key, id.to_owned()).is_none();
            assert!(is_new, "no key is given out twice");
        }
    }

    fn end_batch(&mut self) {
        self.host.end_batch();
        self.check();
    }

    /// What is in the file, in memory and in the wake-up order is the same.
    fn check(&mut self) {
        let mut awake = 0;
        for key in self.made.keys().copied() {
            let stored = load_schedule(self.host.store.connection(), key).expect("readable");
            let Some((record, wake_at)) = stored else {
                assert!(self.host.schedule(key).is_err(), "a deleted one is gone");
                continue;
            };
            assert_eq!(record, self.host.schedule(key).expect("it is there").record);
            if let Some(at) = wake_at {
                assert!(self.host.wakes.contains(&(at, WakeKey::Schedule(key))));
                awake += 1;
            }
            let runs: Vec<_> = (1..self.host.next_key)
                .filter_map(|run| {
                    self.host
                        .run(run)
                        .ok()
                        .map(|run| (run.state.clone(), run.is_running()))
                })
                .filter(|(state, _)| state.scheduled_by == key)
                .collect();
            assert_eq!(record.counts.taken, runs.len() as i64, "every action has its run");
            for running in &record.running {
                let is_running = runs
                    .iter()
                    .any(|(state, is_running)| *is_running && state.run_id == running.first_run_id);
                assert!(is_running, "{running:?}");
            }
            let shown = record.recent.len();
            assert_eq!(shown, runs.len().min(10));
        }
        let wakes = self.host.wakes.iter();
        let schedules = wakes
            .filter(|(_, key)| matches!(key, WakeKey::Schedule(_)))
            .count();
        assert_eq!(schedules, awake, "one entry a schedule");
    }
}

fn open(folder: &TempDir, clock: &ManualClock) -> Host {
    let store = Store::open(&folder.path().join("engine.db")).expect("a store");
    Host::open(store, Arc::new(clock.clone()), Limits::usual()).expect("a host")
}

#[test]
fn an_action_whose_batch_fails_is_taken_once() {
    let mut world = World::new();
    world.apply(Op::Create {
        id: 0,
        every: 10,
        overlap: 1,
    });
    world.end_batch();
    let key = world.find(0).expect("the schedule");
    let taken = |world: &mut World| world.host.schedule(key).expect("it is there").record.counts.taken;
    world.apply(Op::Pass { seconds: 10 });
    assert_eq!(taken(&mut world), 1);
    let run = world.host.next_key - 1;
    assert!(world.host.run(run).is_ok(), "its run has begun");
    // The disk refuses the batch: memory is what the file says again.
    world.host.store.fail(None);
    world.end_batch();
    assert_eq!(taken(&mut world), 0);
    assert!(world.host.run(run).is_err(), "it was never there");
    // The time is still due.
    world.apply(Op::Pass { seconds: 1 });
    world.end_batch();
    assert_eq!(taken(&mut world), 1);
    world.apply(Op::Reopen);
    assert_eq!(taken(&mut world), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn actions_and_runs_are_there_together(ops in ops()) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.end_batch();
    }
}
