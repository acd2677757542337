//! Timers that are due one after the other, while very many others wait.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use temporalio_client::Client;
use temporalio_common::protos::temporal::api::history::v1::{HistoryEvent, history_event::Attributes};
use tokio::task::JoinSet;

use super::{
    calls::{finish, poll, start, start_timer},
    each,
};
use crate::drive::count;

/// Timers that are measured.
const TIMERS: usize = 10_000;
/// As many are due each second.
const A_SECOND: u64 = 1_000;
/// What setting them may take: the first is due after that.
const AHEAD: Duration = Duration::from_secs(30);
/// Polls that wait for the fired ones.
const POLLS: usize = 200;

/// How late timers fire.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Lateness {
    /// Timers that wait meanwhile and are not due.
    pub(crate) waiting: usize,
    pub(crate) fired: usize,
    /// From when a timer was due until a worker has the task that says so, milliseconds.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) most_ms: f64,
}

/// Sets timers that are due at an even rate, and takes their tasks as a worker does.
///
/// # Errors
/// When a call fails, or setting the timers takes until the first is due.
pub(crate) async fn measure(client: &Client, waiting: usize) -> Result<Lateness> {
    let first = SystemTime::now() + AHEAD;
    each(client, TIMERS, move |client, number| async move {
        start(&client, &format!("due-{number}"), None).await?;
        let due = first + Duration::from_micros(number as u64 * 1_000_000 / A_SECOND);
        let left = due.duration_since(SystemTime::now()).unwrap_or_default();
        start_timer(&client, left).await
    })
    .await?;
    if SystemTime::now() > first {
        bail!("setting {TIMERS} timers took more than {AHEAD:?}");
    }
    let mut polls = JoinSet::new();
    for poller in 0..POLLS {
        let client = client.clone();
        polls.spawn(async move {
            let mut late = Vec::new();
            for _ in (poller..TIMERS).step_by(POLLS) {
                let task = poll(&client).await?;
                let arrived = SystemTime::now();
                let events = task.history.unwrap_or_default().events;
                let due = due_at(&events).context("a task without its timer")?;
                late.push(arrived.duration_since(due).unwrap_or_default().as_secs_f64() * 1_000.0);
                finish(&client, task.task_token).await?;
            }
            anyhow::Ok(late)
        });
    }
    let mut late = Vec::with_capacity(TIMERS);
    while let Some(poll) = polls.join_next().await {
        late.extend(poll??);
    }
    late.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let wanted = count(late.len()) * share;
        let before = late
            .iter()
            .enumerate()
            .take_while(|(index, _)| count(*index) < wanted);
        before.last().map_or(f64::NAN, |(_, late)| *late)
    };
    let lateness = Lateness {
        waiting,
        fired: late.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        most_ms: at(1.0),
    };
    eprintln!(
        "  {} timers due while {waiting} wait: late by {:.1} ms (p50), {:.1} ms (p99)",
        lateness.fired, lateness.p50_ms, lateness.p99_ms
    );
    Ok(lateness)
}

/// When the timer in this history was due.
fn due_at(events: &[HistoryEvent]) -> Option<SystemTime> {
    let started = events.iter().find_map(|event| match &event.attributes {
        Some(Attributes::TimerStartedEventAttributes(timer)) => {
            Some((event.event_time?, timer.start_to_fire_timeout?))
        }
        _ => None,
    });
    let (at, fires_in) = started?;
    Some(SystemTime::try_from(at).ok()? + Duration::try_from(fires_in).ok()?)
}
