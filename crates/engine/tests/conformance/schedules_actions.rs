//! What schedules start, and what becomes of it.

use temporalio_common::protos::temporal::api::{
    enums::v1::{ScheduleOverlapPolicy as Policy, WorkflowExecutionStatus},
    history::v1::{WorkflowExecutionStartedEventAttributes, history_event::Attributes},
    schedule::v1::*,
    workflowservice::v1::*,
};

use crate::{
    bed::{Bed, both_engines, commands, payloads, rpc, seconds},
    schedules::{at, create, create_request, described, idle, info, patch, schedule, state},
};

/// 2030-01-01T00:00:00Z.
const Y2030: i64 = 1_893_456_000;

/// The id of what is started for this second of 2030.
fn job(second: i64) -> String {
    format!("job-2030-01-01T00:00:{second:02}Z")
}

/// Asks for an action now, in the name of this second of 2030: one a second, and ids are known.
/// Waits until it is dealt with: of triggers that come together, the real server loses some.
async fn trigger(bed: &Bed, id: &str, second: i64, overlap: Policy) {
    let dealt_with = |found: &DescribeScheduleResponse| {
        let info = info(found);
        info.action_count + info.overlap_skipped + info.buffer_size
    };
    let before = dealt_with(&described(bed, id, "it is there", |_| true).await);
    let trigger = TriggerImmediatelyRequest {
        overlap_policy: overlap as i32,
        scheduled_time: at(Y2030 + second),
    };
    let request = SchedulePatch {
        trigger_immediately: Some(trigger),
        ..Default::default()
    };
    patch(bed, id, request).await;
    described(bed, id, "the trigger is dealt with", |found| {
        dealt_with(found) == before + 1
    })
    .await;
}

/// The next workflow task, which must be of this execution.
async fn task_of(bed: &Bed, workflow_id: &str) -> PollWorkflowTaskQueueResponse {
    let task = bed.task().await;
    let execution = task.workflow_execution.clone().unwrap_or_default();
    assert_eq!(execution.workflow_id, workflow_id);
    task
}

fn started(task: &PollWorkflowTaskQueueResponse) -> WorkflowExecutionStartedEventAttributes {
    let event = task.history.as_ref().and_then(|history| history.events.first());
    match event.and_then(|event| event.attributes.clone()) {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => started,
        other => panic!("{other:?}"),
    }
}

async fn complete(bed: &Bed, workflow_id: &str) {
    let task = task_of(bed, workflow_id).await;
    bed.complete(&task, vec![commands::complete("done")]).await;
}

fn statuses(found: &DescribeScheduleResponse) -> Vec<WorkflowExecutionStatus> {
    info(found)
        .recent_actions
        .iter()
        .map(ScheduleActionResult::start_workflow_status)
        .collect()
}

fn ids(found: &DescribeScheduleResponse) -> Vec<String> {
    let results = info(found).recent_actions.iter();
    results
        .filter_map(|action| action.start_workflow_result.clone())
        .map(|started| started.workflow_id)
        .collect()
}

async fn taken(bed: &Bed, id: &str, count: i64) -> DescribeScheduleResponse {
    let what = format!("{count} actions are taken");
    described(bed, id, &what, |found| info(found).action_count == count).await
}

