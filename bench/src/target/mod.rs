//! The servers that are measured.

mod child;
mod peer;
mod program;
pub(crate) mod serve;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use segno_engine::{Engine, Options};
use serde::Serialize;
use tempfile::TempDir;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};

pub(crate) use self::{
    child::{ServerProcess, free_port},
    program::find as find_program,
};
use crate::{process::Pid, settings::Settings, stub::Stub};

/// Which server, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Segno's engine in the driver's process
    SegnoInProcess,
    /// Segno's engine in a process of its own
    SegnoGrpc,
    /// The real dev server, on a file
    DevServerFile,
    /// The real dev server, which forgets all when it ends
    DevServerMemory,
    /// The SDK on a stub in the driver's process that answers from memory: the ceiling
    Stub,
    /// The same stub on a gRPC port, in a process of its own
    StubGrpc,
    /// Restate's server, through its own SDK
    Restate,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SegnoInProcess => "segno, in process",
            Self::SegnoGrpc => "segno, gRPC",
            Self::DevServerFile => "dev server, file",
            Self::DevServerMemory => "dev server, memory",
            Self::Stub => "stub, in process",
            Self::StubGrpc => "stub, gRPC",
            Self::Restate => "restate",
        }
    }

    /// A Temporal server, which is slower: it gets less to do.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::DevServerFile | Self::DevServerMemory)
    }

    /// What the SDK alone does when it is called this way; none where there is no such ceiling.
    pub(crate) fn ceiling(self) -> Option<Self> {
        match self {
            Self::SegnoInProcess => Some(Self::Stub),
            Self::SegnoGrpc | Self::DevServerFile | Self::DevServerMemory => Some(Self::StubGrpc),
            Self::Stub | Self::StubGrpc | Self::Restate => None,
        }
    }

    /// Whether it keeps state on a disk, for the figures of memory and disk.
    pub(crate) fn has_footprint(self) -> bool {
        !matches!(self, Self::Stub | Self::StubGrpc | Self::Restate)
    }

    /// The servers to measure: those asked for, without the dev server where it is not installed.
    pub(crate) fn available(settings: &Settings) -> Vec<Self> {
        let mut kinds = if settings.only.is_empty() {
            Self::value_variants().to_vec()
        } else {
            settings.only.clone()
        };
        if peer::program(settings).is_none() && kinds.iter().any(|kind| kind.is_peer()) {
            eprintln!(
                "no `temporal` on PATH and no SEGNO_TEMPORAL_BIN: measuring Segno alone, without ratios"
            );
            kinds.retain(|kind| !kind.is_peer());
        }
        if crate::restate::program(settings).is_none() && kinds.contains(&Self::Restate) {
            eprintln!("no `restate-server` on PATH and no SEGNO_RESTATE_BIN: measuring without Restate");
            kinds.retain(|kind| *kind != Self::Restate);
        }
        kinds
    }
}

/// A running server. Dropping it ends it and removes its files.
pub(crate) struct Target {
    kind: Kind,
    running: Running,
    connection: ConnectionOptions,
    /// Host and port, where it has one.
    address: Option<String>,
    start_up: Duration,
    file: Option<PathBuf>,
    _folder: TempDir,
}

enum Running {
    Here(Engine),
    Elsewhere(ServerProcess),
    /// It has nothing that needs an end.
    Stub,
}

impl Target {
    /// Starts a server on files of its own.
    pub(crate) async fn start(kind: Kind, settings: &Settings) -> Result<Self> {
        let folder = TempDir::with_prefix_in("segno-bench-", settings.folder())?;
        let file = folder.path().join("server.db");
        let began = Instant::now();
        let (running, connection) = match kind {
            Kind::SegnoInProcess => {
                let engine = Engine::open(Options::new(&file)).await?;
                let connection = engine.handle().connection_options();
                (Running::Here(engine), connection)
            }
            Kind::SegnoGrpc => elsewhere(|port| serve::command(port, &file))?,
            Kind::DevServerFile => elsewhere(|port| peer::command(settings, port, Some(&file)))?,
            Kind::DevServerMemory => elsewhere(|port| peer::command(settings, port, None))?,
            Kind::Stub => (Running::Stub, Stub::default().connection_options()?),
            Kind::StubGrpc => elsewhere(serve::stub_command)?,
            Kind::Restate => anyhow::bail!("Restate does not speak Temporal's API"),
        };
        let file =
            matches!(kind, Kind::SegnoInProcess | Kind::SegnoGrpc | Kind::DevServerFile).then_some(file);
        let address = match &running {
            Running::Elsewhere(_) => Some(connection.target.authority().to_owned()),
            Running::Here(_) | Running::Stub => None,
        };
        let mut target = Self {
            kind,
            running,
            connection,
            address,
            start_up: Duration::ZERO,
            file,
            _folder: folder,
        };
        target.wait_until_up(settings.limit()).await?;
        target.start_up = began.elapsed();
        Ok(target)
    }

    /// Waits for the first answer to `GetSystemInfo`, which the SDK asks when it connects.
    async fn wait_until_up(&mut self, limit: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let Err(error) = Connection::connect(self.connection.clone()).await else {
                return Ok(());
            };
            if let Running::Elsewhere(server) = &mut self.running {
                server.check_running()?;
            }
            if began.elapsed() > limit {
                return Err(error).with_context(|| format!("{} does not come up", self.kind.name()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Kills Segno's process and starts it again on the same file.
    pub(crate) async fn restart(&mut self, settings: &Settings) -> Result<()> {
        let file = self.file.clone().context("a server with a file")?;
        // Dropped, its process is killed.
        self.running = Running::Stub;
        let began = Instant::now();
        (self.running, self.connection) = elsewhere(|port| serve::command(port, &file))?;
        self.wait_until_up(settings.limit()).await?;
        self.start_up = began.elapsed();
        Ok(())
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Host and port, where it has one.
    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// From the start of the server to its first answer.
    pub(crate) fn start_up(&self) -> Duration {
        self.start_up
    }

    /// The server's process, where it is not this one.
    pub(crate) fn meter(&self) -> Option<Pid> {
        match &self.running {
            Running::Elsewhere(server) => Some(server.pid()),
            Running::Here(_) | Running::Stub => None,
        }
    }

    /// The server's file, if it has one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// A client of the SDK, with its defaults.
    pub(crate) async fn client(&self) -> Result<Client> {
        let connection = Connection::connect(self.connection.clone()).await?;
        Ok(Client::new(connection, ClientOptions::new("default").build())?)
    }

    /// Ends the server.
    pub(crate) async fn stop(self) {
        if let Running::Here(engine) = self.running {
            engine.shutdown().await;
        }
    }
}

fn elsewhere(
    command: impl FnOnce(u16) -> Result<std::process::Command>,
) -> Result<(Running, ConnectionOptions)> {
    let port = free_port()?;
    let server = ServerProcess::spawn(command(port)?)?;
    let url = format!("http://127.0.0.1:{port}").parse::<url::Url>()?;
    Ok((Running::Elsewhere(server), ConnectionOptions::new(url).build()))
}
