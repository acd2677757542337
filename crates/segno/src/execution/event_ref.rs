//! How an activity gets its event: with its input, or, where that would repeat a large event for every action,
//! from the execution's first history event.

use std::{io, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;
use segno_event::Event;
use segno_routing::Plan;
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, history::v1::history_event::Attributes,
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use crate::encryption::{open, unreadable};

/// Largest event, in bytes of JSON, that is passed in an activity's input.
const MAX_INLINE: usize = 64 * 1024;
/// Large events kept at hand: a route's actions ask for the same one within moments.
const CACHED: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// An event, or where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum EventRef {
    /// The event itself.
    Inline(Box<Event>),
    /// The event of the plan in the execution's first history event.
    InHistory,
}

impl EventRef {
    /// By the event's size: the same for the same event, as a workflow has to be.
    pub(super) fn of(event: Event) -> Self {
        let mut size = Counter(0);
        match serde_json::to_writer(&mut size, &event) {
            Ok(()) if size.0 <= MAX_INLINE => Self::Inline(Box::new(event)),
            _ => Self::InHistory,
        }
    }
}

/// Counts what is written to it.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The engine does not give the history.
    #[error("the event cannot be read from the execution's history: {}", .0.message())]
    History(#[from] Status),
    /// The history does not begin with a plan.
    #[error("the execution's history does not begin with a plan: {0}")]
    NoPlan(String),
}

/// Reads events out of histories.
pub(super) struct Events {
    cache: Mutex<LruCache<String, Arc<Event>>>,
}

impl Events {
    pub(super) fn new() -> Self {
        Self {
            cache: Mutex::new(LruCache::new(CACHED)),
        }
    }

    /// The event that `reference` of an activity of this execution stands for.
    pub(super) async fn get(
        &self,
        reference: EventRef,
        client: impl FnOnce() -> Client,
        execution: &WorkflowExecution,
    ) -> Result<Arc<Event>, Error> {
        if let EventRef::Inline(event) = reference {
            return Ok(Arc::new(*event));
        }
        if let Some(event) = self.cache.lock().get(&execution.run_id) {
            return Ok(event.clone());
        }
        let event = Arc::new(read(&client(), execution).await?.event);
        self.cache.lock().put(execution.run_id.clone(), event.clone());
        Ok(event)
    }
}

async fn read(client: &Client, execution: &WorkflowExecution) -> Result<Plan, Error> {
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: client.namespace(),
        execution: Some(execution.clone()),
        maximum_page_size: 1,
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service
        .get_workflow_execution_history(request.into_request())
        .await?
        .into_inner();
    let reply = open(client, reply).await;
    let first = reply.history.unwrap_or_default().events.into_iter().next();
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        first.and_then(|event| event.attributes)
    else {
        return Err(Error::NoPlan("no started event".to_owned()));
    };
    let input = started.input.unwrap_or_default().payloads;
    let plan = input
        .first()
        .ok_or_else(|| Error::NoPlan("no input".to_owned()))?;
    if let Some(reason) = unreadable(plan) {
        return Err(Error::NoPlan(format!("it is {reason}")));
    }
    serde_json::from_slice(&plan.data).map_err(|error| Error::NoPlan(error.to_string()))
}
