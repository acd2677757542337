//! What a schedule asks for, on a clock that is moved by hand, with a host that does what it is asked.

use proptest::prelude::*;
use temporalio_protos::temporal::api::{
    enums::v1::{ScheduleOverlapPolicy as Policy, WorkflowExecutionStatus},
    schedule::v1::{
        BackfillRequest, Schedule, ScheduleAction, SchedulePatch, SchedulePolicies, ScheduleSpec,
        ScheduleState, TriggerImmediatelyRequest, schedule_action::Action,
    },
    workflow::v1::NewWorkflowExecutionInfo,
};

use super::super::{
    Closed, Effect, Replacement, Running, ScheduleRecord, Scheduler, Spec, canonical::canonical,
};
use crate::clock::{Nanos, SECOND, duration, timestamp};

/// 2024-01-01T00:00:00Z.
const START: Nanos = 1_704_067_200 * SECOND;
const MINUTE: Nanos = 60 * SECOND;

struct World {
    scheduler: Scheduler,
    now: Nanos,
    runs: Vec<Running>,
    /// Nominal times of what was started, in minutes since the start.
    started: Vec<i64>,
    /// Those that the spec asked for.
    by_spec: Vec<i64>,
    ended: Vec<(&'static str, String)>,
}

fn schedule(cron: &str, overlap: Policy) -> Schedule {
    Schedule {
        spec: Some(ScheduleSpec {
            cron_string: vec![cron.to_owned()],
            ..Default::default()
        }),
        action: Some(ScheduleAction {
            action: Some(Action::StartWorkflow(NewWorkflowExecutionInfo::default())),
        }),
        policies: Some(SchedulePolicies {
            overlap_policy: overlap as i32,
            ..Default::default()
        }),
        state: Some(ScheduleState::default()),
    }
}

impl World {
    fn new(schedule: Schedule) -> Self {
        Self::with_patch(schedule, None)
    }

    fn with_patch(mut schedule: Schedule, patch: Option<SchedulePatch>) -> Self {
        let (canonical, spec) = compiled(&schedule);
        schedule.spec = Some(canonical);
        let record = ScheduleRecord {
            id: "s".to_owned(),
            schedule: Some(schedule),
            ..Default::default()
        };
        let mut world = Self {
            scheduler: Scheduler::create(record, spec, patch, START),
            now: START,
            runs: Vec::new(),
            started: Vec::new(),
            by_spec: Vec::new(),
            ended: Vec::new(),
        };
        world.settle();
        world
    }

    /// Does what the host does after every transition.
    fn settle(&mut self) {
        self.scheduler.advance(self.now);
        loop {
            let effects = self.scheduler.plan();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Start(start) if self.scheduler.permits(&start) => {
                        let run = Running {
                            workflow_id: format!("w{}", self.runs.len()),
                            first_run_id: format!("r{}", self.runs.len()),
                        };
                        let minute = (start.nominal - START) / MINUTE;
                        self.started.push(minute);
                        if !start.manual {
                            self.by_spec.push(minute);
                        }
                        self.runs.push(run.clone());
                        self.scheduler.started(&start, run, self.now);
                    }
                    Effect::Start(_) => self.scheduler.dropped(),
                    Effect::Cancel(run) => self.ended.push(("canceled", run.workflow_id)),
                    Effect::Terminate(run) => {
                        self.ended.push(("terminated", run.workflow_id.clone()));
                        self.scheduler
                            .closed(&run, closed(WorkflowExecutionStatus::Terminated));
                    }
                }
            }
        }
    }

    /// Moves on to this minute, waking the schedule whenever it wants to be woken.
    fn to(&mut self, minute: i64) {
        let end = START + minute * MINUTE;
        while let Some(at) = self.scheduler.next_wake(self.now).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.settle();
        }
        self.now = end;
    }

    /// The schedule sleeps until this minute, as while the engine is down.
    fn sleep_to(&mut self, minute: i64) {
        self.now = START + minute * MINUTE;
        self.scheduler = Scheduler::load(self.scheduler.record.clone());
    }

    fn patch(&mut self, patch: SchedulePatch) {
        self.scheduler.patch(patch, "", self.now);
        self.settle();
    }

    fn trigger(&mut self, overlap: Policy) {
        self.patch(SchedulePatch {
            trigger_immediately: Some(TriggerImmediatelyRequest {
                overlap_policy: overlap as i32,
                scheduled_time: None,
            }),
            ..Default::default()
        });
    }

    fn backfill(&mut self, from: i64, to: i64, overlap: Policy) {
        self.patch(SchedulePatch {
            backfill_request: vec![BackfillRequest {
                start_time: Some(timestamp(START + from * MINUTE)),
                end_time: Some(timestamp(START + to * MINUTE)),
                overlap_policy: overlap as i32,
            }],
            ..Default::default()
        });
    }

    fn close(&mut self, run: usize, status: WorkflowExecutionStatus) {
        self.scheduler.closed(&self.runs[run], closed(status));
        self.settle();
    }

    fn complete(&mut self, run: usize) {
        self.close(run, WorkflowExecutionStatus::Completed);
    }

    fn state(&mut self) -> &mut ScheduleState {
        let schedule = self.scheduler.record.schedule.as_mut().expect("a schedule");
        schedule.state.get_or_insert_default()
    }
}

