//! Heartbeats of a running activity: they tell the engine that its worker lives, and carry its progress.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::time::{MissedTickBehavior, interval_at};

/// How long an activity may stay silent before the engine gives it to another worker.
pub(crate) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often it is heard of; the SDK sends on only what is needed to stay within the time-out.
const PERIOD: Duration = Duration::from_secs(5);

/// How many payloads are delivered: where a retry goes on.
#[derive(Default)]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    /// The progress that the last attempt told of.
    pub(crate) fn resume(ctx: &ActivityContext) -> Self {
        // Details of another shape are none of ours; starting over only delivers again.
        let done = ctx
            .heartbeat_details()
            .deserialize::<u64>()
            .ok()
            .flatten()
            .unwrap_or(0);
        Self(AtomicU64::new(done))
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// At least so many are delivered.
    pub(crate) fn at_least(&self, done: u64) {
        self.0.fetch_max(done, Ordering::Relaxed);
    }

    /// Tells of one payload more.
    pub(crate) async fn advance(&self, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let done = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(ctx.record_heartbeat(done).await?)
    }
}

/// Runs `work` with heartbeats, and drops it when the activity is cancelled or its worker stops.
pub(crate) async fn keep_alive<T>(
    ctx: &ActivityContext,
    progress: &Progress,
    work: impl Future<Output = Result<T, ActivityError>>,
) -> Result<T, ActivityError> {
    let mut ticks = interval_at(tokio::time::Instant::now() + PERIOD, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = ctx.cancelled() => return Err(ActivityError::cancelled()),
            _ = ticks.tick() => ctx.record_heartbeat(progress.get()).await?,
        }
    }
}
