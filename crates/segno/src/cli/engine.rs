//! `segno engine`: the engine alone.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use miette::IntoDiagnostic;
use tokio_util::sync::CancellationToken;

use crate::{Error, listen, shutdown::Signals};

/// Flags of `segno engine`.
#[derive(Debug, Args)]
pub(super) struct Engine {
    /// Address to serve Temporal's gRPC API on.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7233")]
    listen: SocketAddr,
    /// The engine's file; made if it is missing.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Allow an address that other machines can reach although nothing here authenticates who calls.
    #[arg(long)]
    allow_unauthenticated: bool,
}

impl Engine {
    pub(super) async fn run(self) -> miette::Result<()> {
        let mut signals = Signals::new().into_diagnostic()?;
        listen::check_exposure(self.listen, self.allow_unauthenticated).into_diagnostic()?;
        let listener = listen::bind(self.listen, "--listen").await.into_diagnostic()?;
        let address = listener.address();
        let failed = |error: segno_engine::Error| {
            Error::Engine(crate::engine::Error::Open {
                file: self.db.clone(),
                source: Box::new(error),
            })
        };
        let options = segno_engine::Options::new(&self.db);
        let engine = segno_engine::Engine::open(options)
            .await
            .map_err(failed)
            .into_diagnostic()?;
        let stop = CancellationToken::new();
        let handle = engine.handle();
        let serve = segno_engine::serve(&handle, listener.into_inner(), stop.clone().cancelled_owned());
        tokio::pin!(serve);
        tracing::info!(%address, file = %self.db.display(), "serving");
        let served = tokio::select! {
            served = &mut serve => served,
            _ = signals.next() => {
                stop.cancel();
                // Workers' long polls may take up to a minute; a second signal is not waited for either.
                let grace = tokio::time::timeout(std::time::Duration::from_secs(5), &mut serve);
                tokio::select! {
                    served = grace => served.unwrap_or(Ok(())),
                    _ = signals.next() => Ok(()),
                }
            }
        };
        engine.shutdown().await;
        tracing::info!("stopped");
        served.into_diagnostic()
    }
}
