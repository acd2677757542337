//! What a seed stands for: a list of steps. A step that finds nothing to do when its turn comes is passed over.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Workflow ids in a plan.
pub(super) const IDS: usize = 2;
/// Steps in a plan.
const STEPS: usize = 22;

/// What happens next; `id` is the number of a workflow id.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Start {
        id: usize,
        options: StartOptions,
    },
    SignalWithStart {
        id: usize,
    },
    Signal {
        id: usize,
    },
    RequestCancel {
        id: usize,
    },
    Terminate {
        id: usize,
    },
    Query {
        id: usize,
    },
    /// A client asks for an update, and a worker answers.
    Update {
        id: usize,
        how: UpdateEnd,
    },
    /// The run is reset to its first completed workflow task, or to its last one.
    Reset {
        id: usize,
        to_last: bool,
    },
    /// A worker takes the workflow task that is due.
    TakeTask {
        id: usize,
    },
    /// It answers the task that it has, or takes the one that is due and answers that.
    EndTask {
        id: usize,
        how: TaskEnd,
    },
    /// A worker takes an activity task and answers it; `pick` chooses among the pending activities.
    Activity {
        id: usize,
        pick: usize,
        how: ActivityEnd,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum UpdateEnd {
    /// Accepted and completed with one task.
    Complete,
    /// Accepted; a later command may complete it.
    Accept,
    Reject,
    /// The task fails that brings it; the next one brings it again.
    FailFirst,
}

#[derive(Clone, Debug, Default)]
pub(super) struct StartOptions {
    /// As in the protocol's enums.
    pub(super) reuse: i32,
    pub(super) conflict: i32,
    pub(super) retries: bool,
    pub(super) delayed: bool,
    pub(super) memo: bool,
    pub(super) times_out: bool,
}

#[derive(Clone, Debug)]
pub(super) enum TaskEnd {
    Complete { commands: Vec<Do>, force_new: bool },
    Fail,
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Do {
    Activity(ActivityKind),
    /// Ends almost at once.
    ShortTimer,
    LongTimer(usize),
    CancelTimer(usize),
    CancelActivity(usize),
    /// Completes an update that was accepted before.
    CompleteUpdate(usize),
    Marker,
    UpsertMemo,
    Complete,
    Fail,
    Cancel,
    ContinueAsNew,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ActivityKind {
    Plain,
    /// Has two attempts.
    Retried,
    /// Nobody comes for it, and it may not wait long.
    Unwanted,
    /// Its worker has little time.
    Hurried,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ActivityEnd {
    Complete,
    Fail,
    FailForGood,
    Cancel,
    Heartbeat,
    /// The worker keeps it to itself.
    Nothing,
    CompleteById,
}

/// The plan of a seed.
pub(super) fn generate(seed: u64) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut steps = vec![Step::Start {
        id: 0,
        options: StartOptions::default(),
    }];
    steps.extend((1..STEPS).map(|_| step(&mut random)));
    steps
}

fn step(random: &mut StdRng) -> Step {
    let id = if random.random_bool(0.7) {
        0
    } else {
        random.random_range(0..IDS)
    };
    match random.random_range(0..100) {
        0..12 => Step::Start {
            id,
            options: options(random),
        },
        12..15 => Step::SignalWithStart { id },
        15..25 => Step::Signal { id },
        25..29 => Step::RequestCancel { id },
        29..31 => Step::Terminate { id },
        31..35 => Step::Query { id },
        35..37 => Step::Reset {
            id,
            to_last: random.random_bool(0.5),
        },
        37..43 => Step::Update {
            id,
            how: update_end(random),
        },
        43..47 => Step::TakeTask { id },
        47..75 => Step::EndTask {
            id,
            how: task_end(random),
        },
        _ => Step::Activity {
            id,
            pick: random.random_range(0..4),
            how: activity_end(random),
        },
    }
}

fn update_end(random: &mut StdRng) -> UpdateEnd {
    match random.random_range(0..10) {
        0..4 => UpdateEnd::Complete,
        4..7 => UpdateEnd::Accept,
        7..9 => UpdateEnd::Reject,
        _ => UpdateEnd::FailFirst,
    }
}

fn options(random: &mut StdRng) -> StartOptions {
    let mut rarely = || random.random_bool(0.2);
    let (retries, delayed, memo) = (rarely(), rarely(), rarely());
    let times_out = random.random_bool(0.05);
    StartOptions {
        // Allow a duplicate, only after a failure, reject.
        reuse: random.random_range(0..=3),
        // Fail, use the existing one, terminate it.
        conflict: if random.random_bool(0.5) {
            0
        } else {
            random.random_range(1..=3)
        },
        retries,
        delayed,
        memo,
        times_out,
    }
}

fn task_end(random: &mut StdRng) -> TaskEnd {
    if random.random_bool(0.12) {
        return TaskEnd::Fail;
    }
    let count = random.random_range(0..=3);
    let mut commands: Vec<Do> = (0..count).map(|_| command(random)).collect();
    // What closes the run comes last; a wait for two short ends at once would be a race.
    commands.truncate(commands.iter().position(closes).map_or(count, |at| at + 1));
    let mut is_first = true;
    commands.retain(|command| !ends_by_itself(command) || std::mem::take(&mut is_first));
    TaskEnd::Complete {
        commands,
        force_new: random.random_bool(0.08),
    }
}

fn closes(command: &Do) -> bool {
    matches!(command, Do::Complete | Do::Fail | Do::Cancel | Do::ContinueAsNew)
}

fn ends_by_itself(command: &Do) -> bool {
    matches!(command, Do::ShortTimer | Do::Activity(ActivityKind::Unwanted))
}

fn command(random: &mut StdRng) -> Do {
    match random.random_range(0..100) {
        0..20 => Do::Activity(ActivityKind::Plain),
        20..38 => Do::Activity(ActivityKind::Retried),
        38..41 => Do::Activity(ActivityKind::Unwanted),
        41..44 => Do::Activity(ActivityKind::Hurried),
        44..50 => Do::ShortTimer,
        50..60 => Do::LongTimer(random.random_range(0..3)),
        60..66 => Do::CancelTimer(random.random_range(0..3)),
        66..73 => Do::CancelActivity(random.random_range(0..3)),
        73..75 => Do::CompleteUpdate(random.random_range(0..2)),
        75..77 => Do::Marker,
        77..81 => Do::UpsertMemo,
        81..87 => Do::Complete,
        87..92 => Do::Fail,
        92..95 => Do::Cancel,
        _ => Do::ContinueAsNew,
    }
}

fn activity_end(random: &mut StdRng) -> ActivityEnd {
    match random.random_range(0..100) {
        0..30 => ActivityEnd::Complete,
        30..60 => ActivityEnd::Fail,
        60..68 => ActivityEnd::FailForGood,
        68..76 => ActivityEnd::Cancel,
        76..86 => ActivityEnd::Heartbeat,
        86..93 => ActivityEnd::CompleteById,
        _ => ActivityEnd::Nothing,
    }
}
