//! `segno soak`: a Segno of its own under a constant load of events, for as long as one likes, with faults on the way.
//!
//! It is killed again and again in the middle of its work, and a share of what it delivers is refused at first, or for
//! good. At the end every event that was accepted has arrived or is a dead letter, and neither the process's memory nor its
//! files have grown in the second half beyond what they were in the first.

mod child;
mod judge;
mod receiver;
mod sender;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use child::Child;
pub(crate) use judge::{Report, Sample};
use receiver::Receiver;

/// Between two samples, of which there are forty at least.
const SAMPLED: Duration = Duration::from_secs(5);
/// How long nothing new may arrive at the end before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what has arrived.
const POLL: Duration = Duration::from_millis(100);

/// What it is to do.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// For how long events are sent.
    pub(crate) duration: Duration,
    /// Events a second.
    pub(crate) rate: f64,
    /// How long it is left alone between two kills; about: each time it is half to one and a half of it.
    pub(crate) kill_every: Option<Duration>,
    /// Share of the deliveries that the receiver refuses.
    pub(crate) refused: f64,
    /// Share of the events that it never takes: each is a dead letter.
    pub(crate) dead: f64,
    /// How long what is done is kept.
    pub(crate) retention: Duration,
    /// The same seed draws the same times of kills and the same events that are never taken.
    pub(crate) seed: u64,
    /// Where its files are.
    pub(crate) folder: PathBuf,
}

/// It could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its own files or ports.
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The Segno under load has ended by itself, or does not get ready.
    #[error("the Segno under load {0}; its log is {1}")]
    Child(String, PathBuf),
    /// It is not reached.
    #[error("the Segno under load does not answer")]
    Api(#[from] reqwest::Error),
    /// Its receiver.
    #[error(transparent)]
    Listen(#[from] crate::listen::Error),
}

/// Does it, saying how far it is on standard error.
///
/// # Errors
/// Where it cannot be done; that something was lost or has grown is in the report.
pub(crate) async fn run(options: &Options) -> Result<Report, Error> {
    let receiver = Receiver::start(options).await?;
    let mut child = Child::new(options, receiver.address())?;
    child.start().await?;
    let sent = Arc::new(sender::Sent::default());
    let stop = CancellationToken::new();
    let sending = tokio::spawn(sender::send(
        child.url(),
        options.rate,
        sent.clone(),
        stop.clone(),
    ));
    let next_kill = |kills: u32| {
        let every = options.kill_every?;
        Some(Instant::now() + every.mul_f64(0.5 + draw(options.seed, "pause", kills)))
    };
    let (mut samples, mut kills) = (Vec::new(), 0);
    let end = Instant::now() + options.duration;
    let mut kill_at = next_kill(kills);
    while Instant::now() < end {
        let next = (Instant::now() + SAMPLED.min(options.duration / 40)).min(end);
        sleep_until(kill_at.map_or(next, |at| at.min(next))).await;
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            child.kill().await?;
            child.start().await?;
            kills += 1;
            kill_at = next_kill(kills);
            continue;
        }
        child.check()?;
        let (accepted, arrived) = (sent.accepted(), receiver.arrived());
        samples.push(child.sample(accepted, arrived));
        say(&samples, kills);
    }
    stop.cancel();
    // Only a panic ends it otherwise.
    drop(sending.await);
    let accepted = sent.take();
    let (mut news, mut count) = (Instant::now(), 0);
    let letters = loop {
        child.check()?;
        let letters = child.dead_letters().await?;
        let settled = receiver.count_of(&accepted) + letters.len();
        if settled >= accepted.len() || news.elapsed() > PATIENCE {
            break letters;
        }
        if settled > count {
            (news, count) = (Instant::now(), settled);
        }
        sleep(POLL).await;
    };
    child.stop().await?;
    Ok(Report::new(options, accepted, letters, &receiver, samples, kills))
}

/// A number from 0 to 1 that is always the same for the same.
fn draw(seed: u64, what: &str, of: impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, what, of).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Says how far it is.
fn say(samples: &[Sample], kills: u32) {
    let Some(last) = samples.last() else { return };
    // Whoever does not read it misses nothing.
    drop(writeln!(
        std::io::stderr(),
        "{}  accepted {}, arrived {}, killed {kills} times, {} MiB in memory, {} MiB of files",
        humantime::format_duration(Duration::from_secs(last.at.as_secs())),
        last.accepted,
        last.arrived,
        last.memory >> 20,
        last.files >> 20,
    ));
}
