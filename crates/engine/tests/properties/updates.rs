//! Updates as a worker gets them, and its answers to them.

use prost::Message as _;
use temporalio_common::protos::temporal::api::{
    common::v1::Payloads,
    failure::v1::Failure,
    history::v1::{HistoryEvent, history_event::Attributes},
    protocol::v1::{Message, message::SequencingId},
    update::v1::{Acceptance, Input, Meta, Outcome, Rejection, Request, Response, outcome},
};

use crate::script;

/// What the script does with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unwanted,
    /// Completed with the task that accepts it.
    Immediate,
    /// Completed when there have been so many signals.
    Awaiting {
        signals: usize,
    },
}

/// An update that a worker is to answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    /// The event after which it comes.
    pub(crate) after: i64,
}

impl Asked {
    pub(crate) fn by(message: &Message) -> Self {
        let body = message.body.as_ref().expect("a body");
        let Some(SequencingId::EventId(after)) = message.sequencing_id else {
            panic!("no place in the history: {message:?}");
        };
        Self {
            request: Request::decode(body.value.as_slice()).expect("a request"),
            after,
        }
    }

    /// The update that an event admits.
    pub(crate) fn admitted_by(event: &HistoryEvent) -> Option<Self> {
        match &event.attributes {
            Some(Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(admitted)) => Some(Self {
                request: admitted.request.clone().expect("a request"),
                after: event.event_id,
            }),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        kind(&self.request)
    }

    fn id(&self) -> String {
        id(&self.request)
    }

    fn message_id(&self) -> String {
        format!("{}/request", self.id())
    }

    pub(crate) fn accept(&self) -> Message {
        let acceptance = Acceptance {
            accepted_request_message_id: self.message_id(),
            accepted_request_sequencing_event_id: self.after,
            accepted_request: Some(self.request.clone()),
        };
        answer(&self.id(), "accept", "Acceptance", &acceptance)
    }

    pub(crate) fn reject(&self) -> Message {
        let rejection = Rejection {
            rejected_request_message_id: self.message_id(),
            rejected_request_sequencing_event_id: self.after,
            rejected_request: Some(self.request.clone()),
            failure: Some(Failure {
                message: "not wanted".to_owned(),
                ..Default::default()
            }),
        };
        answer(&self.id(), "reject", "Rejection", &rejection)
    }
}

/// The answer that completes an accepted update.
pub(crate) fn complete(request: &Request) -> Message {
    let response = Response {
        meta: request.meta.clone(),
        outcome: Some(Outcome {
            value: Some(outcome::Value::Success(script::json("null"))),
        }),
    };
    answer(&id(request), "complete", "Response", &response)
}

pub(crate) fn id(request: &Request) -> String {
    request.meta.clone().unwrap_or_default().update_id
}

pub(crate) fn kind(request: &Request) -> Kind {
    let input = request.input.clone().unwrap_or_default();
    let arguments = input.args.unwrap_or_default().payloads;
    let text = std::str::from_utf8(&arguments[0].data).expect("text");
    match (input.name.as_str(), text) {
        ("bump", "true") => Kind::Immediate,
        ("bump", _) => Kind::Unwanted,
        (_, text) => Kind::Awaiting {
            signals: text.parse().expect("a number"),
        },
    }
}

pub(crate) fn request(id: &str, kind: Kind) -> Request {
    let (name, argument): (_, Payloads) = match kind {
        Kind::Unwanted => ("bump", script::json("false")),
        Kind::Immediate => ("bump", script::json("true")),
        Kind::Awaiting { signals } => ("await_signals", script::json(&signals.to_string())),
    };
    Request {
        meta: Some(Meta {
            update_id: id.to_owned(),
            identity: "client".to_owned(),
        }),
        input: Some(Input {
            name: name.to_owned(),
            args: Some(argument),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn answer(update_id: &str, what: &str, name: &str, body: &impl prost::Message) -> Message {
    Message {
        id: format!("{update_id}/request/{what}"),
        protocol_instance_id: update_id.to_owned(),
        body: Some(prost_types::Any {
            type_url: format!("type.googleapis.com/temporal.api.update.v1.{name}"),
            value: body.encode_to_vec(),
        }),
        ..Default::default()
    }
}
