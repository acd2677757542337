//! A host without a thread, for the simulator.

use std::sync::{Arc, mpsc};

use super::{
    Handle, Host,
    handle::Request,
    thread::{next_at, take_batch},
};
use crate::{
    clock::Clock,
    limits::Limits,
    store::{self, Store},
};

/// A host without a thread: whoever has it says when a batch is taken. For the simulator.
pub(crate) struct SteppedHost {
    host: Host,
    handle: Handle,
    queue: mpsc::Receiver<Request>,
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
        let (requests, queue) = mpsc::channel();
        Ok(Self {
            handle: Handle::new(requests, None, host.counters.clone()),
            host,
            queue,
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
        let now = self.host.now();
        let had_work = next_at(&self.host) <= now || self.host.has_work() || self.host.in_flight.is_some();
        take_batch(&mut self.host, &self.queue, true, || {}) > 0 || had_work
    }
}
