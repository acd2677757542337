//! Disks and files that are not as they should be: each is told by name, with what to do about it; nothing
//! that was acknowledged is lost; and the engine goes on where it can.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{
    error::Error as _,
    fs,
    path::{Path, PathBuf},
    task::{Context, Poll},
    time::Duration,
};

use prost::Message;
use segno_engine::{
    Engine, Error, Handle, Options, StoreError, StoreProblem,
    clock::{ManualClock, SECOND},
    simulation::{SteppedEngine, Tuning, call},
};
use tempfile::TempDir;
use temporalio_protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse,
        StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
    },
};
use tonic::{Code, Status};

fn start_of(id: &str, input: &[u8]) -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType {
            name: "Test".to_owned(),
        }),
        task_queue: Some(TaskQueue {
            name: "queue".to_owned(),
            ..Default::default()
        }),
        input: Some(Payloads {
            payloads: vec![Payload {
                data: input.to_vec(),
                ..Default::default()
            }],
        }),
        request_id: format!("start of {id}"),
        ..Default::default()
    }
}

fn history_of(id: &str) -> GetWorkflowExecutionHistoryRequest {
    GetWorkflowExecutionHistoryRequest {
        namespace: "default".to_owned(),
        execution: Some(WorkflowExecution {
            workflow_id: id.to_owned(),
            run_id: String::new(),
        }),
        ..Default::default()
    }
}

async fn ask<A: Message + Default>(
    handle: &Handle,
    method: &str,
    request: impl Message,
) -> Result<A, Status> {
    let answer = call(handle, method, request.encode_to_vec().into(), false).await?;
    Ok(A::decode(answer.as_slice()).expect("an answer"))
}

async fn start(handle: &Handle, id: &str, input: &[u8]) -> Result<(), Status> {
    let started: StartWorkflowExecutionResponse =
        ask(handle, "StartWorkflowExecution", start_of(id, input)).await?;
    assert!(!started.run_id.is_empty());
    Ok(())
}

/// How many events the history has.
async fn events(handle: &Handle, id: &str) -> Result<usize, Status> {
    let answer: GetWorkflowExecutionHistoryResponse =
        ask(handle, "GetWorkflowExecutionHistory", history_of(id)).await?;
    Ok(answer.history.unwrap_or_default().events.len())
}

/// An engine whose batches the test takes.
struct Stepped {
    engine: SteppedEngine,
    clock: ManualClock,
    folder: TempDir,
}

impl Stepped {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::new(1_700_000_000 * SECOND);
        let engine = Self::open(folder.path(), &clock);
        Self {
            engine,
            clock,
            folder,
        }
    }

    fn open(folder: &Path, clock: &ManualClock) -> SteppedEngine {
        let options = Options::new(folder.join("engine.db")).with_clock(clock.clone());
        let tuning = Tuning {
            checkpoint_pages: 1_000,
            cache_pages: 2_000,
        };
        SteppedEngine::open(options, tuning).expect("an engine")
    }

    fn wait_for<T>(&mut self, asked: impl Future<Output = T>) -> T {
        let mut asked = std::pin::pin!(asked);
        let mut context = Context::from_waker(std::task::Waker::noop());
        for _ in 0..100 {
            if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
                return answer;
            }
            self.engine.step();
        }
        panic!("no answer");
    }

    fn start(&mut self, id: &str, input: &[u8]) -> Result<(), Status> {
        let handle = self.engine.handle();
        self.wait_for(start(&handle, id, input))
    }

    fn events(&mut self, id: &str) -> Result<usize, Status> {
        let handle = self.engine.handle();
        self.wait_for(events(&handle, id))
    }

    fn reopened(self) -> Self {
        let Self {
            engine,
            clock,
            folder,
        } = self;
        drop(engine);
        let engine = Self::open(folder.path(), &clock);
        Self {
            engine,
            clock,
            folder,
        }
    }
}

