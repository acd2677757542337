//! How fast tasks come and go, and how fast they may go.

use crate::clock::{Nanos, SECOND};

/// One bucket of a meter.
const BUCKET: Nanos = 5 * SECOND;
/// Buckets of a meter: half a minute.
const BUCKETS: usize = 6;

/// Counts events, and says how many a second there were in the last half minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    counts: [u32; BUCKETS],
    /// The number of the newest bucket.
    newest: i64,
    since: Nanos,
}

impl Meter {
    pub(crate) fn note(&mut self, now: Nanos) {
        let bucket = now / BUCKET;
        if self.since == 0 {
            self.since = now;
            self.newest = bucket;
        }
        self.move_to(bucket);
        let slot = &mut self.counts[slot(bucket)];
        *slot = slot.saturating_add(1);
    }

    fn move_to(&mut self, bucket: i64) {
        let passed = (bucket - self.newest).clamp(0, BUCKETS as i64);
        for step in 1..=passed {
            self.counts[slot(bucket - passed + step)] = 0;
        }
        self.newest = self.newest.max(bucket);
    }

    pub(crate) fn per_second(&self, now: Nanos) -> f32 {
        let mut current = *self;
        current.move_to(now / BUCKET);
        let count: u64 = current.counts.iter().map(|count| u64::from(*count)).sum();
        let window = (BUCKETS as i64 - 1) * BUCKET + now % BUCKET;
        let span = window.min(now.saturating_sub(self.since)).max(SECOND);
        count as f32 / (span as f32 / SECOND as f32)
    }
}

fn slot(bucket: i64) -> usize {
    usize::try_from(bucket.rem_euclid(BUCKETS as i64)).unwrap_or_default()
}

/// Lets through so many a second: those of one second at most at once, at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Throttle {
    per_second: f64,
    tokens: f64,
    at: Nanos,
}

impl Throttle {
    pub(crate) fn new(per_second: f64, now: Nanos) -> Self {
        let per_second = if per_second.is_finite() {
            per_second.max(0.0)
        } else {
            0.0
        };
        Self {
            per_second,
            tokens: burst(per_second),
            at: now,
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// When the next may pass: now, or later; never where nothing may.
    pub(crate) fn ready_at(&self, now: Nanos) -> Nanos {
        if self.per_second == 0.0 {
            return Nanos::MAX;
        }
        let missing = 1.0 - self.refilled(now);
        if missing <= 0.0 {
            return now;
        }
        // Rounded up, so that at that time a whole token is there.
        let wait = (missing / self.per_second * SECOND as f64).ceil() as Nanos;
        now.saturating_add(wait.max(1))
    }

    /// One passes.
    pub(crate) fn take(&mut self, now: Nanos) {
        self.tokens = (self.refilled(now) - 1.0).max(0.0);
        self.at = now;
    }

    fn refilled(&self, now: Nanos) -> f64 {
        let passed = now.saturating_sub(self.at).max(0) as f64 / SECOND as f64;
        // A hair more than the exact sum, which rounding may leave a hair short of a token.
        (self.tokens + passed * self.per_second + 1e-9).min(burst(self.per_second))
    }
}

fn burst(per_second: f64) -> f64 {
    per_second.ceil().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_meter_knows_the_last_half_minute() {
        let start = 1_000_000 * SECOND;
        let mut meter = Meter::default();
        assert_eq!(meter.per_second(start), 0.0);
        for _ in 0..10 {
            meter.note(start);
        }
        assert_eq!(meter.per_second(start), 10.0);
        assert_eq!(meter.per_second(start + 10 * SECOND), 1.0);
        assert_eq!(meter.per_second(start + 60 * SECOND), 0.0);
        meter.note(start + 60 * SECOND);
        assert!(meter.per_second(start + 60 * SECOND) > 0.0);
    }

    #[test]
    fn nothing_passes_a_throttle_of_zero() {
        assert_eq!(Throttle::new(0.0, 0).ready_at(5), Nanos::MAX);
        assert_eq!(Throttle::new(-3.0, 0).ready_at(5), Nanos::MAX);
    }

    proptest! {
        #[test]
        fn a_throttle_keeps_its_rate(per_second in 0.1..50.0_f64, count in 1..200_usize) {
            let (mut throttle, mut now) = (Throttle::new(per_second, 0), 0);
            for _ in 0..count {
                let at = throttle.ready_at(now);
                prop_assert!(at >= now);
                now = at;
                prop_assert_eq!(throttle.ready_at(now), now);
                throttle.take(now);
            }
            let burst = per_second.ceil().max(1.0);
            let least = (count as f64 - burst).max(0.0) / per_second * 0.999;
            prop_assert!(now as f64 / SECOND as f64 >= least);
        }
    }
}
