use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::cluster::{Pending, Pod};

const NOW: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);
const LOST_AFTER: Duration = Duration::from_secs(60);

fn run() -> Uuid {
    Uuid::from_u128(7)
}

fn task(process: u32, status: TaskStatus) -> ActiveTask {
    ActiveTask {
        id: Uuid::from_u128(100 + u128::from(process)),
        process,
        job: JobName::of(run(), process, 1),
        status,
        missing_since: None,
    }
}

fn job(process: u32, phase: Phase) -> JobState {
    JobState {
        name: JobName::of(run(), process, 1),
        id: format!("uid-{process}"),
        run: Some(run()),
        task: None,
        phase,
        pending: None,
        stopping: false,
        pod: Some(Pod {
            name: "pod".to_owned(),
            node: None,
            restarts: 0,
        }),
        exit_code: None,
        failure: None,
        created_at: NOW - time::Duration::minutes(10),
        started_at: (phase != Phase::Pending).then_some(NOW),
        ended_at: phase.has_ended().then_some(NOW),
    }
}

fn judgement(stopping: bool) -> Judgement {
    Judgement {
        now: NOW,
        lost_after: LOST_AFTER,
        stopping,
    }
}

/// What the database has after the corrections.
fn apply(tasks: &[ActiveTask], comparison: &Comparison, now: OffsetDateTime) -> Vec<ActiveTask> {
    let mut tasks = tasks.to_vec();
    for task in &mut tasks {
        if comparison.missing.contains(&task.id) {
            task.missing_since = Some(now);
        }
        if comparison.found.contains(&task.id) {
            task.missing_since = None;
        }
        for correction in &comparison.corrections {
            if correction.task == task.id && correction.from == task.status {
                task.status = correction.to;
            }
        }
    }
    tasks
}

#[test]
fn the_intervals_are_those_of_the_run_s_age() {
    let intervals = Intervals::default();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (age, every) in [
        (0, 1),
        (4, 1),
        (5, 2),
        (14, 2),
        (15, 3),
        (30, 5),
        (59, 5),
        (60, 8),
        (179, 8),
        (180, 15),
        (100_000, 15),
    ] {
        assert_eq!(intervals.next(minutes(age)), minutes(every), "at {age} minutes");
    }
}

#[test]
fn intervals_out_of_order_are_none() {
    let step = |from, every| Interval {
        from_seconds: Seconds::new(from),
        every_seconds: Seconds::from_millis(every),
    };
    assert_eq!(Intervals::new(vec![]), Err(InvalidIntervals));
    assert_eq!(Intervals::new(vec![step(1, 60_000)]), Err(InvalidIntervals));
    assert_eq!(
        Intervals::new(vec![step(0, 60_000), step(0, 60_000)]),
        Err(InvalidIntervals)
    );
    assert_eq!(Intervals::new(vec![step(0, 1)]), Err(InvalidIntervals));
    assert!(Intervals::new(vec![step(0, 10), step(5, 60_000)]).is_ok());
}

#[test]
fn a_job_that_is_gone_is_missed_first_and_lost_later() {
    let mut tasks = vec![task(0, TaskStatus::Running)];
    let first = compare(&tasks, &[], judgement(false));
    assert_eq!((first.corrections.len(), first.missing.len()), (0, 1));
    tasks = apply(&tasks, &first, NOW);

    let soon = Judgement {
        now: NOW + time::Duration::seconds(59),
        ..judgement(false)
    };
    assert_eq!(compare(&tasks, &[], soon), Comparison::default());

    let late = Judgement {
        now: NOW + time::Duration::seconds(60),
        ..judgement(false)
    };
    let lost = compare(&tasks, &[], late);
    assert_eq!(lost.corrections[0].to, TaskStatus::Failed);

    let back = compare(&tasks, &[job(0, Phase::Running)], late);
    assert_eq!((back.found.len(), back.corrections.len()), (1, 0));
}

#[test]
fn what_was_told_to_end_is_cancelled_and_not_failed() {
    let tasks = [
        task(0, TaskStatus::Running),
        task(1, TaskStatus::Running),
        task(2, TaskStatus::Running),
    ];
    let observed = [job(0, Phase::Failed), job(1, Phase::Succeeded)];
    let stopped = compare(&tasks, &observed, judgement(true));
    let to: Vec<_> = stopped
        .corrections
        .iter()
        .map(|correction| correction.to)
        .collect();
    assert_eq!(
        to,
        [
            TaskStatus::Cancelled,
            TaskStatus::Succeeded,
            TaskStatus::Cancelled
        ]
    );
}

#[test]
fn a_queued_task_whose_deployment_was_not_noted_is_noted() {
    let tasks = [task(0, TaskStatus::Queued), task(1, TaskStatus::Queued)];
    let comparison = compare(&tasks, &[job(1, Phase::Pending)], judgement(false));
    assert_eq!(comparison.corrections.len(), 1);
    assert_eq!(comparison.corrections[0].to, TaskStatus::Pending);
    assert!(comparison.missing.is_empty(), "what is queued is not missed");
}

