//! `RecordMarker`: what the SDK writes down for itself (side effects, versions, local activities).

use temporalio_protos::temporal::api::{
    command::v1::RecordMarkerCommandAttributes,
    enums::v1::WorkflowTaskFailedCause as Cause,
    history::v1::{MarkerRecordedEventAttributes, history_event::Attributes},
};

use super::{CommandError, Context, ensure, size_of};

pub(super) fn record(
    context: &mut Context<'_>,
    command: RecordMarkerCommandAttributes,
) -> Result<(), CommandError> {
    ensure(
        !command.marker_name.is_empty(),
        Cause::BadRecordMarkerAttributes,
        || "MarkerName is not set on RecordMarkerCommand.".into(),
    )?;
    let size = command
        .details
        .iter()
        .map(|(name, details)| name.len() + size_of(Some(details)))
        .sum();
    context.check_size(
        "RecordMarkerCommandAttributes.Details",
        size,
        Cause::BadRecordMarkerAttributes,
    )?;
    context.append(Attributes::MarkerRecordedEventAttributes(
        MarkerRecordedEventAttributes {
            marker_name: command.marker_name,
            details: command.details,
            workflow_task_completed_event_id: context.completed_event_id,
            header: command.header,
            failure: command.failure,
        },
    ));
    Ok(())
}
