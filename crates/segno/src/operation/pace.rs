//! How fast an operation goes through its executions.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// How long a page of a slow operation takes: so soon it is paused.
const SECONDS_A_PAGE: f64 = 10.0;
/// The slowest and the fastest rate that make sense.
const SLOWEST: f64 = 0.001;
const FASTEST: f64 = 10_000.0;

/// Checks what is given as `per_second`.
///
/// # Errors
/// What is wrong, for whoever asks.
pub(crate) fn check(per_second: Option<f64>) -> Result<(), String> {
    match per_second {
        Some(rate) if !(SLOWEST..=FASTEST).contains(&rate) => {
            Err(format!("`per_second` has to be between {SLOWEST} and {FASTEST}"))
        }
        _ => Ok(()),
    }
}

/// How many executions are on a page, `most` at most.
pub(crate) fn page_size(per_second: Option<f64>, most: usize) -> usize {
    match per_second {
        Some(rate) if rate * SECONDS_A_PAGE < most as f64 => (rate * SECONDS_A_PAGE).max(1.0) as usize,
        _ => most,
    }
}

/// Keeps a page to its operation's rate.
pub(crate) struct Pace(Option<Interval>);

impl Pace {
    /// So many a second; none: as fast as it goes.
    pub(crate) fn new(per_second: Option<f64>) -> Self {
        Self(per_second.map(|rate| {
            let mut pace = interval(Duration::from_secs_f64(1.0 / rate));
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        }))
    }

    /// Waits until the next one may begin.
    pub(crate) async fn next(&mut self) {
        if let Some(pace) = &mut self.0 {
            pace.tick().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_operation_has_short_pages() {
        assert_eq!(page_size(None, 50), 50);
        assert_eq!(page_size(Some(10_000.0), 50), 50);
        assert_eq!(page_size(Some(2.0), 50), 20);
        assert_eq!(page_size(Some(0.001), 50), 1);
    }

    #[test]
    fn rates_that_make_no_sense_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 20_000.0] {
            assert!(check(Some(rate)).is_err(), "{rate}");
        }
        assert_eq!(check(Some(0.5)), Ok(()));
        assert_eq!(check(None), Ok(()));
    }
}
