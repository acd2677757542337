//! A whole engine without a thread: called with bytes, and looked over afterwards.

use std::{future::poll_fn, path::Path, pin::pin, sync::OnceLock, task::Poll, time::Duration};

use bytes::Bytes;
use prost::Message;
use segno_engine::{
    Options,
    clock::{Clock as _, ManualClock},
    simulation::{SteppedEngine, Tuning, call},
};
use tempfile::TempDir;
use temporalio_protos::temporal::api::{
    command::v1::{
        Command, ScheduleActivityTaskCommandAttributes, StartTimerCommandAttributes, command::Attributes,
    },
    common::v1::{ActivityType, WorkflowType},
    enums::v1::CommandType,
    schedule::v1::{IntervalSpec, Schedule, ScheduleAction, ScheduleSpec, schedule_action::Action},
    taskqueue::v1::TaskQueue,
    workflow::v1::NewWorkflowExecutionInfo,
    workflowservice::v1::*,
};
use tokio::runtime::Runtime;
use tonic::{Code, Status};

use super::times::NOW;

/// Batches that come one after the other at most before something else is done.
const BATCHES: usize = 100;

/// What is in the file that every engine begins with: run keys, from 1 on.
///
/// 1: workflow `w` with a pending activity `a` and a timer; 2: workflow `v`, whose first workflow task waits;
/// 3: standalone activity `s`. And schedule `sch`, and a second namespace `other`.
static FILE: OnceLock<Vec<u8>> = OnceLock::new();

/// The engine, its file and its clock.
pub(crate) struct Bed {
    runtime: Runtime,
    folder: TempDir,
    clock: ManualClock,
    /// None only while it is opened anew.
    engine: Option<SteppedEngine>,
}

impl Bed {
    /// An engine with the file that every engine begins with, and the tasks of it in a worker's hands.
    pub(crate) fn new() -> Self {
        let file = FILE.get_or_init(|| {
            let mut bed = Self::open(None);
            bed.fill();
            bed.engine = None;
            std::fs::read(bed.file()).unwrap()
        });
        let mut bed = Self::open(Some(file));
        bed.poll();
        bed
    }

