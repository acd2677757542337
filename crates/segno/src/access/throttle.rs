//! How often somebody may be wrong: what is guessed at is slowed down, by the address that guesses.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    time::Duration,
};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Failures that an address may make at once.
const BURST: u32 = 10;
/// Time after which it may make one more.
const EACH: Duration = Duration::from_secs(6);
/// Addresses that are remembered; past that, the one that failed longest ago is forgotten.
const ADDRESSES: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// Failures by address. Of IPv6 the first 64 bits count, as one who has an address there has all of them.
pub(crate) struct Throttle(Mutex<LruCache<IpAddr, Instant>>);

impl Default for Throttle {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ADDRESSES)))
    }
}

impl Throttle {
    /// How long the address has to wait until it may try again; none: it may now.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let paid = *self.0.lock().peek(&network(address))?;
        let unpaid = paid.saturating_duration_since(Instant::now());
        unpaid
            .checked_sub(EACH * (BURST - 1))
            .filter(|wait| !wait.is_zero())
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, address: IpAddr) {
        let (now, address) = (Instant::now(), network(address));
        let mut failures = self.0.lock();
        // The time at which all failures so far are forgiven.
        let paid = failures.get(&address).copied().unwrap_or(now).max(now);
        failures.put(address, paid + EACH);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_failures_and_then_one_every_six_seconds() {
        let throttle = Throttle::default();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..BURST {
            assert_eq!(throttle.wait(one), None);
            throttle.failed(one);
        }
        assert_eq!(throttle.wait(one), Some(EACH));
        assert_eq!(throttle.wait("192.0.2.2".parse().unwrap()), None);
        tokio::time::advance(EACH).await;
        assert_eq!(throttle.wait(one), None);
        throttle.failed(one);
        assert!(throttle.wait(one).is_some());
        tokio::time::advance(EACH * BURST).await;
        assert_eq!(throttle.wait(one), None);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_a_network_counts_as_one() {
        let throttle = Throttle::default();
        for n in 0..10_000_u32 {
            throttle.failed(IpAddr::V4(n.into()));
        }
        assert_eq!(throttle.0.lock().len(), ADDRESSES.get());
        for n in 0..BURST {
            throttle.failed(format!("2001:db8::{n}").parse().unwrap());
        }
        assert!(throttle.wait("2001:db8::ffff".parse().unwrap()).is_some());
        assert!(throttle.wait("2001:db8:1::1".parse().unwrap()).is_none());
    }
}
