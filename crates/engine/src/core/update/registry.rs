//! What is known of a run's updates: the accepted and completed ones by their events, those admitted
//! and not yet answered in the order they came.

use std::{collections::HashMap, sync::Arc};

use prost::Message as _;
use temporalio_protos::temporal::api::{
    history::v1::history_event::Attributes,
    protocol::v1::{Message, message::SequencingId},
    update::v1::Request,
};

use crate::{core::events::Events, limits::Limits, rpc::RpcError};

/// The updates of one run. In memory alone: it follows the history, and what it knows beyond that
/// is lost with the process.
#[derive(Clone, Debug)]
pub struct Updates {
    /// How many the run takes.
    limits: Arc<Limits>,
    /// How many events of the history it has followed.
    followed: usize,
    recorded: HashMap<String, Recorded>,
    /// How many of the recorded are completed.
    completed: usize,
    admitted: Vec<Admitted>,
}

/// An update in the history, by the ids of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) accepted_event_id: i64,
    /// 0: not completed yet.
    pub(super) completed_event_id: i64,
}

/// A registry as it was.
#[derive(Debug)]
pub(crate) struct Mark {
    followed: usize,
    admitted: Vec<Admitted>,
}

/// An update that no worker has answered.
#[derive(Clone, Debug)]
struct Admitted {
    id: String,
    /// None where an event of the history has it, as after a reset: then workers read it there.
    request: Option<Arc<Request>>,
    /// A worker has it.
    is_sent: bool,
}

impl Updates {
    /// Nothing is known yet.
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            followed: 0,
            recorded: HashMap::new(),
            completed: 0,
            admitted: Vec::new(),
        }
    }

    /// Catches up with the history. A task up to `last_started_event_id` has been completed.
    pub(super) fn follow(&mut self, history: &Events, last_started_event_id: i64) {
        for event in history.from(self.followed) {
            match &event.attributes {
                Some(Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(a)) => {
                    let meta = a.request.as_ref().and_then(|request| request.meta.as_ref());
                    self.admitted.push(Admitted {
                        id: meta.map(|meta| meta.update_id.clone()).unwrap_or_default(),
                        request: None,
                        is_sent: event.event_id <= last_started_event_id,
                    });
                }
                Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(a)) => {
                    self.admitted.retain(|update| update.id != a.protocol_instance_id);
                    let recorded = Recorded {
                        accepted_event_id: event.event_id,
                        completed_event_id: 0,
                    };
                    self.recorded.insert(a.protocol_instance_id.clone(), recorded);
                }
                Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(a)) => {
                    let id = a
                        .meta
                        .as_ref()
                        .map(|meta| meta.update_id.as_str())
                        .unwrap_or_default();
                    if let Some(recorded) = self.recorded.get_mut(id) {
                        recorded.completed_event_id = event.event_id;
                        self.completed += 1;
                    }
                }
                _ => {}
            }
        }
        self.followed = history.len();
    }

    pub(super) fn recorded(&self, id: &str) -> Option<Recorded> {
        self.recorded.get(id).copied()
    }

    pub(super) fn is_admitted(&self, id: &str) -> bool {
        self.admitted.iter().any(|update| update.id == id)
    }

    /// Whether something would be lost with the memory.
    pub(crate) fn has_admitted(&self) -> bool {
        !self.admitted.is_empty()
    }

    /// Takes a new update in.
    ///
    /// # Errors
    /// When the run has as many as it may have.
    pub(in crate::core) fn admit(&mut self, id: &str, request: Request) -> Result<(), RpcError> {
        let in_flight = self.admitted.len() + self.recorded.len() - self.completed;
        if in_flight >= self.limits.updates_in_flight {
            return Err(RpcError::ConcurrentLimit(format!(
                "limit on number of concurrent in-flight updates has been reached ({})",
                self.limits.updates_in_flight
            )));
        }
        self.take_in(id, request)
    }

    /// Takes in an update that a worker answers and nothing is known of: it was lost with a process,
    /// and the worker's answer has all there was of it.
    pub(super) fn take_in(&mut self, id: &str, request: Request) -> Result<(), RpcError> {
        if self.admitted.len() + self.recorded.len() >= self.limits.updates {
            return Err(RpcError::FailedPrecondition(format!(
                "limit on number of total updates has been reached ({})",
                self.limits.updates
            )));
        }
        self.admitted.push(Admitted {
            id: id.to_owned(),
            request: Some(Arc::new(request)),
            is_sent: false,
        });
        Ok(())
    }

    /// Messages for all that a worker is to get, to be seen after the event `after`.
    pub(super) fn send(&mut self, after: i64, again: bool) -> Vec<Message> {
        let mut messages = Vec::new();
        for update in &mut self.admitted {
            if update.is_sent && !again {
                continue;
            }
            update.is_sent = true;
            messages.extend(update.request.as_ref().map(|request| Message {
                id: request_message_id(&update.id),
                protocol_instance_id: update.id.clone(),
                sequencing_id: Some(SequencingId::EventId(after)),
                body: Some(prost_types::Any {
                    type_url: "type.googleapis.com/temporal.api.update.v1.Request".to_owned(),
                    value: request.encode_to_vec(),
                }),
            }));
        }
        messages
    }

    /// Takes out an admitted update: whether there was one, and its request if no event has it.
    pub(super) fn answer(&mut self, id: &str) -> Option<Option<Request>> {
        let index = self.admitted.iter().position(|update| update.id == id)?;
        Some(self.admitted.remove(index).request.map(Arc::unwrap_or_clone))
    }

    /// Takes out what workers have and did not answer.
    pub(super) fn take_sent(&mut self) -> Vec<String> {
        let sent = self.admitted.extract_if(.., |update| update.is_sent);
        sent.map(|update| update.id).collect()
    }

    /// Takes out all that is not answered.
    pub(super) fn take_admitted(&mut self) -> Vec<String> {
        self.admitted.drain(..).map(|update| update.id).collect()
    }
}

impl Updates {
    /// What must be kept to come back here by `roll_back`.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            followed: self.followed,
            admitted: self.admitted.clone(),
        }
    }

    /// Forgets what has happened since the mark.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        let is_in = |event_id: i64| usize::try_from(event_id).is_ok_and(|id| id <= mark.followed);
        self.recorded.retain(|_, update| is_in(update.accepted_event_id));
        for update in self.recorded.values_mut() {
            if !is_in(update.completed_event_id) {
                update.completed_event_id = 0;
            }
        }
        let is_completed = |update: &&Recorded| update.completed_event_id != 0;
        self.completed = self.recorded.values().filter(is_completed).count();
        self.followed = mark.followed;
        self.admitted = mark.admitted;
    }
}

/// The id of the message by which a worker gets an update.
pub(super) fn request_message_id(update_id: &str) -> String {
    format!("{update_id}/request")
}
