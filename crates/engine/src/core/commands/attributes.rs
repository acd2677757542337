//! `UpsertWorkflowSearchAttributes` and `ModifyWorkflowProperties` (the memo).

use temporalio_protos::temporal::api::{
    command::v1::{
        ModifyWorkflowPropertiesCommandAttributes, UpsertWorkflowSearchAttributesCommandAttributes,
    },
    enums::v1::WorkflowTaskFailedCause as Cause,
    history::v1::{
        UpsertWorkflowSearchAttributesEventAttributes, WorkflowPropertiesModifiedEventAttributes,
        history_event::Attributes,
    },
};

use super::{CommandError, Context, ensure, size_of};
use crate::core::attributes::merge;

pub(super) fn upsert(
    context: &mut Context<'_>,
    command: UpsertWorkflowSearchAttributesCommandAttributes,
) -> Result<(), CommandError> {
    let cause = Cause::BadSearchAttributes;
    let mut attributes = command.search_attributes.ok_or_else(|| CommandError {
        cause,
        message: "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.".into(),
    })?;
    ensure(!attributes.indexed_fields.is_empty(), cause, || {
        "IndexedFields is not set on UpsertWorkflowSearchAttributesCommand.".into()
    })?;
    context.accept_attributes(Some(&mut attributes))?;
    let all = context.run.state.search_attributes.get_or_insert_default();
    merge(&mut all.indexed_fields, attributes.indexed_fields.clone());
    context.run.effects.attributes_changed = true;
    context.append(Attributes::UpsertWorkflowSearchAttributesEventAttributes(
        UpsertWorkflowSearchAttributesEventAttributes {
            workflow_task_completed_event_id: context.completed_event_id,
            search_attributes: Some(attributes),
        },
    ));
    Ok(())
}

pub(super) fn modify_memo(
    context: &mut Context<'_>,
    command: ModifyWorkflowPropertiesCommandAttributes,
) -> Result<(), CommandError> {
    let Some(memo) = command.upserted_memo else {
        return Err(CommandError {
            cause: Cause::BadModifyWorkflowPropertiesAttributes,
            message: "UpsertedMemo is not set on ModifyWorkflowPropertiesCommand.".into(),
        });
    };
    let mut merged = context.run.state.memo.clone().unwrap_or_default();
    merge(&mut merged.fields, memo.fields.clone());
    context.check_size(
        "ModifyWorkflowPropertiesCommandAttributes. Memo",
        size_of(Some(&merged)),
        Cause::BadModifyWorkflowPropertiesAttributes,
    )?;
    context.run.state.memo = Some(merged);
    context.run.effects.attributes_changed = true;
    context.append(Attributes::WorkflowPropertiesModifiedEventAttributes(
        WorkflowPropertiesModifiedEventAttributes {
            workflow_task_completed_event_id: context.completed_event_id,
            upserted_memo: Some(memo),
        },
    ));
    Ok(())
}
