//! `ScheduleActivityTask` and `RequestCancelActivityTask`.

use temporalio_protos::temporal::api::{
    command::v1::{RequestCancelActivityTaskCommandAttributes, ScheduleActivityTaskCommandAttributes},
    common::v1::Payloads,
    enums::v1::WorkflowTaskFailedCause as Cause,
    history::v1::{
        ActivityTaskCancelRequestedEventAttributes, ActivityTaskCanceledEventAttributes,
        ActivityTaskScheduledEventAttributes, history_event::Attributes,
    },
};

use super::{CommandError, Context, check_count, ensure, size_of};
use crate::{
    clock::{duration, nanos},
    core::{
        activity::json_payload, activity_options::Timeouts, options::check_priority, retry, run::Run,
        state::Activity, workflow_task::normal_queue,
    },
};

pub(super) fn schedule(
    context: &mut Context<'_>,
    command: ScheduleActivityTaskCommandAttributes,
) -> Result<(), CommandError> {
    let bad = Cause::BadScheduleActivityAttributes;
    let activity_type = command.activity_type.clone().unwrap_or_default().name;
    let id = command.activity_id.clone();
    ensure(!id.is_empty(), bad, || "activityId is not set".into())?;
    ensure(!activity_type.is_empty(), bad, || {
        "activityType is not set".into()
    })?;
    let limit = context.run.limits.id_length;
    for (what, value) in [("activityId", &id), ("activityType", &activity_type)] {
        ensure(value.len() <= limit, bad, || {
            let length = value.len();
            format!("{what} exceeds length limit. Length={length} Limit={limit}")
        })?;
    }
    let task_queue = command.task_queue.unwrap_or_default().name;
    ensure(!task_queue.is_empty(), bad, || "missing task queue name".into())?;
    check_priority(command.priority.as_ref()).map_err(|message| CommandError {
        cause: bad,
        message: format!("invalid priorities: {message}"),
    })?;
    ensure(
        context.run.activity_by_id(&id).is_none(),
        Cause::ScheduleActivityDuplicateId,
        || {
            format!(
                "invalid history builder state for action: add-activitytask-scheduled-event, ActivityID: {id}"
            )
        },
    )?;
    let input = "ScheduleActivityTaskCommandAttributes.Input";
    context.check_size(input, size_of(command.input.as_ref()), bad)?;
    check_count(
        "pending activities",
        context.run.state.activities.len(),
        context.run.limits.pending_activities,
        Cause::PendingActivitiesLimitExceeded,
    )?;
    let asked = Timeouts {
        schedule_to_close: nanos(command.schedule_to_close_timeout.as_ref()),
        schedule_to_start: nanos(command.schedule_to_start_timeout.as_ref()),
        start_to_close: nanos(command.start_to_close_timeout.as_ref()),
        heartbeat: nanos(command.heartbeat_timeout.as_ref()),
    };
    let timeouts = asked
        .resolve(context.run.state.run_timeout)
        .map_err(|error| CommandError {
            cause: bad,
            message: error.refusal(&id, &activity_type),
        })?;
    if let Some(policy) = &command.retry_policy {
        retry::check(policy).map_err(|message| CommandError { cause: bad, message })?;
    }

    let retry_policy = retry::with_defaults(command.retry_policy);
    let now = context.now;
    // A worker asks for what it can run itself, whatever the queue.
    let is_eager = command.request_eager_execution;
    let scheduled_event_id = context.append(Attributes::ActivityTaskScheduledEventAttributes(
        ActivityTaskScheduledEventAttributes {
            activity_id: command.activity_id,
            activity_type: command.activity_type,
            task_queue: Some(normal_queue(&task_queue)),
            header: command.header,
            input: command.input,
            schedule_to_close_timeout: Some(duration(timeouts.schedule_to_close)),
            schedule_to_start_timeout: Some(duration(timeouts.schedule_to_start)),
            start_to_close_timeout: Some(duration(timeouts.start_to_close)),
            heartbeat_timeout: Some(duration(timeouts.heartbeat)),
            workflow_task_completed_event_id: context.completed_event_id,
            retry_policy: Some(retry_policy.clone()),
            priority: command.priority.clone(),
            ..Default::default()
        },
    ));
    context.run.state.activities.push(Activity {
        scheduled_event_id,
        id,
        activity_type,
        task_queue,
        attempt: 1,
        scheduled_at: now,
        attempt_at: now,
        schedule_to_start: timeouts.schedule_to_start,
        schedule_to_close: timeouts.schedule_to_close,
        start_to_close: timeouts.start_to_close,
        heartbeat: timeouts.heartbeat,
        retry_policy: Some(retry_policy),
        priority: command.priority,
        ..Default::default()
    });
    if is_eager {
        context.applied.eager_activities.push(scheduled_event_id);
    } else {
        context.run.offer_activity(scheduled_event_id);
    }
    Ok(())
}

