//! Runs that wait for a worker.

use std::{collections::VecDeque, sync::Mutex};

use tokio::sync::Semaphore;

use super::locked;

/// Numbers of runs, in the order they came.
pub(super) struct Queue {
    waiting: Mutex<VecDeque<usize>>,
    /// As many permits as runs wait.
    count: Semaphore,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            count: Semaphore::new(0),
        }
    }
}

impl Queue {
    pub(super) fn push(&self, run: usize) {
        locked(&self.waiting).push_back(run);
        self.count.add_permits(1);
    }

    /// The next run; none once the queue is closed.
    pub(super) async fn next(&self) -> Option<usize> {
        self.count.acquire().await.ok()?.forget();
        locked(&self.waiting).pop_front()
    }

    pub(super) fn close(&self) {
        self.count.close();
    }
}
