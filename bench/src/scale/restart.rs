//! How the engine starts again with very many open executions: how long until it answers, and what they
//! take in memory.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use temporalio_client::Client;

use super::{
    calls::{start, start_timer},
    due::{self, Lateness},
    each,
};
use crate::{
    process::Memory,
    settings::Settings,
    target::{Kind, Target},
};

/// How long a restarted engine is left alone before its memory is read.
const REST: Duration = Duration::from_secs(3);
/// When the timers fire: after the measurement.
const FIRES_IN: Duration = Duration::from_secs(30 * 24 * 3_600);

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
    /// How late other timers fire then, where timers wait.
    pub(crate) lateness: Option<Lateness>,
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
    let lateness = match waits {
        Waits::ForTimers => Some(due::measure(&target.client().await?, executions).await?),
        Waits::ForWorkers => None,
    };
    let restart = Restart {
        waits,
        executions,
        start_up_ms,
        bytes_per_execution: grown / crate::drive::count(executions),
        resident_mib,
        lateness,
    };
    eprintln!(
        "  up again in {start_up_ms:.0} ms, {:.0} bytes an execution",
        restart.bytes_per_execution
    );
    target.stop().await;
    Ok(restart)
}

async fn fill(client: &Client, waits: Waits, executions: usize) -> Result<()> {
    each(client, executions, move |client, number| async move {
        start(&client, &format!("scale-{number}"), None).await?;
        if waits == Waits::ForTimers {
            start_timer(&client, FIRES_IN).await?;
        }
        Ok(())
    })
    .await
}
