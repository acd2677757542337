//! Schedules: made, described, changed, removed; and what is said about wrong ones.

use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::{Memo, WorkflowType},
    enums::v1::ScheduleOverlapPolicy,
    schedule::v1::*,
    workflow::v1::NewWorkflowExecutionInfo,
    workflowservice::v1::*,
};

use crate::bed::{Bed, both_engines, payloads, queue, rpc, seconds};

/// A schedule that starts workflow type `Test` under ids that begin with `job`.
pub(crate) fn schedule(bed: &Bed, cron: &[&str], overlap: ScheduleOverlapPolicy) -> Schedule {
    let workflow = NewWorkflowExecutionInfo {
        workflow_id: "job".to_owned(),
        workflow_type: Some(WorkflowType {
            name: "Test".to_owned(),
        }),
        task_queue: Some(queue(&bed.queue)),
        input: Some(payloads("input")),
        ..Default::default()
    };
    Schedule {
        spec: Some(ScheduleSpec {
            cron_string: cron.iter().map(|text| (*text).to_owned()).collect(),
            ..Default::default()
        }),
        action: Some(ScheduleAction {
            action: Some(schedule_action::Action::StartWorkflow(workflow)),
        }),
        policies: Some(SchedulePolicies {
            overlap_policy: overlap as i32,
            ..Default::default()
        }),
        state: None,
    }
}

/// One whose time never comes.
pub(crate) fn idle(bed: &Bed, overlap: ScheduleOverlapPolicy) -> Schedule {
    schedule(bed, &["0 0 1 1 * 2099"], overlap)
}

pub(crate) fn create_request(bed: &Bed, id: &str, schedule: Schedule) -> CreateScheduleRequest {
    CreateScheduleRequest {
        namespace: bed.namespace.clone(),
        schedule_id: id.to_owned(),
        schedule: Some(schedule),
        request_id: uuid::Uuid::new_v4().to_string(),
        identity: "client".to_owned(),
        ..Default::default()
    }
}

pub(crate) async fn create(bed: &Bed, id: &str, schedule: Schedule) -> Vec<u8> {
    let request = create_request(bed, id, schedule);
    rpc!(bed, create_schedule, request)
        .expect("a schedule")
        .conflict_token
}

pub(crate) async fn try_describe(bed: &Bed, id: &str) -> Result<DescribeScheduleResponse, Status> {
    let request = DescribeScheduleRequest {
        namespace: bed.namespace.clone(),
        schedule_id: id.to_owned(),
    };
    rpc!(bed, describe_schedule, request)
}

/// Waits until the description is so. The real server's schedules are workflows, which come to
/// things in their own time.
pub(crate) async fn described(
    bed: &Bed,
    id: &str,
    what: &str,
    is_so: impl Fn(&DescribeScheduleResponse) -> bool,
) -> DescribeScheduleResponse {
    bed.eventually(what, || async {
        try_describe(bed, id).await.ok().filter(|found| is_so(found))
    })
    .await
}

