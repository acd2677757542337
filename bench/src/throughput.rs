//! One-activity workflows, each started and awaited by its caller.

use anyhow::{Context, Result, ensure};
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};

use crate::{
    drive::{Load, Sample, drive},
    job::{OneActivity, greeting},
    process::CpuMeter,
    report::Rate,
    restate,
    settings::Settings,
    target::{Kind, Target},
    worker::{TASK_QUEUE, beside_worker},
};

/// Takes the figure at each number of callers, all on one server.
pub(crate) async fn measure(kind: Kind, settings: &Settings) -> Result<Vec<Rate>> {
    if kind == Kind::Restate {
        return restate::throughput(settings)
            .await
            .context("throughput of Restate");
    }
    let target = Target::start(kind, settings).await?;
    let client = target.client().await?;
    let (work, meter) = (client.clone(), target.meter());
    let given = settings.clone();
    let measured = beside_worker(&client, settings, async move {
        let mut rates = Vec::new();
        let workflows = given.workflows_for(kind);
        for &callers in &given.concurrency {
            let load = Load {
                operations: workflows,
                callers,
                limit: given.limit(),
            };
            let warm_up = Load {
                operations: (workflows / 10).max(callers.min(workflows)),
                ..load
            };
            workflows_of(&work, &format!("warm-{callers}"), warm_up, given.eager_start).await?;
            let cpu = CpuMeter::start(meter)?;
            let sample = workflows_of(&work, &format!("run-{callers}"), load, given.eager_start).await?;
            let rate = Rate::new(kind, &sample, cpu.stop()?);
            eprintln!("  {callers} callers: {:.0} workflows/s", rate.per_second);
            rates.push(rate);
        }
        Ok(rates)
    })
    .await;
    target.stop().await;
    measured.with_context(|| format!("throughput of {}", kind.name()))
}

/// Runs workflows with the ids `<prefix>-<number>`, and checks their results.
pub(crate) async fn workflows_of(client: &Client, prefix: &str, load: Load, eager: bool) -> Result<Sample> {
    let (client, prefix) = (client.clone(), prefix.to_owned());
    drive(load, move |number| {
        let client = client.clone();
        let id = format!("{prefix}-{number}");
        async move {
            let start = WorkflowStartOptions::new(TASK_QUEUE, &id)
                .enable_eager_workflow_start(eager)
                .build();
            let handle = client.start_workflow(OneActivity::run, id.clone(), start).await?;
            let result = handle.get_result(WorkflowGetResultOptions::default()).await?;
            ensure!(result == greeting(&id), "workflow {id} returned {result:?}");
            Ok(())
        }
    })
    .await
}
