//! A worker, tuned the same for every server.

use std::future::Future;

use anyhow::{Context, Result};
use temporalio_client::Client;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    runtime::{
        PollerBehavior,
        worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
    },
};

use crate::{
    job::{Greetings, OneActivity},
    settings::Settings,
};

/// The task queue of the measured workflows.
pub(crate) const TASK_QUEUE: &str = "bench";

/// Does `work` while a worker runs, and then ends the worker.
pub(crate) async fn beside_worker<T: Send + 'static>(
    client: &Client,
    settings: &Settings,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let slots = || FixedSizeSlotSupplier::new(settings.slots);
    let tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(slots())
        .activity_task_slot_supplier(slots())
        .local_activity_task_slot_supplier(slots())
        .nexus_task_slot_supplier(slots())
        .build();
    let options = WorkerOptions::new(TASK_QUEUE)
        .register_workflow::<OneActivity>()?
        .register_activities(Greetings)
        .tuner(tuner)
        .workflow_task_poller_behavior(PollerBehavior::SimpleMaximum(settings.pollers))
        .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(settings.pollers))
        .build();
    let runtime = Runtime::from_current_tokio(Default::default())?;
    let mut worker = Worker::new(&runtime, client.clone(), options)?;
    let end = worker.shutdown_handle();
    let work = tokio::spawn(async move {
        let done = work.await;
        end();
        done
    });
    worker.run().await.context("the worker failed")?;
    work.await?
}
