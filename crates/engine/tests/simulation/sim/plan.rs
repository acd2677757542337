//! What is going to happen: a list of steps made from a seed. A step names its object by a number that is
//! taken modulo what there is, so a plan makes sense with any of its steps left out.

use super::rng::Rng;

/// A whole simulation.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Pages in the write-ahead log from which on it is copied into the file.
    pub(crate) checkpoint_pages: i64,
    /// Pages kept in memory: with few of them, parts of a batch are in the log before it is complete.
    pub(crate) cache_pages: i64,
    /// Runs in the journal from which on they are filed along with the batches, and how many with one.
    pub(crate) journaled_runs: usize,
    pub(crate) filed_with_one_batch: usize,
    /// The clock may be behind after a restart: then nothing is said of timers that are early.
    pub(crate) clock_goes_back: bool,
    pub(crate) steps: Vec<Step>,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Start {
        id: u64,
        /// Which reuse and conflict policy, retry policy, time-outs and delay.
        options: u64,
        twice: bool,
    },
    Signal {
        id: u64,
        /// To the run by its run id, so that it may be sent again after an outage.
        by_run: bool,
        twice: bool,
    },
    SignalWithStart {
        id: u64,
        twice: bool,
    },
    Cancel {
        run: u64,
    },
    Terminate {
        run: u64,
    },
    Query {
        run: u64,
    },
    PollWorkflow {
        worker: u64,
        sticky: bool,
    },
    PollActivity {
        worker: u64,
    },
    /// A worker completes a workflow task with commands by `choice`.
    Decide {
        task: u64,
        choice: u64,
    },
    FailTask {
        task: u64,
    },
    /// A worker that was slow, or has had no answer, completes a task once more.
    DecideAgain {
        task: u64,
    },
    FinishActivity {
        activity: u64,
        choice: u64,
    },
    FinishActivityAgain {
        activity: u64,
    },
    Heartbeat {
        activity: u64,
    },
    /// A caller goes away before its answer comes.
    HangUp {
        call: u64,
    },
    Update {
        run: u64,
        /// Whether the caller waits for the outcome.
        completed: bool,
        twice: bool,
    },
    UpdateWithStart {
        id: u64,
        completed: bool,
        twice: bool,
    },
    /// A batch operation on the open runs of one workflow id, or of all children.
    Batch {
        id: u64,
        how: u64,
    },
    /// A run goes on anew from one of its workflow tasks.
    Reset {
        run: u64,
        point: u64,
    },
    /// Of the runs that may be deleted.
    Delete {
        run: u64,
    },
    /// The run's next task is for any worker.
    ResetSticky {
        run: u64,
    },
    ControlActivity {
        activity: u64,
        how: u64,
    },
    StartActivity {
        id: u64,
        options: u64,
    },
    EndActivity {
        activity: u64,
        how: u64,
    },
    CreateSchedule {
        options: u64,
    },
    ControlSchedule {
        schedule: u64,
        how: u64,
    },
    /// A worker ends with all it has, and comes again with nothing.
    LoseWorker {
        worker: u64,
    },
    ShutDownWorker {
        worker: u64,
    },
    /// The engine takes what waits as batches until nothing is left to do.
    Work,
    Pass {
        millis: u64,
    },
    /// The clock goes to where the next run wants to be woken.
    PassToNext,
    /// The process dies in the middle of the next batch, and what was not synced is lost in part.
    Crash {
        tear: u64,
    },
    /// The process ends and starts again; the clock may be behind by then.
    Reopen {
        back_millis: u64,
    },
    /// The disk has room for so many pages more.
    FillDisk {
        pages: u64,
    },
    /// Another program keeps the file locked.
    Lock,
    /// The disk has room again, and nobody keeps the file locked.
    Mend,
    /// Somebody takes an event out of the file: for the test of the simulation itself.
    #[allow(dead_code, reason = "the command line has no use for it")]
    Sabotage,
}

