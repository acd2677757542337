//! An embedded engine on a temporary file.

use std::path::{Path, PathBuf};

use segno_engine::{Engine, Limits, Options};
use tempfile::TempDir;
use temporalio_client::{Client, ClientOptions, Connection};

/// An engine whose file goes with it.
pub(crate) struct TestEngine {
    engine: Engine,
    folder: TempDir,
}

impl TestEngine {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let engine = open(folder.path(), limits).await;
        Self { engine, folder }
    }

    /// Ends the engine and opens it again on the same file.
    pub(crate) async fn restart(self) -> Self {
        let Self { engine, folder } = self;
        engine.shutdown().await;
        let engine = open(folder.path(), Limits::default()).await;
        Self { engine, folder }
    }

    pub(crate) fn handle(&self) -> segno_engine::Handle {
        self.engine.handle()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("engine.db")
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

async fn open(folder: &Path, limits: Limits) -> Engine {
    Engine::open(Options::new(folder.join("engine.db")).with_limits(limits))
        .await
        .expect("an engine")
}
