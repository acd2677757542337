//! `consent`: the service as a program.
//!
//! ```sh
//! DATABASE_URL=postgres://localhost/consent REDIS_URL=redis://localhost:6379 consent
//! ```

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use segno_consent::{Options, Reaction, Service};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(about = "A consent study's answers, recalculated for dependents when their guardians change")]
struct Cli {
    /// Where the API listens.
    #[arg(long, env = "CONSENT_LISTEN", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Where Segno's own API listens, which shows the executions.
    #[arg(long, env = "CONSENT_SEGNO", default_value = "127.0.0.1:8080")]
    segno: SocketAddr,
    /// Where the embedded engine's gRPC API listens.
    #[arg(long, env = "CONSENT_GRPC", default_value = "127.0.0.1:7233")]
    grpc: SocketAddr,
    /// The folder of the engine's file.
    #[arg(long, env = "CONSENT_DATA", default_value = "data")]
    data: PathBuf,
    /// The URL of the PostgreSQL database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: String,
    /// The URL of Redis, the bus.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis: String,
    /// When the answers of dependents are made anew.
    #[arg(long, env = "CONSENT_REACTION", default_value = "after")]
    reaction: When,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    /// After the change, by way of the bus.
    After,
    /// Inside its transaction.
    Inside,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut service = Service::start(Options {
        listen: cli.listen,
        segno: cli.segno,
        grpc: cli.grpc,
        data: cli.data,
        database: cli.database,
        redis: cli.redis,
        reaction: match cli.reaction {
            When::After => Reaction::After,
            When::Inside => Reaction::Inside,
        },
        segno_config: String::new(),
    })
    .await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        broken = service.wait() => broken?,
    }
    service.stop().await?;
    Ok(())
}
