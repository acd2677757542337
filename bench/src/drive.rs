//! A closed loop: a number of callers, each doing one operation after the other until all are done.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) operations: usize,
    pub(crate) callers: usize,
    /// When to give up.
    pub(crate) limit: Duration,
}

/// What it took.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) load: Load,
    pub(crate) elapsed: Duration,
    /// Of each operation, ascending.
    latencies: Vec<Duration>,
}

impl Sample {
    pub(crate) fn per_second(&self) -> f64 {
        count(self.load.operations) / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the operations did not exceed, in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let at = (count(self.latencies.len()) * share).ceil();
        let index = self.latencies.iter().enumerate().map(|(index, _)| index);
        let index = index.take_while(|&index| count(index) < at).last().unwrap_or(0);
        self.latencies
            .get(index)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1_000.0)
    }
}

/// A count as a number to divide by. Exact for all counts met here.
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn count(count: usize) -> f64 {
    count as f64
}

/// Does `load.operations` operations, numbered from 0.
///
/// # Errors
/// The first error of an operation, or when not all are done within the limit.
pub(crate) async fn drive<F, Fut>(load: Load, operation: F) -> Result<Sample>
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let (operation, next) = (Arc::new(operation), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..load.callers {
        let (operation, next) = (operation.clone(), next.clone());
        callers.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= load.operations {
                    return Ok::<_, anyhow::Error>(latencies);
                }
                let began = Instant::now();
                operation(number).await?;
                latencies.push(began.elapsed());
            }
        });
    }
    let all = async {
        let mut latencies = Vec::with_capacity(load.operations);
        while let Some(caller) = callers.join_next().await {
            latencies.extend(caller??);
        }
        Ok::<_, anyhow::Error>((latencies, began.elapsed()))
    };
    let (mut latencies, elapsed) = tokio::time::timeout(load.limit, all).await.with_context(|| {
        format!(
            "not all of {} operations were done in {:?}",
            load.operations, load.limit
        )
    })??;
    latencies.sort_unstable();
    Ok(Sample {
        load,
        elapsed,
        latencies,
    })
}
