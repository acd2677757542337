//! `ScheduleActivityTask` and `RequestCancelActivityTask`.

use temporalio_protos::temporal::api::{
    command::v1::{RequestCancelActivityTaskCommandAttributes, ScheduleActivityTaskCommandAttributes},
    enums::v1::WorkflowTaskFailedCause as Cause,
    history::v1::{
        ActivityTaskCancelRequestedEventAttributes, ActivityTaskCanceledEventAttributes,
        ActivityTaskScheduledEventAttributes, history_event::Attributes,
    },
};

use super::{CommandError, Context, ensure};
use crate::{
    clock::{Nanos, duration, nanos},
    core::{retry, state::Activity, workflow_task::normal_queue},
};

/// Activities that may be pending in one run, as the real server's default.
const MAXIMUM_PENDING: usize = 2_000;

pub(super) fn schedule(
    context: &mut Context<'_>,
    command: ScheduleActivityTaskCommandAttributes,
) -> Result<(), CommandError> {
    let bad = Cause::BadScheduleActivityAttributes;
    let activity_type = command.activity_type.clone().unwrap_or_default().name;
    let id = command.activity_id.clone();
    ensure(!id.is_empty(), bad, || {
        format!("ActivityId is not set on ScheduleActivityTaskCommand. ActivityType={activity_type}")
    })?;
    ensure(!activity_type.is_empty(), bad, || {
        format!("ActivityType is not set on ScheduleActivityTaskCommand. ActivityId={id}")
    })?;
    ensure(
        context.run.activity_by_id(&id).is_none(),
        Cause::ScheduleActivityDuplicateId,
        || format!("an activity with the id {id} is pending already"),
    )?;
    ensure(
        context.run.state.activities.len() < MAXIMUM_PENDING,
        Cause::PendingActivitiesLimitExceeded,
        || format!("the number of pending activities, {MAXIMUM_PENDING}, has reached the per-workflow limit"),
    )?;
    let timeouts =
        Timeouts::resolve(&command, context.run.state.run_timeout).map_err(|message| CommandError {
            cause: bad,
            message: format!("{message} ActivityId={id} ActivityType={activity_type}"),
        })?;
    if let Some(policy) = &command.retry_policy {
        retry::check(policy).map_err(|message| CommandError {
            cause: bad,
            message: format!(
                "Invalid ActivityRetryPolicy on ScheduleActivityTaskCommand: {message} ActivityId={id} ActivityType={activity_type}"
            ),
        })?;
    }

    let task_queue = match command.task_queue {
        Some(queue) if !queue.name.is_empty() => queue.name,
        _ => context.run.state.task_queue.clone(),
    };
    let retry_policy = retry::with_defaults(command.retry_policy);
    let now = context.now;
    let is_eager = command.request_eager_execution && task_queue == context.run.state.task_queue;
    let scheduled_event_id = context.run.append_with(
        now,
        Attributes::ActivityTaskScheduledEventAttributes(ActivityTaskScheduledEventAttributes {
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
            priority: command.priority,
            ..Default::default()
        }),
        context.user_metadata.take(),
    );
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
        ..Default::default()
    });
    if is_eager {
        context.applied.eager_activities.push(scheduled_event_id);
    } else {
        context.run.offer_activity(scheduled_event_id);
    }
    Ok(())
}

/// Time-outs with what the command leaves open filled in: each is bounded by the longer ones.
struct Timeouts {
    schedule_to_close: Nanos,
    schedule_to_start: Nanos,
    start_to_close: Nanos,
    heartbeat: Nanos,
}

impl Timeouts {
    fn resolve(
        command: &ScheduleActivityTaskCommandAttributes,
        run_timeout: Nanos,
    ) -> Result<Self, &'static str> {
        let mut schedule_to_close = nanos(command.schedule_to_close_timeout.as_ref());
        let mut schedule_to_start = nanos(command.schedule_to_start_timeout.as_ref());
        let mut start_to_close = nanos(command.start_to_close_timeout.as_ref());
        let mut heartbeat = nanos(command.heartbeat_timeout.as_ref());
        if [schedule_to_close, schedule_to_start, start_to_close, heartbeat]
            .iter()
            .any(|timeout| *timeout < 0)
        {
            return Err("A timeout of ScheduleActivityTaskCommand is negative.");
        }
        if schedule_to_close > 0 {
            schedule_to_start = bounded(schedule_to_start, schedule_to_close);
            start_to_close = bounded(start_to_close, schedule_to_close);
        } else if start_to_close > 0 {
            schedule_to_close = run_timeout;
            schedule_to_start = bounded(schedule_to_start, run_timeout);
        } else {
            return Err(
                "A valid StartToClose or ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand.",
            );
        }
        if run_timeout > 0 {
            schedule_to_close = bounded(schedule_to_close, run_timeout);
            schedule_to_start = bounded(schedule_to_start, run_timeout);
            start_to_close = bounded(start_to_close, run_timeout);
        }
        if heartbeat > start_to_close {
            heartbeat = start_to_close;
        }
        Ok(Self {
            schedule_to_close,
            schedule_to_start,
            start_to_close,
            heartbeat,
        })
    }
}

/// `value`, but at most `bound`; 0 means none in both.
fn bounded(value: Nanos, bound: Nanos) -> Nanos {
    match (value, bound) {
        (value, 0) => value,
        (0, bound) => bound,
        (value, bound) => value.min(bound),
    }
}

pub(super) fn request_cancel(
    context: &mut Context<'_>,
    command: &RequestCancelActivityTaskCommandAttributes,
) -> Result<(), CommandError> {
    let scheduled_event_id = command.scheduled_event_id;
    let is_scheduled = context.run.activity_scheduled(scheduled_event_id).is_some();
    ensure(is_scheduled, Cause::BadRequestCancelActivityAttributes, || {
        format!("no activity was scheduled by event {scheduled_event_id}")
    })?;
    let requested = context.run.append(
        context.now,
        Attributes::ActivityTaskCancelRequestedEventAttributes(ActivityTaskCancelRequestedEventAttributes {
            scheduled_event_id,
            workflow_task_completed_event_id: context.completed_event_id,
        }),
    );
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
        state
            .activities
            .retain(|activity| activity.scheduled_event_id != scheduled_event_id);
        context.run.buffer(
            context.now,
            Attributes::ActivityTaskCanceledEventAttributes(ActivityTaskCanceledEventAttributes {
                latest_cancel_requested_event_id: requested,
                scheduled_event_id,
                identity: "history-service".into(),
                ..Default::default()
            }),
        );
    }
    Ok(())
}
