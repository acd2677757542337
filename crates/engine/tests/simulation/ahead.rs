//! A worker has a workflow task before what it rests on is on disk.

use std::{future::poll_fn, path::Path, pin::Pin, task::Poll};

use prost::Message;
use segno_engine::{
    Options,
    simulation::{SteppedEngine, Tuning, call},
};
use temporalio_protos::temporal::api::{
    command::v1::Command,
    common::v1::{WorkflowExecution, WorkflowType},
    enums::v1::QueryResultType,
    query::v1::WorkflowQuery,
    workflowservice::v1::*,
};
use tonic::{Code, Status};

use crate::sim::workflow::{complete, queue};

const NAMESPACE: &str = "default";

type Answer = Pin<Box<dyn Future<Output = Result<Vec<u8>, Status>>>>;

struct World {
    runtime: tokio::runtime::Runtime,
    engine: SteppedEngine,
}

impl World {
    fn open(folder: &Path) -> Self {
        let tuning = Tuning {
            checkpoint_pages: 1_000,
            cache_pages: 1_000,
            journaled_runs: 20,
            filed_with_one_batch: 5,
        };
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
            engine: SteppedEngine::open(Options::new(folder.join("engine.db")), tuning).unwrap(),
        }
    }

    fn send(&self, method: &'static str, request: &impl Message) -> Answer {
        let (handle, bytes) = (self.engine.handle(), request.encode_to_vec().into());
        let mut answer: Answer = Box::pin(async move { call(&handle, method, bytes, false).await });
        assert!(self.look(&mut answer).is_none(), "it is not answered by itself");
        answer
    }

    fn look(&self, answer: &mut Answer) -> Option<Result<Vec<u8>, Status>> {
        self.runtime.block_on(poll_fn(|context| {
            Poll::Ready(match answer.as_mut().poll(context) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            })
        }))
    }

    /// Takes batches until the answer is there.
    fn answered(&mut self, mut answer: Answer) -> Result<Vec<u8>, Status> {
        for _ in 0..10 {
            self.engine.step();
            if let Some(answer) = self.look(&mut answer) {
                return answer;
            }
        }
        panic!("no answer");
    }

    fn start(&self, workflow_id: &str) -> Answer {
        let request = StartWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: workflow_id.to_owned(),
            workflow_type: Some(WorkflowType {
                name: "Test".to_owned(),
            }),
            task_queue: Some(queue("queue")),
            request_id: workflow_id.to_owned(),
            ..Default::default()
        };
        self.send("StartWorkflowExecution", &request)
    }

    fn signal(&self, workflow_id: &str, name: &str) -> Answer {
        let request = SignalWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: workflow_id.to_owned(),
                run_id: String::new(),
            }),
            signal_name: name.to_owned(),
            ..Default::default()
        };
        self.send("SignalWorkflowExecution", &request)
    }

    fn poll(&self) -> Answer {
        let request = PollWorkflowTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: Some(queue("queue")),
            ..Default::default()
        };
        self.send("PollWorkflowTaskQueue", &request)
    }

    fn query(&self, workflow_id: &str) -> Answer {
        let request = QueryWorkflowRequest {
            namespace: NAMESPACE.to_owned(),
            execution: Some(WorkflowExecution {
                workflow_id: workflow_id.to_owned(),
                run_id: String::new(),
            }),
            query: Some(WorkflowQuery {
                query_type: "state".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send("QueryWorkflow", &request)
    }

    fn complete(&mut self, task: &PollWorkflowTaskQueueResponse) -> Result<Vec<u8>, Status> {
        self.go_on(task, vec![complete()])
    }

    fn go_on(
        &mut self,
        task: &PollWorkflowTaskQueueResponse,
        commands: Vec<Command>,
    ) -> Result<Vec<u8>, Status> {
        let request = RespondWorkflowTaskCompletedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.task_token.clone(),
            commands,
            ..Default::default()
        };
        let answer = self.send("RespondWorkflowTaskCompleted", &request);
        self.answered(answer)
    }

    /// A workflow that waits.
    fn idle(&mut self, workflow_id: &str) {
        let start = self.start(workflow_id);
        let task = self.task_ahead(start);
        self.go_on(&task, Vec::new()).unwrap();
    }

    fn task(&self, poll: &mut Answer) -> PollWorkflowTaskQueueResponse {
        let task = self.look(poll).expect("the worker has its task").unwrap();
        PollWorkflowTaskQueueResponse::decode(&*task).unwrap()
    }

    /// A task that a worker gets while what it rests on is on its way to the disk.
    fn task_ahead(&mut self, of: Answer) -> PollWorkflowTaskQueueResponse {
        let mut of = of;
        let mut poll = self.poll();
        self.engine.step();
        assert!(
            self.look(&mut of).is_none(),
            "nobody is told before it is on disk"
        );
        self.task(&mut poll)
    }
}

fn assert_void(completed: Result<Vec<u8>, Status>) {
    assert_eq!(completed.unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_task_does_not_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path());
    let start = world.start("w");
    let task = world.task_ahead(start);
    world.complete(&task).unwrap();
}

#[test]
fn a_task_of_a_run_that_was_lost_is_void_although_another_run_has_its_ids() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path());
    let start = world.start("lost");
    let lost = world.task_ahead(start);
    // The process ends before the batch is written.
    drop(world);
    let mut world = World::open(folder.path());
    assert_void(world.complete(&lost));
    let start = world.start("kept");
    let kept = world.task_ahead(start);
    assert_eq!(kept.started_event_id, lost.started_event_id);
    assert_void(world.complete(&lost));
    world.complete(&kept).unwrap();
}

