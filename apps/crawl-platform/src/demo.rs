//! Everything at once, on this machine: a site, a scheduled crawl of it by local processes, a run that somebody stops, the
//! business events that come of it with what they set off in stand-ins of other systems, and the mails.

mod systems;

use std::{path::PathBuf, sync::Arc, time::Duration};

use segno::config::Config;
use time::OffsetDateTime;
use tokio::{io::AsyncWriteExt, net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::systems::{PROJECT, REPORT, Systems};
use crate::{
    cluster::processes::Processes,
    lifecycle::{
        LifecycleError, StopRequest, Timing,
        rules::{Intervals, f64_seconds::Seconds},
    },
    platform::{Options, Platform, PlatformError},
    schedules::{self, SchedulesError},
    site,
    store::{CrawlerDefinition, ExportTo, Overlap, Run, RunFilter, ScheduleDefinition, StoreError, Trigger},
};

/// Books of the site.
const BOOKS: u32 = 25;
/// How long each part may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The platform does not start or stop.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A run cannot be begun or stopped.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The schedule is not taken.
    #[error(transparent)]
    Schedules(#[from] SchedulesError),
    /// A folder, a port, the terminal.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The systems that events change cannot be set up.
    #[error("the demo's systems: {0}")]
    Systems(#[from] crate::events::settings::Error),
    /// Its own configuration is wrong.
    #[error("the demo's configuration: {0}")]
    Config(String),
    /// It takes too long.
    #[error("it takes too long until {0}")]
    Late(&'static str),
}

/// Segno's configuration: the routes of the business events.
const CONFIG: &str = include_str!("../routes/events.toml");

/// Runs the demonstration; with `stay` until it is interrupted.
///
/// # Errors
///
/// [`DemoError`].
pub async fn run(folder: Option<PathBuf>, stay: bool, stop: CancellationToken) -> Result<(), DemoError> {
    let folder =
        folder.unwrap_or_else(|| std::env::temp_dir().join(format!("crawl-platform-{}", Uuid::now_v7())));
    tokio::fs::create_dir_all(&folder).await?;
    let site = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = site.local_addr()?;
    let serving = tokio::spawn(async move { axum::serve(site, site::router(BOOKS)).await });
    let cluster = Processes::open(folder.join("jobs"), std::env::current_exe()?, 4)?;
    let keeps = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.keep_starting().await }
    });
    let config =
        Config::parse("demo", CONFIG, &folder).map_err(|mistakes| DemoError::Config(mistakes.to_string()))?;
    let systems = Systems::start().await?;
    let platform = Platform::start(Options {
        config,
        events: Some(systems.events(&folder)?),
        timing: Timing {
            status_poll_seconds: Seconds::from_millis(500),
            intervals: Intervals::every(Duration::from_secs(2)),
            ..Timing::default()
        },
        ..Options::in_folder(&folder, Arc::new(cluster))
    })
    .await?;
    for (name, page) in systems.pages() {
        say(&format!("a stand-in shows {name} at {page}")).await?;
    }
    let shown = show(&platform, address, &folder, stay, &stop).await;
    platform.stop().await?;
    keeps.abort();
    serving.abort();
    shown
}

