//! `crawl-platform`: the platform as a program.
//!
//! ```sh
//! crawl-platform demo                                # everything at once, on this machine
//! crawl-platform serve --settings platform.toml
//! crawl-platform runs list --status PROCESSING       # asks the one that runs
//! ```

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use segno::config::Config;
use segno_crawl_clients::pusher::Pusher;
use segno_crawl_platform::{
    cli::Runs,
    cluster::{Cluster, kubernetes::Kubernetes, processes::Processes},
    crawler, demo, events,
    notifier::{Notifier, PusherNotifier, Silent},
    platform::{Options, Platform},
    settings::Settings,
};
use segno_sinks::{Kind, Limits, Sinks};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use url::Url;

#[derive(Parser)]
#[command(about = "A web-data platform: the life of crawler runs, and what its business events set off")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the platform until it is told to stop.
    Serve {
        /// The file of settings; without it all are as they are by default.
        #[arg(long, env = "CRAWL_SETTINGS")]
        settings: Option<PathBuf>,
    },
    /// Asks a running platform for its runs: lists, shows, begins, stops them, and goes on with them.
    Runs(Runs),
    /// Crawls a site, as the process of a run.
    Crawl(Crawl),
    /// Shows all of it: a scheduled crawl of a site of its own, one run that is stopped, the events, the mails.
    Demo {
        /// The folder that everything is kept in; without it a temporary one.
        #[arg(long)]
        folder: Option<PathBuf>,
        /// Stays until it is interrupted, to be looked at.
        #[arg(long)]
        stay: bool,
    },
}

#[derive(Args)]
struct Crawl {
    /// The first page.
    #[arg(long, env = "CRAWL_START_URL")]
    start: Url,
    /// The folder for records and files.
    #[arg(long, env = "CRAWL_OUTPUT")]
    output: PathBuf,
    /// This process's number, from 0.
    #[arg(long, env = "CRAWL_PROCESS", default_value_t = 0)]
    process: u32,
    /// How many processes there are.
    #[arg(long, env = "CRAWL_PROCESSES", default_value_t = 1)]
    processes: u32,
    /// Pages at most.
    #[arg(long, env = "CRAWL_MAX_PAGES", default_value_t = 10_000)]
    max_pages: u64,
    /// Milliseconds between two pages.
    #[arg(long, env = "CRAWL_PAUSE_MS", default_value_t = 100)]
    pause: u64,
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let cli = Cli::parse();
    let quiet = matches!(cli.command, Command::Demo { .. } | Command::Runs(_));
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(if quiet { "warn" } else { "info" }));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
    });
    match cli.command {
        Command::Serve { settings } => serve(settings, stop).await,
        Command::Runs(runs) => {
            if !runs.done().await {
                std::process::exit(1);
            }
            Ok(())
        }
        Command::Crawl(options) => {
            let options = crawler::Options {
                start: options.start,
                output: options.output,
                process: options.process,
                processes: options.processes,
                max_pages: options.max_pages,
                pause: Duration::from_millis(options.pause),
            };
            crawler::crawl(options, stop).await?;
            Ok(())
        }
        Command::Demo { folder, stay } => Ok(demo::run(folder, stay, stop).await?),
    }
}

async fn serve(settings: Option<PathBuf>, stop: CancellationToken) -> Result<(), AnyError> {
    let settings = match settings {
        Some(path) => Settings::load(&path)?,
        None => Settings::default(),
    };
    tokio::fs::create_dir_all(&settings.data).await?;
    let config = match &settings.segno {
        Some(path) => Config::load(path).map_err(|mistakes| mistakes.to_string())?,
        None => Config::default(),
    };
    let mut keeps = None;
    let cluster: Arc<dyn Cluster> = match &settings.kubernetes {
        Some(options) => Arc::new(Kubernetes::connect(options.clone()).await?),
        None => {
            let cluster = Processes::open(
                settings.data.join("jobs"),
                std::env::current_exe()?,
                settings.processes.capacity,
            )?;
            let kept = cluster.clone();
            keeps = Some(tokio::spawn(async move { kept.keep_starting().await }));
            Arc::new(cluster)
        }
    };
    let bus = match settings.eventbridge.clone() {
        Some(options) => {
            let options = segno_sinks::Options {
                kind: Kind::EventBridge(Box::new(options)),
                limits: Limits::default(),
            };
            let sinks = Sinks::new([("exports".to_owned(), options)].into(), &settings.data)?;
            Some(Arc::new(segno_crawl_platform::export::Bus::new(sinks, "exports"))
                as Arc<dyn segno_sinks::Sink>)
        }
        None => None,
    };
    let events = match &settings.events {
        Some(path) => Some(events::Options {
            settings: events::Settings::load(path)?,
            base: path.parent().map(Path::to_owned).unwrap_or_default(),
        }),
        None => None,
    };
    let notifier: Arc<dyn Notifier> = match &settings.pusher {
        Some(options) => Arc::new(PusherNotifier::new(Pusher::new(options)?)),
        None => Arc::new(Silent),
    };
    let mut platform = Platform::start(Options {
        listen: settings.listen,
        segno: settings.segno_listen,
        grpc: settings.grpc_listen,
        engine_data: settings.data.join("engine"),
        config,
        database: settings.database(),
        output: settings.output(),
        archives: settings.archives(),
        bus,
        notifier,
        timing: settings.timing.clone(),
        sweep: settings.sweep.into(),
        events,
        ..Options::in_folder(&settings.data, cluster)
    })
    .await?;
    tokio::select! {
        () = stop.cancelled() => {}
        broken = platform.wait() => broken?,
    }
    platform.stop().await?;
    if let Some(keeps) = keeps {
        keeps.abort();
    }
    Ok(())
}
