//! Protocol messages from a worker: an update is accepted, rejected, or completed.

use prost::Message as _;
use temporalio_protos::temporal::api::{
    enums::v1::WorkflowTaskFailedCause,
    history::v1::{
        WorkflowExecutionUpdateAcceptedEventAttributes, WorkflowExecutionUpdateCompletedEventAttributes,
        history_event::Attributes,
    },
    protocol::v1::Message,
    update::v1::{Acceptance, Outcome, Rejection, Response},
};

use super::{UpdateEnd, registry::request_message_id};
use crate::{
    clock::Nanos,
    core::{commands::CommandError, run::Run},
};

/// What a message says.
enum Body {
    Acceptance(Acceptance),
    Rejection(Rejection),
    Response(Response),
}

/// Whether the message says no more than that an update is rejected, which changes nothing.
pub(in crate::core) fn is_rejection(message: &Message) -> bool {
    message
        .body
        .as_ref()
        .is_some_and(|body| name_of(body) == "Rejection")
}

/// `Acceptance` for `type.googleapis.com/temporal.api.update.v1.Acceptance`.
fn name_of(body: &prost_types::Any) -> &str {
    let (_, full_name) = body.type_url.rsplit_once('/').unwrap_or_default();
    full_name
        .strip_prefix("temporal.api.update.v1.")
        .unwrap_or_default()
}

impl Run {
    /// Does what a message of a completed workflow task says.
    pub(in crate::core) fn handle_message(
        &mut self,
        now: Nanos,
        message: Message,
    ) -> Result<(), CommandError> {
        let id = message.protocol_instance_id;
        let body = message.body.unwrap_or_default();
        let body = read(&id, &body)?;
        if !self.is_running() {
            // The run has closed with this very task, and no event can follow: only a rejection needs none.
            if let Body::Rejection(rejection) = body {
                self.end_update(
                    id,
                    UpdateEnd::Rejected(rejection.failure.map(Box::new).unwrap_or_default()),
                );
            }
            return Ok(());
        }
        self.resurrect(&id, &body)?;
        match body {
            Body::Acceptance(acceptance) => self.accept_update(now, &id, &acceptance),
            Body::Rejection(rejection) => {
                if self.updates().answer(&id).is_none() {
                    return Err(self.wrong_state(&id, "Rejection"));
                }
                self.end_update(
                    id,
                    UpdateEnd::Rejected(rejection.failure.map(Box::new).unwrap_or_default()),
                );
                Ok(())
            }
            Body::Response(response) => self.complete_update(now, &id, response),
        }
    }

    /// Takes in an update that was lost with a process before its worker answered.
    fn resurrect(&mut self, id: &str, body: &Body) -> Result<(), CommandError> {
        let updates = self.updates();
        if updates.recorded(id).is_some() || updates.is_admitted(id) {
            return Ok(());
        }
        let request = match body {
            Body::Acceptance(acceptance) => acceptance.accepted_request.clone(),
            Body::Rejection(rejection) => rejection.rejected_request.clone(),
            Body::Response(_) => None,
        };
        let Some(request) = request else {
            return Err(bad(format!(
                "update {id} wasn't found on the server. This is most likely a transient error which will be resolved automatically by retries"
            )));
        };
        updates
            .take_in(id, request)
            .map_err(|error| bad(error.to_string()))
    }

    fn accept_update(&mut self, now: Nanos, id: &str, acceptance: &Acceptance) -> Result<(), CommandError> {
        let Some(accepted_request) = self.updates().answer(id) else {
            return Err(self.wrong_state(id, "Acceptance"));
        };
        let is_set = |holds: bool, what: &str| check("Acceptance", holds, || format!("{what} is not set"));
        is_set(
            acceptance.accepted_request_sequencing_event_id != 0,
            "accepted_request_sequencing_event_id",
        )?;
        is_set(
            !acceptance.accepted_request_message_id.is_empty(),
            "accepted_request_message_id",
        )?;
        self.append(
            now,
            Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(
                WorkflowExecutionUpdateAcceptedEventAttributes {
                    protocol_instance_id: id.to_owned(),
                    accepted_request_message_id: request_message_id(id),
                    accepted_request_sequencing_event_id: acceptance.accepted_request_sequencing_event_id,
                    accepted_request,
                },
            ),
        );
        Ok(())
    }

    fn complete_update(&mut self, now: Nanos, id: &str, response: Response) -> Result<(), CommandError> {
        let recorded = self.updates().recorded(id);
        let Some(recorded) = recorded.filter(|recorded| recorded.completed_event_id == 0) else {
            return Err(self.wrong_state(id, "Response"));
        };
        let meta = response.meta.unwrap_or_default();
        check("Response", !meta.update_id.is_empty(), || {
            "meta.update_id is not set".to_owned()
        })?;
        check("Response", meta.update_id == id, || {
            format!("meta.update_id != {id}")
        })?;
        check("Response", response.outcome.is_some(), || {
            "outcome is not set".to_owned()
        })?;
        self.append(
            now,
            Attributes::WorkflowExecutionUpdateCompletedEventAttributes(
                WorkflowExecutionUpdateCompletedEventAttributes {
                    meta: Some(meta),
                    accepted_event_id: recorded.accepted_event_id,
                    outcome: response.outcome,
                },
            ),
        );
        Ok(())
    }

    fn wrong_state(&mut self, id: &str, name: &str) -> CommandError {
        let state = match self.updates().recorded(id) {
            Some(recorded) if recorded.completed_event_id != 0 => "Completed",
            Some(_) => "Accepted",
            None => "Admitted",
        };
        bad(format!(
            "invalid state transition attempted for Update {id}: received *update.{name} message while in state {state}"
        ))
    }

    /// The outcome that the event of this id has.
    pub(super) fn update_outcome(&self, completed_event_id: i64) -> Option<Outcome> {
        match self.event(completed_event_id)?.attributes {
            Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(a)) => a.outcome,
            _ => None,
        }
    }
}

fn read(id: &str, body: &prost_types::Any) -> Result<Body, CommandError> {
    let bytes = body.value.as_slice();
    let decoded = match name_of(body) {
        "Acceptance" => Acceptance::decode(bytes).map(Body::Acceptance),
        "Rejection" => Rejection::decode(bytes).map(Body::Rejection),
        "Response" => Response::decode(bytes).map(Body::Response),
        _ => {
            return Err(bad(format!(
                "update {id}: messages of the type {:?} are not supported",
                body.type_url
            )));
        }
    };
    decoded.map_err(|error| bad(format!("unable to unmarshal request: {error}")))
}

fn check(name: &str, holds: bool, message: impl FnOnce() -> String) -> Result<(), CommandError> {
    if holds {
        Ok(())
    } else {
        Err(bad(format!("invalid *update.{name}: {}", message())))
    }
}

fn bad(message: String) -> CommandError {
    CommandError {
        cause: WorkflowTaskFailedCause::BadUpdateWorkflowExecutionMessage,
        message,
    }
}
