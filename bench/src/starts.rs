//! Starts alone: nobody works on the workflows.

use anyhow::{Context, Result};
use temporalio_client::{Client, WorkflowStartOptions};

use crate::{
    drive::{Load, Sample, drive},
    job::OneActivity,
    process::CpuMeter,
    report::Rate,
    restate,
    settings::Settings,
    target::{Kind, Target},
    worker::TASK_QUEUE,
};

/// Takes the figure, on a server of its own.
pub(crate) async fn measure(kind: Kind, settings: &Settings) -> Result<Rate> {
    if kind == Kind::Restate {
        return restate::starts(settings).await.context("starts of Restate");
    }
    let target = Target::start(kind, settings).await?;
    let measured = on(&target, settings).await;
    target.stop().await;
    measured.with_context(|| format!("starts on {}", kind.name()))
}

async fn on(target: &Target, settings: &Settings) -> Result<Rate> {
    let client = target.client().await?;
    let load = Load {
        operations: settings.starts_for(target.kind()),
        callers: settings.start_callers,
        limit: settings.limit(),
    };
    let warm_up = Load {
        operations: (load.operations / 10).max(load.callers),
        ..load
    };
    starts_of(&client, "warm", warm_up).await?;
    let cpu = CpuMeter::start(target.meter())?;
    let sample = starts_of(&client, "run", load).await?;
    let rate = Rate::new(target.kind(), &sample, cpu.stop()?);
    eprintln!("  {} callers: {:.0} starts/s", load.callers, rate.per_second);
    Ok(rate)
}

async fn starts_of(client: &Client, prefix: &'static str, load: Load) -> Result<Sample> {
    let client = client.clone();
    drive(load, move |number| {
        let client = client.clone();
        async move {
            let id = format!("{prefix}-{number}");
            let start = WorkflowStartOptions::new(TASK_QUEUE, &id).build();
            client.start_workflow(OneActivity::run, id, start).await?;
            Ok(())
        }
    })
    .await
}