pub(crate) async fn patch(bed: &Bed, id: &str, patch: SchedulePatch) {
    let request = PatchScheduleRequest {
        namespace: bed.namespace.clone(),
        schedule_id: id.to_owned(),
        patch: Some(patch),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    rpc!(bed, patch_schedule, request).expect("a patch");
}

pub(crate) fn update_request(bed: &Bed, id: &str, schedule: Schedule) -> UpdateScheduleRequest {
    UpdateScheduleRequest {
        namespace: bed.namespace.clone(),
        schedule_id: id.to_owned(),
        schedule: Some(schedule),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

pub(crate) async fn delete(bed: &Bed, id: &str) -> Result<DeleteScheduleResponse, Status> {
    let request = DeleteScheduleRequest {
        namespace: bed.namespace.clone(),
        schedule_id: id.to_owned(),
        ..Default::default()
    };
    rpc!(bed, delete_schedule, request)
}

pub(crate) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

pub(crate) fn info(described: &DescribeScheduleResponse) -> &ScheduleInfo {
    described.info.as_ref().expect("an info")
}

pub(crate) fn state(described: &DescribeScheduleResponse) -> ScheduleState {
    let schedule = described.schedule.as_ref();
    schedule
        .and_then(|schedule| schedule.state.clone())
        .unwrap_or_default()
}

fn range(start: i32, end: i32, step: i32) -> Range {
    Range { start, end, step }
}

/// 2030-01-01T00:00:00Z, a Tuesday.
const Y2030: i64 = 1_893_456_000;

async fn matching_times(bed: &Bed, id: &str, start: i64, end: i64) -> Vec<i64> {
    let request = || ListScheduleMatchingTimesRequest {
        namespace: bed.namespace.clone(),
        schedule_id: id.to_owned(),
        start_time: at(start),
        end_time: at(end),
    };
    let found = bed
        .eventually("the times", || async {
            rpc!(bed, list_schedule_matching_times, request()).ok()
        })
        .await;
    found.start_time.iter().map(|time| time.seconds - Y2030).collect()
}

both_engines! {
    async fn a_spec_comes_back_in_its_canonical_form(bed: &Bed) {
        let mut made = schedule(
            bed,
            &["CRON_TZ=America/New_York */5 9-17 * JAN-mar Mon-Fri # office hours", "CRON_TZ=America/New_York @weekly"],
            ScheduleOverlapPolicy::Unspecified,
        );
        let spec = made.spec.as_mut().expect("a spec");
        spec.calendar = vec![CalendarSpec {
            hour: "3".to_owned(),
            day_of_week: "fri-7".to_owned(),
            year: "2030-2032/2".to_owned(),
            comment: "fridays".to_owned(),
            ..Default::default()
        }];
        spec.interval = vec![IntervalSpec { interval: Some(seconds(3_600)), phase: Some(seconds(300)) }];
        spec.start_time = at(Y2030);
        let token = create(bed, "s", made).await;
        let found = described(bed, "s", "the schedule", |_| true).await;
        assert_eq!(found.conflict_token, token);
        let schedule = found.schedule.clone().expect("a schedule");
        let spec = schedule.spec.expect("a spec");
        assert!(spec.cron_string.is_empty() && spec.calendar.is_empty());
        assert_eq!(spec.timezone_name, "America/New_York");
        assert_eq!(spec.interval.len(), 1);
        let whole_month = vec![range(1, 31, 1)];
        let expected = [
            StructuredCalendarSpec {
                second: vec![range(0, 0, 1)],
                minute: vec![range(0, 0, 1)],
                hour: vec![range(3, 3, 1)],
                day_of_month: whole_month.clone(),
                month: vec![range(1, 12, 1)],
                year: vec![range(2030, 2032, 2)],
                day_of_week: vec![range(0, 0, 1), range(5, 6, 1)],
                comment: "fridays".to_owned(),
            },
            StructuredCalendarSpec {
                second: vec![range(0, 0, 1)],
                minute: vec![range(0, 59, 5)],
                hour: vec![range(9, 17, 1)],
                day_of_month: whole_month.clone(),
                month: vec![range(1, 3, 1)],
                day_of_week: vec![range(1, 5, 1)],
                comment: "office hours".to_owned(),
                ..Default::default()
            },
            StructuredCalendarSpec {
                second: vec![range(0, 0, 1)],
                minute: vec![range(0, 0, 1)],
                hour: vec![range(0, 0, 1)],
                day_of_month: whole_month,
                month: vec![range(1, 12, 1)],
                day_of_week: vec![range(0, 0, 1)],
                ..Default::default()
            },
        ];
        assert_eq!(spec.structured_calendar, expected);
        let policies = schedule.policies.expect("policies");
        assert_eq!(policies.overlap_policy(), ScheduleOverlapPolicy::Skip);
        assert_eq!(policies.catchup_window, Some(seconds(365 * 86_400)));
        let info = info(&found);
        assert_eq!((info.action_count, info.future_action_times.len()), (0, 10));
        assert!(info.create_time.is_some() && info.update_time.is_none());
    }

    async fn wrong_specs_are_refused_with_what_is_wrong(bed: &Bed) {
        for (cron, message) in [
            ("60 * * * *", "Minute is not in range [0-59]"),
            ("*/0 * * * *", "Minute has invalid Step"),
            ("1-2-3 * * * *", "Minute has too many dashes"),
            ("1/2/3 * * * *", "Minute has too many slashes"),
            ("5-2 * * * *", "Minute End is before Start or not in range [0-59]"),
            ("0 0 * ja *", "Month is not in range [1-12]"),
            ("0 0 ? * ?", "DayOfWeek is not in range [0-7], DayOfMonth is not in range [1-31]"),
            ("0 0 1 1 * 1999", "Year is not in range [2000-2100]"),
            ("x y z", "CronString does not have 5-7 fields"),
            ("TZ=UTC", "CronString has time zone but missing fields"),
            ("TZ=Nowhere * * * * *", "unknown time zone Nowhere"),
            ("@every", "CronString does not have interval after @every"),
            ("@every 1x", "time: unknown unit \"x\" in duration \"1x\""),
            ("@every 500ms", "interval is too small"),
            ("@every 1m/2m", "phase cannot be greater than Interval"),
        ] {
            let request = create_request(bed, "wrong", schedule(bed, &[cron], ScheduleOverlapPolicy::Skip));
            let refused = rpc!(bed, create_schedule, request).expect_err(cron);
            assert_eq!(refused.code(), Code::InvalidArgument, "{cron}");
            assert_eq!(refused.message(), format!("Invalid schedule spec: {message}"), "{cron}");
        }
        let mut raw = idle(bed, ScheduleOverlapPolicy::Skip);
        raw.spec = Some(ScheduleSpec {
            structured_calendar: vec![StructuredCalendarSpec { hour: vec![range(24, 0, 0)], ..Default::default() }],
            ..Default::default()
        });
        let refused = rpc!(bed, create_schedule, create_request(bed, "wrong", raw)).expect_err("hour 24");
        assert_eq!(
            refused.message(),
            "Invalid schedule spec: invalid calendar spec: Hour Start is not in range [0-23]"
        );
    }

    async fn wrong_actions_are_refused(bed: &Bed) {
        let with = |change: &dyn Fn(&mut NewWorkflowExecutionInfo)| {
            let mut schedule = idle(bed, ScheduleOverlapPolicy::Skip);
            if let Some(ScheduleAction { action: Some(schedule_action::Action::StartWorkflow(workflow)) }) =
                &mut schedule.action
            {
                change(workflow);
            }
            create_request(bed, "wrong", schedule)
        };
        let requests = [
            with(&|workflow| workflow.workflow_type = None),
            with(&|workflow| workflow.task_queue = None),
            with(&|workflow| workflow.cron_schedule = "* * * * *".to_owned()),
            with(&|workflow| workflow.workflow_run_timeout = Some(seconds(-1))),
            with(&|workflow| workflow.workflow_id = "i".repeat(1_000)),
            CreateScheduleRequest { request_id: String::new(), ..with(&|_| {}) },
        ];
        for request in requests {
            let refused = rpc!(bed, create_schedule, request).expect_err("it is wrong");
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        }
    }

    async fn an_id_is_taken_once(bed: &Bed) {
        let request = create_request(bed, "s", idle(bed, ScheduleOverlapPolicy::Skip));
        let token = rpc!(bed, create_schedule, request.clone()).expect("a schedule").conflict_token;
        let again = rpc!(bed, create_schedule, request).expect("the same request again");
        assert_eq!(again.conflict_token, token);
        let other = create_request(bed, "s", idle(bed, ScheduleOverlapPolicy::Skip));
        let refused = rpc!(bed, create_schedule, other).expect_err("it is taken");
        assert_eq!(refused.code(), Code::AlreadyExists);
        let details = String::from_utf8_lossy(refused.details()).into_owned();
        assert!(details.contains("WorkflowExecutionAlreadyStartedFailure"), "{details:?}");
    }

    async fn what_is_not_there_is_not_found(bed: &Bed) {
        let message = "workflow not found for ID: temporal-sys-scheduler:none";
        let refused = try_describe(bed, "none").await.expect_err("there is none");
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, message));
        let refused = delete(bed, "none").await.expect_err("there is none");
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, message));
        let update = update_request(bed, "none", idle(bed, ScheduleOverlapPolicy::Skip));
        let refused = rpc!(bed, update_schedule, update).expect_err("there is none");
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, message));
        let request = PatchScheduleRequest {
            namespace: bed.namespace.clone(),
            schedule_id: "none".to_owned(),
            patch: Some(SchedulePatch { pause: "p".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let refused = rpc!(bed, patch_schedule, request).expect_err("there is none");
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, message));
        let request = ListScheduleMatchingTimesRequest {
            namespace: bed.namespace.clone(),
            schedule_id: "none".to_owned(),
            start_time: at(0),
            end_time: at(1),
        };
        let refused = rpc!(bed, list_schedule_matching_times, request).expect_err("there is none");
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, message));
    }

    async fn times_of_a_range_are_told(bed: &Bed) {
        const HOUR: i64 = 3_600;
        create(bed, "hours", schedule(bed, &["0 * * * *"], ScheduleOverlapPolicy::Skip)).await;
        let times = matching_times(bed, "hours", Y2030, Y2030 + 3 * HOUR).await;
        assert_eq!(times, [HOUR, 2 * HOUR, 3 * HOUR], "after the start, and up to the end");
        let mut excluding = schedule(bed, &["@every 8h"], ScheduleOverlapPolicy::Skip);
        let spec = excluding.spec.as_mut().expect("a spec");
        // Wednesday, 2 January.
        spec.exclude_structured_calendar = vec![StructuredCalendarSpec {
            second: vec![range(0, 59, 1)],
            minute: vec![range(0, 59, 1)],
            hour: vec![range(0, 23, 1)],
            day_of_month: vec![range(1, 31, 1)],
            month: vec![range(1, 12, 1)],
            day_of_week: vec![range(3, 3, 1)],
            ..Default::default()
        }];
        spec.start_time = at(Y2030 + 8 * HOUR);
        spec.end_time = at(Y2030 + 56 * HOUR);
        create(bed, "excluding", excluding).await;
        let times = matching_times(bed, "excluding", Y2030, Y2030 + 200 * HOUR).await;
        assert_eq!(times, [8 * HOUR, 16 * HOUR, 48 * HOUR, 56 * HOUR]);
        create(bed, "zone", schedule(bed, &["TZ=America/New_York 30 1,2 10 3 * 2030", "TZ=America/New_York 30 1 3 11 * 2030"], ScheduleOverlapPolicy::Skip)).await;
        let times = matching_times(bed, "zone", Y2030, Y2030 + 365 * 24 * HOUR).await;
        // 10 March has no 02:30; 3 November has two 01:30.
        let march = 68 * 24 * HOUR + 6 * HOUR + HOUR / 2;
        let november = 306 * 24 * HOUR + 5 * HOUR + HOUR / 2;
        assert_eq!(times, [march, november, november + HOUR]);
    }

    async fn a_schedule_is_paused_and_goes_on(bed: &Bed) {
        create(bed, "s", idle(bed, ScheduleOverlapPolicy::Skip)).await;
        patch(bed, "s", SchedulePatch { pause: "holidays".to_owned(), ..Default::default() }).await;
        let found = described(bed, "s", "it is paused", |found| state(found).paused).await;
        assert_eq!(state(&found).notes, "holidays");
        let before = found.conflict_token;
        patch(bed, "s", SchedulePatch { unpause: "back".to_owned(), ..Default::default() }).await;
        let found = described(bed, "s", "it goes on", |found| !state(found).paused).await;
        assert_eq!(state(&found).notes, "back");
        assert_ne!(found.conflict_token, before);
    }

    async fn an_update_replaces_the_schedule(bed: &Bed) {
        let mut request = create_request(bed, "s", idle(bed, ScheduleOverlapPolicy::Skip));
        request.memo = Some(Memo {
            fields: [("owner".to_owned(), payloads("me").payloads[0].clone())].into(),
        });
        let memo = request.memo.clone();
        rpc!(bed, create_schedule, request).expect("a schedule");
        let found = described(bed, "s", "it is there", |_| true).await;
        assert_eq!(found.memo, memo);
        let mut new = found.schedule.clone().expect("a schedule");
        new.policies.get_or_insert_default().overlap_policy = ScheduleOverlapPolicy::BufferAll as i32;
        new.spec.get_or_insert_default().cron_string = vec!["@hourly".to_owned()];
        let mut update = update_request(bed, "s", new.clone());
        update.conflict_token = found.conflict_token.clone();
        rpc!(bed, update_schedule, update).expect("an update");
        let after = described(bed, "s", "it is updated", |found| info(found).update_time.is_some()).await;
        assert_ne!(after.conflict_token, found.conflict_token);
        assert_eq!(after.memo, memo, "it stays");
        let schedule = after.schedule.clone().expect("a schedule");
        assert_eq!(schedule.spec.as_ref().map(|spec| spec.structured_calendar.len()), Some(2));
        assert_eq!(schedule.policies.map(|p| p.overlap_policy()), Some(ScheduleOverlapPolicy::BufferAll));
        // By the old token nothing is changed. The real server's older schedules do not say so.
        new.policies.get_or_insert_default().overlap_policy = ScheduleOverlapPolicy::AllowAll as i32;
        let mut stale = update_request(bed, "s", new);
        stale.conflict_token = found.conflict_token;
        let answer = rpc!(bed, update_schedule, stale);
        if bed.engine.is_some() {
            let refused = answer.expect_err("the token is old");
            assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "mismatched conflict token"));
        }
        patch(bed, "s", SchedulePatch { pause: "seen".to_owned(), ..Default::default() }).await;
        let found = described(bed, "s", "all is dealt with", |found| state(found).paused).await;
        let policies = found.schedule.and_then(|schedule| schedule.policies);
        assert_eq!(policies.map(|p| p.overlap_policy()), Some(ScheduleOverlapPolicy::BufferAll));
    }

    async fn a_deleted_schedule_is_gone_and_its_id_free(bed: &Bed) {
        create(bed, "s", idle(bed, ScheduleOverlapPolicy::Skip)).await;
        described(bed, "s", "it is there", |_| true).await;
        delete(bed, "s").await.expect("it is deleted");
        let refused = try_describe(bed, "s").await.expect_err("it is gone");
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(delete(bed, "s").await.expect_err("it is gone").code(), Code::NotFound);
        create(bed, "s", idle(bed, ScheduleOverlapPolicy::AllowAll)).await;
        let found = described(bed, "s", "the new one", |_| true).await;
        let policies = found.schedule.and_then(|schedule| schedule.policies);
        assert_eq!(policies.map(|p| p.overlap_policy()), Some(ScheduleOverlapPolicy::AllowAll));
    }
}

#[tokio::test]
async fn schedules_are_announced() {
    let bed = Bed::embedded().await;
    let system = rpc!(&bed, get_system_info, GetSystemInfoRequest::default()).expect("an info");
    assert!(system.capabilities.is_some_and(|can| can.supports_schedules));
    let request = DescribeNamespaceRequest {
        namespace: bed.namespace.clone(),
        ..Default::default()
    };
    let namespace = rpc!(&bed, describe_namespace, request).expect("a namespace");
    assert!(
        namespace
            .namespace_info
            .is_some_and(|info| info.supports_schedules)
    );
}
