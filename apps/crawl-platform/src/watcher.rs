//! Hears of changes on the cluster and makes the workflows of their runs look at it now. What is not heard of is seen at the
//! next reconciliation.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::StreamExt as _;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::{cluster::Cluster, lifecycle::Lifecycle};

/// How long changes are gathered: a run of many tasks looks once for many of them.
const GATHER: Duration = Duration::from_millis(300);

/// Listens for as long as it is polled.
pub async fn watch(cluster: Arc<dyn Cluster>, lifecycle: Lifecycle) {
    let mut changes = cluster.changes();
    let mut runs: HashSet<Uuid> = HashSet::new();
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            change = changes.next() => {
                let Some(change) = change else { return };
                runs.insert(change.run);
                due.get_or_insert(Instant::now() + GATHER);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                for run in runs.drain() {
                    nudge(&lifecycle, run).await;
                }
            }
        }
    }
}

async fn nudge(lifecycle: &Lifecycle, run: Uuid) {
    let record = match lifecycle.store().maybe_run(run).await {
        Ok(Some(record)) if !record.status.is_final() => record,
        Ok(_) => return,
        Err(error) => {
            tracing::debug!(%run, %error, "a change was not passed on");
            return;
        }
    };
    if let Some(id) = record.workflow_id
        && let Err(error) = lifecycle.nudge(&id).await
    {
        tracing::debug!(%run, %error, "a change was not passed on");
    }
}
