//! The engine's figures beside those of a real Temporal server: see `bench/README.md`.
#![allow(clippy::disallowed_methods, reason = "it measures this machine, by its clock")]
#![allow(clippy::print_stdout, reason = "the report is what it is for")]

mod disk;
mod drive;
mod events;
mod footprint;
mod job;
mod machine;
mod process;
mod report;
mod restate;
mod routes;
mod scale;
mod settings;
mod starts;
mod stub;
mod target;
mod throughput;
mod worker;

use anyhow::{Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    report::{Report, json, table},
    scale::{
        closed,
        restart::{self, Waits},
    },
    settings::{Mode, Settings},
    target::{Kind, serve},
};

/// As in the `segno` program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let settings = Settings::parse();
    if settings.mode == Mode::Serve {
        return serve::run(&settings).await;
    }
    if settings.mode == Mode::ServeStub {
        return serve::run_stub(&settings).await;
    }
    if settings.mode == Mode::ServeEvents {
        return events::serve(&settings).await;
    }
    let mut terminated = signal(SignalKind::terminate())?;
    // Leaving by the end of this function ends the servers that were started.
    tokio::select! {
        measured = measure(&settings) => measured,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn measure(settings: &Settings) -> Result<()> {
    let mut report = Report::new(settings)?;
    if settings.mode.has(Mode::Routes) {
        report.routing = routes::measure(settings)?;
    }
    if settings.mode.has(Mode::Events) {
        report.events = events::measure(settings).await?;
    }
    let kinds = match settings.mode {
        Mode::Routes | Mode::Events => Vec::new(),
        _ => Kind::available(settings),
    };
    for round in 1..=settings.rounds {
        for &kind in &kinds {
            eprintln!("round {round} of {}: {}", settings.rounds, kind.name());
            if settings.mode.has(Mode::Throughput) {
                report
                    .throughput
                    .extend(throughput::measure(kind, settings).await?);
            }
            if settings.mode.has(Mode::Starts) {
                report.starts.push(starts::measure(kind, settings).await?);
            }
            if settings.mode.has(Mode::Memory) && kind.has_footprint() {
                report.footprint.push(footprint::measure(kind, settings).await?);
            }
        }
    }
    if settings.mode.has(Mode::Scale) {
        for (waits, executions) in [
            (Waits::ForWorkers, settings.open),
            (Waits::ForTimers, settings.open.saturating_mul(10)),
        ] {
            report
                .restarts
                .push(restart::measure(waits, executions, settings).await?);
        }
        report.closed = Some(closed::measure(settings.closed, settings).await?);
    }
    report.conclude();
    print!("{}", table::render(&report));
    if let Some(path) = &settings.json {
        json::write(&report, path)?;
    }
    Ok(())
}
