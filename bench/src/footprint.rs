//! What a server takes: time to start, memory idle and after work, bytes on disk for each execution.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    disk,
    drive::{Load, count},
    process::Memory,
    report::Footprint,
    settings::Settings,
    target::{Kind, Target},
    throughput::workflows_of,
    worker::beside_worker,
};

/// How long a server is left alone before its idle memory is read.
const REST: Duration = Duration::from_secs(3);

/// Takes the figures, on a server of its own. Memory is that of the server's process, so it is left out
/// where the server runs in this one.
pub(crate) async fn measure(kind: Kind, settings: &Settings) -> Result<Footprint> {
    let target = Target::start(kind, settings).await?;
    let measured = on(&target, settings).await;
    target.stop().await;
    measured.with_context(|| format!("footprint of {}", kind.name()))
}

async fn on(target: &Target, settings: &Settings) -> Result<Footprint> {
    let kind = target.kind();
    tokio::time::sleep(REST).await;
    let memory = || target.meter().map(Memory::of).transpose();
    let idle = memory()?;
    let empty = target.file().map(disk::settled_bytes).transpose()?;

    let client = target.client().await?;
    let callers = settings.concurrency.first().copied().unwrap_or(50);
    let load = Load {
        operations: settings.workflows_for(kind),
        callers,
        limit: settings.limit(),
    };
    let (work, eager) = (client.clone(), settings.eager_start);
    beside_worker(&client, settings, async move {
        workflows_of(&work, "load", load, eager).await
    })
    .await?;

    let loaded = memory()?;
    let full = target.file().map(disk::settled_bytes).transpose()?;
    let grown = full.zip(empty).map(|(full, empty)| full.saturating_sub(empty));
    let footprint = Footprint {
        server: kind.name(),
        executions: load.operations,
        start_up_ms: target.start_up().as_secs_f64() * 1_000.0,
        idle_mib: idle.map(|memory| memory.resident_mib()),
        loaded_mib: loaded.map(|memory| memory.resident_mib()),
        peak_mib: loaded.map(|memory| memory.peak_mib()),
        empty_file_bytes: empty,
        bytes_per_execution: grown.map(|grown| disk::as_number(grown) / count(load.operations)),
    };
    eprintln!(
        "  up in {:.0} ms, {:?} MiB idle",
        footprint.start_up_ms, footprint.idle_mib
    );
    Ok(footprint)
}
