//! `StartTimer` and `CancelTimer`.

use temporalio_protos::temporal::api::{
    command::v1::{CancelTimerCommandAttributes, StartTimerCommandAttributes},
    enums::v1::WorkflowTaskFailedCause as Cause,
    history::v1::{TimerCanceledEventAttributes, TimerStartedEventAttributes, history_event::Attributes},
};

use super::{CommandError, Context, ensure};
use crate::{
    clock::{duration, nanos},
    core::state::Timer,
};

pub(super) fn start(
    context: &mut Context<'_>,
    command: StartTimerCommandAttributes,
) -> Result<(), CommandError> {
    let after = nanos(command.start_to_fire_timeout.as_ref());
    let id = command.timer_id;
    ensure(!id.is_empty(), Cause::BadStartTimerAttributes, || {
        "TimerId is not set on StartTimerCommand.".into()
    })?;
    ensure(after >= 0, Cause::BadStartTimerAttributes, || {
        format!("An invalid StartToFireTimeout is set on StartTimerCommand: negative duration. TimerId={id}")
    })?;
    let is_open = context.run.state.timers.iter().any(|timer| timer.id == id);
    ensure(!is_open, Cause::StartTimerDuplicateId, || {
        format!("invalid history builder state for action: add-timer-started-event, TimerID: {id}")
    })?;

    let started_event_id = context.append(Attributes::TimerStartedEventAttributes(
        TimerStartedEventAttributes {
            timer_id: id.clone(),
            start_to_fire_timeout: Some(duration(after)),
            workflow_task_completed_event_id: context.completed_event_id,
        },
    ));
    let fire_at = context.now.saturating_add(after);
    context.run.state.timers.push(Timer {
        id,
        started_event_id,
        fire_at,
    });
    Ok(())
}

pub(super) fn cancel(
    context: &mut Context<'_>,
    command: CancelTimerCommandAttributes,
) -> Result<(), CommandError> {
    let id = command.timer_id;
    ensure(!id.is_empty(), Cause::BadCancelTimerAttributes, || {
        "TimerId is not set on CancelTimerCommand.".into()
    })?;
    let started_event_id = match context.run.state.timers.iter().position(|timer| timer.id == id) {
        Some(index) => context.run.state.timers.remove(index).started_event_id,
        // It has fired, but the workflow has not seen it: as if it had not.
        None => take_unseen_fired(context, &id).ok_or_else(|| CommandError {
            cause: Cause::BadCancelTimerAttributes,
            message: format!(
                "invalid history builder state for action: add-timer-canceled-event, TimerID: {id}"
            ),
        })?,
    };
    let identity = context.identity();
    context.append(Attributes::TimerCanceledEventAttributes(
        TimerCanceledEventAttributes {
            timer_id: id,
            started_event_id,
            workflow_task_completed_event_id: context.completed_event_id,
            identity,
        },
    ));
    Ok(())
}

fn take_unseen_fired(context: &mut Context<'_>, id: &str) -> Option<i64> {
    let buffered = &mut context.run.state.buffered;
    let (index, started_event_id) =
        buffered
            .iter()
            .enumerate()
            .find_map(|(index, event)| match &event.attributes {
                Some(Attributes::TimerFiredEventAttributes(fired)) if fired.timer_id == id => {
                    Some((index, fired.started_event_id))
                }
                _ => None,
            })?;
    buffered.remove(index);
    Some(started_event_id)
}
