//! Schedules of the embedded engine on a clock that is moved by hand: across restarts, and while the
//! engine is down.

use std::time::Duration;

use segno_engine::clock::{Clock as _, ManualClock};
use temporalio_common::protos::temporal::api::{
    enums::v1::ScheduleOverlapPolicy as Policy,
    schedule::v1::{BackfillRequest, Schedule, SchedulePatch, TriggerImmediatelyRequest, schedule_action},
    workflowservice::v1::DescribeScheduleResponse,
};

use crate::{
    bed::{Bed, commands, seconds},
    embedded::TestEngine,
    schedules::{at, create, delete, described, idle, info, patch, schedule, try_describe},
};

/// 2030-01-01T00:00:00Z.
const Y2030: i64 = 1_893_456_000;
const HOUR: u64 = 3_600;

async fn bed() -> (Bed, ManualClock) {
    let clock = ManualClock::new(Y2030 * 1_000_000_000 + 1);
    let engine = TestEngine::start_at(clock.clone()).await;
    let bed = Bed {
        client: engine.client().await,
        namespace: "default".to_owned(),
        queue: "queue".to_owned(),
        engine: Some(engine),
        server: None,
    };
    (bed, clock)
}

/// Ends the engine, lets time pass, and opens it again.
async fn down_for(mut bed: Bed, clock: &ManualClock, seconds: u64) -> Bed {
    let engine = bed.engine.take().expect("an engine").stop().await;
    clock.advance(Duration::from_secs(seconds));
    let engine = engine.open().await;
    Bed {
        client: engine.client().await,
        engine: Some(engine),
        ..bed
    }
}

fn hours(found: &DescribeScheduleResponse) -> Vec<i64> {
    let times = info(found)
        .recent_actions
        .iter()
        .filter_map(|action| action.schedule_time);
    times.map(|time| (time.seconds - Y2030) / HOUR as i64).collect()
}

/// The same for workflows of another id.
fn of(mut schedule: Schedule, workflow_id: &str) -> Schedule {
    if let Some(schedule_action::Action::StartWorkflow(workflow)) =
        schedule.action.as_mut().and_then(|action| action.action.as_mut())
    {
        workflow_id.clone_into(&mut workflow.workflow_id);
    }
    schedule
}

