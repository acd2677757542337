//! What is deleted in the background goes in bounded steps, and the file stays bounded.

use std::{path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;
use temporalio_protos::temporal::api::common::v1::{Payload, Payloads, WorkflowExecution};

use super::Host;
use crate::{
    clock::{ManualClock, SECOND},
    core::{NewRun, RunKey, Signal},
    limits::Limits,
    store::Store,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const DAY_NANOS: i64 = 24 * 3_600 * SECOND;

struct World {
    host: Host,
    clock: ManualClock,
    folder: TempDir,
    started: u32,
}

fn open(folder: &Path, clock: &ManualClock) -> Host {
    let store = Store::open(&folder.join("engine.db")).expect("a store");
    Host::open(store, Arc::new(clock.clone()), Limits::usual()).expect("a host")
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock = ManualClock::new(1_700_000_000 * SECOND);
        let mut host = open(folder.path(), &clock);
        let retention = |record: &mut crate::store::NamespaceRecord| record.retention = 3 * DAY_NANOS;
        host.change_namespace("default", retention)
            .expect("the namespace");
        Self {
            host,
            clock,
            folder,
            started: 0,
        }
    }

    fn start(&mut self) -> RunKey {
        self.started += 1;
        let namespace_key = self.host.namespaces.key_of("default").expect("the namespace");
        let new = NewRun {
            namespace_key,
            workflow_id: format!("w{}", self.started),
            run_id: uuid::Uuid::new_v4().to_string(),
            workflow_type: "Test".to_owned(),
            task_queue: "queue".to_owned(),
            input: Some(payload(2_000)),
            ..Default::default()
        };
        self.host.create(new).expect("a run")
    }

    fn terminate(&mut self, key: RunKey) {
        let ended = self.host.change(key, |run, now| {
            run.terminate(now, "enough".to_owned(), None, "test".to_owned())
        });
        ended.expect("it is running");
    }

    /// What the thread does between two batches.
    fn turn(&mut self) {
        self.host.go_on_with_batch_operations();
        self.host.clean();
        self.host.end_batch();
    }

    /// Turns until nothing in the background is due.
    fn settle(&mut self) -> usize {
        for turns in 1..10_000 {
            self.turn();
            let now = self.host.now();
            if self.host.cleaning.next_at() > now {
                return turns;
            }
        }
        panic!("the cleaning does not come to an end");
    }

    fn number(&self, sql: &str) -> i64 {
        let connection = self.host.store.connection();
        connection.query_row(sql, [], |row| row.get(0)).expect("a number")
    }

    fn rows(&self) -> i64 {
        let tables = [
            "run",
            "run_id",
            "open_run",
            "history",
            "execution",
            "execution_attribute",
            "deletion",
        ];
        tables
            .iter()
            .map(|table| self.number(&format!("SELECT count(*) FROM {table}")))
            .sum()
    }

    fn is_known(&self, id: u32) -> bool {
        let namespace = self.host.namespaces.key_of("default").expect("the namespace");
        let execution = WorkflowExecution {
            workflow_id: format!("w{id}"),
            run_id: String::new(),
        };
        self.host.find(namespace, &execution).is_ok()
    }

    fn size(&self, name: &str) -> u64 {
        let file = self.folder.path().join(name);
        std::fs::metadata(file).map(|file| file.len()).unwrap_or_default()
    }
}

fn payload(bytes: usize) -> Payloads {
    Payloads {
        payloads: vec![Payload {
            data: vec![7; bytes],
            ..Default::default()
        }],
    }
}

/// A day's load, again and again: after the retention (three days) as much goes as comes.
#[test]
fn the_file_stays_bounded_under_a_constant_load() {
    let mut world = World::new();
    let mut sizes = Vec::new();
    for _ in 0..24 {
        for _ in 0..100 {
            let key = world.start();
            world.terminate(key);
        }
        world.settle();
        world.clock.advance(DAY);
        sizes.push((
            world.rows(),
            world.number("PRAGMA page_count"),
            world.size("engine.db-wal"),
        ));
    }
    let (rows, pages, _) = sizes[5];
    let most_rows = sizes[6..].iter().map(|size| size.0).max().expect("sizes");
    let most_pages = sizes[6..].iter().map(|size| size.1).max().expect("sizes");
    assert!(most_rows <= rows, "{sizes:?}");
    assert!(most_pages <= pages * 11 / 10, "{sizes:?}");
    let wal = sizes.iter().map(|size| size.2).max().expect("sizes");
    assert!(wal < 32 * 1024 * 1024, "{wal} bytes of log");

    assert!(world.is_known(world.started) && !world.is_known(1));
    world.clock.advance(4 * DAY);
    world.settle();
    assert_eq!(world.rows(), 0);
}

#[test]
fn freed_pages_are_given_back() {
    let mut world = World::new();
    for _ in 0..20 {
        let key = world.start();
        for number in 0..8 {
            let signal = Signal {
                name: "s".to_owned(),
                input: Some(payload(64 * 1024)),
                request_id: number.to_string(),
                ..Default::default()
            };
            world
                .host
                .change(key, |run, now| run.signal(now, signal))
                .expect("a signal");
        }
        world.terminate(key);
    }
    world.turn();
    let before = world.number("PRAGMA page_count");
    world.clock.advance(4 * DAY);
    let turns = world.settle();
    let after = world.number("PRAGMA page_count");
    assert!(after < before / 2, "{before} pages, then {after}");
    assert!(turns > 3, "in steps: {turns}");
}

#[test]
fn a_long_history_goes_in_steps_and_across_a_restart() {
    let mut world = World::new();
    let key = world.start();
    for number in 0..24 {
        let signal = Signal {
            name: "s".to_owned(),
            input: Some(payload(512 * 1024)),
            request_id: number.to_string(),
            ..Default::default()
        };
        world
            .host
            .change(key, |run, now| run.signal(now, signal))
            .expect("a signal");
        // Each in a batch, and so in a row, of its own.
        world.host.end_batch();
    }
    world.host.delete(key).expect("it is there");
    assert!(!world.is_known(1), "gone for callers at once");
    world.turn();
    assert_eq!(world.number("SELECT count(*) FROM deletion"), 1);
    world.turn();
    let rows = world.number("SELECT count(*) FROM history");
    assert!((1..24).contains(&rows), "{rows} rows are left after a step");
    assert_eq!(
        world.number("SELECT count(*) FROM execution"),
        0,
        "nobody sees half a run"
    );

    world.host = open(world.folder.path(), &world.clock);
    assert!(!world.is_known(1));
    world.settle();
    assert_eq!(world.rows(), 0);
    let next = world.start();
    assert!(next > key, "a key is given out once");
}

#[test]
fn a_deleted_current_run_leaves_no_older_one_current() {
    let mut world = World::new();
    let older = world.start();
    world.terminate(older);
    world.started -= 1;
    let current = world.start();
    world.turn();
    world.host.delete(current).expect("it is there");
    world.settle();
    assert!(!world.is_known(1));
    assert_eq!(
        world.number("SELECT count(*) FROM run"),
        1,
        "the older run is still there"
    );
    world.host.delete(older).expect("it is there");
    world.settle();
    assert_eq!(world.rows(), 0);
}

/// The key of a namespace is given out again once it is empty: nothing may be left that the next one would find.
#[test]
fn nothing_of_a_deleted_namespace_is_left() {
    use temporalio_protos::temporal::api::{
        activity::v1::ActivityOptions, taskqueue::v1::TaskQueueConfig,
        workflowservice::v1::StartBatchOperationRequest,
    };

    use super::{
        activity::ActivityIdPolicy,
        matching::{QueueId, QueueKind},
    };
    use crate::{
        core::NewActivity,
        deployment::DeploymentRecord,
        store::{BatchRecord, NamespaceRecord},
        visibility::AttributeType,
    };

    let tables = |world: &World| -> Vec<(String, i64)> {
        let connection = world.host.store.connection();
        let mut names = connection
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
            .expect("a statement");
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))
            .expect("names")
            .collect::<Result<_, _>>()
            .expect("names");
        names
            .into_iter()
            .filter(|name| name != "meta")
            .map(|name| {
                let count = world.number(&format!("SELECT count(*) FROM {name}"));
                (name, count)
            })
            .collect()
    };
    let mut world = World::new();
    world.settle();
    let before = tables(&world);
    let record = NamespaceRecord {
        name: "other".to_owned(),
        retention: 3 * DAY_NANOS,
        ..Default::default()
    };
    world.host.register_namespace(record).expect("a namespace");
    let key = world.host.namespaces.key_of("other").expect("the namespace");
    let attribute = [("Own".to_owned(), AttributeType::Keyword)];
    world
        .host
        .alter_attributes(key, &attribute, &[])
        .expect("an attribute");
    for n in 0..3 {
        let new = NewRun {
            namespace_key: key,
            workflow_id: format!("w{n}"),
            run_id: uuid::Uuid::new_v4().to_string(),
            workflow_type: "Test".to_owned(),
            task_queue: "queue".to_owned(),
            ..Default::default()
        };
        let run = world.host.create(new).expect("a run");
        if n == 0 {
            world.terminate(run);
        }
    }
    let activity = NewActivity {
        namespace_key: key,
        activity_id: "a".to_owned(),
        run_id: uuid::Uuid::new_v4().to_string(),
        request_id: "r".to_owned(),
        activity_type: "Act".to_owned(),
        options: ActivityOptions {
            task_queue: Some(crate::core::normal_queue("queue")),
            ..Default::default()
        },
        input: None,
        header: None,
        search_attributes: None,
        user_metadata: None,
        links: Vec::new(),
    };
    let policy = ActivityIdPolicy {
        reuse: Default::default(),
        conflict: Default::default(),
    };
    world
        .host
        .start_standalone(activity, policy, false)
        .expect("an activity");
    let queue = QueueId::new(key, QueueKind::Activity, "queue".to_owned());
    world
        .host
        .configure_queue(&queue, TaskQueueConfig::default())
        .expect("a configuration");
    let batch = BatchRecord {
        request: Some(StartBatchOperationRequest {
            job_id: "job".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    world
        .host
        .start_batch_operation(key, batch, true)
        .expect("a batch operation");
    let deployment = DeploymentRecord::new("shop", String::new(), 1);
    world.host.put_deployment(key, deployment).expect("a deployment");
    world.turn();
    world.host.file_all().expect("filed");
    world.turn();
    let full = tables(&world);
    for table in [
        "run",
        "history",
        "execution",
        "batch_operation",
        "task_queue_config",
        "worker_deployment",
    ] {
        let count = |counts: &[(String, i64)]| {
            counts
                .iter()
                .find(|(name, _)| name == table)
                .map(|(_, count)| *count)
        };
        assert!(count(&full) > count(&before), "{table}: {full:?}");
    }
    world.host.delete_namespace("other").expect("it is deleted");
    world.clock.advance(DAY);
    world.settle();
    assert_eq!(tables(&world), before);
    assert!(world.host.queues.config(&queue).is_none() && world.host.queues.get(&queue).is_none());
    assert!(world.host.deployments.get(key, "shop").is_none());
}

#[test]
fn what_waits_to_be_filed_is_counted_after_a_restart() {
    let mut world = World::new();
    world.start();
    world.host.end_batch();
    let number = world.number("SELECT sum(length(changes)) FROM journal");
    assert!(number > 2_000, "it is in the journal");
    let (folder, clock) = (world.folder, world.clock);
    drop(world.host);
    let host = open(folder.path(), &clock);
    assert!(host.unfiled.bytes > 2_000);
}
