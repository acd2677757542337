//! `ProtocolMessage`: the place among the commands where a message that came along is dealt with.

use temporalio_protos::temporal::api::{
    command::v1::ProtocolMessageCommandAttributes, enums::v1::WorkflowTaskFailedCause as Cause,
};

use super::{CommandError, Context, ensure};

pub(super) fn apply(
    context: &mut Context<'_>,
    command: &ProtocolMessageCommandAttributes,
) -> Result<(), CommandError> {
    let cause = Cause::BadUpdateWorkflowExecutionMessage;
    let id = &command.message_id;
    ensure(!id.is_empty(), cause, || {
        "ProtocolMessageCommand.MessageId is not set.".into()
    })?;
    let Some(index) = context.messages.iter().position(|message| message.id == *id) else {
        let message = format!("ProtocolMessageCommand referenced absent message ID {id}");
        return Err(CommandError { cause, message });
    };
    let message = context.messages.remove(index);
    context.run.handle_message(context.now, message)
}