async fn taken(bed: &Bed, id: &str, count: i64) -> DescribeScheduleResponse {
    described(bed, id, "so many are taken", |found| {
        info(found).action_count == count
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_due_while_the_engine_was_down_is_caught_up() {
    let (bed, clock) = bed().await;
    create(&bed, "all", schedule(&bed, &["@hourly"], Policy::AllowAll)).await;
    let mut short = of(schedule(&bed, &["@hourly"], Policy::AllowAll), "short");
    short.policies.get_or_insert_default().catchup_window = Some(seconds(2 * HOUR as i64));
    create(&bed, "short", short).await;
    let skip = of(schedule(&bed, &["@hourly"], Policy::Skip), "skip");
    create(&bed, "skip", skip).await;
    let bed = down_for(bed, &clock, 5 * HOUR + 60).await;
    let all = taken(&bed, "all", 5).await;
    assert_eq!(hours(&all), [1, 2, 3, 4, 5]);
    let short = taken(&bed, "short", 2).await;
    assert_eq!(
        (hours(&short), info(&short).missed_catchup_window),
        (vec![4, 5], 3)
    );
    let skip = taken(&bed, "skip", 1).await;
    assert_eq!((hours(&skip), info(&skip).overlap_skipped), (vec![1], 4));
    assert_eq!(
        info(&skip).future_action_times[0].seconds,
        Y2030 + 6 * HOUR as i64
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_taken_once_however_often_the_engine_restarts() {
    let (mut bed, clock) = bed().await;
    create(&bed, "s", schedule(&bed, &["@hourly"], Policy::AllowAll)).await;
    for hour in 1..=4 {
        bed = down_for(bed, &clock, HOUR).await;
        taken(&bed, "s", hour).await;
        bed = down_for(bed, &clock, 0).await;
        taken(&bed, "s", hour).await;
    }
    let found = taken(&bed, "s", 4).await;
    assert_eq!(hours(&found), [1, 2, 3, 4]);
    for hour in 1..=4 {
        let task = bed.task().await;
        let execution = task.workflow_execution.clone().unwrap_or_default();
        assert_eq!(execution.workflow_id, format!("job-2030-01-01T0{hour}:00:00Z"));
        bed.complete(&task, vec![commands::complete("done")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_waits_on_and_ends_are_still_heard() {
    let (bed, clock) = bed().await;
    create(&bed, "s", schedule(&bed, &["@hourly"], Policy::BufferAll)).await;
    clock.advance(Duration::from_secs(3 * HOUR));
    let waits = |found: &DescribeScheduleResponse| info(found).buffer_size == 2;
    let before = described(&bed, "s", "two wait", waits).await;
    let bed = down_for(bed, &clock, 0).await;
    let after = try_describe(&bed, "s").await.expect("it is there");
    assert_eq!(after, before);
    for hour in 1..=3 {
        let task = bed.task().await;
        let execution = task.workflow_execution.clone().unwrap_or_default();
        assert_eq!(execution.workflow_id, format!("job-2030-01-01T0{hour}:00:00Z"));
        bed.complete(&task, vec![commands::complete("done")]).await;
    }
    let found = taken(&bed, "s", 3).await;
    assert!(info(&found).running_workflows.is_empty() && info(&found).buffer_size == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_goes_on_after_a_restart() {
    let (bed, clock) = bed().await;
    create(&bed, "s", schedule(&bed, &["@every 1s"], Policy::Skip)).await;
    patch(
        &bed,
        "s",
        SchedulePatch {
            pause: "by hand".to_owned(),
            ..Default::default()
        },
    )
    .await;
    let range = BackfillRequest {
        start_time: at(Y2030 - 700),
        end_time: at(Y2030 - 1),
        overlap_policy: Policy::BufferAll as i32,
    };
    patch(
        &bed,
        "s",
        SchedulePatch {
            backfill_request: vec![range],
            ..Default::default()
        },
    )
    .await;
    described(&bed, "s", "half the buffer is full", |found| {
        info(found).buffer_size >= 500
    })
    .await;
    let bed = down_for(bed, &clock, 60).await;
    for _ in 0..700 {
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
    }
    let found = taken(&bed, "s", 700).await;
    let last = info(&found)
        .recent_actions
        .last()
        .and_then(|action| action.schedule_time);
    assert_eq!(last, at(Y2030 - 1));
    assert_eq!(info(&found).buffer_dropped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_schedule_stays_paused_and_misses_nothing_by_it() {
    let (bed, clock) = bed().await;
    create(&bed, "s", schedule(&bed, &["@hourly"], Policy::AllowAll)).await;
    patch(
        &bed,
        "s",
        SchedulePatch {
            pause: "rest".to_owned(),
            ..Default::default()
        },
    )
    .await;
    let bed = down_for(bed, &clock, 3 * HOUR).await;
    patch(
        &bed,
        "s",
        SchedulePatch {
            unpause: "on".to_owned(),
            ..Default::default()
        },
    )
    .await;
    clock.advance(Duration::from_secs(HOUR));
    let found = taken(&bed, "s", 1).await;
    assert_eq!((hours(&found), info(&found).missed_catchup_window), (vec![4], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_without_further_actions_goes_after_a_week() {
    let (bed, clock) = bed().await;
    create(&bed, "s", schedule(&bed, &["0 1 1 1 * 2030"], Policy::Skip)).await;
    clock.advance(Duration::from_secs(HOUR));
    taken(&bed, "s", 1).await;
    let bed = down_for(bed, &clock, 6 * 24 * HOUR).await;
    try_describe(&bed, "s").await.expect("it is still there");
    clock.advance(Duration::from_secs(24 * HOUR));
    bed.eventually("it is gone", || async { try_describe(&bed, "s").await.err() })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_deleted_schedules_run_reaches_no_other() {
    let (bed, _clock) = bed().await;
    let mut careful = idle(&bed, Policy::Skip);
    careful.policies.get_or_insert_default().pause_on_failure = true;
    let trigger = SchedulePatch {
        trigger_immediately: Some(TriggerImmediatelyRequest::default()),
        ..Default::default()
    };
    create(&bed, "s", careful.clone()).await;
    patch(&bed, "s", trigger).await;
    delete(&bed, "s").await.expect("it is deleted");
    create(&bed, "s", careful).await;
    let task = bed.task().await;
    bed.complete(&task, vec![commands::fail("broken")]).await;
    let found = try_describe(&bed, "s").await.expect("the new one");
    let state = found
        .schedule
        .clone()
        .and_then(|schedule| schedule.state)
        .unwrap_or_default();
    assert!(!state.paused, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_the_clocks() {
    let (bed, clock) = bed().await;
    assert_eq!(clock.now() / 1_000_000_000, Y2030);
    create(&bed, "s", schedule(&bed, &["@hourly"], Policy::AllowAll)).await;
    clock.advance(Duration::from_secs(HOUR - 1));
    let found = try_describe(&bed, "s").await.expect("it is there");
    assert_eq!(info(&found).action_count, 0);
    clock.advance(Duration::from_secs(1));
    let found = taken(&bed, "s", 1).await;
    assert_eq!(
        info(&found).recent_actions[0]
            .actual_time
            .map(|time| time.seconds),
        Some(Y2030 + HOUR as i64)
    );
}
