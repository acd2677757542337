//! How the engine starts again with very many open executions: how long until it answers, and what they
//! take in memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::Serialize;
use temporalio_client::{Client, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, StartTimerCommandAttributes, command::Attributes},
    common::v1::WorkflowType,
    enums::v1::CommandType,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest, StartWorkflowExecutionRequest,
    },
};
use tokio::task::JoinSet;

use crate::{
    process::Memory,
    settings::Settings,
    target::{Kind, Target},
};

const NAMESPACE: &str = "default";
const QUEUE: &str = "scale";
/// Callers that fill the file side by side.
const CALLERS: usize = 200;
/// How long a restarted engine is left alone before its memory is read.
const REST: Duration = Duration::from_secs(3);
/// When the timers fire: after the measurement.
const FIRES_IN: i64 = 30 * 24 * 3_600;

/// What waits in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Waits {
    /// Executions whose workflow task waits for a worker.
    ForWorkers,
    /// Executions with a timer that fires much later.
    ForTimers,
}

/// A restart after the process was killed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Restart {
    pub(crate) waits: Waits,
    pub(crate) executions: usize,
    /// From the start of the process to its first answer.
    pub(crate) start_up_ms: f64,
    /// Memory after the restart, without that of an engine with an empty file, for each execution.
    pub(crate) bytes_per_execution: f64,
    pub(crate) resident_mib: f64,
}

/// Fills a file, kills the engine, and starts it again.
pub(crate) async fn measure(waits: Waits, executions: usize, settings: &Settings) -> Result<Restart> {
    let mut target = Target::start(Kind::SegnoGrpc, settings).await?;
    tokio::time::sleep(REST).await;
    let resident = |target: &Target| -> Result<f64> {
        let pid = target.meter().context("a process of its own")?;
        Ok(Memory::of(pid)?.resident_mib())
    };
    let empty = resident(&target)?;
    let began = Instant::now();
    fill(&target.client().await?, waits, executions).await?;
    eprintln!(
        "  {executions} executions in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    target.restart(settings).await?;
    let start_up_ms = target.start_up().as_secs_f64() * 1_000.0;
    tokio::time::sleep(REST).await;
    let resident_mib = resident(&target)?;
    let grown = (resident_mib - empty).max(0.0) * 1_024.0 * 1_024.0;
    let restart = Restart {
        waits,
        executions,
        start_up_ms,
        bytes_per_execution: grown / crate::drive::count(executions),
        resident_mib,
    };
    eprintln!(
        "  up again in {start_up_ms:.0} ms, {:.0} bytes an execution",
        restart.bytes_per_execution
    );
    target.stop().await;
    Ok(restart)
}

async fn fill(client: &Client, waits: Waits, executions: usize) -> Result<()> {
    let client = Arc::new(client.clone());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            for number in (caller..executions).step_by(CALLERS) {
                start(&client, number).await?;
                if waits == Waits::ForTimers {
                    start_timer(&client).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(())
}

async fn start(client: &Client, number: usize) -> Result<()> {
    let request = StartWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: format!("scale-{number}"),
        workflow_type: Some(WorkflowType {
            name: "Scale".to_owned(),
        }),
        task_queue: Some(queue()),
        request_id: number.to_string(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    service.start_workflow_execution(request.into_request()).await?;
    Ok(())
}

/// Takes whichever workflow task is due, and starts a timer with it.
async fn start_timer(client: &Client) -> Result<()> {
    let poll = PollWorkflowTaskQueueRequest {
        namespace: NAMESPACE.to_owned(),
        task_queue: Some(queue()),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let task = service.poll_workflow_task_queue(poll.into_request()).await?;
    let timer = StartTimerCommandAttributes {
        timer_id: "1".to_owned(),
        start_to_fire_timeout: Some(prost_types::Duration {
            seconds: FIRES_IN,
            nanos: 0,
        }),
    };
    let completion = RespondWorkflowTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.into_inner().task_token,
        commands: vec![Command {
            command_type: CommandType::StartTimer as i32,
            attributes: Some(Attributes::StartTimerCommandAttributes(timer)),
            ..Default::default()
        }],
        ..Default::default()
    };
    service
        .respond_workflow_task_completed(completion.into_request())
        .await?;
    Ok(())
}

fn queue() -> TaskQueue {
    TaskQueue {
        name: QUEUE.to_owned(),
        ..Default::default()
    }
}
