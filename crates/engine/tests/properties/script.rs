//! A workflow that does a list of steps one after the other, as the SDK runs it and as a model of it.

use std::time::Duration;

use segno_engine::core::Run;
use serde::{Deserialize, Serialize};
use temporalio_client::WorkflowHistory;
use temporalio_common::{
    WorkflowDefinition as _,
    protos::temporal::api::{
        command::v1::{
            Command, CompleteWorkflowExecutionCommandAttributes, ScheduleActivityTaskCommandAttributes,
            StartTimerCommandAttributes, command::Attributes,
        },
        common::v1::{ActivityType, Payload, Payloads, RetryPolicy},
        enums::v1::{CommandType, EventType},
        history::v1::{History, HistoryEvent},
        taskqueue::v1::TaskQueue,
    },
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
};

/// One thing that the workflow does and waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    Timer {
        millis: u64,
    },
    /// At most so many attempts, 0 for any number. Its failure is not the workflow's.
    Activity {
        attempts: u32,
    },
    Signal,
}

#[workflow]
#[derive(Default)]
pub(crate) struct Script {
    signals: usize,
}

#[workflow_methods]
impl Script {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, steps: Vec<Step>) -> WorkflowResult<()> {
        let mut waited_for = 0;
        for step in steps {
            match step {
                Step::Timer { millis } => {
                    ctx.timer(Duration::from_millis(millis)).await;
                }
                Step::Activity { .. } => {
                    let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
                    // Its failure is not the workflow's.
                    let _ = ctx.execute_activity(Acts::act, (), options).await;
                }
                Step::Signal => {
                    waited_for += 1;
                    ctx.wait_condition(move |state| state.signals >= waited_for)
                        .await?;
                }
            }
        }
        Ok(())
    }

    #[signal]
    pub(crate) fn go(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _input: ()) {
        self.signals += 1;
    }
}

pub(crate) struct Acts;

#[activities]
impl Acts {
    #[activity]
    pub(crate) async fn act(_ctx: ActivityContext, _input: ()) -> Result<(), ActivityError> {
        Ok(())
    }
}

/// The workflow type's name.
pub(crate) fn workflow_type() -> String {
    Script::run.name().to_owned()
}

/// The steps as the workflow's input.
pub(crate) fn input(steps: &[Step]) -> Payloads {
    json(&serde_json::to_string(steps).expect("steps are JSON"))
}

pub(crate) fn json(text: &str) -> Payloads {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    Payloads {
        payloads: vec![Payload {
            metadata,
            data: text.as_bytes().to_vec(),
            ..Default::default()
        }],
    }
}

/// The commands that the workflow makes after this history: a model of what the SDK does.
pub(crate) fn next_commands(run: &Run, steps: &[Step]) -> Vec<Command> {
    let count = |types: &[EventType]| {
        run.history
            .iter()
            .filter(|event| types.contains(&event.event_type()))
            .count()
    };
    let timers = Progress {
        begun: count(&[EventType::TimerStarted]),
        ended: count(&[EventType::TimerFired]),
        used: 0,
    };
    let activities = Progress {
        begun: count(&[EventType::ActivityTaskScheduled]),
        ended: count(&[
            EventType::ActivityTaskCompleted,
            EventType::ActivityTaskFailed,
            EventType::ActivityTaskTimedOut,
        ]),
        used: 0,
    };
    let signals = count(&[EventType::WorkflowExecutionSignaled]);
    walk(steps, timers, activities, signals)
}

/// How far the operations of one kind are.
struct Progress {
    begun: usize,
    ended: usize,
    used: usize,
}

enum State {
    Over,
    Waiting,
    ToBegin(usize),
}

impl Progress {
    fn next(&mut self) -> State {
        self.used += 1;
        if self.used <= self.ended {
            State::Over
        } else if self.used <= self.begun {
            State::Waiting
        } else {
            State::ToBegin(self.used)
        }
    }
}

fn walk(steps: &[Step], mut timers: Progress, mut activities: Progress, signals: usize) -> Vec<Command> {
    let mut signals = signals;
    for step in steps {
        match step {
            Step::Signal if signals > 0 => signals -= 1,
            Step::Signal => return Vec::new(),
            Step::Timer { millis } => match timers.next() {
                State::Over => {}
                State::Waiting => return Vec::new(),
                State::ToBegin(number) => return vec![start_timer(number, *millis)],
            },
            Step::Activity { attempts } => match activities.next() {
                State::Over => {}
                State::Waiting => return Vec::new(),
                State::ToBegin(number) => return vec![schedule(number, *attempts)],
            },
        }
    }
    let attributes = CompleteWorkflowExecutionCommandAttributes {
        result: Some(json("null")),
    };
    let attributes = Attributes::CompleteWorkflowExecutionCommandAttributes(attributes);
    vec![command(CommandType::CompleteWorkflowExecution, attributes)]
}

fn start_timer(number: usize, millis: u64) -> Command {
    let timeout = prost_types::Duration {
        seconds: (millis / 1_000) as i64,
        nanos: (millis % 1_000) as i32 * 1_000_000,
    };
    let attributes = StartTimerCommandAttributes {
        timer_id: number.to_string(),
        start_to_fire_timeout: Some(timeout),
    };
    command(
        CommandType::StartTimer,
        Attributes::StartTimerCommandAttributes(attributes),
    )
}

fn schedule(number: usize, attempts: u32) -> Command {
    let attributes = ScheduleActivityTaskCommandAttributes {
        activity_id: number.to_string(),
        activity_type: Some(ActivityType {
            name: Acts::act.name().to_owned(),
        }),
        task_queue: Some(TaskQueue {
            name: "queue".to_owned(),
            ..Default::default()
        }),
        start_to_close_timeout: Some(prost_types::Duration {
            seconds: 10,
            nanos: 0,
        }),
        retry_policy: Some(RetryPolicy {
            maximum_attempts: attempts as i32,
            ..Default::default()
        }),
        ..Default::default()
    };
    command(
        CommandType::ScheduleActivityTask,
        Attributes::ScheduleActivityTaskCommandAttributes(attributes),
    )
}

fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command {
        command_type: command_type as i32,
        attributes: Some(attributes),
        ..Default::default()
    }
}

/// Replays the history with the SDK; what it objects to, if anything.
pub(crate) fn replay(events: Vec<HistoryEvent>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let options = WorkflowReplayerOptions::new()
            .register_workflow::<Script>()
            .expect("a workflow")
            .build();
        let replayer = WorkflowReplayer::new(options).map_err(|error| error.to_string())?;
        let history = WorkflowHistory::from(History { events });
        replayer
            .replay_workflow(history)
            .await
            .map_err(|error| format!("{error:?}"))
    })
}
