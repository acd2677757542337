//! Relays: from the outbox to the bus.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::Pool;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Backend, Counters, Error, Outbox, Publisher, Stats,
    backend::{Claim, Claimant},
};

mod options;
mod settle;

pub use options::RelayOptions;
use settle::Prepared;

/// Longest pause between two rows that are tried while nothing gets through: that something does again is soon known.
const PROBE: Duration = Duration::from_secs(5);

/// Publishes what is in an outbox, row by row in the order of each key, and marks a row only when the publisher has
/// confirmed it.
///
/// Any number of relays may work on one outbox. The keys are spread over 16 parts (in SQLite: one), and a relay works on a
/// part as long as it holds its lock; so they share the load, and the order of a key is that of one of them. A relay that
/// dies loses its lock with its connection; what it had published and not marked is published again, under the same ids.
///
/// Its pool should have three connections or more: it holds one while it publishes, and one to listen on PostgreSQL.
pub struct Relay<DB: Backend> {
    outbox: Outbox<DB>,
    pool: Pool<DB>,
    publisher: Arc<dyn Publisher>,
    options: RelayOptions,
    claimant: Claimant,
    counters: Arc<Counters>,
}

impl<DB: Backend> fmt::Debug for Relay<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("id", &self.claimant.id)
            .field("publisher", &self.publisher)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What a look at all parts has come to.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    /// Rows published, failed or parked.
    moved: usize,
    /// Rows that were tried for the first time and failed, where nothing was published: what they go to may be away.
    away: bool,
}

impl<DB: Backend> Relay<DB> {
    /// A relay from this outbox, in the database of `pool`.
    pub fn new(outbox: Outbox<DB>, pool: Pool<DB>, publisher: Arc<dyn Publisher>) -> Self {
        Self::with(outbox, pool, publisher, RelayOptions::default())
    }

    /// The same with options.
    pub fn with(
        outbox: Outbox<DB>,
        pool: Pool<DB>,
        publisher: Arc<dyn Publisher>,
        options: RelayOptions,
    ) -> Self {
        Self {
            outbox,
            pool,
            publisher,
            claimant: Claimant {
                id: uuid::Uuid::new_v4().to_string(),
                // A batch has its time, and writing down what became of it has as much.
                lease: options.publish_timeout.saturating_mul(2),
            },
            options,
            counters: Arc::default(),
        }
    }

