//! The commands of a completed workflow task, one file each.

mod activity;
mod attributes;
mod child;
mod close;
mod continue_as_new;
mod external;
mod marker;
mod protocol_message;
mod timer;

use temporalio_protos::temporal::api::{
    command::v1::{Command, command::Attributes},
    common::v1::SearchAttributes,
    enums::v1::{CommandType, WorkflowTaskFailedCause},
    history::v1::history_event,
    protocol::v1::Message,
    sdk::v1::{EventGroupMarker, UserMetadata},
};

use super::{completion::camel_case, run::Run};
use crate::clock::Nanos;

/// Says what is wrong with search attributes, if anything.
pub type AttributeGate<'a> = &'a dyn Fn(&mut SearchAttributes) -> Result<(), String>;

/// What commands are applied in: what they may ask for is the namespace's, and not the run's.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Name of the run's namespace.
    pub namespace: &'a str,
    /// Its id, as events carry it.
    pub namespace_id: &'a str,
    pub accept_attributes: AttributeGate<'a>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Why a command fails the workflow task.
#[derive(Debug)]
pub(super) struct CommandError {
    pub(super) cause: WorkflowTaskFailedCause,
    pub(super) message: String,
}

/// A command that is refused, and the workflow task with it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: CommandError,
    /// The whole run ends with it: to try again would not help.
    pub(super) is_fatal: bool,
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        Self {
            error,
            is_fatal: false,
        }
    }
}

/// What applied commands leave for the completion's answer.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Activities that the worker asked to get at once, by scheduled event id.
    pub(super) eager_activities: Vec<i64>,
}

/// What every command is applied with.
struct Context<'a> {
    run: &'a mut Run,
    now: Nanos,
    completed_event_id: i64,
    user_metadata: Option<UserMetadata>,
    event_group_markers: Vec<EventGroupMarker>,
    surroundings: &'a Surroundings<'a>,
    /// Messages that no command has placed yet.
    messages: Vec<Message>,
    applied: Applied,
    /// The error that a command is about to answer ends the run.
    is_fatal: bool,
}

/// Applies the commands in order, then the messages that no command placed among them. Of the commands,
/// what follows one that closed the run is not looked at.
pub(super) fn apply(
    run: &mut Run,
    now: Nanos,
    completed_event_id: i64,
    commands: Vec<Command>,
    messages: Vec<Message>,
    surroundings: &Surroundings<'_>,
) -> Result<Applied, Refused> {
    let applied = Applied::default();
    let mut context = Context {
        run,
        now,
        completed_event_id,
        user_metadata: None,
        event_group_markers: Vec::new(),
        surroundings,
        messages,
        applied,
        is_fatal: false,
    };
    for mut command in commands {
        if !context.run.is_running() {
            break;
        }
        context.user_metadata = command.user_metadata.take();
        context.event_group_markers = std::mem::take(&mut command.event_group_markers);
        apply_one(&mut context, command).map_err(|error| Refused {
            error,
            is_fatal: context.is_fatal,
        })?;
    }
    for message in std::mem::take(&mut context.messages) {
        context.run.handle_message(now, message)?;
    }
    Ok(context.applied)
}

fn apply_one(context: &mut Context<'_>, command: Command) -> Result<(), CommandError> {
    use Attributes as A;
    let command_type = command.command_type();
    match command.attributes {
        Some(A::ScheduleActivityTaskCommandAttributes(a)) => activity::schedule(context, a),
        Some(A::RequestCancelActivityTaskCommandAttributes(a)) => activity::request_cancel(context, &a),
        Some(A::StartTimerCommandAttributes(a)) => timer::start(context, a),
        Some(A::CancelTimerCommandAttributes(a)) => timer::cancel(context, a),
        Some(A::StartChildWorkflowExecutionCommandAttributes(a)) => child::start(context, a),
        Some(A::SignalExternalWorkflowExecutionCommandAttributes(a)) => external::signal(context, a),
        Some(A::RequestCancelExternalWorkflowExecutionCommandAttributes(a)) => {
            external::request_cancel(context, a)
        }
        Some(A::RecordMarkerCommandAttributes(a)) => marker::record(context, a),
        Some(A::UpsertWorkflowSearchAttributesCommandAttributes(a)) => attributes::upsert(context, a),
        Some(A::ModifyWorkflowPropertiesCommandAttributes(a)) => attributes::modify_memo(context, a),
        Some(A::CompleteWorkflowExecutionCommandAttributes(a)) => close::complete(context, a),
        Some(A::FailWorkflowExecutionCommandAttributes(a)) => close::fail(context, a),
        Some(A::CancelWorkflowExecutionCommandAttributes(a)) => close::cancel(context, a),
        Some(A::ContinueAsNewWorkflowExecutionCommandAttributes(a)) => continue_as_new::apply(context, a),
        Some(A::ProtocolMessageCommandAttributes(a)) => protocol_message::apply(context, &a),
        Some(A::ScheduleNexusOperationCommandAttributes(a)) => Err(no_endpoint(&a.endpoint)),
        Some(_) => Err(not_there(command_type)),
        None => Err(without_attributes(command_type)),
    }
}