impl Plan {
    /// The plan of this seed.
    pub(crate) fn new(seed: u64, length: usize) -> Self {
        let mut rng = Rng::new(seed);
        let checkpoint_pages = [4, 20, 60, 1_000][rng.index(4)];
        let cache_pages = [8, 40, 2_000][rng.index(3)];
        // From numbers of their own: the rest of a seed's plan is what it was.
        let mut pace = Rng::new(!seed);
        let journaled_runs = [1, 3, 10, 512][pace.index(4)];
        let filed_with_one_batch = [1, 2, 64][pace.index(3)];
        let clock_goes_back = rng.one_in(6);
        let faults = rng.one_in(2);
        let crashes = !rng.one_in(5);
        let steps = (0..length).map(|_| step(&mut rng, faults, crashes)).collect();
        Self {
            seed,
            checkpoint_pages,
            cache_pages,
            journaled_runs,
            filed_with_one_batch,
            clock_goes_back,
            steps,
        }
    }
}

fn step(rng: &mut Rng, faults: bool, crashes: bool) -> Step {
    if rng.one_in(7) {
        return more(rng);
    }
    let (id, run, worker, pick) = (rng.below(7), rng.next(), rng.below(3), rng.next());
    match rng.below(if faults { 106 } else { 102 }) {
        0..8 => Step::Start {
            id,
            options: rng.next(),
            twice: rng.one_in(5),
        },
        8..15 => Step::Signal {
            id: run,
            by_run: rng.one_in(2),
            twice: rng.one_in(5),
        },
        15..18 => Step::SignalWithStart {
            id,
            twice: rng.one_in(4),
        },
        18..20 => Step::Cancel { run },
        20..21 => Step::Terminate { run },
        21..24 => Step::Query { run },
        24..34 => Step::PollWorkflow {
            worker,
            sticky: rng.one_in(2),
        },
        34..41 => Step::PollActivity { worker },
        41..53 => Step::Decide {
            task: pick,
            choice: rng.next(),
        },
        53..55 => Step::FailTask { task: pick },
        55..57 => Step::DecideAgain { task: pick },
        57..63 => Step::FinishActivity {
            activity: pick,
            choice: rng.next(),
        },
        63..65 => Step::FinishActivityAgain { activity: pick },
        65..67 => Step::Heartbeat { activity: pick },
        67..69 => Step::HangUp { call: pick },
        69..70 => Step::LoseWorker { worker },
        70..71 => Step::ShutDownWorker { worker },
        71..90 => Step::Work,
        90..93 => Step::Pass {
            millis: rng.below(2_000) + 1,
        },
        93..94 => Step::Pass {
            millis: rng.below(60_000) + 1,
        },
        94..98 => Step::PassToNext,
        98..101 if crashes => Step::Crash { tear: rng.next() },
        101 if crashes => Step::Reopen {
            back_millis: rng.below(20_000),
        },
        98..102 => Step::Work,
        102..103 => Step::FillDisk { pages: rng.below(12) },
        103..104 => Step::Lock,
        _ => Step::Mend,
    }
}

/// What is asked less often.
fn more(rng: &mut Rng) -> Step {
    let (run, how) = (rng.next(), rng.next());
    match rng.below(48) {
        0..10 => Step::Update {
            run,
            completed: rng.one_in(2),
            twice: rng.one_in(4),
        },
        10..14 => Step::Reset { run, point: how },
        14..16 => Step::Delete { run },
        16..22 => Step::ControlActivity { activity: run, how },
        22..27 => Step::StartActivity {
            id: rng.below(3),
            options: how,
        },
        27..29 => Step::EndActivity { activity: run, how },
        29..32 => Step::CreateSchedule { options: how },
        32..36 => Step::UpdateWithStart {
            id: rng.below(60),
            completed: rng.one_in(2),
            twice: rng.one_in(4),
        },
        36..38 => Step::Batch {
            id: rng.below(8),
            how,
        },
        38..44 => Step::ResetSticky { run },
        _ => Step::ControlSchedule { schedule: run, how },
    }
}
