//! Copies of an engine's file, made while it works, and put back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use segno_engine::{
    Engine, Error, Options, StoreError, StoreProblem, backup,
    clock::SystemClock,
    restore,
    simulation::{SteppedEngine, Tuning},
};
use tempfile::TempDir;
use temporalio_client::{Client, ClientOptions, Connection};
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::bed::{Bed, commands};

/// Callers that start and complete workflows side by side.
const CALLERS: usize = 4;
/// What each of them does before and after the copy is begun, at least.
const EACH: usize = 25;

/// Workflow ids and run ids of what was acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<String, String>>>;

async fn work(bed: Arc<Bed>, caller: usize, done: Acknowledged, enough: Arc<AtomicBool>) {
    let mut number = 0;
    while !enough.load(Ordering::Relaxed) {
        let id = format!("w{caller}-{number}");
        let run_id = bed.start(&id).await;
        done.lock().insert(id, run_id);
        // Whichever is due: some other caller's, perhaps.
        let task = bed.task().await;
        bed.complete(&task, vec![commands::marker("m"), commands::complete("done")])
            .await;
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_under_load_has_all_that_was_acknowledged() {
    let bed = Arc::new(Bed::embedded().await);
    let file = bed.engine.as_ref().expect("an engine").file();
    let (done, enough) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(work(bed.clone(), caller, done.clone(), enough.clone())))
        .collect();
    let reach = async |count: usize| {
        let reached = || async { (done.lock().len() >= count).then_some(()) };
        bed.eventually("the load goes on", reached).await;
    };
    reach(CALLERS * EACH).await;
    let before = done.lock().clone();
    let folder = TempDir::new().expect("a folder");
    let copy = folder.path().join("copy.db");
    let copied = tokio::task::spawn_blocking({
        let (file, copy) = (file.clone(), copy.clone());
        move || backup(&file, &copy)
    });
    let copied = copied.await.expect("no panic").expect("a copy");
    reach(before.len() + CALLERS * EACH).await;
    enough.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("all are answered");
    }
    assert!(copied.executions >= before.len() as u64, "{copied:?}");
    let names = std::fs::read_dir(folder.path()).expect("the folder");
    assert_eq!(names.count(), 1, "nothing but the copy is left");

    // All that has to hold of a file holds of the copy, and it goes on from there.
    let put_back = folder.path().join("again/engine.db");
    restore(&copy, &put_back, false).expect("put back");
    let tuning = Tuning {
        checkpoint_pages: 1_000,
        cache_pages: 2_000,
        journaled_runs: 20,
        filed_with_one_batch: 5,
    };
    let options = Options::new(&put_back).with_clock(SystemClock);
    let mut stepped = SteppedEngine::open(options, tuning).expect("an engine");
    while stepped.step() {}
    assert_eq!(stepped.audit(), Vec::<String>::new());
    drop(stepped);

    let engine = Engine::open(Options::new(&put_back)).await.expect("an engine");
    let connection = Connection::connect(engine.handle().connection_options())
        .await
        .expect("a connection");
    let client = Client::new(connection, ClientOptions::new("default").build()).expect("a client");
    let copy_bed = Bed {
        client,
        namespace: "default".to_owned(),
        queue: "queue".to_owned(),
        engine: None,
        server: None,
    };
    for (id, run_id) in &before {
        let described = copy_bed.describe(id).await;
        let execution = described.workflow_execution_info.and_then(|info| info.execution);
        assert_eq!(execution.map(|execution| execution.run_id).as_ref(), Some(run_id));
        let history = copy_bed.history(id).await;
        assert_eq!(history[0].event_type(), EventType::WorkflowExecutionStarted);
    }
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_use_or_there_already_is_not_replaced() {
    let bed = Bed::embedded().await;
    bed.start("w").await;
    let file = bed.engine.as_ref().expect("an engine").file();
    let folder = TempDir::new().expect("a folder");
    let copy = folder.path().join("copy.db");
    backup(&file, &copy).expect("a copy");
    bed.start("later").await;

    let refused = restore(&copy, &file, true).expect_err("an engine has it");
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    let refused = backup(&copy, &file).expect_err("an engine has it");
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    let refused = backup(&file, &file).expect_err("it is the same");
    assert!(matches!(refused, StoreError::Open { .. }), "{refused}");

    let other = folder.path().join("other.db");
    backup(&file, &other).expect("a copy");
    let refused = restore(&copy, &other, false).expect_err("there is one");
    assert!(refused.to_string().contains("--yes"), "{refused}");
    assert_eq!(restore(&copy, &other, true).expect("replaced").executions, 1);
    assert_eq!(backup(&other, &copy).expect("a new copy").executions, 1);

    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a copy").expect("a file");
    let refused = restore(&text, &other, true).expect_err("no copy");
    assert_eq!(refused.problem(), Some(StoreProblem::NotTheEngines), "{refused}");
    let nothing = folder.path().join("nothing.db");
    let refused = backup(&nothing, &copy).expect_err("no file");
    assert!(refused.to_string().contains("nothing.db"), "{refused}");
    let engine: Result<Engine, Error> = Engine::open(Options::new(&other)).await;
    engine.expect("what was there is there still").shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_file_takes_nothing_from_the_one_it_replaces() {
    let bed = Bed::embedded().await;
    bed.start("kept").await;
    let engine = bed.engine.expect("an engine");
    let folder = TempDir::new().expect("a folder");
    let copy = folder.path().join("copy.db");
    backup(&engine.file(), &copy).expect("a copy");

    // A file whose log is not copied into it yet, as a killed process leaves it.
    let killed = folder.path().join("killed");
    std::fs::create_dir(&killed).expect("a folder");
    let log = |file: &std::path::Path| std::path::PathBuf::from(format!("{}-wal", file.display()));
    let replaced = killed.join("engine.db");
    std::fs::copy(engine.file(), &replaced).expect("the file");
    std::fs::copy(log(&engine.file()), log(&replaced)).expect("the log");
    restore(&copy, &replaced, true).expect("restored");
    assert!(!log(&replaced).exists());
    let copied = backup(&replaced, &folder.path().join("again.db")).expect("it is whole");
    assert_eq!(copied.executions, 1);
}
