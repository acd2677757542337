//! Targets that take several items in one call.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::{Batcher, Item, Outcome, Size};
use crate::Failure;

/// Something that takes several items in one call.
pub trait Target: Send + Sync + 'static {
    /// What it takes.
    type Item: Item + Sync;

    /// Makes one call, and says what became of each item, in their order.
    ///
    /// # Errors
    ///
    /// When the call failed as a whole and none of the items was taken.
    fn send(&self, items: &[Self::Item]) -> impl Future<Output = Result<Vec<Outcome>, Failure>> + Send;
}

/// Sends the items in one call. If that is refused for good, one of them may be why: then each goes alone, so that none fails
/// for its neighbours.
async fn send<T: Target>(target: &T, items: &[T::Item]) -> Vec<Outcome> {
    let failure = match target.send(items).await {
        Ok(outcomes) => return outcomes,
        Err(failure) => failure,
    };
    if items.len() < 2 || matches!(failure, Failure::Retryable { .. }) {
        return items.iter().map(|_| Err(failure.clone())).collect();
    }
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        match target.send(std::slice::from_ref(item)).await {
            Ok(one) => outcomes.extend(one),
            Err(failure) => outcomes.push(Err(failure)),
        }
    }
    outcomes
}

impl<T: Item + Sync> Batcher<T> {
    /// Sends batches to the target. One that is refused for good as a whole is taken apart.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn to<S: Target<Item = T>>(size: Size, target: Arc<S>) -> Self {
        Self::new(size, move |items| {
            let target = Arc::clone(&target);
            async move { send(&*target, &items).await }
        })
    }
}

/// Several batchers to one target, each with one call at a time: items of one group keep their order, as the calls with them
/// come one after the other, and different groups hardly wait for each other.
#[derive(Debug)]
pub struct Lanes<T>(Vec<Batcher<T>>);

impl<T: Item + Sync> Lanes<T> {
    /// As many lanes as `size` has calls.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn to<S: Target<Item = T>>(size: Size, target: &Arc<S>) -> Self {
        let one = Size { calls: 1, ..size };
        let lanes = (0..size.calls.max(1)).map(|_| Batcher::to(one, Arc::clone(target)));
        Self(lanes.collect())
    }

    /// Delivers the item with the next batch of its group's lane.
    ///
    /// # Errors
    ///
    /// What the target says of the item.
    pub async fn deliver(&self, group: &str, item: T) -> Outcome {
        let mut hasher = DefaultHasher::new();
        group.hash(&mut hasher);
        // The remainder fits.
        let lane = (hasher.finish() % self.0.len() as u64) as usize;
        self.0[lane].deliver(item).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::join_all;

    use super::*;
    use crate::Delivered;

    #[derive(Debug)]
    struct Number(i32);

    impl Item for Number {
        fn bytes(&self) -> usize {
            1
        }
    }

    /// Refuses every call with 13 in it for good, and every call with 7 for now.
    #[derive(Default)]
    struct Picky(Mutex<Vec<i32>>);

    impl Target for Picky {
        type Item = Number;

        async fn send(&self, items: &[Number]) -> Result<Vec<Outcome>, Failure> {
            tokio::task::yield_now().await;
            if items.iter().any(|item| item.0 == 13) {
                return Err(Failure::permanent("unlucky"));
            }
            if items.iter().any(|item| item.0 == 7) {
                return Err(Failure::retryable("not today"));
            }
            let mut taken = self.0.lock().unwrap();
            taken.extend(items.iter().map(|item| item.0));
            Ok(items.iter().map(|_| Ok(Delivered { status: None })).collect())
        }
    }

    #[tokio::test]
    async fn a_refused_batch_is_taken_apart() {
        let target = Picky::default();
        let outcomes = send(&target, &[Number(1), Number(13), Number(2)]).await;
        assert_eq!(
            outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, true]
        );
        assert_eq!(*target.0.lock().unwrap(), [1, 2]);
        let outcomes = send(&target, &[Number(1), Number(7)]).await;
        assert!(outcomes.iter().all(Result::is_err));
        assert_eq!(*target.0.lock().unwrap(), [1, 2], "it is not sent again");
    }

    #[tokio::test]
    async fn groups_keep_their_order() {
        let target = Arc::new(Picky::default());
        let size = Size {
            items: 10,
            bytes: 100,
            calls: 4,
        };
        let lanes = Lanes::to(size, &target);
        let items = (100..400).map(|n| {
            let lanes = &lanes;
            async move { lanes.deliver(&(n % 5).to_string(), Number(n)).await }
        });
        assert!(join_all(items).await.iter().all(Result::is_ok));
        let taken = target.0.lock().unwrap();
        assert_eq!(taken.len(), 300);
        for group in 0..5 {
            let of_group: Vec<_> = taken.iter().filter(|n| *n % 5 == group).collect();
            assert!(of_group.is_sorted(), "{of_group:?}");
        }
    }
}
