//! How workers answer updates.

use prost::Message as _;
use temporalio_protos::temporal::api::{
    command::v1::{Command, ProtocolMessageCommandAttributes, command::Attributes},
    enums::v1::CommandType,
    failure::v1::Failure,
    protocol::v1::{Message, message::SequencingId},
    update::v1::{Acceptance, Outcome, Rejection, Request, Response, outcome::Value},
};

use super::{
    rng::Rng,
    workflow::{View, payloads},
};

/// What a rejection says.
pub(crate) const REJECTED: &str = "the workflow does not want it";

/// The answers to the updates of one workflow task.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Those that stand among the commands.
    placed: Vec<Message>,
    rejections: Vec<Message>,
}

impl Answers {
    /// Accepts, completes and rejects what came with the task, and completes what was accepted before.
    pub(crate) fn of(view: &View, came: &[Message], choice: u64, is_finishing: bool) -> Self {
        let mut rng = Rng::new(choice ^ 0x0dd5);
        let mut answers = Self::default();
        for accepted in &view.updates {
            if is_finishing || rng.one_in(2) {
                answers.complete(accepted);
            }
        }
        for message in came {
            let id = &message.protocol_instance_id;
            if rng.one_in(4) && !is_finishing {
                answers.reject(message);
                continue;
            }
            answers.accept(message);
            if is_finishing || rng.one_in(2) {
                answers.complete(id);
            }
        }
        answers
    }

    /// Whether nothing but rejections is answered.
    pub(crate) fn only_rejects(&self) -> bool {
        self.placed.is_empty() && !self.rejections.is_empty()
    }

    /// Where the answers stand among the commands.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let command = |message: &Message| Command {
            command_type: CommandType::ProtocolMessage as i32,
            attributes: Some(Attributes::ProtocolMessageCommandAttributes(
                ProtocolMessageCommandAttributes {
                    message_id: message.id.clone(),
                },
            )),
            ..Default::default()
        };
        self.placed.iter().map(command).collect()
    }

    /// All answers.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        let mut all = std::mem::take(&mut self.placed);
        all.append(&mut self.rejections);
        all
    }

    fn accept(&mut self, message: &Message) {
        let request = message
            .body
            .as_ref()
            .and_then(|body| Request::decode(body.value.as_ref()).ok());
        let acceptance = Acceptance {
            accepted_request_message_id: message.id.clone(),
            accepted_request_sequencing_event_id: sequence(message),
            accepted_request: request,
        };
        let id = &message.protocol_instance_id;
        self.placed
            .push(answer(id, "accept", "Acceptance", acceptance.encode_to_vec()));
    }

    fn complete(&mut self, id: &str) {
        let response = Response {
            meta: Some(temporalio_protos::temporal::api::update::v1::Meta {
                update_id: id.to_owned(),
                ..Default::default()
            }),
            outcome: Some(Outcome {
                value: payloads(id).map(Value::Success),
            }),
        };
        self.placed
            .push(answer(id, "complete", "Response", response.encode_to_vec()));
    }

    fn reject(&mut self, message: &Message) {
        let rejection = Rejection {
            rejected_request_message_id: message.id.clone(),
            rejected_request_sequencing_event_id: sequence(message),
            failure: Some(Failure {
                message: REJECTED.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let id = &message.protocol_instance_id;
        self.rejections
            .push(answer(id, "reject", "Rejection", rejection.encode_to_vec()));
    }
}

fn sequence(message: &Message) -> i64 {
    match message.sequencing_id {
        Some(SequencingId::EventId(id)) => id,
        _ => 0,
    }
}

fn answer(id: &str, what: &str, body: &str, value: Vec<u8>) -> Message {
    Message {
        id: format!("{id}/{what}"),
        protocol_instance_id: id.to_owned(),
        body: Some(prost_types::Any {
            type_url: format!("type.googleapis.com/temporal.api.update.v1.{body}"),
            value,
        }),
        ..Default::default()
    }
}
