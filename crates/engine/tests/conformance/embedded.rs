//! An embedded engine on a temporary file.

use std::path::PathBuf;

use segno_engine::{Engine, Limits, Options, clock::ManualClock};
use tempfile::TempDir;
use temporalio_client::{Client, ClientOptions, Connection};

/// An engine whose file goes with it.
pub(crate) struct TestEngine {
    engine: Engine,
    file: TestFile,
}

/// The file of an engine that is not open.
pub(crate) struct TestFile {
    folder: TempDir,
    /// None: the machine's.
    clock: Option<ManualClock>,
    limits: Limits,
}

impl TestFile {
    fn new(clock: Option<ManualClock>, limits: Limits) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self {
            folder,
            clock,
            limits,
        }
    }

    pub(crate) async fn open(self) -> TestEngine {
        let options = Options::new(self.path()).with_limits(self.limits.clone());
        let options = match &self.clock {
            Some(clock) => options.with_clock(clock.clone()),
            None => options,
        };
        TestEngine {
            engine: Engine::open(options).await.expect("an engine"),
            file: self,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("engine.db")
    }
}

impl TestEngine {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> Self {
        TestFile::new(None, limits).open().await
    }

    /// An engine whose time is this clock's.
    pub(crate) async fn start_at(clock: ManualClock) -> Self {
        TestFile::new(Some(clock), Limits::default()).open().await
    }

    /// Ends the engine.
    pub(crate) async fn stop(self) -> TestFile {
        self.engine.shutdown().await;
        self.file
    }

    /// Ends the engine and opens it again on the same file.
    pub(crate) async fn restart(self) -> Self {
        self.stop().await.open().await
    }

    pub(crate) fn handle(&self) -> segno_engine::Handle {
        self.engine.handle()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.file.path()
    }

    /// A client in process.
    pub(crate) async fn client(&self) -> Client {
        let options = self.engine.handle().connection_options();
        let connection = Connection::connect(options)
            .await
            .expect("a connection in process");
        Client::new(connection, ClientOptions::new("default").build()).expect("a client")
    }
}