both_engines! {
    async fn an_action_starts_a_workflow_that_names_its_schedule(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::Skip)).await;
        trigger(bed, "s", 1, Policy::Unspecified).await;
        let task = task_of(bed, &job(1)).await;
        let begun = started(&task);
        assert_eq!(begun.input, Some(payloads("input")));
        assert_eq!(begun.identity, format!("temporal-scheduler-{}-s", bed.namespace));
        let attributes = begun.search_attributes.unwrap_or_default().indexed_fields;
        let value = |name: &str| String::from_utf8_lossy(&attributes[name].data).into_owned();
        assert_eq!(value("TemporalScheduledById"), "\"s\"");
        assert_eq!(value("TemporalScheduledStartTime"), "\"2030-01-01T00:00:01Z\"");
        let found = taken(bed, "s", 1).await;
        assert_eq!((ids(&found), statuses(&found)), (vec![job(1)], vec![WorkflowExecutionStatus::Running]));
        assert_eq!(info(&found).recent_actions[0].schedule_time, at(Y2030 + 1));
        assert_eq!(info(&found).running_workflows, [info(&found).recent_actions[0].start_workflow_result.clone().unwrap()]);
        for query in ["TemporalScheduledById = 's'", "TemporalScheduledStartTime BETWEEN '2030-01-01T00:00:00Z' AND '2030-01-01T00:00:02Z'", ""] {
            bed.eventually(query, || async move {
                let request = ListWorkflowExecutionsRequest {
                    namespace: bed.namespace.clone(),
                    query: query.to_owned(),
                    ..Default::default()
                };
                let listed = rpc!(bed, list_workflow_executions, request).ok()?.executions;
                let listed: Vec<_> = listed.into_iter().filter_map(|e| e.execution).map(|e| e.workflow_id).collect();
                (listed == [job(1)]).then_some(())
            })
            .await;
        }
        bed.complete(&task, vec![commands::complete("done")]).await;
        let found = described(bed, "s", "it has ended", |found| info(found).running_workflows.is_empty()).await;
        assert_eq!(info(&found).action_count, 1);
        let is_completed = |found: &DescribeScheduleResponse| statuses(found) == [WorkflowExecutionStatus::Completed];
        described(bed, "s", "it has completed", is_completed).await;
    }

    async fn results_and_failures_are_passed_on(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::BufferAll)).await;
        trigger(bed, "s", 1, Policy::Unspecified).await;
        let task = task_of(bed, &job(1)).await;
        assert_eq!(started(&task).last_completion_result, None);
        bed.complete(&task, vec![commands::complete("first")]).await;
        trigger(bed, "s", 2, Policy::Unspecified).await;
        let task = task_of(bed, &job(2)).await;
        assert_eq!(started(&task).last_completion_result, Some(payloads("first")));
        assert_eq!(started(&task).continued_failure, None);
        bed.complete(&task, vec![commands::fail("broken")]).await;
        trigger(bed, "s", 3, Policy::Unspecified).await;
        let task = task_of(bed, &job(3)).await;
        assert_eq!(started(&task).last_completion_result, Some(payloads("first")));
        assert_eq!(started(&task).continued_failure.map(|failure| failure.message), Some("broken".to_owned()));
        trigger(bed, "s", 4, Policy::AllowAll).await;
        let beside = task_of(bed, &job(4)).await;
        assert_eq!(started(&beside).last_completion_result, None, "what runs beside others knows nothing of them");
    }

    async fn overlapping_actions_are_skipped(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::Skip)).await;
        trigger(bed, "s", 1, Policy::Unspecified).await;
        taken(bed, "s", 1).await;
        trigger(bed, "s", 2, Policy::Unspecified).await;
        described(bed, "s", "one is skipped", |found| info(found).overlap_skipped == 1).await;
        complete(bed, &job(1)).await;
        trigger(bed, "s", 3, Policy::Unspecified).await;
        complete(bed, &job(3)).await;
        let found = taken(bed, "s", 2).await;
        assert_eq!(ids(&found), [job(1), job(3)]);
    }

    async fn overlapping_actions_wait_their_turn(bed: &Bed) {
        create(bed, "one", idle(bed, Policy::BufferOne)).await;
        for second in 1..=3 {
            trigger(bed, "one", second, Policy::Unspecified).await;
        }
        let waits = |found: &DescribeScheduleResponse| (info(found).buffer_size, info(found).overlap_skipped) == (1, 1);
        described(bed, "one", "one waits and one is skipped", waits).await;
        complete(bed, &job(1)).await;
        complete(bed, &job(2)).await;
        taken(bed, "one", 2).await;
        create(bed, "all", idle(bed, Policy::BufferAll)).await;
        for second in 11..=13 {
            trigger(bed, "all", second, Policy::Unspecified).await;
        }
        described(bed, "all", "two wait", |found| info(found).buffer_size == 2).await;
        for second in 11..=13 {
            complete(bed, &job(second)).await;
        }
        let found = taken(bed, "all", 3).await;
        assert_eq!(info(&found).buffer_size, 0);
    }

    async fn an_overlapping_action_cancels_what_runs(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::CancelOther)).await;
        trigger(bed, "s", 1, Policy::Unspecified).await;
        taken(bed, "s", 1).await;
        trigger(bed, "s", 2, Policy::Unspecified).await;
        bed.eventually("it is asked to cancel", || async {
            let types = bed.event_types(&job(1)).await;
            types.contains(&"WorkflowExecutionCancelRequested").then_some(())
        })
        .await;
        let task = task_of(bed, &job(1)).await;
        bed.complete(&task, vec![commands::cancel_workflow()]).await;
        complete(bed, &job(2)).await;
        let found = taken(bed, "s", 2).await;
        assert_eq!(statuses(&found)[0], WorkflowExecutionStatus::Canceled);
    }

    async fn an_overlapping_action_terminates_what_runs(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::TerminateOther)).await;
        trigger(bed, "s", 1, Policy::Unspecified).await;
        taken(bed, "s", 1).await;
        trigger(bed, "s", 2, Policy::Unspecified).await;
        let found = taken(bed, "s", 2).await;
        assert_eq!(statuses(&found), [WorkflowExecutionStatus::Terminated, WorkflowExecutionStatus::Running]);
        let Some(Attributes::WorkflowExecutionTerminatedEventAttributes(end)) = bed.close_event(&job(1)).await.attributes else {
            panic!("it is terminated")
        };
        assert_eq!(end.reason, "terminated by schedule overlap policy");
    }

    async fn actions_may_run_side_by_side(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::AllowAll)).await;
        for second in 1..=3 {
            trigger(bed, "s", second, Policy::Unspecified).await;
        }
        let found = taken(bed, "s", 3).await;
        assert_eq!(ids(&found), [job(1), job(2), job(3)]);
        assert_eq!(statuses(&found), [WorkflowExecutionStatus::Running; 3]);
        assert!(info(&found).running_workflows.is_empty(), "nothing waits for them");
    }

    async fn the_next_action_waits_for_the_end_of_the_chain(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::BufferAll)).await;
        trigger(bed, "s", 1, Policy::Unspecified).await;
        trigger(bed, "s", 2, Policy::Unspecified).await;
        described(bed, "s", "one waits", |found| info(found).buffer_size == 1).await;
        let task = task_of(bed, &job(1)).await;
        bed.complete(&task, vec![commands::continue_as_new("again")]).await;
        let next = task_of(bed, &job(1)).await;
        let found = taken(bed, "s", 1).await;
        assert_eq!(info(&found).running_workflows.len(), 1, "it goes on under another run id");
        bed.complete(&next, vec![commands::complete("the end")]).await;
        let task = task_of(bed, &job(2)).await;
        assert_eq!(started(&task).last_completion_result, Some(payloads("the end")));
    }

    async fn a_backfill_takes_the_actions_of_a_range(bed: &Bed) {
        create(bed, "s", schedule(bed, &["*/10 * * * * * 2030"], Policy::Skip)).await;
        let range = BackfillRequest {
            start_time: at(Y2030 + 10),
            end_time: at(Y2030 + 30),
            overlap_policy: Policy::AllowAll as i32,
        };
        patch(bed, "s", SchedulePatch { backfill_request: vec![range], ..Default::default() }).await;
        let found = taken(bed, "s", 3).await;
        assert_eq!(ids(&found), [job(10), job(20), job(30)], "with both ends");
    }

    async fn times_that_come_are_actions(bed: &Bed) {
        create(bed, "s", schedule(bed, &["@every 1s"], Policy::AllowAll)).await;
        let found = described(bed, "s", "some have come", |found| info(found).action_count >= 3).await;
        let times: Vec<_> = info(&found)
            .recent_actions
            .iter()
            .filter_map(|action| action.schedule_time)
            .map(|time| time.seconds)
            .collect();
        assert!(times.is_sorted_by(|a, b| a + 1 == *b), "each second has one: {times:?}");
        patch(bed, "s", SchedulePatch { pause: "enough".to_owned(), ..Default::default() }).await;
        described(bed, "s", "it is paused", |found| state(found).paused).await;
    }

    async fn actions_may_be_limited(bed: &Bed) {
        let mut limited = schedule(bed, &["@every 1s"], Policy::AllowAll);
        limited.state = Some(ScheduleState { limited_actions: true, remaining_actions: 2, ..Default::default() });
        create(bed, "s", limited).await;
        let found = taken(bed, "s", 2).await;
        assert_eq!(state(&found).remaining_actions, 0);
        assert!(info(&found).future_action_times.is_empty());
        trigger(bed, "s", 1, Policy::Unspecified).await;
        let found = taken(bed, "s", 3).await;
        assert_eq!(ids(&found).last(), Some(&job(1)), "a trigger is not limited");
    }

    async fn a_failure_pauses_where_that_is_wanted(bed: &Bed) {
        let mut careful = idle(bed, Policy::Skip);
        careful.policies.get_or_insert_default().pause_on_failure = true;
        create(bed, "s", careful).await;
        trigger(bed, "s", 1, Policy::Unspecified).await;
        let task = task_of(bed, &job(1)).await;
        bed.complete(&task, vec![commands::fail("broken")]).await;
        let found = described(bed, "s", "it is paused", |found| state(found).paused).await;
        assert_eq!(state(&found).notes, format!("paused due to workflow failure: {}: broken", job(1)));
    }

    async fn a_schedule_may_begin_with_an_action_and_paused(bed: &Bed) {
        let mut made = schedule(bed, &["@every 1s"], Policy::Skip);
        made.state = Some(ScheduleState { paused: true, notes: "later".to_owned(), ..Default::default() });
        let mut request = create_request(bed, "s", made);
        request.initial_patch = Some(SchedulePatch {
            trigger_immediately: Some(TriggerImmediatelyRequest {
                scheduled_time: at(Y2030 + 7),
                ..Default::default()
            }),
            ..Default::default()
        });
        rpc!(bed, create_schedule, request).expect("a schedule");
        complete(bed, &job(7)).await;
        let found = taken(bed, "s", 1).await;
        assert_eq!((state(&found).paused, state(&found).notes.as_str()), (true, "later"));
    }

    async fn a_short_window_lets_late_actions_go(bed: &Bed) {
        let mut made = idle(bed, Policy::Skip);
        made.policies.get_or_insert_default().catchup_window = Some(seconds(1));
        create(bed, "s", made).await;
        let found = described(bed, "s", "it is there", |_| true).await;
        let policies = found.schedule.and_then(|schedule| schedule.policies).unwrap_or_default();
        assert_eq!(policies.catchup_window, Some(seconds(10)), "ten seconds at least");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workflow_ids_may_stay_as_they_are() {
    let bed = Bed::embedded().await;
    let mut made = idle(&bed, Policy::Skip);
    made.policies.get_or_insert_default().keep_original_workflow_id = true;
    create(&bed, "s", made).await;
    for second in 1..=2 {
        trigger(&bed, "s", second, Policy::Unspecified).await;
        complete(&bed, "job").await;
    }
    let found = taken(&bed, "s", 2).await;
    assert_eq!(ids(&found), ["job", "job"]);
}
