//! A compiled spec: what its next time is.

use sha2::{Digest as _, Sha256};
use temporalio_protos::temporal::api::schedule::v1::ScheduleSpec;

use super::{SpecError, calendar::Calendar, steps::Steps, zone::Zone};
use crate::clock::{Nanos, SECOND, nanos, nanos_of};

/// Steps that the search for one time takes at most, some ten milliseconds of work. A spec that needs more, by thousands
/// of calendars or by excluding nearly all that it includes, has no next time: it would keep the engine busy for nothing.
const STEPS: usize = 200_000;

/// A spec, ready to be asked for times.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    calendars: Vec<Calendar>,
    excludes: Vec<Calendar>,
    /// Interval and phase, in seconds.
    intervals: Vec<(i64, i64)>,
    zone: Zone,
    /// No time before it.
    start: Option<Nanos>,
    /// No time after it.
    end: Option<Nanos>,
    jitter: Nanos,
}

/// A time of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// As the spec has it, a whole second.
    pub nominal: Nanos,
    /// With its jitter: when the action is to be taken.
    pub actual: Nanos,
}

impl Spec {
    /// Compiles a canonical spec.
    ///
    /// # Errors
    /// When its time zone is unknown.
    pub fn compile(spec: &ScheduleSpec) -> Result<Self, SpecError> {
        let seconds = |length: Option<&prost_types::Duration>| length.map_or(0, |length| length.seconds);
        Ok(Self {
            calendars: spec.structured_calendar.iter().map(Calendar::new).collect(),
            excludes: spec
                .exclude_structured_calendar
                .iter()
                .map(Calendar::new)
                .collect(),
            intervals: spec
                .interval
                .iter()
                .map(|interval| {
                    (
                        seconds(interval.interval.as_ref()).max(1),
                        seconds(interval.phase.as_ref()).max(0),
                    )
                })
                .collect(),
            zone: Zone::of(spec)?,
            start: spec.start_time.as_ref().map(nanos_of),
            end: spec.end_time.as_ref().map(nanos_of),
            jitter: nanos(spec.jitter.as_ref()).max(0),
        })
    }

    /// The longest that jitter puts a time off.
    pub fn jitter(&self) -> Nanos {
        self.jitter
    }

    /// The first time whose nominal second is after the second that `after` is in. `seed` makes the
    /// jitter of one schedule another than that of all others; the same seed and time have always
    /// the same.
    pub fn next(&self, seed: &str, after: Nanos) -> Option<Time> {
        self.next_counting(seed, after, &mut 0)
    }

    /// As [`Self::next`], for who makes many searches: adds to `taken` the steps that this one took.
    pub(super) fn next_counting(&self, seed: &str, after: Nanos, taken: &mut usize) -> Option<Time> {
        let mut steps = Steps::new(STEPS);
        let time = self.search(seed, after, &mut steps);
        *taken += STEPS - steps.left();
        time
    }

    fn search(&self, seed: &str, after: Nanos, steps: &mut Steps) -> Option<Time> {
        let mut after = after.div_euclid(SECOND);
        if let Some(start) = self.start {
            // The first whole second that is not before it may be a time itself.
            after = after.max((-start.saturating_neg().div_euclid(SECOND)).saturating_sub(1));
        }
        let nominal = self.next_allowed(after, steps)?;
        let mut longest = self.jitter;
        if longest > 0
            && let Some(following) = self.next_of_all(nominal, steps)
        {
            longest = longest.min(following.saturating_sub(nominal).saturating_mul(SECOND));
        }
        if steps.left() == 0 {
            // What was found may be neither the first nor allowed.
            return None;
        }
        let nominal = nominal.checked_mul(SECOND)?;
        Some(Time {
            nominal,
            actual: nominal.checked_add(jitter(seed, nominal, longest))?,
        })
    }

    /// The first second after this one that is in the spec and not excluded.
    fn next_allowed(&self, after: i64, steps: &mut Steps) -> Option<i64> {
        let mut after = after;
        let mut calendars: Vec<_> = self
            .calendars
            .iter()
            .map(|calendar| calendar.next_after(&self.zone, after, steps))
            .collect();
        loop {
            // What a calendar says holds until it is past: a search that finds nothing is not made again.
            for (next, calendar) in calendars.iter_mut().zip(&self.calendars) {
                steps.take()?;
                if next.is_some_and(|next| next <= after) {
                    *next = calendar.next_after(&self.zone, after, steps);
                }
            }
            let at = calendars
                .iter()
                .copied()
                .flatten()
                .chain(self.next_of_intervals(after, steps))
                .min()?;
            if self.end.is_some_and(|end| at.saturating_mul(SECOND) > end) {
                return None;
            }
            let excluded = self
                .excludes
                .iter()
                .find_map(|calendar| calendar.matches_until(&self.zone, at, steps));
            match excluded {
                Some(until) => after = until - 1,
                None => return Some(at),
            }
        }
    }

    fn next_of_all(&self, after: i64, steps: &mut Steps) -> Option<i64> {
        let next = |calendar: &Calendar| calendar.next_after(&self.zone, after, steps);
        let first = self.calendars.iter().filter_map(next).min();
        first
            .into_iter()
            .chain(self.next_of_intervals(after, steps))
            .min()
    }

    fn next_of_intervals(&self, after: i64, steps: &mut Steps) -> Option<i64> {
        let next = |(interval, phase): &(i64, i64)| {
            steps.take()?;
            next_of_interval(*interval, *phase, after)
        };
        self.intervals.iter().filter_map(next).min()
    }
}

/// The first `n * interval + phase` after this second.
fn next_of_interval(interval: i64, phase: i64, after: i64) -> Option<i64> {
    let passed = after.checked_sub(phase)?.div_euclid(interval);
    passed.checked_add(1)?.checked_mul(interval)?.checked_add(phase)
}

/// Between 0 and `longest`, in milliseconds, made of the time and the seed.
fn jitter(seed: &str, nominal: Nanos, longest: Nanos) -> Nanos {
    const MILLI: Nanos = SECOND / 1_000;
    if longest < MILLI {
        return 0;
    }
    let mut hash = Sha256::new();
    hash.update(nominal.to_be_bytes());
    hash.update(seed.as_bytes());
    let digest = hash.finalize();
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let millis = (i128::from(longest / MILLI) * i128::from(number)) >> 32;
    // Less than `longest`, which is a number of nanoseconds.
    Nanos::try_from(millis).unwrap_or(0).saturating_mul(MILLI)
}
