//! How requests reach the host: functions on it, in a queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use temporalio_protos::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use tokio::sync::oneshot;

use super::{Host, seat::Seat};
use crate::{
    figures::{Counters, Figures},
    rpc::RpcError,
};

/// When to try again a request that found too many waiting: they are done within a fraction of that.
const RETRY_WHEN_FULL: Duration = Duration::from_millis(250);

pub(super) type Request = Box<dyn FnOnce(&mut Host) + Send>;

/// How the rest of the process reaches the host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    requests: mpsc::Sender<Request>,
    /// None: somebody steps the host by hand.
    seat: Option<Arc<Seat>>,
    counters: Arc<Counters>,
    /// None: requests of this process, which are as many as it makes.
    bound: Option<Bound>,
}

/// How many requests may wait for the thread.
#[derive(Clone)]
struct Bound {
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// A request that waits for the thread.
struct Waiting(Arc<AtomicUsize>);

impl Bound {
    fn take(&self) -> Result<Waiting, RpcError> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(self.waiting.clone());
        if before >= self.most {
            return Err(RpcError::Throttled {
                message: "too many requests wait for the engine".into(),
                cause: ResourceExhaustedCause::SystemOverloaded,
                scope: ResourceExhaustedScope::System,
                retry_after: RETRY_WHEN_FULL,
            });
        }
        Ok(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

fn stopped() -> RpcError {
    RpcError::Unavailable("the engine is stopping, or could not write its file".into())
}

impl Handle {
    pub(super) fn new(
        requests: mpsc::Sender<Request>,
        seat: Option<Arc<Seat>>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            requests,
            seat,
            counters,
            bound: None,
        }
    }

    /// Runs `request` on the host and answers with its result once all that it changed is on disk.
    ///
    /// # Errors
    /// Those of the request; or when the engine stops or cannot write.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        request: impl FnOnce(&mut Host) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<R, RpcError> {
        let (reply, answer) = oneshot::channel();
        self.submit(move |host| {
            let result = request(host);
            host.after_commit(move |host, is_on_disk| {
                let answer = match result {
                    result if is_on_disk => result,
                    Err(error @ (RpcError::Unavailable(_) | RpcError::DataLoss(_))) => Err(error),
                    // Also what was refused may have been refused for what the batch had changed.
                    _ => Err(RpcError::Unavailable(host.failure.clone())),
                };
                // Whoever asked may have gone; the change stands.
                let _ = reply.send(answer);
            });
        })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// What the host has done and holds.
    pub(crate) fn figures(&self) -> Figures {
        self.counters.read()
    }

    /// The same handle for requests from outside, of which no more than `most` wait; more are refused.
    pub(crate) fn bounded(&self, most: usize) -> Self {
        Self {
            requests: self.requests.clone(),
            seat: self.seat.clone(),
            counters: self.counters.clone(),
            bound: Some(Bound {
                waiting: Arc::default(),
                most,
            }),
        }
    }

    /// Runs `request` on the host without waiting for the disk; perhaps later, where somebody else is at it.
    ///
    /// # Errors
    /// When the engine has stopped, or too many wait.
    pub(crate) fn submit(&self, request: impl FnOnce(&mut Host) + Send + 'static) -> Result<(), RpcError> {
        let Some(bound) = &self.bound else {
            return self.tell(request);
        };
        let waiting = bound.take()?;
        self.tell(move |host| {
            drop(waiting);
            request(host);
        })
    }

    /// The same for what must not be refused, as it gives back what an earlier request has taken.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub(crate) fn tell(&self, request: impl FnOnce(&mut Host) + Send + 'static) -> Result<(), RpcError> {
        self.requests.send(Box::new(request)).map_err(|_| stopped())?;
        if let Some(seat) = &self.seat {
            seat.note_waiting();
            seat.work();
        }
        Ok(())
    }
}
