//! The engine as its users see it.

use std::{path::PathBuf, sync::Arc};

use temporalio_client::ConnectionOptions;

use crate::{
    clock::{Clock, SystemClock},
    figures::Figures,
    host::HostThread,
    limits::Limits,
    service::Service,
    store::{self, Lock, Readers, Store},
    transport,
};

/// How to open an engine.
#[derive(Clone)]
pub struct Options {
    pub(crate) file: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// An engine over this file, which is made where there is none.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
        }
    }

    /// Sets what an execution may hold.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Reads the time from this clock: for tests.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }
}

/// What opening or serving an engine fails with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot open the engine")]
    Store(#[from] store::Error),
    /// The gRPC port failed.
    #[error("cannot serve gRPC")]
    Serve(#[source] tonic::transport::Error),
    /// The listener of the gRPC port is none.
    #[error("cannot serve gRPC")]
    Listen(#[source] std::io::Error),
    /// Other machines can reach the gRPC port, and it would not be safe.
    #[error(transparent)]
    Exposed(#[from] transport::Exposure),
}

/// An open engine. It holds its file alone; dropping it ends it after the batch it is at.
#[derive(Debug)]
pub struct Engine {
    thread: HostThread,
    handle: Handle,
    _lock: Lock,
}

/// The way to an open engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    service: Service,
}

impl Engine {
    /// Opens an engine, and goes on with all that waits in its file.
    ///
    /// # Errors
    /// When the file cannot be read, or another process has it open.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(options)).await;
        opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn open_blocking(options: Options) -> Result<Self, Error> {
        let Options { file, clock, limits } = options;
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|source| store::Error::Open {
                path: folder.to_owned(),
                source,
            })?;
        }
        let lock = Lock::take(&file)?;
        let store = Store::open(&file)?;
        let cluster_id: Arc<str> = store.cluster_id()?.into();
        let limits = Arc::new(limits);
        let thread = HostThread::start(store, clock, limits.clone())?;
        let service = Service::new(thread.handle().clone(), Readers::new(file), cluster_id, limits);
        Ok(Self {
            thread,
            handle: Handle { service },
            _lock: lock,
        })
    }

    /// The way to this engine.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends the engine after the batch it is at. What has been answered is on disk in any case.
    pub async fn shutdown(mut self) {
        let stopped = tokio::task::spawn_blocking(move || self.thread.stop()).await;
        if let Err(panic) = stopped {
            tracing::error!(%panic, "the engine did not end cleanly");
        }
    }
}

impl Handle {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }

    /// Options for the SDK's `Connection::connect`, to this engine in this process.
    pub fn connection_options(&self) -> ConnectionOptions {
        transport::connection_options(self.service.clone())
    }

    /// What the engine has done and holds.
    pub fn figures(&self) -> Figures {
        self.service.figures()
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }
}
