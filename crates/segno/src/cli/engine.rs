//! `segno engine`: the engine alone.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use miette::IntoDiagnostic;
use tokio_util::sync::CancellationToken;

use super::GrpcFlags;
use crate::{
    DEFAULT_GRPC, Error,
    config::{Config, Grpc},
    engine::{Allowed, port},
    listen,
    shutdown::Signals,
};

/// Flags of `segno engine`.
#[derive(Debug, Args)]
pub(super) struct Engine {
    /// Address to serve Temporal's gRPC API on [default: 127.0.0.1:7233].
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// The engine's file; made if it is missing.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Allow an address that other machines can reach although nothing here authenticates who calls.
    #[arg(long)]
    allow_unauthenticated: bool,
    /// Configuration file; its `engine.grpc` is read for address, certificate, API keys and limits.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    port: GrpcFlags,
}

impl Engine {
    pub(super) async fn run(self) -> miette::Result<()> {
        let mut signals = Signals::new().into_diagnostic()?;
        let mut grpc = match &self.config {
            Some(path) => Config::load(path)?.grpc,
            None => Grpc::default(),
        };
        grpc.tls = self.port.tls().or(grpc.tls);
        for key in self.port.api_keys() {
            grpc.api_keys.push(key.map_err(Error::ApiKey).into_diagnostic()?);
        }
        let allowed = Allowed {
            unauthenticated: self.allow_unauthenticated,
            plaintext: self.port.allow_plaintext,
        };
        let address = self.listen.or(grpc.listen).unwrap_or(DEFAULT_GRPC);
        let port = port::server(&grpc, address, allowed).into_diagnostic()?;
        let listener = listen::bind(address, "--listen").await.into_diagnostic()?;
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
        let serve = port.serve(&handle, listener.into_inner(), stop.clone().cancelled_owned());
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
