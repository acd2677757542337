//! Where the host is worked on: by whoever has a request for it.
//!
//! A request goes into a queue, and whoever put it there works on what waits, unless somebody else is at it: that one
//! does it too. So a request costs no change of threads, its memory stays with the processor that has it, and under load
//! many are taken as one batch. What a batch has come to on the disk is dealt with by the journal's thread. What takes
//! longer (transactions of the host's own, deleting, the times of runs when nobody asks for anything) is left to the
//! engine's thread, so that nobody who asks for something little is kept with it.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicI64, AtomicIsize, Ordering, fence},
    mpsc,
};

use parking_lot::Mutex;

use super::{Host, handle::Request, thread::next_at};
use crate::clock::Nanos;

/// Requests that somebody who is not the engine's thread works on at a time, so that nobody is kept with those of
/// others.
const AT_A_TIME: u64 = 64;

/// The host and its queue.
pub(super) struct Seat {
    place: Mutex<Option<Place>>,
    /// Requests in the queue: below zero for a moment, where one is taken before it is counted.
    waiting: AtomicIsize,
    /// A batch has ended on the disk, and nobody has looked since.
    has_ended: AtomicBool,
    /// When the engine's thread wakes up by itself.
    wakes_at: AtomicI64,
    /// The engine's thread is to look.
    is_called: AtomicBool,
    /// It is to end.
    is_stopping: AtomicBool,
    thread: OnceLock<std::thread::Thread>,
}

/// What is worked on.
pub(super) struct Place {
    pub(super) host: Host,
    pub(super) queue: mpsc::Receiver<Request>,
    /// Somebody is working on it. Who finds it so has found what a panic has left.
    pub(super) is_at_work: bool,
}

