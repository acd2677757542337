//! What the SDK answers to a workflow task of the script, as a model that looks at nothing but the history
//! and the updates that came along.

use temporalio_common::protos::temporal::api::{
    command::v1::Command,
    enums::v1::EventType,
    history::v1::{HistoryEvent, history_event::Attributes},
    protocol::v1::Message,
    update::v1::Request,
};

use crate::{
    commands,
    script::Step,
    updates::{self, Asked, Kind},
    walk::{Next, Walk, count},
};

/// What a worker says to complete a task.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) commands: Vec<Command>,
    pub(crate) messages: Vec<Message>,
}

impl Answer {
    fn place(&mut self, message: Message) {
        self.commands.push(commands::place(&message.id));
        self.messages.push(message);
    }
}

/// The worker's answer after this history, having been asked for these updates.
pub(crate) fn answer(history: &[HistoryEvent], steps: &[Step], asked: &[Asked]) -> Answer {
    let signals = count(history, &[EventType::WorkflowExecutionSignaled]);
    let mut answer = Answer::default();
    let mut accepted = Vec::new();
    for update in asked {
        if update.kind() == Kind::Unwanted {
            answer.messages.push(update.reject());
        } else {
            answer.place(update.accept());
            accepted.push(&update.request);
        }
    }
    let open = open_updates(history);
    let updates = count(history, &[EventType::WorkflowExecutionUpdateAccepted]) + accepted.len();
    let is_completed = |request: &Request| match updates::kind(request) {
        Kind::Awaiting { signals: awaited } => awaited <= signals,
        Kind::Immediate | Kind::Unwanted => true,
    };
    // The SDK asks the handlers how far they are in the order in which they began, after all signals of the task, and
    // then the workflow.
    for request in open.iter().chain(accepted) {
        if is_completed(request) {
            answer.place(updates::complete(request));
        }
    }
    match Walk::new(history, signals, updates).next(steps) {
        Next::Wait => {}
        Next::Command(command) => answer.commands.push(*command),
        Next::End => answer.commands.push(commands::complete()),
    }
    answer
}

/// The requests of the updates that are accepted and not completed, in that order.
fn open_updates(history: &[HistoryEvent]) -> Vec<Request> {
    let mut admitted = Vec::new();
    let mut open: Vec<Request> = Vec::new();
    for event in history {
        match &event.attributes {
            Some(Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(a)) => {
                admitted.extend(a.request.clone());
            }
            Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(a)) => {
                let id = &a.protocol_instance_id;
                let before = || {
                    admitted
                        .iter()
                        .rfind(|request| updates::id(request) == *id)
                        .cloned()
                };
                open.extend(a.accepted_request.clone().or_else(before));
            }
            Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(a)) => {
                open.retain(|request| request.meta != a.meta);
            }
            _ => {}
        }
    }
    open
}