#[test]
fn the_main_job_waits_starts_or_is_broken() {
    let limit = Duration::from_secs(300);
    let mut waits = job(0, Phase::Pending);
    waits.pending = Some(Pending {
        reason: "Unschedulable".to_owned(),
        message: "0/3 nodes are available".to_owned(),
        unschedulable: true,
    });
    let saturated = Some("Unschedulable: 0/3 nodes are available".to_owned());
    assert_eq!(main_job(Some(&waits), NOW, limit), MainJob::Waiting { saturated });
    waits.created_at = NOW - time::Duration::minutes(4);
    assert_eq!(
        main_job(Some(&waits), NOW, limit),
        MainJob::Waiting { saturated: None }
    );
    for phase in [Phase::Running, Phase::Succeeded, Phase::Failed] {
        assert_eq!(main_job(Some(&job(0, phase)), NOW, limit), MainJob::Started);
    }
    let mut broken = job(0, Phase::Failed);
    broken.started_at = None;
    assert!(matches!(
        main_job(Some(&broken), NOW, limit),
        MainJob::Broken { .. }
    ));
    assert!(matches!(main_job(None, NOW, limit), MainJob::Broken { .. }));
}

#[test]
fn a_run_ends_as_its_tasks_have_and_a_stopped_one_has_failed() {
    let summary = |succeeded, failed, cancelled| Summary {
        succeeded,
        failed,
        cancelled,
        ..Summary::default()
    };
    assert_eq!(ending(&summary(3, 0, 0), None).status, RunStatus::Completed);
    let failed = ending(&summary(2, 1, 0), None);
    assert_eq!(failed.status, RunStatus::Failed);
    assert_eq!(failed.reason.as_deref(), Some("1 of 3 tasks have failed"));
    let stopped = ending(&summary(3, 0, 0), Some("ada"));
    assert_eq!(stopped.status, RunStatus::Failed);
    assert_eq!(stopped.reason.as_deref(), Some("stopped by ada"));
    assert_eq!(ending(&summary(0, 0, 2), None).status, RunStatus::Failed);
    assert_eq!(ending(&summary(0, 0, 0), None).status, RunStatus::Failed);
}

fn phases() -> impl Strategy<Value = Option<Phase>> {
    prop_oneof![
        Just(None),
        Just(Some(Phase::Pending)),
        Just(Some(Phase::Running)),
        Just(Some(Phase::Succeeded)),
        Just(Some(Phase::Failed)),
    ]
}

fn alive() -> impl Strategy<Value = TaskStatus> {
    prop::sample::select(TaskStatus::ALIVE.to_vec())
}

proptest! {
    /// The next look is never sooner for an older run, and the span is one of those that are set.
    #[test]
    fn an_interval_does_not_shrink_with_age(ages in prop::collection::vec(0_u64..1_000_000, 2)) {
        let intervals = Intervals::default();
        let (young, old) = (ages[0].min(ages[1]), ages[0].max(ages[1]));
        let next = |age| intervals.next(Duration::from_secs(age));
        prop_assert!(next(young) <= next(old));
        prop_assert!([1, 2, 3, 5, 8, 15].contains(&(next(old).as_secs() / 60)));
    }

    /// Whatever the database had, after one look it has what the cluster says, and a second look changes nothing: it does
    /// not matter how many looks there were before.
    #[test]
    fn a_second_look_at_the_same_cluster_changes_nothing(
        tasks in prop::collection::vec((alive(), phases()), 1..20),
        stopping in any::<bool>(),
    ) {
        let held: Vec<_> = tasks.iter().zip(0..).map(|((status, _), process)| task(process, *status)).collect();
        let observed: Vec<_> = tasks
            .iter()
            .zip(0..)
            .filter_map(|((_, phase), process)| phase.map(|phase| job(process, phase)))
            .collect();
        let first = compare(&held, &observed, judgement(stopping));
        let after = apply(&held, &first, NOW);
        for (task, (_, phase)) in after.iter().zip(&tasks) {
            if let Some(phase) = phase {
                let expected = match (phase, stopping) {
                    (Phase::Failed, true) => TaskStatus::Cancelled,
                    (phase, _) => TaskStatus::from(*phase),
                };
                prop_assert_eq!(task.status, expected);
            }
        }
        let left: Vec<_> = after.into_iter().filter(|task| task.status.is_alive()).collect();
        let second = compare(&left, &observed, judgement(stopping));
        prop_assert!(second.corrections.is_empty(), "{:?}", second.corrections);
    }

    /// No correction is made of a task that nothing is known about, each task has at most one, and each says what it is
    /// from and why.
    #[test]
    fn corrections_are_of_active_tasks_one_each(
        tasks in prop::collection::vec((alive(), phases()), 1..20),
    ) {
        let held: Vec<_> = tasks.iter().zip(0..).map(|((status, _), process)| task(process, *status)).collect();
        let observed: Vec<_> = (0..30).map(|process| job(process, Phase::Running)).collect();
        let comparison = compare(&held, &observed, judgement(false));
        let mut seen = std::collections::HashSet::new();
        for correction in &comparison.corrections {
            prop_assert!(seen.insert(correction.task));
            let task = held.iter().find(|task| task.id == correction.task);
            prop_assert_eq!(task.map(|task| task.status), Some(correction.from));
            prop_assert_ne!(correction.from, correction.to);
            prop_assert!(!correction.reason.is_empty());
        }
    }
}