pub(super) fn request_cancel(
    context: &mut Context<'_>,
    command: &RequestCancelActivityTaskCommandAttributes,
) -> Result<(), CommandError> {
    let scheduled_event_id = command.scheduled_event_id;
    let bad = Cause::BadRequestCancelActivityAttributes;
    ensure(scheduled_event_id != 0, bad, || {
        "ScheduledEventId is not set on RequestCancelActivityTaskCommand.".into()
    })?;
    let run = &*context.run;
    // One that has ended may be cancelled as long as the workflow cannot know of its end.
    let is_there = run.activity(scheduled_event_id).is_some() || has_unseen_end(run, scheduled_event_id);
    ensure(is_there, bad, || {
        format!(
            "invalid history builder state for action: add-activitytask-cancel-requested-event, ScheduledEventID: {scheduled_event_id}"
        )
    })?;
    let requested = context.append(Attributes::ActivityTaskCancelRequestedEventAttributes(
        ActivityTaskCancelRequestedEventAttributes {
            scheduled_event_id,
            workflow_task_completed_event_id: context.completed_event_id,
        },
    ));
    let state = &mut context.run.state;
    let Some(activity) = state
        .activities
        .iter_mut()
        .find(|a| a.scheduled_event_id == scheduled_event_id)
    else {
        // It has closed meanwhile, and its result is on the way to the workflow.
        return Ok(());
    };
    activity.cancel_requested_event_id = requested;
    if activity.started.is_none() {
        // No worker has it, so none needs to agree.
        let identity = context.identity();
        let state = &mut context.run.state;
        state
            .activities
            .retain(|activity| activity.scheduled_event_id != scheduled_event_id);
        context.run.buffer(
            context.now,
            Attributes::ActivityTaskCanceledEventAttributes(ActivityTaskCanceledEventAttributes {
                details: Some(not_started()),
                latest_cancel_requested_event_id: requested,
                scheduled_event_id,
                identity,
                ..Default::default()
            }),
        );
    }
    Ok(())
}

/// Whether the activity's end waits for the workflow task to end.
fn has_unseen_end(run: &Run, of: i64) -> bool {
    use Attributes as A;
    run.state.buffered.iter().any(|event| {
        of == match &event.attributes {
            Some(A::ActivityTaskCompletedEventAttributes(end)) => end.scheduled_event_id,
            Some(A::ActivityTaskFailedEventAttributes(end)) => end.scheduled_event_id,
            Some(A::ActivityTaskTimedOutEventAttributes(end)) => end.scheduled_event_id,
            Some(A::ActivityTaskCanceledEventAttributes(end)) => end.scheduled_event_id,
            _ => 0,
        }
    })
}

/// What the cancellation of an activity that no worker has says in place of a worker's details.
fn not_started() -> Payloads {
    Payloads {
        payloads: vec![json_payload("ACTIVITY_ID_NOT_STARTED")],
    }
}
