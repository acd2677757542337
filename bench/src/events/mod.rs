//! Events from HTTP to a sink: taken in, durable, delivered to a receiver that takes everything.
//!
//! Segno runs in a process of its own, on its embedded engine and, the same program, on the dev server. On Restate an
//! event is a one-way call whose handler delivers in one durable step.

mod receiver;
mod restate;
mod segno;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

use self::receiver::Receiver;
pub(crate) use self::segno::serve;
use crate::{
    drive::{Load, count, drive},
    settings::Settings,
    target::Kind,
};

/// Who takes the events in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Platform {
    Segno,
    SegnoOnDevServer,
    Restate,
}

/// The figures of one platform.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Events {
    pub(crate) platform: &'static str,
    pub(crate) callers: usize,
    pub(crate) events: usize,
    /// From the first event sent to the last one delivered.
    pub(crate) per_second: f64,
    /// From an event's being sent to its being acknowledged, milliseconds.
    pub(crate) accept_p50_ms: f64,
    pub(crate) accept_p99_ms: f64,
    /// From its acknowledgement to its delivery; nothing where it was there before the acknowledgement.
    pub(crate) deliver_p50_ms: f64,
    pub(crate) deliver_p99_ms: f64,
    /// `per_second` divided by that of each other platform, by its name.
    pub(crate) ratios: BTreeMap<&'static str, f64>,
}

impl Platform {
    const ALL: [Self; 3] = [Self::Segno, Self::SegnoOnDevServer, Self::Restate];

    fn name(self) -> &'static str {
        match self {
            Self::Segno => "segno",
            Self::SegnoOnDevServer => "segno on the dev server",
            Self::Restate => "restate",
        }
    }

    /// The server that has to be installed for it.
    fn needs(self) -> Option<Kind> {
        match self {
            Self::Segno => None,
            Self::SegnoOnDevServer => Some(Kind::DevServerFile),
            Self::Restate => Some(Kind::Restate),
        }
    }
}

/// Takes the figures of every platform that is there.
pub(crate) async fn measure(settings: &Settings) -> Result<Vec<Events>> {
    let available = Kind::available(settings);
    let mut figures = Vec::new();
    for platform in Platform::ALL {
        if platform.needs().is_some_and(|kind| !available.contains(&kind)) {
            continue;
        }
        let measured = match platform {
            Platform::Segno => segno::embedded(settings).await,
            Platform::SegnoOnDevServer => segno::on_dev_server(settings).await,
            Platform::Restate => restate::measure(settings).await,
        };
        let events = measured.with_context(|| format!("events on {}", platform.name()))?;
        eprintln!("  {}: {:.0} events/s", platform.name(), events.per_second);
        figures.push(events);
    }
    compare(&mut figures);
    Ok(figures)
}

fn compare(figures: &mut [Events]) {
    let all: Vec<_> = figures
        .iter()
        .map(|events| (events.platform, events.per_second))
        .collect();
    for events in figures {
        let others = all.iter().filter(|(platform, _)| *platform != events.platform);
        events.ratios = others
            .map(|(platform, rate)| (*platform, events.per_second / rate))
            .collect();
    }
}

/// Where events are sent: a request with the event's data as JSON.
#[derive(Clone)]
struct Entrance {
    http: reqwest::Client,
    url: String,
    platform: Platform,
}

impl Entrance {
    fn new(platform: Platform, url: String) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, url, platform })
    }

    /// Sends one event; it is durable when this returns.
    async fn send(&self, run: &str, number: usize) -> Result<()> {
        let data = data(run, number);
        let request = match self.platform {
            Platform::Restate => self.http.post(&self.url).json(&data),
            Platform::Segno | Platform::SegnoOnDevServer => {
                let event = json!({
                    "specversion": "1.0", "id": format!("{run}-{number}"), "source": "/bench",
                    "type": "order.placed", "data": data,
                });
                let request = self.http.post(&self.url).body(event.to_string());
                request.header("content-type", "application/cloudevents+json")
            }
        };
        let answer = request.send().await?.error_for_status()?;
        answer.bytes().await?;
        Ok(())
    }
}

fn data(run: &str, number: usize) -> Value {
    json!({ "run": run, "number": number, "total": 250, "customer": "customer-7" })
}

/// Sends the events and waits for all of them to be delivered.
async fn through(
    entrance: &Entrance,
    receiver: &Receiver,
    events: usize,
    settings: &Settings,
) -> Result<Events> {
    let callers = settings.event_callers;
    let load = |operations| Load {
        operations,
        callers,
        limit: settings.limit(),
    };
    let warm_up = (events / 10).max(callers);
    run(entrance, receiver, "warm", load(warm_up)).await?;
    let began = Instant::now();
    let (accepted, sent) = run(entrance, receiver, "run", load(events)).await?;
    let delivered = receiver.times("run");
    let last = delivered.values().max().copied().unwrap_or(began);
    let mut deliver: Vec<Duration> = accepted
        .iter()
        .filter_map(|(number, at)| Some(delivered.get(number)?.saturating_duration_since(*at)))
        .collect();
    deliver.sort_unstable();
    Ok(Events {
        platform: entrance.platform.name(),
        callers,
        events,
        per_second: count(events) / last.duration_since(began).as_secs_f64(),
        accept_p50_ms: sent.quantile_ms(0.5),
        accept_p99_ms: sent.quantile_ms(0.99),
        deliver_p50_ms: quantile_ms(&deliver, 50),
        deliver_p99_ms: quantile_ms(&deliver, 99),
        ratios: BTreeMap::new(),
    })
}

/// When each event was acknowledged, by its number, and how long that took.
async fn run(
    entrance: &Entrance,
    receiver: &Receiver,
    name: &'static str,
    load: Load,
) -> Result<(BTreeMap<usize, Instant>, crate::drive::Sample)> {
    let accepted = std::sync::Arc::new(std::sync::Mutex::new(BTreeMap::new()));
    let (noted, entrance) = (std::sync::Arc::clone(&accepted), entrance.clone());
    let sample = drive(load, move |number| {
        let (entrance, noted) = (entrance.clone(), std::sync::Arc::clone(&noted));
        async move {
            entrance.send(name, number).await?;
            let at = Instant::now();
            noted
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .insert(number, at);
            Ok(())
        }
    })
    .await?;
    let began = Instant::now();
    while receiver.times(name).len() < load.operations {
        if began.elapsed() > load.limit {
            bail!(
                "{} of {} events were delivered",
                receiver.times(name).len(),
                load.operations
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let accepted = std::mem::take(&mut *accepted.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    Ok((accepted, sample))
}

/// A percentile of sorted times, milliseconds.
fn quantile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}