#[track_caller]
fn assert_told(status: &Status, code: Code, what: &[&str]) {
    assert_eq!(status.code(), code, "{status:?}");
    for words in what {
        assert!(
            status.message().contains(words),
            "{words:?}: {}",
            status.message()
        );
    }
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_the_engine_goes_on_when_there_is_room() {
    let mut stepped = Stepped::new();
    for number in 0..20 {
        stepped
            .start(&format!("before {number}"), b"small")
            .expect("room");
    }
    stepped.engine.limit_growth(Some(0)).unwrap();
    let large = vec![7; 100_000];
    for number in 0..5 {
        let refused = stepped.start(&format!("refused {number}"), &large);
        let refused = refused.expect_err("no room");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        if number == 0 {
            assert_told(
                &refused,
                Code::Unavailable,
                &["engine.db", "the disk is full", "make room"],
            );
        }
        stepped.clock.advance(Duration::from_secs(2));
        stepped.engine.step();
    }
    stepped.engine.limit_growth(None).unwrap();
    stepped.clock.advance(Duration::from_secs(2));
    stepped.start("after", &large).expect("room");
    assert_eq!(stepped.engine.audit(), Vec::<String>::new());
    let mut stepped = stepped.reopened();
    for number in 0..20 {
        assert_eq!(stepped.events(&format!("before {number}")).expect("kept"), 2);
    }
    assert_eq!(stepped.events("after").expect("kept"), 2);
    let never = stepped.events("refused 0").expect_err("it was refused");
    assert_eq!(never.code(), Code::NotFound);
}

#[test]
fn a_refused_batch_is_refused_as_a_whole() {
    let mut stepped = Stepped::new();
    stepped.start("running", b"small").expect("room");
    stepped.engine.limit_growth(Some(0)).unwrap();
    let handle = stepped.engine.handle();
    let large = vec![7; 100_000];
    let both = async {
        tokio::join!(
            start(&handle, "small", b"small"),
            start(&handle, "large", &large),
            // It finds the one before it, which is not kept.
            start(&handle, "small", b"small"),
        )
    };
    let (one, two, three) = stepped.wait_for(both);
    for refused in [one, two, three] {
        assert_told(
            &refused.expect_err("no room"),
            Code::Unavailable,
            &["the disk is full"],
        );
    }
    stepped.engine.limit_growth(None).unwrap();
    stepped.clock.advance(Duration::from_secs(2));
    assert_eq!(
        stepped.events("small").expect_err("refused").code(),
        Code::NotFound
    );
    stepped.start("small", b"small").expect("room");
    assert_eq!(stepped.engine.audit(), Vec::<String>::new());
}

#[test]
fn a_file_that_another_program_locks_is_told_and_waited_for() {
    let mut stepped = Stepped::new();
    stepped.start("before", b"small").expect("not locked");
    let other = rusqlite::Connection::open(stepped.folder.path().join("engine.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = stepped.start("locked out", b"small").expect_err("locked");
    assert_told(
        &refused,
        Code::Unavailable,
        &["engine.db", "another program has locked it"],
    );
    drop(other);
    stepped.clock.advance(Duration::from_secs(2));
    stepped.start("locked out", b"small").expect("no lock");
}

async fn open(file: &Path) -> Result<Engine, Error> {
    Engine::open(Options::new(file)).await
}

/// Why the file is not opened, and the whole of what is said.
async fn refusal(file: &Path) -> (StoreError, String) {
    match open(file).await {
        Err(Error::Store(error)) => {
            let said = error.to_string();
            (error, said)
        }
        other => panic!("{other:?}"),
    }
}

/// An engine's file with some runs in it, closed.
async fn file_with_runs(folder: &Path) -> PathBuf {
    let file = folder.join("engine.db");
    let engine = open(&file).await.expect("an engine");
    for number in 0..60 {
        let input = format!("input of run {number} ").repeat(40);
        start(&engine.handle(), &format!("w{number}"), input.as_bytes())
            .await
            .expect("a start");
    }
    engine.shutdown().await;
    // What the journal still holds is filed when the engine opens.
    open(&file).await.expect("an engine").shutdown().await;
    file
}

#[tokio::test]
async fn what_is_no_engine_file_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("text.db");
    fs::write(&text, "dear diary, ".repeat(1_000)).unwrap();
    let (error, said) = refusal(&text).await;
    assert_eq!(error.problem(), Some(StoreProblem::NotTheEngines), "{said}");
    assert!(
        said.contains("text.db") && said.contains("segno restore"),
        "{said}"
    );

    let other = folder.path().join("other.db");
    let program = rusqlite::Connection::open(&other).unwrap();
    program
        .execute_batch("CREATE TABLE song (name TEXT); INSERT INTO song VALUES ('Segno')")
        .unwrap();
    drop(program);
    let before = fs::read(&other).unwrap();
    let (error, said) = refusal(&other).await;
    assert_eq!(error.problem(), Some(StoreProblem::NotTheEngines), "{said}");
    assert_eq!(fs::read(&other).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let file = file_with_runs(folder.path()).await;
    let later = rusqlite::Connection::open(&file).unwrap();
    later
        .execute_batch("UPDATE meta SET value = '2' WHERE name = 'format'; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(later);
    let before = fs::read(&file).unwrap();
    let (error, said) = refusal(&file).await;
    assert!(
        matches!(error, StoreError::Format { ref found, .. } if found == "2"),
        "{said}"
    );
    assert!(
        said.contains("engine.db") && said.contains("the version that wrote it"),
        "{said}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_has_lost_its_end_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = file_with_runs(folder.path()).await;
    let whole = fs::metadata(&file).unwrap().len();
    let shorter = fs::OpenOptions::new().write(true).open(&file).unwrap();
    shorter.set_len(whole / 2).unwrap();
    drop(shorter);
    let (error, said) = refusal(&file).await;
    assert_eq!(error.problem(), Some(StoreProblem::Damaged), "{said}");
    let cause = error.source().expect("a cause").to_string();
    assert!(cause.contains("its end is missing"), "{cause}");
}

#[tokio::test]
async fn a_folder_in_place_of_a_file_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("engine.db");
    fs::create_dir(&file).unwrap();
    let (error, said) = refusal(&file).await;
    assert_eq!(error.problem(), Some(StoreProblem::NoAccess), "{said}");
    fs::remove_dir(&file).unwrap();
    let lock = folder.path().join("engine.db.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let (error, said) = refusal(&file).await;
    assert!(matches!(error, StoreError::Open { .. }), "{said}");
    assert!(said.contains("engine.db.lock"), "{said}");
}