fn without_attributes(command_type: CommandType) -> CommandError {
    use WorkflowTaskFailedCause as Cause;
    let cause = match command_type {
        CommandType::ScheduleActivityTask => Cause::BadScheduleActivityAttributes,
        CommandType::RequestCancelActivityTask => Cause::BadRequestCancelActivityAttributes,
        CommandType::StartTimer => Cause::BadStartTimerAttributes,
        CommandType::CancelTimer => Cause::BadCancelTimerAttributes,
        CommandType::RecordMarker => Cause::BadRecordMarkerAttributes,
        CommandType::CompleteWorkflowExecution => Cause::BadCompleteWorkflowExecutionAttributes,
        CommandType::FailWorkflowExecution => Cause::BadFailWorkflowExecutionAttributes,
        CommandType::CancelWorkflowExecution => Cause::BadCancelWorkflowExecutionAttributes,
        CommandType::ContinueAsNewWorkflowExecution => Cause::BadContinueAsNewAttributes,
        CommandType::StartChildWorkflowExecution => Cause::BadStartChildExecutionAttributes,
        CommandType::SignalExternalWorkflowExecution => Cause::BadSignalWorkflowExecutionAttributes,
        CommandType::RequestCancelExternalWorkflowExecution => {
            Cause::BadRequestCancelExternalWorkflowExecutionAttributes
        }
        CommandType::UpsertWorkflowSearchAttributes => Cause::BadSearchAttributes,
        CommandType::ModifyWorkflowProperties => Cause::BadModifyWorkflowPropertiesAttributes,
        CommandType::ProtocolMessage => Cause::BadUpdateWorkflowExecutionMessage,
        _ => Cause::Unspecified,
    };
    let name = camel_case(command_type.as_str_name(), "COMMAND_TYPE_");
    CommandError {
        cause,
        message: format!("{name}CommandAttributes is not set on {name}Command."),
    }
}

/// What the real server says where nobody has made the endpoint, and that nobody can.
fn no_endpoint(endpoint: &str) -> CommandError {
    CommandError {
        cause: WorkflowTaskFailedCause::BadScheduleNexusOperationAttributes,
        message: format!("endpoint {endpoint:?} not found: this engine has no Nexus endpoints"),
    }
}

fn not_there(command_type: CommandType) -> CommandError {
    CommandError {
        cause: WorkflowTaskFailedCause::FeatureDisabled,
        message: format!(
            "this engine does not implement the command {}",
            command_type.as_str_name()
        ),
    }
}

impl Context<'_> {
    /// Appends the command's event, with what the command says for people and the groups that it is in.
    fn append(&mut self, attributes: history_event::Attributes) -> i64 {
        let user_metadata = self.user_metadata.take();
        let groups = std::mem::take(&mut self.event_group_markers);
        self.run.append_with(self.now, attributes, user_metadata, groups)
    }

    /// The identity of the worker that gave the commands.
    fn identity(&self) -> String {
        use history_event::Attributes;
        let index = usize::try_from(self.completed_event_id - 1).ok();
        let event = index.and_then(|index| self.run.history.get(index));
        match event.and_then(|event| event.attributes) {
            Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) => completed.identity,
            _ => String::new(),
        }
    }

    /// Refuses what names another namespace. What the real server allows only by a switch that is off
    /// is not there at all: an engine's namespaces do not know each other.
    fn check_namespace(&self, named: &str, cause: WorkflowTaskFailedCause) -> Result<(), CommandError> {
        let is_own = named.is_empty() || named == self.surroundings.namespace;
        ensure(is_own, cause, || {
            "cross namespace commands are not allowed".into()
        })
    }

    /// Checks search attributes that a command sets, and notes their types.
    fn accept_attributes(&self, given: Option<&mut SearchAttributes>) -> Result<(), CommandError> {
        let Some(given) = given else { return Ok(()) };
        (self.surroundings.accept_attributes)(given).map_err(|message| CommandError {
            cause: WorkflowTaskFailedCause::BadSearchAttributes,
            message,
        })
    }

    /// Ends the run where a command holds more than a payload field may: `what` is larger.
    fn check_size(
        &mut self,
        what: &str,
        size: usize,
        cause: WorkflowTaskFailedCause,
    ) -> Result<(), CommandError> {
        self.is_fatal = size > self.run.limits.blob_size;
        ensure(!self.is_fatal, cause, || format!("{what} exceeds size limit."))
    }

    /// Refuses to close the run while there are events that the workflow has not seen.
    fn check_nothing_unseen(&self) -> Result<(), CommandError> {
        if self.run.state.buffered.is_empty() {
            return Ok(());
        }
        Err(CommandError {
            cause: WorkflowTaskFailedCause::UnhandledCommand,
            message: "there are new events that the workflow has not handled".into(),
        })
    }
}

/// Fails where there are as many pending `what` as there may be.
fn check_count(
    what: &str,
    count: usize,
    limit: usize,
    cause: WorkflowTaskFailedCause,
) -> Result<(), CommandError> {
    ensure(count < limit, cause, || {
        format!("the number of {what}, {count}, has reached the per-workflow limit of {limit}")
    })
}

/// Bytes of a field that may be missing.
fn size_of<M: prost::Message>(field: Option<&M>) -> usize {
    field.map_or(0, prost::Message::encoded_len)
}

/// Fails with `cause` and `message` unless `holds`.
fn ensure(
    holds: bool,
    cause: WorkflowTaskFailedCause,
    message: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    if holds {
        Ok(())
    } else {
        Err(CommandError {
            cause,
            message: message(),
        })
    }
}