fn compiled(schedule: &Schedule) -> (ScheduleSpec, Spec) {
    let spec = canonical(&schedule.spec.clone().unwrap_or_default()).expect("a right spec");
    let compiled = Spec::compile(&spec).expect("its zone is known");
    (spec, compiled)
}

fn closed(status: WorkflowExecutionStatus) -> Closed {
    use temporalio_protos::temporal::api::{common::v1::Payloads, failure::v1::Failure};
    Closed {
        status,
        result: (status == WorkflowExecutionStatus::Completed).then(Payloads::default),
        failure: (status == WorkflowExecutionStatus::Failed).then(|| Failure {
            message: "broken".to_owned(),
            ..Default::default()
        }),
    }
}

#[test]
fn skip_waits_for_the_next_time() {
    let mut world = World::new(schedule("* * * * *", Policy::Unspecified));
    world.to(3);
    assert_eq!(world.started, [1]);
    assert_eq!(world.scheduler.record.counts.overlap_skipped, 2);
    world.complete(0);
    assert_eq!(world.started, [1], "what was skipped stays so");
    world.to(4);
    assert_eq!(world.started, [1, 4]);
}

#[test]
fn buffer_one_keeps_the_first_and_buffer_all_keeps_all() {
    let mut one = World::new(schedule("* * * * *", Policy::BufferOne));
    one.to(4);
    assert_eq!(
        (one.scheduler.record.buffer.len(), one.started.as_slice()),
        (1, &[1][..])
    );
    one.complete(0);
    assert_eq!(one.started, [1, 2]);
    let mut all = World::new(schedule("* * * * *", Policy::BufferAll));
    all.to(4);
    assert_eq!(all.scheduler.record.buffer.len(), 3);
    for run in 0..4 {
        all.complete(run);
    }
    assert_eq!(all.started, [1, 2, 3, 4]);
    assert_eq!(all.scheduler.record.counts.overlap_skipped, 0);
}

#[test]
fn cancel_waits_for_the_end_and_terminate_makes_it() {
    let mut world = World::new(schedule("* * * * *", Policy::CancelOther));
    world.to(2);
    assert_eq!(world.ended, [("canceled", "w0".to_owned())]);
    assert_eq!(world.started, [1], "the canceled one may take its time");
    world.close(0, WorkflowExecutionStatus::Canceled);
    assert_eq!(world.started, [1, 2]);
    let mut world = World::new(schedule("* * * * *", Policy::TerminateOther));
    world.to(3);
    assert_eq!(world.started, [1, 2, 3]);
    assert_eq!(world.ended.len(), 2);
    assert_eq!(world.scheduler.record.running.len(), 1);
}

#[test]
fn allow_all_runs_side_by_side_and_passes_nothing_on() {
    let mut world = World::new(schedule("* * * * *", Policy::AllowAll));
    world.to(3);
    assert_eq!(world.started, [1, 2, 3]);
    assert!(
        world.scheduler.record.running.is_empty(),
        "nothing waits for them"
    );
    world.complete(1);
    assert_eq!(world.scheduler.record.last_completion_result, None);
    let status: Vec<_> = world
        .scheduler
        .record
        .recent
        .iter()
        .map(|a| a.start_workflow_status())
        .collect();
    use WorkflowExecutionStatus::{Completed, Running};
    assert_eq!(status, [Running, Completed, Running]);
}

