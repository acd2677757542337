//! The SDK worker that runs workflows and activities, on a thread of its own.
//!
//! The SDK's worker keeps workflow state that cannot move between threads, so it gets one thread; activities
//! run on the process's runtime as any other task.

use std::{io, thread, time::Duration};

use temporalio_client::Client;
use temporalio_sdk::{
    Runtime, Worker as SdkWorker, WorkerOptions,
    error::{RuntimeError, WorkerCreateError, WorkerRunError},
    runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Task queue of everything that Segno runs.
pub const TASK_QUEUE: &str = "segno";

/// How long running activities may take to finish once the worker was told to stop. What is not done by then
/// is told to stop and runs again elsewhere, or after the next start.
const GRACE: Duration = Duration::from_secs(10);

/// Activities that run at once. Most of their time they wait for a receiver, and one that hangs must not hold up
/// the others.
const ACTIVITIES: usize = 500;
/// Workflow tasks that run at once. They take the processor and nothing else.
const WORKFLOW_TASKS: usize = 100;

/// The options of Segno's worker, with nothing registered yet.
pub(crate) fn options() -> WorkerOptions {
    let tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(ACTIVITIES))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS))
        .build();
    WorkerOptions::new(TASK_QUEUE)
        .tuner(tuner)
        .graceful_shutdown_period(GRACE)
        .build()
}

/// The worker did not start, or did not keep running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SDK's runtime cannot be made.
    #[error("the worker's runtime cannot be started")]
    Runtime(#[source] RuntimeError),
    /// The worker cannot be made.
    #[error("the worker cannot be set up")]
    Create(#[source] WorkerCreateError),
    /// The worker gave up.
    #[error("the worker stopped")]
    Run(#[source] WorkerRunError),
    /// The system gives no thread.
    #[error("the worker's thread cannot be started")]
    Thread(#[source] io::Error),
    /// The worker's thread ended without a word: a panic.
    #[error("the worker's thread died")]
    Died,
}

/// A running worker.
pub(crate) struct Worker {
    stop: Box<dyn Fn() + Send + Sync>,
    done: oneshot::Receiver<Result<(), Error>>,
    /// Cancelled once the worker runs no more, for whatever reason.
    ended: CancellationToken,
}

impl Worker {
    /// Starts the worker and returns once it is made; it polls from then on.
    pub(crate) async fn start(client: Client, options: WorkerOptions) -> Result<Self, Error> {
        let (made_tx, made_rx) = oneshot::channel();
        let (done_tx, done) = oneshot::channel();
        let ended = CancellationToken::new();
        let tokio = tokio::runtime::Handle::current();
        let guard = ended.clone().drop_guard();
        thread::Builder::new()
            .name("segno-worker".to_owned())
            .spawn(move || {
                let _guard = guard;
                tokio.block_on(async move {
                    let runtime = match Runtime::from_current_tokio(Default::default()) {
                        Ok(runtime) => runtime,
                        Err(error) => return drop(made_tx.send(Err(Error::Runtime(error)))),
                    };
                    let mut worker = match SdkWorker::new(&runtime, client, options) {
                        Ok(worker) => worker,
                        Err(error) => return drop(made_tx.send(Err(Error::Create(error)))),
                    };
                    let stop: Box<dyn Fn() + Send + Sync> = Box::new(worker.shutdown_handle());
                    // Nobody is left to hear of it only when the start was abandoned.
                    if made_tx.send(Ok(stop)).is_ok() {
                        drop(done_tx.send(worker.run().await.map_err(Error::Run)));
                    }
                });
            })
            .map_err(Error::Thread)?;
        let stop = made_rx.await.map_err(|_| Error::Died)??;
        Ok(Self { stop, done, ended })
    }

    /// Cancelled once the worker runs no more.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Finishes what is running, for at most [`GRACE`], and says how the worker ended.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        (self.stop)();
        self.done.await.map_err(|_| Error::Died)?
    }
}
