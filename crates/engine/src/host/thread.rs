//! The engine's thread, and the handle to it.
//!
//! Requests are functions on the host. The thread takes all that are waiting as one batch, so that
//! under load many requests share one write to the disk. While that is under way it is at the next batch
//! already; it sends that one off when the one before is on disk, so that they get there in their order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};

use temporalio_protos::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use tokio::sync::oneshot;

use super::Host;
use crate::{
    clock::{Clock, Nanos},
    figures::{Counters, Figures},
    limits::Limits,
    rpc::RpcError,
    store::{self, Store},
};

/// Requests in one batch at most, so that no one waits long for the others of its batch.
const BATCH: usize = 1_024;
/// After so much quiet, runs that wait to be filed are.
const QUIET: Duration = Duration::from_millis(50);
/// How often unused task queues are forgotten.
const TIDY: Duration = Duration::from_secs(30);
/// When to try again a request that found too many waiting: they are done within a fraction of that.
const RETRY_WHEN_FULL: Duration = Duration::from_millis(250);
type Request = Box<dyn FnOnce(&mut Host) + Send>;

enum Message {
    Request(Request),
    /// A batch is on disk, or could not be put there.
    Written,
    Stop,
}

/// How the rest of the process reaches the host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    sender: mpsc::Sender<Message>,
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
    fn new(sender: mpsc::Sender<Message>, host: &Host) -> Self {
        Self {
            sender,
            counters: host.counters.clone(),
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
            sender: self.sender.clone(),
            counters: self.counters.clone(),
            bound: Some(Bound {
                waiting: Arc::default(),
                most,
            }),
        }
    }

    /// Runs `request` on the host without waiting.
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
        self.sender
            .send(Message::Request(Box::new(request)))
            .map_err(|_| stopped())
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct HostThread {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl HostThread {
    /// Reads the file and starts the thread.
    ///
    /// # Errors
    /// When the file cannot be read, or no thread can be started.
    pub(crate) fn start(
        store: Store,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
    ) -> Result<Self, store::Error> {
        let mut host = Host::open(store, clock, limits)?;
        let (sender, receiver) = mpsc::channel();
        let handle = Handle::new(sender.clone(), &host);
        let written = sender;
        host.store.start_writer(move || {
            // Fails only when the engine's thread has ended, which needs no news then.
            let _ = written.send(Message::Written);
        })?;
        let spawned = std::thread::Builder::new()
            .name("segno-engine".into())
            .spawn(move || run(&mut host, &receiver));
        let thread = spawned.map_err(|source| store::Error::Open {
            path: "the engine's thread".into(),
            source,
        })?;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread after the batch it is at. Blocks until it has ended.
    pub(crate) fn stop(&mut self) {
        // Fails only if the thread has ended already.
        let _ = self.handle.sender.send(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the engine's thread ended with a panic");
        }
    }
}

impl Drop for HostThread {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(host: &mut Host, receiver: &mpsc::Receiver<Message>) {
    let mut next_tidy = host.now();
    loop {
        // What there is to do waits for the batch in flight.
        let is_free = host.in_flight.is_none() && !host.is_broken;
        let wait = if is_free && host.has_work() {
            Duration::ZERO
        } else {
            time_to_wake(host)
        };
        let wait = if host.unfiled.is_empty() {
            wait
        } else {
            wait.min(QUIET)
        };
        let first = match receiver.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => {
                if wait == QUIET {
                    host.file_with_this_batch();
                }
                None
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let goes_on = take_batch(host, first, receiver);
        if host.now() >= next_tidy {
            next_tidy = host
                .now
                .saturating_add(i64::try_from(TIDY.as_nanos()).unwrap_or(i64::MAX));
            let now = host.now;
            host.queues.forget_unused(now);
            host.workers.forget_silent(now);
        }
        if !goes_on {
            return;
        }
    }
}

/// Takes `first`, and what waits after it, into the batch that is being made, and ends that unless another
/// one is in flight. Answers whether to go on.
///
/// While the file cannot be read again after a failure, nobody is served: a request that is dropped
/// here is answered with `UNAVAILABLE` by its handle.
fn take_batch(host: &mut Host, first: Option<Message>, receiver: &mpsc::Receiver<Message>) -> bool {
    host.settle_in_flight(false);
    let is_sound = host.is_sound();
    let mut next = first;
    let (mut taken, mut requests) = (0, 0);
    let mut goes_on = true;
    while let Some(message) = next.take() {
        match message {
            Message::Request(request) if is_sound => {
                requests += 1;
                request(host);
            }
            Message::Request(request) => drop(request),
            Message::Written => {}
            Message::Stop => goes_on = false,
        }
        taken += 1;
        if taken < BATCH && goes_on {
            next = receiver.try_recv().ok();
        }
    }
    if is_sound {
        host.wake_due();
        host.go_on_with_batch_operations();
        if !host.damage.is_met {
            host.clean();
        }
        host.hand_ahead();
        // As many are answered with this batch; more are not taken into it.
        let is_full = host.after_commit.len() >= BATCH;
        if host.settle_in_flight(is_full || !goes_on) && host.is_sound() {
            host.end_batch();
        }
        if !goes_on {
            host.settle_in_flight(true);
        }
        // Messages between runs bring further ones.
        host.hand_ahead();
    }
    host.count(requests);
    goes_on
}

/// A host without a thread: whoever has it says when a batch is taken. For the simulator.
pub(crate) struct SteppedHost {
    host: Host,
    handle: Handle,
    receiver: mpsc::Receiver<Message>,
}

impl SteppedHost {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
    ) -> Result<Self, store::Error> {
        let mut host = Host::open(store, clock, limits)?;
        host.store.defer_journals();
        let (sender, receiver) = mpsc::channel();
        Ok(Self {
            handle: Handle::new(sender, &host),
            host,
            receiver,
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    /// Takes what waits as one batch. Answers whether there was anything to do.
    pub(crate) fn step(&mut self) -> bool {
        let first = self.receiver.try_recv().ok();
        let is_due = time_to_wake(&self.host).is_zero();
        let had_work = first.is_some() || is_due || self.host.has_work() || self.host.in_flight.is_some();
        take_batch(&mut self.host, first, &self.receiver);
        had_work
    }
}

/// How long the thread may sleep: until a run wants to be woken, a rate limit lets a task go, or something
/// in the background is due; or until the file is read again.
fn time_to_wake(host: &Host) -> Duration {
    let at = if host.is_broken {
        host.retry_at
    } else {
        let next = host.next_wake().into_iter().chain(host.queues.next_release());
        let next = next.fold(Nanos::MAX, Nanos::min);
        next.min(host.cleaning.next_at())
            .min(host.batch_operations.next_at())
    };
    let left = at.saturating_sub(host.now.max(host.clock.now())).max(0);
    Duration::from_nanos(left.unsigned_abs()).min(TIDY)
}