#[test]
fn what_was_missed_is_caught_up_within_the_window() {
    let mut schedule = schedule("* * * * *", Policy::AllowAll);
    schedule.policies.as_mut().unwrap().catchup_window = Some(duration(5 * MINUTE));
    let mut world = World::new(schedule);
    world.to(2);
    world.sleep_to(20);
    world.settle();
    assert_eq!(world.started, [1, 2, 15, 16, 17, 18, 19, 20]);
    assert_eq!(world.scheduler.record.counts.missed_catchup_window, 12);
    world.settle();
    assert_eq!(
        world.scheduler.record.counts.missed_catchup_window, 12,
        "counted once"
    );
}

#[test]
fn the_window_is_a_year_and_ten_seconds_at_least() {
    let window = |given: Option<i64>| {
        let mut schedule = schedule("@daily", Policy::Skip);
        schedule.policies.as_mut().unwrap().catchup_window = given.map(|seconds| duration(seconds * SECOND));
        let record = World::new(schedule).scheduler.record;
        let policies = record.schedule.unwrap().policies.unwrap();
        policies.catchup_window.unwrap().seconds
    };
    assert_eq!(
        (window(None), window(Some(1)), window(Some(60))),
        (365 * 86_400, 10, 60)
    );
}

#[test]
fn a_pause_passes_over_times_and_triggers_still_work() {
    let mut world = World::new(schedule("* * * * *", Policy::AllowAll));
    world.to(1);
    world.patch(SchedulePatch {
        pause: "rest".to_owned(),
        ..Default::default()
    });
    assert_eq!(world.scheduler.next_wake(world.now), None);
    world.to(5);
    world.trigger(Policy::Unspecified);
    assert_eq!(world.started, [1, 5]);
    world.patch(SchedulePatch {
        unpause: "go on".to_owned(),
        ..Default::default()
    });
    assert_eq!(world.state().notes, "go on");
    world.to(7);
    assert_eq!(world.started, [1, 5, 6, 7]);
    assert_eq!(world.scheduler.record.counts.missed_catchup_window, 0);
    assert_eq!(world.scheduler.record.conflict_token, 3);
}

#[test]
fn actions_may_be_limited() {
    let mut limited = schedule("* * * * *", Policy::Skip);
    limited.state = Some(ScheduleState {
        limited_actions: true,
        remaining_actions: 2,
        ..Default::default()
    });
    let mut world = World::new(limited);
    assert_eq!(world.scheduler.info(world.now).future_action_times.len(), 2);
    world.to(3);
    assert_eq!(
        world.state().remaining_actions,
        1,
        "what is skipped does not count"
    );
    world.complete(0);
    world.to(9);
    world.trigger(Policy::AllowAll);
    assert_eq!(world.started, [1, 4, 9], "a trigger is not limited");
    assert_eq!(world.state().remaining_actions, 0);
    assert!(world.scheduler.info(world.now).future_action_times.is_empty());
}

#[test]
fn failures_pause_where_that_is_wanted() {
    let mut schedule = schedule("* * * * *", Policy::Skip);
    schedule.policies.as_mut().unwrap().pause_on_failure = true;
    let mut world = World::new(schedule);
    world.to(1);
    world.close(0, WorkflowExecutionStatus::Canceled);
    assert!(!world.state().paused);
    world.to(2);
    world.close(1, WorkflowExecutionStatus::Failed);
    assert!(world.state().paused);
    assert_eq!(world.state().notes, "paused due to workflow failure: w1: broken");
    assert!(world.scheduler.record.continued_failure.is_some());
    world.to(5);
    assert_eq!(world.started, [1, 2]);
}

#[test]
fn results_and_failures_are_passed_on() {
    let mut world = World::new(schedule("* * * * *", Policy::Skip));
    world.to(1);
    world.close(0, WorkflowExecutionStatus::Failed);
    assert!(world.scheduler.record.continued_failure.is_some());
    world.to(2);
    world.complete(1);
    assert!(world.scheduler.record.last_completion_result.is_some());
    assert!(world.scheduler.record.continued_failure.is_none());
    world.to(3);
    world.close(2, WorkflowExecutionStatus::Failed);
    assert!(
        world.scheduler.record.last_completion_result.is_some(),
        "of the last that had one"
    );
}