#[test]
fn a_task_that_rests_on_a_lost_event_is_void_although_another_event_has_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path());
    let start = world.start("w");
    world.answered(start).unwrap();
    let signal = world.signal("w", "lost");
    let lost = world.task_ahead(signal);
    drop(world);
    let mut world = World::open(folder.path());
    let signal = world.signal("w", "kept");
    world.answered(signal).unwrap();
    // Before a worker has the new one, and after.
    assert_void(world.complete(&lost));
    let poll = world.poll();
    let kept = world.answered(poll).unwrap();
    let kept = PollWorkflowTaskQueueResponse::decode(&*kept).unwrap();
    assert_eq!(kept.started_event_id, lost.started_event_id);
    assert_void(world.complete(&lost));
    world.complete(&kept).unwrap();
}

/// The other event is not on disk yet: the run's life there is still the one that the task rests on.
#[test]
fn a_task_that_rests_on_a_lost_event_is_void_in_the_batch_of_the_event_with_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path());
    let start = world.start("w");
    world.answered(start).unwrap();
    let signal = world.signal("w", "lost");
    let lost = world.task_ahead(signal);
    drop(world);
    let mut world = World::open(folder.path());
    let signal = world.signal("w", "kept");
    assert_void(world.complete(&lost));
    world.answered(signal).unwrap();
}

#[test]
fn a_task_whose_grounds_came_to_the_disk_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path());
    let mut start = world.start("w");
    let mut poll = world.poll();
    world.engine.step();
    let task = world.task(&mut poll);
    while world.look(&mut start).is_none() {
        world.engine.step();
    }
    drop(world);
    World::open(folder.path()).complete(&task).unwrap();
}

/// An SDK that is at a workflow's task does not expect a query of it.
#[test]
fn no_task_overtakes_a_query() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path());
    world.idle("w");
    let (mut first, mut second) = (world.poll(), world.poll());
    let _query = world.query("w");
    let mut signal = world.signal("w", "go on");
    world.engine.step();
    assert!(world.task(&mut first).query.is_some());
    assert!(world.look(&mut second).is_none(), "its time has not come");
    while world.look(&mut signal).is_none() {
        world.engine.step();
    }
    assert!(world.task(&mut second).query.is_none());
}

#[test]
fn an_answer_to_a_query_waits_for_what_it_may_tell_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path());
    world.idle("w");
    let mut asker = world.query("w");
    let poll = world.poll();
    let task = world.answered(poll).unwrap();
    let task = PollWorkflowTaskQueueResponse::decode(&*task).unwrap();
    let _signal = world.signal("w", "not on disk yet");
    let request = RespondQueryTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.task_token,
        completed_type: QueryResultType::Answered as i32,
        ..Default::default()
    };
    let answer = world.send("RespondQueryTaskCompleted", &request);
    world.engine.step();
    assert!(world.look(&mut asker).is_none(), "the batch is not on disk");
    world.answered(answer).unwrap();
    world.look(&mut asker).expect("it is now").unwrap();
}
