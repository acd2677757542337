//! Heartbeats of a running activity: they tell the engine that its process lives, so that after a crash the activity is soon
//! tried again, and not only when its time is over. As each activity has one, it also marks where activities begin and end.

use std::time::Duration;

use temporalio_sdk::activities::ActivityContext;
use tokio::{
    task::JoinHandle,
    time::{Instant, interval_at},
};

use crate::crash::{self, Moment};

/// Where the engine sets no time.
const PERIOD: Duration = Duration::from_secs(5);

/// Beats until it is dropped.
pub(super) struct Beat {
    activity: String,
    beating: JoinHandle<()>,
}

impl Beat {
    /// Begins: three times in the time after which the engine would give the activity up.
    pub(super) fn of(ctx: &ActivityContext) -> Self {
        let (ctx, timeout) = (ctx.clone(), ctx.info().heartbeat_timeout);
        let activity = ctx.info().activity_type.clone();
        crash::at(Moment::Before, &activity);
        let period = timeout.map_or(PERIOD, |timeout| timeout / 3);
        let beating = tokio::spawn(async move {
            let period = period.max(Duration::from_millis(10));
            // Most activities are over before the first.
            let mut ticks = interval_at(Instant::now() + period, period);
            loop {
                ticks.tick().await;
                if ctx.record_heartbeat(()).await.is_err() {
                    return;
                }
            }
        });
        Self { activity, beating }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        crash::at(Moment::After, &self.activity);
        self.beating.abort();
    }
}
