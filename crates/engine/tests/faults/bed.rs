//! Engines for these tests, and what is asked of them.

use std::{
    path::{Path, PathBuf},
    task::{Context, Poll},
};

use prost::Message;
use segno_engine::{
    Engine, Error, Handle, Options, StoreError,
    clock::{ManualClock, SECOND},
    simulation::{SteppedEngine, Tuning, call},
};
use tempfile::TempDir;
use temporalio_protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse, GetWorkflowExecutionHistoryRequest,
        GetWorkflowExecutionHistoryResponse, ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse,
        StartWorkflowExecutionRequest, StartWorkflowExecutionResponse, TerminateWorkflowExecutionRequest,
        TerminateWorkflowExecutionResponse,
    },
};
use tonic::{Code, Status};

pub(crate) fn start_of(id: &str, input: &[u8]) -> StartWorkflowExecutionRequest {
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

pub(crate) fn history_of(id: &str) -> GetWorkflowExecutionHistoryRequest {
    GetWorkflowExecutionHistoryRequest {
        namespace: "default".to_owned(),
        execution: Some(WorkflowExecution {
            workflow_id: id.to_owned(),
            run_id: String::new(),
        }),
        ..Default::default()
    }
}

pub(crate) async fn ask<A: Message + Default>(
    handle: &Handle,
    method: &str,
    request: impl Message,
) -> Result<A, Status> {
    let answer = call(handle, method, request.encode_to_vec().into(), false).await?;
    Ok(A::decode(answer.as_slice()).expect("an answer"))
}

pub(crate) async fn start(handle: &Handle, id: &str, input: &[u8]) -> Result<(), Status> {
    let started: StartWorkflowExecutionResponse =
        ask(handle, "StartWorkflowExecution", start_of(id, input)).await?;
    assert!(!started.run_id.is_empty());
    Ok(())
}

/// How many events the history has.
pub(crate) async fn events(handle: &Handle, id: &str) -> Result<usize, Status> {
    let answer: GetWorkflowExecutionHistoryResponse =
        ask(handle, "GetWorkflowExecutionHistory", history_of(id)).await?;
    Ok(answer.history.unwrap_or_default().events.len())
}

pub(crate) async fn terminate(handle: &Handle, id: &str) -> Result<(), Status> {
    let request = TerminateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: history_of(id).execution,
        ..Default::default()
    };
    let _: TerminateWorkflowExecutionResponse = ask(handle, "TerminateWorkflowExecution", request).await?;
    Ok(())
}

/// Workflow ids; whoever lists has everything filed before.
pub(crate) async fn list(handle: &Handle, query: &str) -> Result<Vec<String>, Status> {
    list_page(handle, query, 0).await
}

/// The first of them, at most so many (0: as many as the engine takes).
pub(crate) async fn list_page(handle: &Handle, query: &str, page_size: i32) -> Result<Vec<String>, Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: "default".to_owned(),
        page_size,
        query: query.to_owned(),
        ..Default::default()
    };
    let answer: ListWorkflowExecutionsResponse = ask(handle, "ListWorkflowExecutions", request).await?;
    let executions = answer.executions.into_iter();
    Ok(executions
        .map(|info| info.execution.unwrap_or_default().workflow_id)
        .collect())
}

/// How many executions the query finds.
pub(crate) async fn count(handle: &Handle, query: &str) -> Result<i64, Status> {
    let request = CountWorkflowExecutionsRequest {
        namespace: "default".to_owned(),
        query: query.to_owned(),
    };
    let answer: CountWorkflowExecutionsResponse = ask(handle, "CountWorkflowExecutions", request).await?;
    Ok(answer.count)
}

/// An engine whose batches the test takes.
pub(crate) struct Stepped {
    pub(crate) engine: SteppedEngine,
    pub(crate) clock: ManualClock,
    pub(crate) folder: TempDir,
}

impl Stepped {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::new(1_700_000_000 * SECOND);
        let engine = Self::open(folder.path(), &clock);
        Self {
            engine,
            clock,
            folder,
        }
    }

    pub(crate) fn open(folder: &Path, clock: &ManualClock) -> SteppedEngine {
        let options = Options::new(folder.join("engine.db")).with_clock(clock.clone());
        let tuning = Tuning {
            checkpoint_pages: 1_000,
            cache_pages: 2_000,
            journaled_runs: 4,
            filed_with_one_batch: 1,
        };
        SteppedEngine::open(options, tuning).expect("an engine")
    }

    pub(crate) fn wait_for<T>(&mut self, asked: impl Future<Output = T>) -> T {
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

    pub(crate) fn start(&mut self, id: &str, input: &[u8]) -> Result<(), Status> {
        let handle = self.engine.handle();
        self.wait_for(start(&handle, id, input))
    }

    pub(crate) fn events(&mut self, id: &str) -> Result<usize, Status> {
        let handle = self.engine.handle();
        self.wait_for(events(&handle, id))
    }

    pub(crate) fn terminate(&mut self, id: &str) -> Result<(), Status> {
        let handle = self.engine.handle();
        self.wait_for(terminate(&handle, id))
    }

    /// Has everything filed.
    pub(crate) fn file(&mut self) {
        // What it finds besides is the test's own damage.
        drop(self.engine.audit());
    }

    /// Does something to the file while no engine has it.
    pub(crate) fn meanwhile(self, act: impl FnOnce(&Path)) -> Self {
        let Self {
            engine,
            clock,
            folder,
        } = self;
        drop(engine);
        act(&folder.path().join("engine.db"));
        let engine = Self::open(folder.path(), &clock);
        Self {
            engine,
            clock,
            folder,
        }
    }

    pub(crate) fn reopened(self) -> Self {
        self.meanwhile(|_| {})
    }
}

#[track_caller]
pub(crate) fn assert_told(status: &Status, code: Code, what: &[&str]) {
    assert_eq!(status.code(), code, "{status:?}");
    for words in what {
        assert!(
            status.message().contains(words),
            "{words:?}: {}",
            status.message()
        );
    }
}

pub(crate) async fn open(file: &Path) -> Result<Engine, Error> {
    Engine::open(Options::new(file)).await
}

/// Why the file is not opened, and the whole of what is said.
pub(crate) async fn refusal(file: &Path) -> (StoreError, String) {
    match open(file).await {
        Err(Error::Store(error)) => {
            let said = error.to_string();
            (error, said)
        }
        other => panic!("{other:?}"),
    }
}

/// An engine's file with some runs in it, closed.
pub(crate) async fn file_with_runs(folder: &Path) -> PathBuf {
    let file = folder.join("engine.db");
    let engine = open(&file).await.expect("an engine");
    for number in 0..60 {
        let input = format!("input of run {number} ").repeat(40);
        start(&engine.handle(), &format!("w{number}"), input.as_bytes())
            .await
            .expect("a start");
    }
    list(&engine.handle(), "").await.expect("a list");
    engine.shutdown().await;
    // What read the lists may have kept the log from going.
    let log = rusqlite::Connection::open(&file).unwrap();
    log.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    file
}
