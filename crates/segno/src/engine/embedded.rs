//! The engine in this process: its file, its clients in the process and its port for those outside.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use segno_engine::Handle;
use temporalio_client::ConnectionOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Error;

/// How long calls from outside may take to finish when the engine closes.
const GRACE: Duration = Duration::from_secs(2);
/// Name of the engine's file in the data directory.
pub(crate) const FILE: &str = "engine.db";

/// An open engine that serves the Temporal API on a port.
pub(super) struct Embedded {
    engine: segno_engine::Engine,
    handle: Handle,
    file: PathBuf,
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Embedded {
    /// Opens the file in `data` and serves it on `grpc`, as `port` says. The port is taken first, so that a second process
    /// fails there and does not touch the file.
    pub(super) async fn open(
        data: &Path,
        grpc: SocketAddr,
        port: segno_engine::Server,
    ) -> Result<Self, Error> {
        let listener = crate::listen::bind(grpc, "--grpc").await?;
        let file = data.join(FILE);
        let failed = |source: segno_engine::Error| Error::Open {
            file: file.clone(),
            source: Box::new(source),
        };
        let engine = segno_engine::Engine::open(segno_engine::Options::new(&file))
            .await
            .map_err(failed)?;
        let address = listener.address();
        let handle = engine.handle();
        let stop = CancellationToken::new();
        let server = tokio::spawn({
            let (handle, stop) = (handle.clone(), stop.clone());
            async move {
                let served = port
                    .serve(&handle, listener.into_inner(), stop.cancelled_owned())
                    .await;
                if let Err(error) = served {
                    tracing::error!(%error, "the engine's port is closed");
                }
            }
        });
        Ok(Self {
            engine,
            handle,
            file,
            address,
            stop,
            server,
        })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn connection_options(&self) -> ConnectionOptions {
        self.handle.connection_options()
    }

    /// Answers the last calls, closes the port, then the file.
    pub(super) async fn shutdown(mut self) {
        self.stop.cancel();
        // Long polls of workers elsewhere may take up to a minute; they are cut off.
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.engine.shutdown().await;
    }
}
