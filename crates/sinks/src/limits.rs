//! How hard a sink may be used: `limits` of its options.

use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Deserializer, de};
use tokio::{sync::Semaphore, time::timeout};

use crate::{Delivered, Delivery, Failure, Sink};

mod breaker;

pub use breaker::Breaker;

/// The limits of a sink, each of them optional. They hold for this process alone: of several processes that share a target
/// each has its own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most attempts at once; others wait.
    pub concurrency: Option<NonZeroU32>,
    /// Most attempts in a time, such as `"100/s"`; others wait.
    pub rate: Option<Rate>,
    /// How long one attempt may take, from when it is let through. Then it counts as failed, and is tried again.
    #[serde(default, deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    /// When to leave the target alone.
    pub breaker: Option<breaker::Options>,
}

/// So many in a second, a minute or an hour, evenly spread. As many as come in a tenth of that time may come at once, so
/// that a batch is not taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time.
    pub per: Duration,
}

/// Why a text is no [`Rate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate: write how many and in which time, such as \"100/s\", \"30/m\" or \"5/h\"")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(text.to_owned());
        let (count, per) = text.split_once('/').ok_or_else(error)?;
        let per = match per.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(error()),
        };
        Ok(Self {
            count: count.trim().parse().map_err(|_| error())?,
            per: Duration::from_secs(per),
        })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Rate {
    fn quota(self) -> Option<Quota> {
        let burst = NonZeroU32::new(self.count.get() / 10).unwrap_or(NonZeroU32::MIN);
        Quota::with_period(self.per / self.count.get()).map(|quota| quota.allow_burst(burst))
    }
}

pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let duration = humantime::parse_duration(&text)
        .map_err(|error| de::Error::custom(format_args!("duration {text:?}: {error}")))?;
    if duration.is_zero() {
        return Err(de::Error::custom("a duration must be longer than nothing"));
    }
    Ok(Some(duration))
}

/// A sink within its limits.
pub(crate) struct Limited {
    sink: Arc<dyn Sink>,
    permits: Option<Semaphore>,
    rate: Option<DefaultDirectRateLimiter>,
    timeout: Option<Duration>,
    breaker: Option<Breaker>,
}

impl fmt::Debug for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sink.fmt(f)
    }
}

impl Limited {
    pub(crate) fn new(sink: Arc<dyn Sink>, limits: &Limits) -> Self {
        Self {
            sink,
            permits: limits.concurrency.map(|n| Semaphore::new(n.get() as usize)),
            rate: limits.rate.and_then(Rate::quota).map(RateLimiter::direct),
            timeout: limits.timeout,
            breaker: limits.breaker.map(Breaker::new),
        }
    }

    async fn attempt(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let attempt = self.sink.deliver(delivery);
        match self.timeout {
            None => attempt.await,
            Some(limit) => timeout(limit, attempt).await.unwrap_or_else(|_| {
                let limit = humantime::format_duration(limit);
                Err(Failure::retryable(format!("no answer within {limit}")))
            }),
        }
    }
}

#[async_trait]
impl Sink for Limited {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let _permit = match &self.permits {
            // It is never closed.
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        if let Some(rate) = &self.rate {
            rate.until_ready().await;
        }
        let Some(breaker) = &self.breaker else {
            return self.attempt(delivery).await;
        };
        // After the waiting: what has been learnt meanwhile counts.
        let pass = breaker.ask()?;
        let outcome = self.attempt(delivery).await;
        pass.tell(&outcome);
        outcome
    }

    fn breaker_is_open(&self) -> Option<bool> {
        self.breaker.as_ref().map(Breaker::is_open)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use serde_json::{Value, json};
    use tokio::time::{Instant, sleep};

    use super::*;

    #[derive(Debug, Default)]
    struct Slow {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Sink for Slow {
        async fn deliver(&self, _: Delivery<'_>) -> Result<Delivered, Failure> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            sleep(Duration::from_millis(100)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(Delivered { status: None })
        }
    }

    fn limits(text: &str) -> Limits {
        toml::from_str(text).unwrap()
    }

    async fn deliver(sink: &Limited, count: usize) -> Vec<Result<Delivered, Failure>> {
        let payload = Value::Null;
        let delivery = Delivery::new("k", &payload);
        join_all((0..count).map(|_| sink.deliver(delivery))).await
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_at_once_than_it_says() {
        let slow = Arc::new(Slow::default());
        let sink = Limited::new(Arc::clone(&slow) as _, &limits("concurrency = 3"));
        assert!(deliver(&sink, 10).await.iter().all(Result::is_ok));
        assert_eq!(slow.most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_tried_again() {
        let sink = Limited::new(Arc::new(Slow::default()), &limits(r#"timeout = "99ms""#));
        let outcome = deliver(&sink, 1).await.remove(0);
        assert_eq!(outcome, Err(Failure::retryable("no answer within 99ms")));
    }

    /// The limiter's clock is the machine's, so this takes the time that it says, and not less.
    #[tokio::test]
    async fn a_rate_is_kept() {
        let sink = Limited::new(Arc::new(Slow::default()), &limits(r#"rate = "100/s""#));
        let start = Instant::now();
        // 10 at once, the other 10 every 10 ms.
        assert!(deliver(&sink, 20).await.iter().all(Result::is_ok));
        assert!(start.elapsed() >= Duration::from_millis(100));
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        let rate = |text: &str| text.parse::<Rate>();
        let minute = Rate {
            count: NonZeroU32::new(30).unwrap(),
            per: Duration::from_secs(60),
        };
        assert_eq!(rate("30/m"), Ok(minute));
        assert_eq!(rate(" 30 / m "), Ok(minute));
        for text in ["", "30", "0/s", "-1/s", "1/d", "s/1", "1.5/s"] {
            assert_eq!(rate(text), Err(RateError(text.to_owned())));
        }
    }

    #[test]
    fn a_mistake_is_told() {
        for text in [
            "rate = 3",
            "timeout = \"0s\"",
            "concurrency = 0",
            "speed = 1",
            "breaker = {}",
        ] {
            let limits: Result<Limits, _> = toml::from_str(text);
            assert_eq!(limits.is_ok(), text == "breaker = {}", "{text}");
        }
        let _: Limits = serde_json::from_value(json!({})).unwrap();
    }
}
