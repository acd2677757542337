//! What a source is, whatever its kind.

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::Intake;

/// Why a source does not go on. It holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl Error {
    /// That `doing` failed, with all that an error says of its causes.
    pub fn of(doing: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{doing}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            // Libraries tend to repeat the inner error in the outer one.
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        Self(text)
    }
}

/// A source that fetches.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// Runs until `stop` is cancelled: then it fetches no more, finishes what it has in hand and returns.
    ///
    /// # Errors
    ///
    /// When it cannot go on; it can be run again.
    async fn run(&self, intake: Arc<dyn Intake>, stop: CancellationToken) -> Result<(), Error>;
}

/// A source that is called over HTTP.
#[derive(Debug)]
pub struct Served {
    /// Its paths, whole.
    pub router: axum::Router,
    /// The path that is to be called.
    pub path: String,
}

/// A source, made of its options.
#[derive(Debug)]
pub enum Built {
    /// It fetches.
    Fetching(Arc<dyn Source>),
    /// It is called.
    Served(Served),
}

/// How often a broker is asked how many messages wait.
#[cfg(any(feature = "redis", feature = "sqs"))]
const LOOK: std::time::Duration = std::time::Duration::from_secs(10);

/// Runs, and beside it tells now and then how many messages wait. What the broker does not say is left out: a source goes on
/// without it.
#[cfg(any(feature = "redis", feature = "sqs"))]
pub(crate) async fn telling<T, F: Future<Output = Option<u64>>>(
    intake: Arc<dyn Intake>,
    waiting: impl Fn() -> F,
    run: impl Future<Output = T>,
) -> T {
    let tell = async {
        loop {
            if let Some(messages) = waiting().await {
                intake.waiting(messages);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        done = run => done,
        () = tell => unreachable!("it tells for ever"),
    }
}

/// The source attribute of events that name none, and of what the source itself has to tell.
#[cfg(any(
    feature = "eventbridge",
    feature = "nats",
    feature = "redis",
    feature = "sqs",
    feature = "webhook"
))]
pub(crate) fn origin(name: &str) -> String {
    format!("/sources/{name}")
}

/// What time it is.
pub trait Clock: Send + Sync {
    /// Seconds since 1970.
    fn now(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where this crate asks for the time of day"
    )]
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}