#[test]
fn a_backfill_takes_its_range_with_both_ends() {
    let mut world = World::new(schedule("*/10 * * * *", Policy::Skip));
    world.backfill(-60, -20, Policy::AllowAll);
    assert_eq!(world.started, [-60, -50, -40, -30, -20]);
    world.backfill(-20, -10, Policy::Unspecified);
    assert_eq!(
        world.started.last(),
        Some(&-20),
        "the schedule's own policy: the second is skipped"
    );
    assert_eq!(world.scheduler.record.counts.overlap_skipped, 1);
}

#[test]
fn a_long_backfill_goes_on_as_there_is_room() {
    let mut world = World::new(schedule("* * * * *", Policy::Skip));
    world.backfill(-1_999, 0, Policy::BufferAll);
    world.to(0);
    assert!(world.scheduler.record.buffer.len() < 1_000);
    assert!(!world.scheduler.record.backfills.is_empty());
    let mut run = 0;
    while run < world.runs.len() {
        world.complete(run);
        run += 1;
    }
    assert_eq!(world.started, (-1_999..=0).collect::<Vec<_>>());
    assert_eq!(world.scheduler.record.counts.buffer_dropped, 0);
}

#[test]
fn a_full_buffer_drops() {
    let mut world = World::new(schedule("* * * * *", Policy::BufferAll));
    world.to(1_100);
    assert_eq!(world.scheduler.record.buffer.len(), 1_000);
    assert_eq!(world.scheduler.record.counts.buffer_dropped, 99);
}

#[test]
fn a_schedule_may_begin_with_a_patch() {
    let patch = SchedulePatch {
        trigger_immediately: Some(TriggerImmediatelyRequest::default()),
        pause: "not yet".to_owned(),
        ..Default::default()
    };
    let mut world = World::with_patch(schedule("* * * * *", Policy::Skip), Some(patch));
    assert_eq!(world.started, [0]);
    world.to(3);
    assert_eq!(world.started, [0]);
}

