//! Restate, a peer that is not Temporal: the same job through its own SDK and its HTTP ingress.
//!
//! Its server runs in a process of its own; the handler runs in the driver's process, as the worker does
//! on the other servers. Its write-ahead log is synced with every batch (`rocksdb-disable-wal-fsync =
//! false`, its default), so an answer is as durable as Segno's.

mod handler;
mod ingress;
mod server;

use anyhow::{Context, Result};

use self::ingress::Ingress;
pub(crate) use self::server::Server;
pub(crate) use self::server::program;
use crate::{
    drive::{Load, Sample, drive},
    job::greeting,
    process::CpuMeter,
    report::Rate,
    settings::Settings,
    target::Kind,
};

/// Takes the figure of one-activity workflows at each number of callers.
pub(crate) async fn throughput(settings: &Settings) -> Result<Vec<Rate>> {
    let server = Server::start(settings).await?;
    let ingress = server.ingress();
    let mut rates = Vec::new();
    for &callers in &settings.concurrency {
        let load = Load {
            operations: settings.workflows_for(Kind::Restate),
            callers,
            limit: settings.limit(),
        };
        let warm_up = Load {
            operations: (load.operations / 10).max(callers),
            ..load
        };
        calls(&ingress, &format!("warm-{callers}"), warm_up).await?;
        let cpu = CpuMeter::start(Some(server.pid()))?;
        let sample = calls(&ingress, &format!("run-{callers}"), load).await?;
        let rate = Rate::new(Kind::Restate, &sample, cpu.stop()?);
        eprintln!("  {callers} callers: {:.0} invocations/s", rate.per_second);
        rates.push(rate);
    }
    Ok(rates)
}

/// A server whose handler `Deliver/run` delivers to this URL.
pub(crate) async fn delivering(settings: &Settings, receiver: &str) -> Result<Server> {
    Server::delivering(settings, receiver).await
}

/// Takes the figure of starts alone: one-way calls that are due in an hour, so that nobody works on them.
pub(crate) async fn starts(settings: &Settings) -> Result<Rate> {
    let server = Server::start(settings).await?;
    let load = Load {
        operations: settings.starts_for(Kind::Restate),
        callers: settings.start_callers,
        limit: settings.limit(),
    };
    let warm_up = Load {
        operations: (load.operations / 10).max(load.callers),
        ..load
    };
    let send = |load, prefix: &'static str| {
        let ingress = server.ingress();
        drive(load, move |number| {
            let ingress = ingress.clone();
            async move { ingress.send_later(&format!("{prefix}-{number}")).await }
        })
    };
    send(warm_up, "warm").await?;
    let cpu = CpuMeter::start(Some(server.pid()))?;
    let sample = send(load, "run").await?;
    let rate = Rate::new(Kind::Restate, &sample, cpu.stop()?);
    eprintln!("  {} callers: {:.0} starts/s", load.callers, rate.per_second);
    Ok(rate)
}

async fn calls(ingress: &Ingress, prefix: &str, load: Load) -> Result<Sample> {
    let (ingress, prefix) = (ingress.clone(), prefix.to_owned());
    drive(load, move |number| {
        let ingress = ingress.clone();
        let name = format!("{prefix}-{number}");
        async move {
            let result = ingress
                .call(&name)
                .await
                .with_context(|| format!("calling for {name}"))?;
            anyhow::ensure!(result == greeting(&name), "{name} returned {result:?}");
            Ok(())
        }
    })
    .await
}
