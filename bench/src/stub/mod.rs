//! The least that answers the SDK: a server in this process that keeps all in memory, knows one-activity
//! workflows alone, and does nothing else. What the SDK reaches on it is the ceiling of every server that
//! is called in process; on a port, of every server that is called over the loopback.

pub(crate) mod grpc;
mod queue;
mod rpc;
mod run;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use temporalio_client::{
    ConnectionOptions,
    callback_based::{CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse},
};
use tonic::Status;

use self::{queue::Queue, run::Run};

/// The stub. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Stub(Arc<State>);

#[derive(Default)]
struct State {
    runs: Mutex<Vec<Arc<Run>>>,
    workflow_tasks: Mutex<HashMap<String, Arc<Queue>>>,
    activities: Queue,
}

impl Stub {
    /// Options for a connection of the SDK to this stub.
    pub(crate) fn connection_options(&self) -> Result<ConnectionOptions> {
        let stub = self.clone();
        let callback = move |request: GrpcRequest| {
            let stub = stub.clone();
            let answer = async move {
                let proto = rpc::answer(&stub, &request.rpc, request.proto).await?;
                Ok(GrpcSuccessResponse {
                    headers: Default::default(),
                    proto,
                })
            };
            Box::pin(answer) as futures::future::BoxFuture<'static, _>
        };
        Ok(
            ConnectionOptions::new("http://stub.internal:7233".parse::<url::Url>()?)
                .service_override(CallbackBasedGrpcService {
                    callback: Arc::new(callback),
                })
                .dns_load_balancing(None)
                .build(),
        )
    }

    /// Keeps a new run, and answers its number.
    fn add(&self, make: impl FnOnce(usize) -> Run) -> Arc<Run> {
        let mut runs = locked(&self.0.runs);
        let run = Arc::new(make(runs.len()));
        runs.push(run.clone());
        run
    }

    fn run(&self, number: usize) -> Result<Arc<Run>, Status> {
        locked(&self.0.runs)
            .get(number)
            .cloned()
            .ok_or_else(|| Status::not_found("no such run"))
    }

    /// The workflow tasks of a task queue.
    fn workflow_tasks(&self, name: &str) -> Arc<Queue> {
        let mut queues = locked(&self.0.workflow_tasks);
        match queues.get(name) {
            Some(queue) => queue.clone(),
            None => queues.entry(name.to_owned()).or_default().clone(),
        }
    }

    /// Ends all polls, now and later: the worker stops.
    fn close(&self) {
        for queue in locked(&self.0.workflow_tasks).values() {
            queue.close();
        }
        self.0.activities.close();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