fn replacement(schedule: Schedule, conflict_token: i64, request_id: &str) -> Replacement {
    let (spec, compiled) = compiled(&schedule);
    Replacement {
        schedule: Schedule {
            spec: Some(spec),
            ..schedule
        },
        spec: compiled,
        conflict_token,
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

#[test]
fn an_update_counts_from_now_on() {
    let mut world = World::new(schedule("0 * * * *", Policy::AllowAll));
    world.to(65);
    let update = replacement(schedule("*/10 * * * *", Policy::AllowAll), 1, "u");
    world
        .scheduler
        .update(update.clone(), world.now)
        .expect("the token is right");
    world.settle();
    world.to(80);
    assert_eq!(world.started, [60, 70, 80]);
    let again = world.scheduler.update(update, world.now);
    assert_eq!(
        (again, world.scheduler.record.conflict_token),
        (Ok(()), 2),
        "the same request again"
    );
    let stale = replacement(schedule("@daily", Policy::Skip), 1, "v");
    let refused = world
        .scheduler
        .update(stale, world.now)
        .expect_err("the token is old");
    assert_eq!(refused.to_string(), "mismatched conflict token");
    world.to(90);
    assert_eq!(world.started, [60, 70, 80, 90]);
}

#[test]
fn a_schedule_without_times_goes_after_a_week() {
    const DAY: i64 = 24 * 60;
    let mut once = schedule("30 0 1 1 * 2024", Policy::Skip);
    let mut world = World::new(once.clone());
    world.to(30);
    assert_eq!(world.started, [30]);
    let expiry = world.scheduler.next_wake(world.now);
    assert_eq!(expiry, Some(START + (30 + 7 * DAY) * MINUTE));
    assert!(!world.scheduler.is_expired(expiry.unwrap() - 1));
    assert!(world.scheduler.is_expired(expiry.unwrap()));
    once.state.as_mut().unwrap().paused = true;
    let world = World::new(once);
    assert_eq!(world.scheduler.next_wake(world.now), None, "a paused one stays");
}

#[test]
fn the_latest_ten_actions_and_the_next_ten_times_are_shown() {
    let mut world = World::new(schedule("* * * * *", Policy::AllowAll));
    world.to(15);
    let info = world.scheduler.info(world.now);
    assert_eq!((info.action_count, info.recent_actions.len()), (15, 10));
    let first = START / SECOND + 16 * 60;
    let times: Vec<_> = info.future_action_times.iter().map(|time| time.seconds).collect();
    assert_eq!(
        times,
        (0..10).map(|minute| first + minute * 60).collect::<Vec<_>>()
    );
    let listed = world.scheduler.list_info(world.now);
    assert_eq!(
        (listed.recent_actions.len(), listed.future_action_times.len()),
        (5, 5)
    );
    assert_eq!(listed.recent_actions.last(), info.recent_actions.last());
}

#[test]
fn a_start_that_fails_for_the_engine_is_tried_again() {
    let mut world = World::new(schedule("@daily", Policy::Skip));
    world.scheduler.patch(
        SchedulePatch {
            trigger_immediately: Some(TriggerImmediatelyRequest::default()),
            ..Default::default()
        },
        "",
        world.now,
    );
    let Some(Effect::Start(start)) = world.scheduler.plan().pop() else {
        panic!("a start")
    };
    world.scheduler.postponed(start, world.now);
    assert!(world.scheduler.plan().is_empty());
    assert_eq!(
        world.scheduler.next_wake(world.now),
        Some(world.now + 10 * SECOND)
    );
    world.to(1);
    assert_eq!(world.started, [0]);
}

#[derive(Clone, Debug)]
enum Op {
    Pass(i64),
    Sleep(i64),
    Close(usize),
    Trigger(i32),
    Backfill(i64, i64, i32),
    Pause(bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..30_i64).prop_map(Op::Pass),
        1 => (0..300_i64).prop_map(Op::Sleep),
        5 => (0..40_usize).prop_map(Op::Close),
        1 => (0..7_i32).prop_map(Op::Trigger),
        1 => (-500..500_i64, 0..100_i64, 0..7_i32).prop_map(|(from, long, overlap)| Op::Backfill(from, from + long, overlap)),
        1 => any::<bool>().prop_map(Op::Pause),
    ];
    proptest::collection::vec(op, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever happens: alone is alone, every time of the spec is taken once at most, and what is
    /// kept is all there is to know.
    #[test]
    fn whatever_happens(ops in ops(), overlap in 1..7_i32, minutes in 1..20_i64) {
        let policy = Policy::try_from(overlap).unwrap();
        let mut world = World::new(schedule(&format!("*/{minutes} * * * *"), policy));
        for op in ops {
            let minute = (world.now - START) / MINUTE;
            match op {
                Op::Pass(minutes) => world.to(minute + minutes),
                Op::Sleep(minutes) => {
                    world.sleep_to(minute + minutes);
                    world.settle();
                }
                Op::Close(run) if run < world.runs.len() => world.complete(run),
                Op::Close(_) => {}
                Op::Trigger(overlap) => world.trigger(Policy::try_from(overlap).unwrap_or_default()),
                Op::Backfill(from, to, overlap) => {
                    world.backfill(from, to, Policy::try_from(overlap).unwrap_or_default());
                }
                Op::Pause(true) => world.patch(SchedulePatch { pause: "p".to_owned(), ..Default::default() }),
                Op::Pause(false) => world.patch(SchedulePatch { unpause: "u".to_owned(), ..Default::default() }),
            }
            let record = &world.scheduler.record;
            prop_assert!(record.running.len() <= 1, "at most one stands in the way");
            prop_assert!(record.buffer.len() <= 1_000 && record.recent.len() <= 10);
            prop_assert_eq!(record.counts.taken, i64::try_from(world.started.len()).unwrap());
            prop_assert!(world.by_spec.is_sorted_by(|a, b| a < b), "once, and in order: {:?}", world.by_spec);
            let reloaded = Scheduler::load(record.clone());
            prop_assert_eq!(reloaded.info(world.now), world.scheduler.info(world.now));
        }
    }
}