impl Seat {
    pub(super) fn new(host: Host, queue: mpsc::Receiver<Request>) -> Self {
        Self {
            place: Mutex::new(Some(Place {
                host,
                queue,
                is_at_work: false,
            })),
            waiting: AtomicIsize::new(0),
            has_ended: AtomicBool::new(false),
            wakes_at: AtomicI64::new(0),
            is_called: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    /// Notes that a request has been put into the queue.
    pub(super) fn note_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that one has been taken out of it.
    pub(super) fn note_taken(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    fn has_news(&self) -> bool {
        self.has_waiting() || self.has_ended.load(Ordering::SeqCst)
    }

    /// Notes that somebody looks what has become of the batch in flight.
    pub(super) fn note_look(&self) {
        self.has_ended.store(false, Ordering::SeqCst);
    }

    /// Which thread is called for what takes longer.
    pub(super) fn set_thread(&self, thread: std::thread::Thread) {
        // It is set once, where the thread is started.
        let _ = self.thread.set(thread);
    }

    /// Has the engine's thread look.
    pub(super) fn call_thread(&self) {
        if !self.is_called.swap(true, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Has the engine's thread end.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.call_thread();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// For the engine's thread: whether it has been called since it last asked.
    pub(super) fn take_call(&self) -> bool {
        self.is_called.swap(false, Ordering::SeqCst)
    }

    /// For the engine's thread: whether it has been called, or something waits that others count on it for.
    pub(super) fn is_called(&self) -> bool {
        fence(Ordering::SeqCst);
        self.is_called.load(Ordering::SeqCst) || self.has_news()
    }

    /// For the engine's thread: when it wakes up next.
    pub(super) fn set_wakes_at(&self, at: Nanos) {
        self.wakes_at.store(at, Ordering::SeqCst);
    }

    /// The place, for the engine's thread: it waits for whoever is at work.
    pub(super) fn place(&self) -> parking_lot::MutexGuard<'_, Option<Place>> {
        self.place.lock()
    }

    /// Works on what waits, unless somebody else is at it: that one sees it before going.
    pub(super) fn work(&self) {
        while self.has_news() {
            let Some(mut place) = self.place.try_lock() else {
                return;
            };
            if !self.work_at(&mut place, true) {
                return self.call_thread();
            }
            drop(place);
            // Whoever has put something into the queue and found the place taken counts on this look.
            fence(Ordering::SeqCst);
        }
    }

    /// For the journal's thread: a batch is on disk, or could not be put there.
    pub(super) fn batch_ended(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        let Some(mut place) = self.place.try_lock() else {
            return;
        };
        if !self.work_at(&mut place, false) {
            return self.call_thread();
        }
        drop(place);
        fence(Ordering::SeqCst);
        // Another batch may be on its way by now: who waits for that must not be this thread.
        if self.has_waiting() {
            self.call_thread();
        }
    }

    /// Takes what waits into the batch that is being made, and ends that if it can be. Answers whether that was all:
    /// the rest is for the engine's thread. `may_wait`: for a batch that is in flight.
    fn work_at(&self, place: &mut Option<Place>, may_wait: bool) -> bool {
        let Some(place) = place.as_mut().filter(|place| !place.is_at_work) else {
            return false;
        };
        place.is_at_work = true;
        let is_all = self.work_on(place, may_wait);
        place.is_at_work = false;
        is_all
    }

    fn work_on(&self, place: &mut Place, may_wait: bool) -> bool {
        let host = &mut place.host;
        self.note_look();
        host.settle_in_flight(false);
        if host.is_broken {
            return false;
        }
        if host.in_flight.is_some() && !may_wait {
            return true;
        }
        let mut requests = 0;
        while requests < AT_A_TIME
            && host.has_room()
            && let Ok(request) = place.queue.try_recv()
        {
            self.note_taken();
            requests += 1;
            request(host);
        }
        host.count(requests);
        host.wake_due();
        host.hand_ahead();
        if host.in_flight.is_none() && host.has_work() && host.is_light() {
            host.end_batch();
            host.hand_ahead();
        }
        // What is due is not left to the thread's own time: where the clock has jumped, that is long in coming.
        let at = next_at(host);
        requests < AT_A_TIME
            && host.has_room()
            && !host.is_broken
            && at > host.now()
            && at >= self.wakes_at.load(Ordering::SeqCst)
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use crate::{
        clock::{Clock, ManualClock, SECOND, SystemClock},
        core::NewRun,
        host::HostThread,
        limits::Limits,
        rpc::RpcError,
        store::Store,
    };

    fn host(folder: &tempfile::TempDir) -> HostThread {
        host_at(folder, Arc::new(SystemClock))
    }

    fn host_at(folder: &tempfile::TempDir, clock: Arc<dyn Clock>) -> HostThread {
        let store = Store::open(&folder.path().join("engine.db")).expect("a file");
        HostThread::start(store, clock, Arc::new(Limits::default())).expect("a host")
    }

    /// Each request is done once and answered, whoever works on it; some of them need the disk.
    #[test]
    fn requests_of_many_threads_are_all_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let host = host(&folder);
        let sum = Arc::new(std::sync::Mutex::new(0_u64));
        thread::scope(|scope| {
            for number in 0..8_u64 {
                let (handle, sum) = (host.handle().clone(), sum.clone());
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .expect("a runtime");
                    for round in 0..500_u64 {
                        let sum = sum.clone();
                        let answer = runtime.block_on(handle.call(move |host| {
                            *sum.lock().expect("not poisoned") += number;
                            if round % 50 == number {
                                // A transaction of the host's own.
                                host.file_with_this_batch();
                                host.store.begin().expect("a transaction");
                            }
                            Ok(round)
                        }));
                        assert_eq!(answer, Ok(round));
                    }
                });
            }
        });
        assert_eq!(*sum.lock().expect("not poisoned"), 500 * (0..8).sum::<u64>());
    }

    /// The engine's thread does not come by itself within the time that is allowed here.
    #[test]
    fn a_clock_that_jumps_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = ManualClock::new(SECOND);
        let host = host_at(&folder, Arc::new(clock.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        for _ in 0..20 {
            clock.advance(Duration::from_secs(600));
            // For the engine's thread, as it writes the tables.
            let wanted = host.handle().call(|host| {
                host.file_with_this_batch();
                Ok(())
            });
            let answer =
                runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), wanted).await });
            assert_eq!(answer.expect("an answer"), Ok(()));
        }
    }

    /// What is journaled is filed by the engine's thread once nobody asks for anything.
    #[test]
    fn runs_are_filed_after_a_moment_of_quiet() {
        let folder = tempfile::tempdir().expect("a folder");
        let host = host(&folder);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let filed = || {
            let read = rusqlite::Connection::open(folder.path().join("engine.db")).expect("the file");
            let count = |table: &str| -> i64 {
                let count = format!("SELECT count(*) FROM {table}");
                read.query_row(&count, [], |row| row.get(0)).expect("a count")
            };
            (count("run"), count("journal"))
        };
        let started = host.handle().call(|host| {
            host.create(NewRun {
                namespace_key: host.namespaces.key_of("default")?,
                workflow_id: "workflow".to_owned(),
                run_id: crate::core::new_run_id(),
                ..NewRun::default()
            })
        });
        runtime.block_on(started).expect("a run");
        while filed() != (1, 0) || host.handle().figures().journal_bytes != 0 {
            thread::yield_now();
        }
    }

    /// A request that panics takes the engine with it, and nobody waits for it for ever.
    #[test]
    fn who_asks_after_a_panic_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let host = host(&folder);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let handle = host.handle().clone();
        let panicking = thread::spawn(move || handle.tell(|_| panic!("on purpose")));
        // Here, or on the engine's thread, whichever has the request.
        let _ = panicking.join();
        let answer = runtime.block_on(host.handle().call(|_| Ok(())));
        assert!(matches!(answer, Err(RpcError::Unavailable(_))), "{answer:?}");
    }
}