async fn show(
    platform: &Platform,
    site: std::net::SocketAddr,
    folder: &std::path::Path,
    stay: bool,
    stop: &CancellationToken,
) -> Result<(), DemoError> {
    let (store, lifecycle) = (platform.lifecycle().store(), platform.lifecycle());
    say(&format!("a bookshop with {BOOKS} books is at http://{site}/")).await?;
    say(&format!(
        "the platform's API is at http://{}/runs",
        platform.address()
    ))
    .await?;
    say(&format!(
        "Segno shows the events at http://{}/",
        platform.segno().http_address()
    ))
    .await?;
    let crawler = |name: &str, processes, pause: u32| CrawlerDefinition {
        name: name.to_owned(),
        project_id: Some(PROJECT.to_owned()),
        report_id: Some(REPORT.to_owned()),
        image: None,
        command: Vec::new(),
        args: Vec::new(),
        env: [
            ("CRAWL_START_URL".to_owned(), format!("http://{site}/")),
            ("CRAWL_PAUSE_MS".to_owned(), pause.to_string()),
        ]
        .into(),
        processes,
        parallel: None,
        export: ExportTo::Database,
    };
    let books = store
        .put_crawler(Uuid::now_v7(), &crawler("all books, by two processes", 2, 20))
        .await?;
    let slow = store
        .put_crawler(Uuid::now_v7(), &crawler("slowly", 1, 60_000))
        .await?;

    let schedule = ScheduleDefinition {
        crawler_id: books.id,
        cron: None,
        every_seconds: Some(3),
        time_zone: None,
        overlap: Overlap::Skip,
        enabled: true,
    };
    let schedule = store.put_schedule(Uuid::now_v7(), &schedule).await?;
    schedules::put(lifecycle.client(), &schedule, lifecycle.timing()).await?;
    say("a schedule crawls the shop every 3 s; the first run …").await?;
    let filter = RunFilter {
        trigger: Some(Trigger::Scheduled),
        ..RunFilter::default()
    };
    let scheduled = until("the scheduled run ends", async || {
        let page = store.runs(&filter, None, 100).await?;
        let runs = page.map(|page| page.runs).unwrap_or_default();
        Ok(runs.into_iter().find(|run| {
            run.export_status
                .is_some_and(|status| status != crate::store::ExportStatus::Initiated)
        }))
    })
    .await?;
    store.delete_schedule(schedule.id).await?;
    schedules::delete(lifecycle.client(), schedule.id).await?;
    tell(&scheduled).await?;
    for record in store.records(scheduled.id, 0, 3).await? {
        say(&format!("    {}", record.data)).await?;
    }

    say("a run of the slow crawler, which somebody stops …").await?;
    let run = lifecycle.begin(slow.id, Trigger::Manual, None).await?.run;
    until("the slow run starts", async || {
        Ok(store.maybe_run(run).await?.filter(|run| run.started_at.is_some()))
    })
    .await?;
    let request = StopRequest {
        force: false,
        by: "the demo".to_owned(),
    };
    lifecycle.stop(run, &request).await?;
    let stopped = until("the slow run ends", async || {
        Ok(store.maybe_run(run).await?.filter(|run| run.status.is_final()))
    })
    .await?;
    tell(&stopped).await?;

    let mails = until("the mails of both runs arrive", async || {
        let mut names = Vec::new();
        let mut entries = match tokio::fs::read_dir(folder.join("mails")).await {
            Ok(entries) => entries,
            Err(_) => return Ok(None),
        };
        while let Some(entry) = entries.next_entry().await? {
            names.push(entry.file_name());
        }
        // Two people follow the runs of the report.
        Ok((names.len() >= 4).then_some(names.len()))
    })
    .await?;
    say(&format!(
        "{mails} mails about the events are in {}",
        folder.join("mails").display()
    ))
    .await?;
    if stay {
        say("it stays until it is interrupted").await?;
        stop.cancelled().await;
    }
    Ok(())
}

async fn tell(run: &Run) -> Result<(), DemoError> {
    let took = run.ended_at.unwrap_or_else(OffsetDateTime::now_utc) - run.created_at;
    let reason = run
        .reason
        .as_deref()
        .map(|reason| format!(", {reason}"))
        .unwrap_or_default();
    let records = run
        .records
        .map(|records| format!(", {records} records delivered"))
        .unwrap_or_default();
    say(&format!(
        "run {}: {}{reason}{records}, {:.1} s",
        run.id,
        run.status,
        took.as_seconds_f64()
    ))
    .await
}

/// Waits until there is something.
async fn until<T>(
    what: &'static str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, DemoError>,
) -> Result<T, DemoError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(DemoError::Late(what));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn say(text: &str) -> Result<(), DemoError> {
    let mut out = tokio::io::stdout();
    out.write_all(format!("{text}\n").as_bytes()).await?;
    Ok(out.flush().await?)
}