    /// What it has done so far.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// What waits in the outbox.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        Ok(DB::stats(&self.pool, self.options.stranded_after).await?)
    }

    /// Deletes rows that were published longer ago than the retention, at most one batch of purging. Returns how many.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn purge(&self) -> Result<u64, Error> {
        let limit = i64::from(self.options.purge_batch);
        let purged = DB::purge(&self.pool, self.options.retention, limit).await?;
        self.counters.add_purged(purged);
        Ok(purged)
    }

    /// Publishes what is due until there is nothing, and returns how many rows were published.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn drain(&self) -> Result<u64, Error> {
        let before = self.counters.published();
        while self
            .pass(&CancellationToken::new(), self.options.batch)
            .await?
            .moved
            > 0
        {}
        DB::release(&self.pool, &self.claimant).await?;
        Ok(self.counters.published() - before)
    }

    /// Publishes until it is told to stop; a batch that is under way then is finished first. Errors of the database are
    /// logged and waited out.
    pub async fn run(&self, stop: CancellationToken) {
        let wake = Arc::new(Notify::new());
        tokio::select! {
            () = self.work(&stop, &wake) => {}
            () = DB::listen(&self.pool, &wake) => {}
        }
        // The lease would else end by itself.
        if let Err(error) = DB::release(&self.pool, &self.claimant).await {
            tracing::debug!(%error, "the outbox's lease is not given back");
        }
    }

    async fn work(&self, stop: &CancellationToken, wake: &Notify) {
        let mut idle = Pause::new(self.options.min_pause, self.options.max_pause);
        let mut away = Pause::new(self.options.min_pause, self.options.max_backoff.min(PROBE));
        let (mut purge_at, mut look_at) = (Instant::now(), Instant::now());
        while !stop.is_cancelled() {
            // While nothing gets through, one row at a time is enough to find out.
            let limit = if away.is_waiting() { 1 } else { self.options.batch };
            match self.pass(stop, limit).await {
                Ok(pass) if pass.away => sleep(stop, away.next()).await,
                Ok(Pass { moved: 0, .. }) => {
                    tokio::select! {
                        () = sleep(stop, idle.next()) => {}
                        () = wake.notified() => idle.reset(),
                    }
                }
                Ok(_) => {
                    idle.reset();
                    away.reset();
                }
                Err(error) => {
                    self.counters.add_errors(1);
                    tracing::warn!(%error, "the outbox cannot be worked on");
                    sleep(stop, away.next()).await;
                }
            }
            let now = Instant::now();
            if now >= purge_at {
                match self.purge().await {
                    // A full batch: there may be more.
                    Ok(purged) if purged >= u64::from(self.options.purge_batch) => {}
                    Ok(_) => purge_at = now + self.options.purge_every,
                    Err(error) => {
                        tracing::warn!(%error, "the outbox cannot be purged");
                        purge_at = now + self.options.purge_every;
                    }
                }
            }
            if now >= look_at {
                look_at = now + self.options.look_every;
                self.look().await;
            }
        }
    }

    /// Writes the outbox's state to the log, as a warning where something does not get out.
    async fn look(&self) {
        match self.stats().await {
            Ok(stats) if stats.stranded > 0 || stats.parked > 0 => tracing::warn!(
                pending = stats.pending,
                retrying = stats.retrying,
                parked = stats.parked,
                held = stats.held,
                stranded = stats.stranded,
                lag_seconds = stats.lag.as_secs_f64(),
                "events do not leave the outbox"
            ),
            Ok(stats) => tracing::debug!(
                pending = stats.pending,
                lag_seconds = stats.lag.as_secs_f64(),
                "outbox"
            ),
            Err(error) => tracing::debug!(%error, "the outbox cannot be looked at"),
        }
    }

    /// Works once on every part that has rows which are due.
    async fn pass(&self, stop: &CancellationToken, limit: u32) -> Result<Pass, Error> {
        let mut pass = Pass::default();
        let (mut published, mut away) = (false, false);
        let mut parts = DB::parts(&self.pool).await?;
        // Relays that begin at different parts get less into each other's way.
        if !parts.is_empty() {
            let start = usize::from(self.claimant.id.as_bytes()[0]) % parts.len();
            parts.rotate_left(start);
        }
        for part in parts {
            if stop.is_cancelled() {
                break;
            }
            let claim = DB::claim(&self.pool, part, &self.claimant, i64::from(limit)).await?;
            let Some(claim) = claim else { continue };
            let batch = self.publish(claim).await?;
            pass.moved += batch.moved;
            published |= batch.moved > 0 && !batch.away;
            away |= batch.away;
            // If what all goes to is away, the other parts need not find out one by one.
            if away && !published {
                break;
            }
        }
        pass.away = away && !published;
        Ok(pass)
    }

    /// Publishes the rows of a claim and writes down what became of them.
    async fn publish(&self, mut claim: Claim<DB>) -> Result<Pass, Error> {
        let rows = std::mem::take(&mut claim.rows);
        let prepared = Prepared::new(rows, self.outbox.opener());
        let mut answered = true;
        if !prepared.batch.events().is_empty() {
            let publish = self.publisher.publish(&prepared.batch);
            answered = timeout(self.options.publish_timeout, publish).await.is_ok();
        }
        let settlement = prepared.settle(&self.options, answered);
        let (published, failed) = (settlement.published.len(), settlement.failed.len());
        let away = published == 0 && settlement.failed.iter().any(|failed| failed.retry.is_some());
        let away = away && prepared.has_fresh();
        for failed in &settlement.failed {
            match failed.retry {
                None => tracing::error!(
                    position = failed.position,
                    reason = failed.reason,
                    "an outbox row is parked"
                ),
                Some(after) => {
                    tracing::debug!(
                        position = failed.position,
                        reason = failed.reason,
                        ?after,
                        "not published"
                    );
                }
            }
        }
        let parked = settlement
            .failed
            .iter()
            .filter(|failed| failed.retry.is_none())
            .count();
        if !DB::settle(&self.pool, claim, &self.claimant, &settlement).await? {
            tracing::warn!(
                "another relay took over before this one was done: what it published is published twice"
            );
            return Ok(Pass::default());
        }
        self.counters.add_published(published as u64);
        self.counters.add_parked(parked as u64);
        self.counters.add_failed((failed - parked) as u64);
        Ok(Pass {
            moved: published + failed,
            away,
        })
    }
}

/// A pause that doubles.
struct Pause {
    first: Duration,
    most: Duration,
    next: Option<Duration>,
}

impl Pause {
    fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: None,
        }
    }

    fn is_waiting(&self) -> bool {
        self.next.is_some()
    }

    fn reset(&mut self) {
        self.next = None;
    }

    fn next(&mut self) -> Duration {
        let pause = self.next.unwrap_or(self.first).min(self.most);
        self.next = Some(pause.saturating_mul(2));
        pause
    }
}

async fn sleep(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_maximum_and_begin_anew() {
        let (first, most) = (Duration::from_millis(10), Duration::from_millis(35));
        let mut pause = Pause::new(first, most);
        let pauses: Vec<_> = (0..4).map(|_| pause.next().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 35, 35]);
        pause.reset();
        assert_eq!(pause.next(), first);
    }
}
