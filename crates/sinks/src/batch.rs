//! Deliveries that come side by side, sent together where the target takes several in one call.
//!
//! Nothing waits for others to come: what comes while a call is under way is the next batch. So one delivery alone is as
//! fast as without, and under load the batches grow by themselves.

use std::{fmt, future::Future, sync::Arc};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{Delivered, Failure};

mod target;

pub use target::{Lanes, Target};

/// What became of one delivery.
pub type Outcome = Result<Delivered, Failure>;

/// How many deliveries may wait for their batch before those who bring more have to wait themselves.
const QUEUE: usize = 1_024;

/// How large a batch may be, and how many are under way at once.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Most deliveries of one call.
    pub items: usize,
    /// Most bytes of one call, as [`Item::bytes`] counts them. A larger delivery goes alone.
    pub bytes: usize,
    /// Most calls at once. 1 keeps the deliveries in order.
    pub calls: usize,
}

/// One delivery of a batch.
pub trait Item: Send + 'static {
    /// How much of the call it takes.
    fn bytes(&self) -> usize;
}

struct Job<T> {
    item: T,
    done: oneshot::Sender<Outcome>,
}

/// Gathers items into batches, see [the module](self).
pub struct Batcher<T>(mpsc::Sender<Job<T>>);

impl<T> fmt::Debug for Batcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batcher")
    }
}

impl<T: Item> Batcher<T> {
    /// Sends batches by `send`, which answers for each item in the order given. It ends when it is dropped and its last batch is
    /// sent.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new<F, S>(size: Size, send: S) -> Self
    where
        S: Fn(Vec<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<Outcome>> + Send + 'static,
    {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(serve(size, queue, Arc::new(send)));
        Self(jobs)
    }

    /// Delivers the item with the next batch. Items are sent in the order in which this is called, or rather first polled, unless a
    /// thousand wait already.
    ///
    /// # Errors
    ///
    /// What `send` says of the item.
    pub async fn deliver(&self, item: T) -> Outcome {
        let (done, wait) = oneshot::channel();
        let gone = || Failure::retryable("the sink is closing");
        // At once where there is room: tasks that have to wait for their turn get it in any order.
        match self.0.try_send(Job { item, done }) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => self.0.send(job).await.map_err(|_| gone())?,
            Err(TrySendError::Closed(_)) => return Err(gone()),
        }
        wait.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn serve<T, F, S>(size: Size, mut queue: mpsc::Receiver<Job<T>>, send: Arc<S>)
where
    T: Item,
    S: Fn(Vec<T>) -> F + Send + Sync + 'static,
    F: Future<Output = Vec<Outcome>> + Send + 'static,
{
    let calls = Arc::new(tokio::sync::Semaphore::new(size.calls));
    let mut waiting = None;
    // The permit first: what comes until there is one is the batch.
    while let Ok(permit) = Arc::clone(&calls).acquire_owned().await {
        let Some(first) = (match waiting.take() {
            Some(job) => Some(job),
            None => queue.recv().await,
        }) else {
            return;
        };
        let mut bytes = first.item.bytes();
        let mut batch = vec![first];
        while batch.len() < size.items
            && let Ok(job) = queue.try_recv()
        {
            bytes += job.item.bytes();
            if bytes > size.bytes {
                waiting = Some(job);
                break;
            }
            batch.push(job);
        }
        let send = Arc::clone(&send);
        tokio::spawn(async move {
            let (items, done): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.item, job.done)).unzip();
            let outcomes = send(items).await;
            debug_assert_eq!(outcomes.len(), done.len(), "one outcome for each item");
            for (done, outcome) in done.into_iter().zip(outcomes) {
                // Who no longer waits will deliver again.
                let _ = done.send(outcome);
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::sync::Mutex;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sized(usize, usize);

    impl Item for Sized {
        fn bytes(&self) -> usize {
            self.1
        }
    }

    async fn batches(size: Size, items: Vec<Sized>) -> Vec<Vec<usize>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let batcher = Batcher::new(size, {
            let seen = Arc::clone(&seen);
            move |items: Vec<Sized>| {
                let seen = Arc::clone(&seen);
                async move {
                    let outcomes = items.iter().map(|item| match item.0 {
                        13 => Err(Failure::permanent("unlucky")),
                        _ => Ok(Delivered { status: None }),
                    });
                    let outcomes = outcomes.collect();
                    seen.lock().await.push(items.iter().map(|item| item.0).collect());
                    tokio::task::yield_now().await;
                    outcomes
                }
            }
        });
        let names: Vec<_> = items.iter().map(|item| item.0).collect();
        let outcomes = join_all(items.into_iter().map(|item| batcher.deliver(item))).await;
        for (name, outcome) in names.into_iter().zip(outcomes) {
            assert_eq!(outcome.is_err(), name == 13);
        }
        let seen = seen.lock().await;
        seen.clone()
    }

    #[tokio::test]
    async fn what_comes_together_goes_together_up_to_the_limit() {
        let size = Size {
            items: 10,
            bytes: 100,
            calls: 1,
        };
        let batches = batches(size, (0..25).map(|n| Sized(n, 1)).collect()).await;
        assert!(batches.len() < 25, "{batches:?}");
        assert!(batches.iter().all(|batch| batch.len() <= 10), "{batches:?}");
        assert_eq!(batches.concat(), (0..25).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn bytes_count_and_what_is_too_large_goes_alone() {
        let size = Size {
            items: 10,
            bytes: 10,
            calls: 1,
        };
        let items = vec![Sized(0, 4), Sized(1, 4), Sized(2, 4), Sized(3, 40), Sized(4, 1)];
        let batches = batches(size, items).await;
        assert!(batches.contains(&vec![3]), "{batches:?}");
        assert_eq!(batches.concat(), [0, 1, 2, 3, 4]);
    }
}