    fn open(file: Option<&Vec<u8>>) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            TempDir::new_in(memory)
        } else {
            TempDir::new()
        };
        let folder = folder.unwrap();
        if let Some(file) = file {
            std::fs::write(folder.path().join("engine.db"), file).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let mut bed = Self {
            runtime: runtime.unwrap(),
            folder,
            clock: ManualClock::new(NOW),
            engine: None,
        };
        bed.reopen();
        bed
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("engine.db")
    }

    fn reopen(&mut self) {
        self.engine = None;
        let options = Options::new(self.file()).with_clock(self.clock.clone());
        let tuning = Tuning {
            checkpoint_pages: 1_000,
            cache_pages: 2_000,
            journaled_runs: 20,
            filed_with_one_batch: 5,
        };
        self.engine = Some(SteppedEngine::open(options, tuning).expect("the file can be opened"));
        self.rest();
    }

    /// Calls a method and takes batches until it has answered; none where it waits for what does not come.
    pub(crate) fn call(&mut self, method: &str, request: Vec<u8>) -> Option<Result<Vec<u8>, Status>> {
        let engine = self.engine.as_mut().unwrap();
        let handle = engine.handle();
        let mut future = pin!(call(&handle, method, Bytes::from(request), true));
        for round in 0..BATCHES {
            let answer = self.runtime.block_on(poll_fn(|context| {
                Poll::Ready(match future.as_mut().poll(context) {
                    Poll::Ready(answer) => Some(answer),
                    Poll::Pending => None,
                })
            }));
            if let Some(answer) = answer {
                if let Err(status) = &answer {
                    assert!(is_an_answer(status), "{method}: {status:?}");
                }
                return Some(answer);
            }
            if !engine.step() && round > 2 {
                break;
            }
        }
        if !is_read_elsewhere(method) {
            return None;
        }
        let answer = async { tokio::time::timeout(Duration::from_secs(5), future).await };
        let answer = self.runtime.block_on(answer).expect("a list is read");
        if let Err(status) = &answer {
            assert!(is_an_answer(status), "{method}: {status:?}");
        }
        Some(answer)
    }

    /// Takes batches until there is nothing to do, as far as that comes.
    fn rest(&mut self) {
        for _ in 0..BATCHES {
            if !self.engine.as_mut().unwrap().step() {
                return;
            }
        }
    }

    /// Whatever was asked: the engine goes on, memory is what the file says, and the file can be opened again.
    pub(crate) fn check(&mut self) {
        self.rest();
        for _ in 0..3 {
            let Some(at) = self.engine.as_mut().unwrap().next_wake() else {
                break;
            };
            let wait = at.saturating_sub(self.clock.now()).clamp(0, 86_400_000_000_000);
            self.clock.advance(Duration::from_nanos(wait.unsigned_abs()));
            self.rest();
        }
        for _ in 0..2 {
            let wrong = self.engine.as_mut().unwrap().audit();
            assert!(wrong.is_empty(), "{wrong:?}");
            self.reopen();
        }
    }

    fn must<M: Message + Default>(&mut self, method: &str, request: &impl Message) -> M {
        let answer = self.call(method, request.encode_to_vec()).expect("an answer");
        M::decode(answer.expect(method).as_slice()).unwrap()
    }

    fn fill(&mut self) {
        let namespace = "default".to_owned();
        let workflow_type = Some(WorkflowType {
            name: "Type".to_owned(),
        });
        let _: RegisterNamespaceResponse = self.must(
            "RegisterNamespace",
            &RegisterNamespaceRequest {
                namespace: "other".to_owned(),
                workflow_execution_retention_period: duration(86_400),
                ..Default::default()
            },
        );
        for workflow_id in ["w", "v"] {
            let _: StartWorkflowExecutionResponse = self.must(
                "StartWorkflowExecution",
                &StartWorkflowExecutionRequest {
                    namespace: namespace.clone(),
                    workflow_id: workflow_id.to_owned(),
                    workflow_type: workflow_type.clone(),
                    task_queue: queue(),
                    request_id: workflow_id.to_owned(),
                    ..Default::default()
                },
            );
            if workflow_id == "w" {
                self.decide();
            }
        }
        let _: StartActivityExecutionResponse = self.must(
            "StartActivityExecution",
            &StartActivityExecutionRequest {
                namespace: namespace.clone(),
                activity_id: "s".to_owned(),
                activity_type: Some(ActivityType {
                    name: "Act".to_owned(),
                }),
                task_queue: queue(),
                start_to_close_timeout: duration(60),
                request_id: "s".to_owned(),
                ..Default::default()
            },
        );
        let workflow = NewWorkflowExecutionInfo {
            workflow_id: "scheduled".to_owned(),
            workflow_type,
            task_queue: queue(),
            ..Default::default()
        };
        let _: CreateScheduleResponse = self.must(
            "CreateSchedule",
            &CreateScheduleRequest {
                namespace,
                schedule_id: "sch".to_owned(),
                schedule: Some(Schedule {
                    spec: Some(ScheduleSpec {
                        interval: vec![IntervalSpec {
                            interval: duration(3_600),
                            phase: None,
                        }],
                        ..Default::default()
                    }),
                    action: Some(ScheduleAction {
                        action: Some(Action::StartWorkflow(workflow)),
                    }),
                    ..Default::default()
                }),
                request_id: "sch".to_owned(),
                ..Default::default()
            },
        );
        self.rest();
    }

    /// Completes the first workflow task of `w`.
    fn decide(&mut self) {
        let task: PollWorkflowTaskQueueResponse = self.must("PollWorkflowTaskQueue", &poll_workflow());
        let activity = ScheduleActivityTaskCommandAttributes {
            activity_id: "a".to_owned(),
            activity_type: Some(ActivityType {
                name: "Act".to_owned(),
            }),
            task_queue: queue(),
            start_to_close_timeout: duration(60),
            ..Default::default()
        };
        let timer = StartTimerCommandAttributes {
            timer_id: "t".to_owned(),
            start_to_fire_timeout: duration(600),
        };
        let commands = [
            (
                CommandType::ScheduleActivityTask,
                Attributes::ScheduleActivityTaskCommandAttributes(activity),
            ),
            (
                CommandType::StartTimer,
                Attributes::StartTimerCommandAttributes(timer),
            ),
        ];
        let _: RespondWorkflowTaskCompletedResponse = self.must(
            "RespondWorkflowTaskCompleted",
            &RespondWorkflowTaskCompletedRequest {
                namespace: "default".to_owned(),
                task_token: task.task_token,
                commands: commands
                    .into_iter()
                    .map(|(command_type, attributes)| Command {
                        command_type: command_type as i32,
                        attributes: Some(attributes),
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            },
        );
    }

    /// A worker takes all tasks: the workflow task of `v`, and both activities.
    fn poll(&mut self) {
        let task: PollWorkflowTaskQueueResponse = self.must("PollWorkflowTaskQueue", &poll_workflow());
        assert!(!task.task_token.is_empty());
        for _ in 0..2 {
            let task: PollActivityTaskQueueResponse = self.must(
                "PollActivityTaskQueue",
                &PollActivityTaskQueueRequest {
                    namespace: "default".to_owned(),
                    task_queue: queue(),
                    ..Default::default()
                },
            );
            assert!(!task.task_token.is_empty());
        }
    }
}

fn poll_workflow() -> PollWorkflowTaskQueueRequest {
    PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: queue(),
        ..Default::default()
    }
}

fn queue() -> Option<TaskQueue> {
    Some(TaskQueue {
        name: "queue".to_owned(),
        ..Default::default()
    })
}

fn duration(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// Whether the status says something about the request, and nothing about a failure of the engine. What is no message
/// of the method is told as `Internal`, as gRPC does.
fn is_an_answer(status: &Status) -> bool {
    match status.code() {
        Code::Unknown | Code::DataLoss | Code::Unavailable => false,
        Code::Internal => status.message().contains("cannot be decoded"),
        _ => true,
    }
}

/// Lists, counts and the times of schedules are read on threads of their own.
fn is_read_elsewhere(method: &str) -> bool {
    method.starts_with("List") || method.starts_with("Count") || method.starts_with("Scan")
}
