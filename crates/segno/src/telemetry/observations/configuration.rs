//! The configuration is taken on.

use super::NONE;
use crate::{
    reload::{self, Reloaded},
    telemetry::{Metrics, Observation},
};

/// The configuration was to be taken on again.
pub(crate) struct ConfigReloaded<'a>(pub(crate) Result<&'a Reloaded, &'a reload::Error>);

impl Observation for ConfigReloaded<'_> {
    fn count(&self, metrics: &Metrics) {
        let outcome = if self.0.is_ok() { "ok" } else { "refused" };
        metrics.reloads.with_label_values(&[outcome]).inc();
        let success = f64::from(u8::from(self.0.is_ok()));
        metrics.reload_success.with_label_values(&NONE).set(success);
        if self.0.is_ok() {
            taken_on(metrics);
        }
    }

    fn log(&self) {
        match self.0 {
            Ok(reloaded) => {
                let Reloaded {
                    routes,
                    sinks,
                    needs_restart,
                } = reloaded;
                tracing::info!(?routes, ?sinks, "the configuration is taken on");
                if !needs_restart.is_empty() {
                    tracing::warn!(tables = ?needs_restart, "what has changed in these tables takes a restart");
                }
            }
            Err(error) => {
                let codes: Vec<_> = error.codes().iter().map(ToString::to_string).collect();
                tracing::error!(codes = codes.join(" "), %error, "the configuration is not taken on; it stays as it was");
                for mistake in error.lines() {
                    tracing::error!("{mistake}");
                }
            }
        }
    }
}

/// The process has started with its configuration.
pub(crate) struct ConfigLoaded;

impl Observation for ConfigLoaded {
    fn count(&self, metrics: &Metrics) {
        metrics.reload_success.with_label_values(&NONE).set(1.0);
        taken_on(metrics);
    }
}

fn taken_on(metrics: &Metrics) {
    let now = time::OffsetDateTime::now_utc().unix_timestamp() as f64;
    metrics.reload_time.with_label_values(&NONE).set(now);
}
