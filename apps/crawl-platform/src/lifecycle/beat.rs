//! Heartbeats of a running activity: they tell the engine that its process lives, so that after a crash the activity is soon
//! tried again, and not only when its time is over.

use std::time::Duration;

use temporalio_sdk::activities::ActivityContext;
use tokio::{
    task::JoinHandle,
    time::{Instant, interval_at},
};

/// Where the engine sets no time.
const PERIOD: Duration = Duration::from_secs(5);

/// Beats until it is dropped.
pub(super) struct Beat(JoinHandle<()>);

impl Beat {
    /// Begins: three times in the time after which the engine would give the activity up.
    pub(super) fn of(ctx: &ActivityContext) -> Self {
        let (ctx, timeout) = (ctx.clone(), ctx.info().heartbeat_timeout);
        let period = timeout.map_or(PERIOD, |timeout| timeout / 3);
        Self(tokio::spawn(async move {
            let period = period.max(Duration::from_millis(10));
            // Most activities are over before the first.
            let mut ticks = interval_at(Instant::now() + period, period);
            loop {
                ticks.tick().await;
                if ctx.record_heartbeat(()).await.is_err() {
                    return;
                }
            }
        }))
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.abort();
    }
}
