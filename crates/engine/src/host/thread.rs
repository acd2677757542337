//! The engine's thread: it does what nobody asks for, and what would keep those who ask for little.

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use super::{
    Handle, Host,
    handle::Request,
    seat::{Place, Seat},
};
use crate::{
    clock::{Clock, Nanos},
    limits::Limits,
    store::{self, Store},
};

/// Requests in one batch at most, so that no one waits long for the others of its batch.
const BATCH: usize = 1_024;
/// After so much quiet, runs that wait to be filed are.
const QUIET: Duration = Duration::from_millis(50);
/// How often unused task queues are forgotten.
const TIDY: Duration = Duration::from_secs(30);

/// The running thread.
#[derive(Debug)]
pub(crate) struct HostThread {
    handle: Handle,
    seat: Arc<Seat>,
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
        let host = Host::open(store, clock, limits)?;
        let (requests, queue) = mpsc::channel();
        let counters = host.counters.clone();
        let seat = Arc::new(Seat::new(host, queue));
        if let Some(Place { host, .. }) = &mut *seat.place() {
            let seat = seat.clone();
            host.store.start_writer(move || seat.batch_ended())?;
        }
        let at = seat.clone();
        let spawned = std::thread::Builder::new()
            .name("segno-engine".into())
            .spawn(move || run(&at));
        let thread = spawned.map_err(|source| store::Error::Open {
            path: "the engine's thread".into(),
            source,
        })?;
        seat.set_thread(thread.thread().clone());
        Ok(Self {
            handle: Handle::new(requests, Some(seat.clone()), counters),
            seat,
            thread: Some(thread),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread after the batch it is at. Blocks until it has ended.
    pub(crate) fn stop(&mut self) {
        self.seat.stop();
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

/// Empties the seat when the thread ends, also by a panic: nobody knows what is in memory then, and who asks is told
/// that the engine has stopped.
struct Ends<'a>(&'a Seat);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        *self.0.place() = None;
    }
}

fn run(seat: &Seat) {
    let _ends = Ends(seat);
    let mut next_tidy = Nanos::MIN;
    // What had been done when the thread lay down for a moment of quiet.
    let mut before = None;
    loop {
        let was_called = seat.take_call();
        let mut guard = seat.place();
        let Some(place) = guard.as_mut().filter(|place| !place.is_at_work) else {
            tracing::error!("the engine has ended with a panic");
            return;
        };
        place.is_at_work = true;
        let goes_on = !seat.is_stopping();
        seat.note_look();
        let host = &mut place.host;
        if !was_called && before == Some(host.counters.done()) {
            host.file_with_this_batch();
        }
        take_batch(host, &place.queue, goes_on, || seat.note_taken());
        if host.now() >= next_tidy {
            next_tidy = host
                .now
                .saturating_add(i64::try_from(TIDY.as_nanos()).unwrap_or(i64::MAX));
            let now = host.now;
            host.queues.forget_unused(now);
            host.workers.forget_silent(now);
        }
        place.is_at_work = false;
        if !goes_on {
            return;
        }
        let at = next_at(host);
        let waits = Duration::from_nanos(at.saturating_sub(host.now).max(0).unsigned_abs());
        let is_for_quiet = host.unfiled.has_journal() && waits >= QUIET;
        before = is_for_quiet.then(|| host.counters.done());
        seat.set_wakes_at(at);
        drop(guard);
        if !waits.is_zero() && !seat.is_called() {
            std::thread::park_timeout(waits);
        }
    }
}

/// Takes what waits in the queue into the batch that is being made, and ends that unless another one is in flight.
/// Answers how many requests it took. `goes_on`: this is not the last batch.
///
/// While the file cannot be read again after a failure, nobody is served: a request that is dropped
/// here is answered with `UNAVAILABLE` by its handle.
pub(super) fn take_batch(
    host: &mut Host,
    queue: &mpsc::Receiver<Request>,
    goes_on: bool,
    note_taken: impl Fn(),
) -> u64 {
    host.settle_in_flight(false);
    let is_sound = host.is_sound();
    let mut requests = 0;
    for request in queue.try_iter().take(BATCH) {
        note_taken();
        if is_sound {
            requests += 1;
            request(host);
        }
    }
    if is_sound {
        host.wake_due();
        host.go_on_with_batch_operations();
        if !host.damage.is_met {
            host.clean();
        }
        host.hand_ahead();
        if host.settle_in_flight(!host.has_room() || !goes_on) && host.is_sound() {
            host.end_batch();
        }
        if !goes_on {
            host.settle_in_flight(true);
        }
        // Messages between runs bring further ones.
        host.hand_ahead();
    }
    host.count(requests);
    requests
}

impl Host {
    /// Whether more can be taken into the batch that is being made: so many are answered with one.
    pub(super) fn has_room(&self) -> bool {
        self.after_commit.len() < BATCH
    }

    /// Whether the batch that is being made is nothing but a journal, which is written beside the host.
    pub(super) fn is_light(&self) -> bool {
        !self.unfiled.is_wanted
            && !self.schedules.has_touched()
            && !self.damage.is_met
            && !self.store.is_in_transaction()
    }
}

/// When the thread is to look by itself: at once where a batch can be ended; when a run wants to be woken, a rate limit
/// lets a task go, or something in the background is due; or when the file is read again.
pub(super) fn next_at(host: &Host) -> Nanos {
    let now = host.now.max(host.clock.now());
    if host.is_broken {
        return host.retry_at;
    }
    // What there is to do waits for the batch in flight.
    if host.in_flight.is_none() && host.has_work() {
        return now;
    }
    let next = host.next_wake().into_iter().chain(host.queues.next_release());
    let next = next.fold(Nanos::MAX, Nanos::min);
    let next = next
        .min(host.cleaning.next_at())
        .min(host.batch_operations.next_at());
    let rest = if host.unfiled.has_journal() { QUIET } else { TIDY };
    next.min(now.saturating_add(i64::try_from(rest.as_nanos()).unwrap_or(i64::MAX)))
}
