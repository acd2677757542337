//! What the command line asks for.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::target::Kind;

/// Which figures to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// One-activity workflows, started and awaited
    Throughput,
    /// Starts alone, with no worker
    Starts,
    /// Start-up time, memory, bytes on disk
    Memory,
    /// Very many executions: restarts of a killed engine, timers that are due, lists of closed ones
    Scale,
    /// All of these but the one before
    All,
    /// Events from HTTP to a sink, durable on the way
    Events,
    /// What routing costs an event, from 10 routes to 10,000
    Routes,
    /// The engine alone on a port; how this program starts it in a process of its own
    #[value(hide = true)]
    Serve,
    /// The same for the stub
    #[value(hide = true)]
    ServeStub,
    /// The same for Segno as a whole
    #[value(hide = true)]
    ServeEvents,
}

impl Mode {
    pub(crate) fn has(self, other: Self) -> bool {
        self == other || self == Self::All && !matches!(other, Self::Scale | Self::Events | Self::Routes)
    }
}

/// Segno's engine beside a real Temporal server, through the official Rust SDK.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "segno-bench")]
pub(crate) struct Settings {
    #[arg(value_enum, default_value = "all")]
    pub(crate) mode: Mode,
    /// Workflows of each measurement, for Segno
    #[arg(long, default_value_t = 2_000)]
    pub(crate) workflows: usize,
    /// Workflows of each measurement, for the dev server
    #[arg(long, default_value_t = 200)]
    pub(crate) peer_workflows: usize,
    /// Callers at a time in the throughput figures, one measurement for each
    #[arg(long, value_delimiter = ',', default_value = "50,200")]
    pub(crate) concurrency: Vec<usize>,
    /// Starts of each measurement, for Segno
    #[arg(long, default_value_t = 20_000)]
    pub(crate) starts: usize,
    /// Starts of each measurement, for the dev server
    #[arg(long, default_value_t = 400)]
    pub(crate) peer_starts: usize,
    /// Callers at a time in the figure of starts
    #[arg(long, default_value_t = 50)]
    pub(crate) start_callers: usize,
    /// Takes every figure this often, and reports the median
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Only these servers
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// Slots of the worker for workflow tasks, and as many for activities
    #[arg(long, default_value_t = 500)]
    pub(crate) slots: usize,
    /// Polls of the worker at a time for workflow tasks, and as many for activities
    #[arg(long, default_value_t = 20)]
    pub(crate) pollers: usize,
    /// Asks for the first workflow task with the start (eager workflow start)
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) eager_start: bool,
    /// Executions that wait for workers in the figure of restarts; ten times as many wait for timers
    #[arg(long, default_value_t = 100_000)]
    pub(crate) open: usize,
    /// Closed executions in the figure of lists
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) closed: usize,
    /// Events of the figure of events, for Segno and Restate
    #[arg(long, default_value_t = 5_000)]
    pub(crate) events: usize,
    /// The same for Segno on the dev server
    #[arg(long, default_value_t = 500)]
    pub(crate) peer_events: usize,
    /// Callers at a time in the figure of events
    #[arg(long, default_value_t = 50)]
    pub(crate) event_callers: usize,
    /// Events at each number of routes in the figure of routing
    #[arg(long, default_value_t = 20_000)]
    pub(crate) routed_events: usize,
    /// Gives a measurement up after this many seconds
    #[arg(long, default_value_t = 180)]
    pub(crate) limit: u64,
    /// Folder for the servers' files; it must be on a disk for durable figures. Default: the system's
    /// temporary folder
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Writes the figures to this file too
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// The real server's program; else `temporal` on PATH
    #[arg(long, env = "SEGNO_TEMPORAL_BIN")]
    pub(crate) temporal_bin: Option<PathBuf>,
    /// Restate's server; else `restate-server` on PATH
    #[arg(long, env = "SEGNO_RESTATE_BIN")]
    pub(crate) restate_bin: Option<PathBuf>,
    #[arg(long, hide = true, required_if_eq_any([("mode", "serve"), ("mode", "serve-stub")]))]
    #[serde(skip)]
    pub(crate) listen: Option<SocketAddr>,
    #[arg(long, hide = true, required_if_eq("mode", "serve-events"))]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    #[arg(long, hide = true, required_if_eq("mode", "serve"))]
    #[serde(skip)]
    pub(crate) db: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn workflows_for(&self, kind: Kind) -> usize {
        if kind.is_peer() {
            self.peer_workflows
        } else {
            self.workflows
        }
    }

    pub(crate) fn starts_for(&self, kind: Kind) -> usize {
        if kind.is_peer() {
            self.peer_starts
        } else {
            self.starts
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }

    /// The folder that the servers' own folders are made in.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}
