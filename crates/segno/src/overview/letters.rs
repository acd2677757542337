//! How many dead letters there are.
//!
//! A dead letter is a failed run that no other run of its execution follows, which no count can ask for: each failed run
//! has to be looked at. So only the latest are, and only when something has changed, and not too often.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use temporalio_client::{
    Client,
    tonic::{Code, Status},
};
use tokio::{sync::Mutex, time::Instant};

use super::{LetterCount, by_status, revision};
use crate::{
    dead_letters::{Filter, runs},
    run::Summary,
};

/// Failed runs that are looked at.
const LOOKED_AT: usize = 200;
/// Runs that are looked at side by side.
const CONCURRENT: usize = 16;
/// How long a count holds at least, whatever happens.
const HOLDS: Duration = Duration::from_secs(2);
/// How long it holds at most: other processes decide too, and a list may be behind.
const STALE: Duration = Duration::from_secs(30);

/// The latest count.
#[derive(Debug, Default)]
pub(crate) struct Letters(Mutex<Option<Counted>>);

#[derive(Debug)]
struct Counted {
    at: Instant,
    revision: String,
    count: LetterCount,
}

impl Letters {
    /// The count, for who has not asked for anything yet.
    pub(crate) async fn now(&self, client: &Client) -> Result<LetterCount, Status> {
        let executions = by_status(client, "").await?;
        self.count(client, &revision(&executions)).await
    }

    /// The count; taken anew where the executions are not those of the one before.
    pub(super) async fn count(&self, client: &Client, revision: &str) -> Result<LetterCount, Status> {
        let mut counted = self.0.lock().await;
        if let Some(counted) = &*counted {
            let age = counted.at.elapsed();
            if age < HOLDS || (age < STALE && counted.revision == revision) {
                return Ok(counted.count);
            }
        }
        let count = take(client).await?;
        *counted = Some(Counted {
            at: Instant::now(),
            revision: revision.to_owned(),
            count,
        });
        Ok(count)
    }
}

async fn take(client: &Client) -> Result<LetterCount, Status> {
    let query = Filter::default().query().unwrap_or_default();
    let (failed, next) = runs(client, &query, LOOKED_AT, Vec::new()).await?;
    let latest: Vec<bool> = stream::iter(failed.into_iter().map(|run| is_latest(client, run)))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    Ok(LetterCount {
        count: latest.into_iter().filter(|latest| *latest).count() as u64,
        more: !next.is_empty(),
    })
}

async fn is_latest(client: &Client, run: Summary) -> Result<bool, Status> {
    match Summary::latest(client, &run.workflow_id).await {
        Ok(latest) => Ok(latest.run_id == run.run_id),
        Err(status) if status.code() == Code::NotFound => Ok(false),
        Err(status) => Err(status),
    }
}
