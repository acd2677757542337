//! What each namespace has under way, and how fast it calls.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use temporalio_protos::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use tokio::time::Instant;

use super::ServerLimits;
use crate::rpc::RpcError;

/// Namespaces that are kept although nothing of them is under way. Callers may make names up.
const KEPT: usize = 1_024;
const SECOND: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Loads {
    most_polls: usize,
    rate: Option<Rate>,
    by_name: RwLock<HashMap<String, Arc<Load>>>,
}

/// Of one namespace.
#[derive(Debug, Default)]
struct Load {
    polls: Arc<AtomicUsize>,
    /// When all that was called would have been called at the permitted rate, in nanoseconds.
    served: AtomicU64,
}

#[derive(Debug)]
struct Rate {
    since: Instant,
    /// Nanoseconds between two calls.
    interval: u64,
}

impl Loads {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        let rate = limits.namespace_requests_per_second.map(|rate| Rate {
            since: Instant::now(),
            interval: SECOND / u64::from(rate.max(1)),
        });
        Self {
            most_polls: limits.namespace_polls,
            rate,
            by_name: RwLock::default(),
        }
    }

    pub(super) fn most_polls(&self) -> usize {
        self.most_polls
    }

    /// The calls on this namespace that wait for something to happen.
    pub(super) fn polls(&self, namespace: &str) -> Arc<AtomicUsize> {
        self.of(namespace).polls.clone()
    }

    /// Counts one call on this namespace.
    ///
    /// # Errors
    /// When there are too many a second.
    pub(super) fn count(&self, namespace: &str) -> Result<(), RpcError> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let now = u64::try_from(rate.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.of(namespace)
            .count(now, rate.interval)
            .map_err(|retry_after| RpcError::Throttled {
                message: "namespace rate limit exceeded".into(),
                cause: ResourceExhaustedCause::RpsLimit,
                scope: ResourceExhaustedScope::Namespace,
                retry_after,
            })
    }

    fn of(&self, namespace: &str) -> Arc<Load> {
        if let Some(load) = self.by_name.read().get(namespace) {
            return load.clone();
        }
        let mut by_name = self.by_name.write();
        if by_name.len() >= KEPT {
            let now = self.rate.as_ref().map(|rate| rate.since.elapsed().as_nanos());
            // Whoever has one of them in hand, counts in it or is about to: it stays.
            by_name.retain(|_, load| {
                let is_late = now.is_some_and(|now| u128::from(load.served.load(Ordering::Relaxed)) > now);
                is_late || Arc::strong_count(load) > 1 || Arc::strong_count(&load.polls) > 1
            });
        }
        by_name.entry(namespace.to_owned()).or_default().clone()
    }
}

impl Load {
    /// One call at `now`, where `interval` lies between two and a second's worth may come at once; else the time until
    /// the next may.
    fn count(&self, now: u64, interval: u64) -> Result<(), Duration> {
        let mut wait = 0;
        let counted = self
            .served
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |served| {
                let next = served.max(now).saturating_add(interval);
                wait = next.saturating_sub(now.saturating_add(SECOND));
                (wait == 0).then_some(next)
            });
        counted.map(drop).map_err(|_| Duration::from_nanos(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_calls_at_once_then_the_rate() {
        let load = Load::default();
        let interval = SECOND / 10;
        for _ in 0..10 {
            assert_eq!(load.count(0, interval), Ok(()));
        }
        assert_eq!(load.count(0, interval), Err(Duration::from_millis(100)));
        assert_eq!(load.count(SECOND / 20, interval), Err(Duration::from_millis(50)));
        assert_eq!(load.count(SECOND / 10, interval), Ok(()));
        assert!(load.count(SECOND / 10, interval).is_err());
        // A pause of an hour gives no more than a second's worth.
        let later = 3_600 * SECOND;
        for _ in 0..10 {
            assert_eq!(load.count(later, interval), Ok(()));
        }
        assert!(load.count(later, interval).is_err());
    }

    #[test]
    fn names_that_callers_make_up_are_forgotten() {
        let loads = Loads::new(&ServerLimits::default());
        let kept = loads.polls("kept");
        kept.fetch_add(1, Ordering::Relaxed);
        for n in 0..10 * KEPT {
            loads.polls(&n.to_string());
        }
        assert!(loads.by_name.read().len() <= KEPT);
        assert_eq!(loads.polls("kept").load(Ordering::Relaxed), 1);
    }
}
