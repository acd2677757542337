//! An engine without a thread, for the simulator in `tests/simulation`: whoever has it says when a batch
//! is taken, and calls the services with bytes. No part of the library's interface.

use std::sync::Arc;

use bytes::Bytes;
use tonic::Status;

use crate::{
    Error, Options,
    clock::Nanos,
    engine::Handle,
    host::{Pace, SteppedHost},
    rpc::Call,
    service::Service,
    store::{Lock, Readers, Store},
    transport,
};

/// How far SQLite and the journal may go. Small numbers make happen often what else is rare.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Pages in the write-ahead log from which on it is copied into the file.
    pub checkpoint_pages: i64,
    /// Pages of the file that are kept in memory: more of one batch goes to the log before it is complete.
    pub cache_pages: i64,
    /// Runs in the journal from which on they are filed along with the batches.
    pub journaled_runs: usize,
    /// Runs that are filed with one batch then.
    pub filed_with_one_batch: usize,
}

/// An open engine that does nothing by itself.
pub struct SteppedEngine {
    host: SteppedHost,
    handle: Handle,
    _lock: Lock,
}

impl std::fmt::Debug for SteppedEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SteppedEngine")
    }
}

impl SteppedEngine {
    /// Opens an engine.
    ///
    /// # Errors
    /// Those of [`Engine::open`](crate::Engine::open).
    pub fn open(options: Options, tuning: Tuning) -> Result<Self, Error> {
        let Options { file, clock, limits } = options;
        let lock = Lock::take(&file)?;
        let store = Store::open(&file)?;
        store.set_pragma("wal_autocheckpoint", tuning.checkpoint_pages)?;
        store.set_pragma("cache_size", tuning.cache_pages)?;
        store.set_pragma("busy_timeout", 0)?;
        let cluster_id = store.cluster_id()?.into();
        let limits = Arc::new(limits);
        let mut host = SteppedHost::open(store, clock, limits.clone())?;
        host.host().set_pace(Pace {
            runs: tuning.journaled_runs,
            with_one_batch: tuning.filed_with_one_batch,
        });
        let service = Service::new(host.handle().clone(), Readers::new(file), cluster_id, limits);
        Ok(Self {
            host,
            handle: Handle::new(service),
            _lock: lock,
        })
    }

    /// The way to this engine. Calls are answered by later steps.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Takes what waits as one batch. Answers whether there was anything to do.
    pub fn step(&mut self) -> bool {
        self.host.step()
    }

    /// When the next run wants to be woken.
    pub fn next_wake(&mut self) -> Option<Nanos> {
        self.host.host().next_wake()
    }

    /// Files what the journal holds, and answers what is not as it has to be then.
    pub fn audit(&mut self) -> Vec<String> {
        // First: what is done from here on would be in the journal again.
        while self.host.step() {}
        self.host.host().file_with_this_batch();
        self.host.step();
        while self.host.step() {}
        self.host.host().audit()
    }

    /// Lets the file grow by so many pages at most, as a disk does that is nearly full; none: without end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn limit_growth(&mut self, pages: Option<i64>) -> Result<(), Error> {
        let store = self.host.host().store();
        let most = match pages {
            Some(pages) => store.pages()? + pages,
            None => i64::from(u32::MAX - 1),
        };
        Ok(store.set_pragma("max_page_count", most)?)
    }
}

/// Calls `method` of Temporal's workflow service. `in_process`: as a worker or client in the engine's own
/// process does.
///
/// # Errors
/// Those of the method.
pub async fn call(
    handle: &Handle,
    method: &str,
    request: Bytes,
    in_process: bool,
) -> Result<Vec<u8>, Status> {
    let call = Call {
        in_process,
        ..Call::default()
    };
    let service = "temporal.api.workflowservice.v1.WorkflowService";
    transport::dispatch(handle.service(), service, method, request, call).await
}
