//! The four time-outs of activities, and which of them are tried again.

use temporalio_common::protos::temporal::api::{
    command::v1::ScheduleActivityTaskCommandAttributes,
    common::v1::RetryPolicy,
    enums::v1::{RetryState, TimeoutType},
    failure::v1::failure::FailureInfo,
    history::v1::{ActivityTaskTimedOutEventAttributes, history_event::Attributes},
};

use crate::bed::{Bed, both_engines, commands, millis, seconds};

async fn schedule(bed: &Bed, activity: ScheduleActivityTaskCommandAttributes) {
    bed.start("w").await;
    let task = bed.task().await;
    bed.complete(&task, vec![commands::schedule(activity)]).await;
}

/// The time-out that the workflow is told of, once it is.
async fn timed_out(bed: &Bed) -> (TimeoutType, ActivityTaskTimedOutEventAttributes) {
    let task = bed.task().await;
    let events = task.history.expect("a history").events;
    let timed_out = events.into_iter().find_map(|event| match event.attributes {
        Some(Attributes::ActivityTaskTimedOutEventAttributes(attributes)) => Some(attributes),
        _ => None,
    });
    let timed_out = timed_out.expect("an activity timed out");
    match timed_out.failure.clone().and_then(|failure| failure.failure_info) {
        Some(FailureInfo::TimeoutFailureInfo(info)) => (info.timeout_type(), timed_out),
        other => panic!("not a time-out: {other:?}"),
    }
}

fn once() -> Option<RetryPolicy> {
    Some(RetryPolicy {
        maximum_attempts: 1,
        ..Default::default()
    })
}

both_engines! {
    async fn start_to_close(bed: &Bed) {
        let mut activity = commands::activity("a", &bed.queue);
        activity.start_to_close_timeout = Some(seconds(1));
        activity.retry_policy = once();
        schedule(bed, activity).await;
        bed.activity_task().await;
        let (timeout, attributes) = timed_out(bed).await;
        assert_eq!(timeout, TimeoutType::StartToClose);
        assert_eq!(attributes.retry_state(), RetryState::MaximumAttemptsReached);
        assert_eq!(attributes.failure.map(|f| f.message), Some("activity StartToClose timeout".to_owned()));
        assert_ne!(attributes.started_event_id, 0);
    }

    async fn start_to_close_is_tried_again(bed: &Bed) {
        let mut activity = commands::activity("a", &bed.queue);
        activity.start_to_close_timeout = Some(seconds(1));
        activity.retry_policy = Some(RetryPolicy { initial_interval: Some(millis(50)), ..Default::default() });
        schedule(bed, activity).await;
        assert_eq!(bed.activity_task().await.attempt, 1);
        assert_eq!(bed.activity_task().await.attempt, 2);
    }

    async fn heartbeat(bed: &Bed) {
        let mut activity = commands::activity("a", &bed.queue);
        activity.heartbeat_timeout = Some(seconds(1));
        activity.retry_policy = once();
        schedule(bed, activity).await;
        bed.activity_task().await;
        let (timeout, attributes) = timed_out(bed).await;
        assert_eq!(timeout, TimeoutType::Heartbeat);
        assert_eq!(attributes.retry_state(), RetryState::MaximumAttemptsReached);
    }

    async fn schedule_to_start(bed: &Bed) {
        let mut activity = commands::activity("a", "nobody");
        activity.schedule_to_start_timeout = Some(seconds(1));
        schedule(bed, activity).await;
        let (timeout, attributes) = timed_out(bed).await;
        assert_eq!(timeout, TimeoutType::ScheduleToStart);
        assert_eq!(attributes.started_event_id, 0);
    }

    async fn schedule_to_close(bed: &Bed) {
        let mut activity = commands::activity("a", "nobody");
        activity.start_to_close_timeout = None;
        activity.schedule_to_close_timeout = Some(seconds(1));
        activity.schedule_to_start_timeout = Some(seconds(30));
        schedule(bed, activity).await;
        let (timeout, _) = timed_out(bed).await;
        assert!(
            matches!(timeout, TimeoutType::ScheduleToClose | TimeoutType::ScheduleToStart),
            "bounded by the whole: {timeout:?}"
        );
    }

    async fn no_time_for_another_attempt(bed: &Bed) {
        let mut activity = commands::activity("a", &bed.queue);
        activity.start_to_close_timeout = Some(seconds(1));
        activity.schedule_to_close_timeout = Some(seconds(3));
        activity.retry_policy = Some(RetryPolicy { initial_interval: Some(seconds(60)), ..Default::default() });
        schedule(bed, activity).await;
        bed.activity_task().await;
        let (timeout, attributes) = timed_out(bed).await;
        assert_eq!(timeout, TimeoutType::ScheduleToClose);
        assert_eq!(attributes.retry_state(), RetryState::Timeout);
    }
}
