//! Read your writes: waiting until a consumer has handled an event.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use segno_event::Event;
use segno_routing::{Handler, PlannedHandler, plan, workflow_id};
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowGetResultOptions, errors::WorkflowGetResultError, tonic::Status,
};

use crate::live::Live;

/// First pause while the event is still on its way, in an outbox or on a bus.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Waits for consumers; [`Running::waiter`](crate::Running::waiter) makes one. Cheap to clone.
#[derive(Clone)]
pub struct Waiter {
    client: Client,
    live: Live,
}

/// A consumer has not handled an event, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// No route runs a consumer of this name.
    #[error("no route runs a consumer {consumer:?}; {}", list(.known))]
    UnknownConsumer {
        /// The name.
        consumer: String,
        /// The consumers that routes run.
        known: Vec<String>,
    },
    /// No route takes this event to the consumer: it will never handle it.
    #[error("no route takes events of the type {ty:?} like this one to the consumer {consumer:?}")]
    NotRouted {
        /// The consumer's name.
        consumer: String,
        /// The event's type.
        ty: String,
    },
    /// The event's execution has ended without success: it is a dead letter, or was cancelled or terminated.
    #[error("the consumer {consumer:?} has failed on the event: {reason} (execution {workflow_id:?})")]
    Failed {
        /// The consumer's name.
        consumer: String,
        /// The execution's id.
        workflow_id: String,
        /// Why.
        reason: String,
    },
    /// The time is up.
    #[error("the consumer {consumer:?} has not handled the event within {deadline:?}: {}", if *.arrived {
        "it is at it"
    } else {
        "the event has not arrived"
    })]
    Deadline {
        /// The consumer's name.
        consumer: String,
        /// The time that was given.
        deadline: Duration,
        /// Whether the event has arrived, so that its execution was there.
        arrived: bool,
    },
    /// The engine does not answer.
    #[error("the engine does not say: {0}")]
    Engine(#[source] Status),
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        "there is no consumer on any route".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    }
}

impl Waiter {
    pub(crate) fn new(client: Client, live: Live) -> Self {
        Self { client, live }
    }

    /// Waits until the consumer has handled the event, which may still be on its way here. If several routes take it to the
    /// consumer, until all have.
    ///
    /// The consumer has then returned without an error: what it wrote can be read. An event whose execution is gone
    /// because its retention has ended looks like one that has not arrived.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub async fn wait_for(&self, event: &Event, consumer: &str, deadline: Duration) -> Result<(), WaitError> {
        let mut executions: Vec<String> = plan(&self.live.get().routes, event)
            .into_iter()
            .filter(|plan| matches!(&plan.handler, PlannedHandler::Consumer { name, .. } if name == consumer))
            .map(|plan| workflow_id(&plan.route, event))
            .collect();
        if executions.is_empty() {
            return Err(self.never(event, consumer));
        }
        let arrived = AtomicBool::new(false);
        let waiting = async {
            while let Some(id) = executions.pop() {
                self.result(&id, consumer, &arrived).await?;
            }
            Ok(())
        };
        match tokio::time::timeout(deadline, waiting).await {
            Ok(result) => result,
            Err(_) => Err(WaitError::Deadline {
                consumer: consumer.to_owned(),
                deadline,
                arrived: arrived.load(Ordering::Relaxed),
            }),
        }
    }

    fn never(&self, event: &Event, consumer: &str) -> WaitError {
        let setup = self.live.get();
        let mut known: Vec<String> = setup
            .routes
            .iter()
            .filter_map(|route| match &route.handler {
                Handler::Consumer { name, .. } => Some(name.clone()),
                _ => None,
            })
            .collect();
        known.sort();
        known.dedup();
        let consumer = consumer.to_owned();
        if known.contains(&consumer) {
            WaitError::NotRouted {
                consumer,
                ty: event.ty.clone(),
            }
        } else {
            WaitError::UnknownConsumer { consumer, known }
        }
    }

    async fn result(&self, id: &str, consumer: &str, arrived: &AtomicBool) -> Result<(), WaitError> {
        let handle = self.client.get_workflow_handle::<UntypedWorkflow>(id);
        let mut pause = FIRST_PAUSE;
        loop {
            // A history without its end is answered after some time only; that it is there is known sooner.
            if !arrived.load(Ordering::Relaxed) && handle.describe(Default::default()).await.is_ok() {
                arrived.store(true, Ordering::Relaxed);
            }
            let reason = match handle.get_result(WorkflowGetResultOptions::default()).await {
                Ok(_) => return Ok(()),
                Err(WorkflowGetResultError::NotFound(_)) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                    continue;
                }
                Err(WorkflowGetResultError::Rpc(status)) => return Err(WaitError::Engine(status)),
                Err(WorkflowGetResultError::Failed(failure)) => reason(&*failure),
                Err(other) => other.to_string(),
            };
            return Err(WaitError::Failed {
                consumer: consumer.to_owned(),
                workflow_id: id.to_owned(),
                reason,
            });
        }
    }
}

/// An error with what it was caused by, where that says more.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
