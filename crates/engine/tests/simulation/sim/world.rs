//! The engine, its file, a clock, and the callers, moved step by step.

use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::Poll,
};

use prost::Message;
use segno_engine::{
    Options,
    clock::{Clock, Nanos, SECOND},
    simulation::{SteppedEngine, Tuning, call},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::Status;

use super::{
    client::{Asked, CallKind},
    disk::{self, Image},
    file::{self, Known},
    ledger::Ledger,
    plan::{Plan, Step},
    rng::Rng,
    worker::Workers,
};

/// What is wrong, in words.
pub(crate) type Done<T = ()> = Result<T, String>;

/// Torn images that are only read, for each one that the engine goes on from.
const LOOKED_AT: usize = 3;
/// Batches that one step of the plan may take: more is an engine that never comes to rest.
const BATCHES: usize = 200;

/// A clock that goes where it is put.
#[derive(Clone, Debug)]
struct SimulatedClock(Arc<AtomicI64>);

impl Clock for SimulatedClock {
    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request under way.
pub(crate) struct Call {
    pub(crate) kind: CallKind,
    pub(crate) asked: Asked,
    future: Pin<Box<dyn Future<Output = Result<Vec<u8>, Status>>>>,
}

/// Everything there is.
pub(crate) struct World {
    runtime: Runtime,
    root: TempDir,
    life: u32,
    engine: Option<SteppedEngine>,
    clock: SimulatedClock,
    tuning: Tuning,
    clock_goes_back: bool,
    pub(crate) calls: Vec<Call>,
    to_ask: Vec<(CallKind, Asked)>,
    pub(crate) ledger: Ledger,
    pub(crate) workers: Workers,
    known: Known,
    locker: Option<rusqlite::Connection>,
    /// Something keeps the engine from writing.
    is_faulty: bool,
    /// Look at every image between two writes.
    pub(crate) every_write: bool,
    /// What of all that a simulation should come to there was.
    pub(crate) seen: BTreeSet<&'static str>,
    /// How often the engine has come to rest.
    rests: usize,
    /// A sum of all that has happened: the same for the same plan.
    pub(crate) trace: u64,
    /// Images that were opened and found right.
    pub(crate) images: usize,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Done<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let mut world = Self {
            runtime,
            root: folder()?,
            life: 0,
            engine: None,
            clock: SimulatedClock(Arc::new(AtomicI64::new(1_700_000_000 * SECOND))),
            tuning: Tuning {
                checkpoint_pages: plan.checkpoint_pages,
                cache_pages: plan.cache_pages,
                journaled_runs: plan.journaled_runs,
                filed_with_one_batch: plan.filed_with_one_batch,
            },
            clock_goes_back: plan.clock_goes_back,
            calls: Vec::new(),
            to_ask: Vec::new(),
            ledger: Ledger::default(),
            workers: Workers::default(),
            known: Known::default(),
            locker: None,
            is_faulty: false,
            every_write: false,
            seen: BTreeSet::new(),
            rests: 0,
            trace: 0,
            images: 0,
        };
        world.open()?;
        Ok(world)
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join(self.life.to_string())
    }

    fn open(&mut self) -> Done {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let options = Options::new(folder.join("engine.db")).with_clock(self.clock.clone());
        let engine = SteppedEngine::open(options, self.tuning).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("the engine does not open: {error}: {cause:?}")
        })?;
        self.engine = Some(engine);
        self.work()
    }

    fn engine(&mut self) -> Done<&mut SteppedEngine> {
        self.engine
            .as_mut()
            .ok_or_else(|| "there is no engine".to_owned())
    }

    /// Sends a request; it is taken with the next batch.
    pub(crate) fn send<M: Message>(
        &mut self,
        kind: CallKind,
        method: &'static str,
        request: &M,
        in_process: bool,
    ) -> Done {
        let asked = Asked {
            method,
            bytes: request.encode_to_vec().into(),
            in_process,
        };
        self.ask(kind, asked)
    }

    fn ask(&mut self, kind: CallKind, asked: Asked) -> Done {
        if let Some(label) = kind.label() {
            self.ledger.sent(label);
        }
        let handle = self.engine()?.handle();
        let Asked {
            method,
            bytes,
            in_process,
        } = asked.clone();
        let future = async move { call(&handle, method, bytes, in_process).await };
        let future = Box::pin(tokio::task::unconstrained(future));
        self.calls.push(Call { kind, asked, future });
        Ok(())
    }

    /// Does what the step says.
    pub(crate) fn apply(&mut self, step: &Step) -> Done {
        match step {
            Step::HangUp { call } => {
                if !self.calls.is_empty() {
                    let gone = self.calls.remove(*call as usize % self.calls.len());
                    self.never_answered(&gone.kind);
                }
            }
            Step::Work => self.work()?,
            Step::Pass { millis } => self.pass(*millis as Nanos * 1_000_000)?,
            Step::PassToNext => {
                let now = self.clock.now();
                if let Some(at) = self.engine()?.next_wake() {
                    self.pass((at - now).clamp(0, 3_600 * SECOND))?;
                }
            }
            Step::Crash { tear } => self.crash(*tear)?,
            Step::Reopen { back_millis } => {
                let back = if self.clock_goes_back { *back_millis } else { 0 };
                self.reopen(back as Nanos * 1_000_000)?;
            }
            Step::FillDisk { pages } => {
                self.is_faulty = true;
                let pages = i64::try_from(*pages).unwrap_or(0);
                self.engine()?
                    .limit_growth(Some(pages))
                    .map_err(|error| error.to_string())?;
            }
            Step::Lock => self.lock()?,
            Step::Mend => self.mend()?,
            Step::Sabotage => {
                let file = self.folder().join("engine.db");
                let other = rusqlite::Connection::open(file).map_err(|error| error.to_string())?;
                other
                    .execute_batch("DELETE FROM history WHERE key = 1")
                    .map_err(|error| error.to_string())?;
            }
            other => self.act(other)?,
        }
        Ok(())
    }

    /// Lets the engine take batches until nothing is left to do, and then looks at everything.
    pub(crate) fn work(&mut self) -> Done {
        for _ in 0..BATCHES {
            let answered = self.take_answers()?;
            let worked = self.engine()?.step();
            if !worked && !answered {
                self.rests += 1;
                // To look files what the journal holds: not each time, so that it is seen full as well.
                return if self.rests.is_multiple_of(3) {
                    self.check()
                } else {
                    Ok(())
                };
            }
            if self.is_faulty && !answered {
                // It may try again and again.
                return Ok(());
            }
        }
        Err("the engine does not come to rest".to_owned())
    }

    /// Polls what is under way. Answers whether any has ended.
    fn take_answers(&mut self) -> Done<bool> {
        let mut calls = std::mem::take(&mut self.calls);
        let mut ended = Vec::new();
        self.runtime.block_on(poll_fn(|context| {
            let mut index = 0;
            while index < calls.len() {
                match calls[index].future.as_mut().poll(context) {
                    Poll::Ready(answer) => ended.push((calls.remove(index), answer)),
                    Poll::Pending => index += 1,
                }
            }
            Poll::Ready(())
        }));
        self.calls = calls;
        let any = !ended.is_empty();
        for (call, answer) in ended {
            let code = answer.as_ref().map_or_else(|status| status.code() as u64, |_| 0);
            self.note(code * 31 + call.kind.number());
            if matches!(answer, Err(ref status) if status.code() == tonic::Code::Internal) {
                return Err(format!("{}: internal error: {answer:?}", call.asked.method));
            }
            self.answered(call.kind, call.asked, answer)?;
        }
        Ok(any)
    }

    pub(crate) fn note(&mut self, what: u64) {
        self.trace = Rng::new(self.trace ^ what).next();
    }

    fn pass(&mut self, by: Nanos) -> Done {
        self.clock.0.fetch_add(by, Ordering::Relaxed);
        self.work()
    }

    fn lock(&mut self) -> Done {
        if self.locker.is_some() {
            return Ok(());
        }
        let locker = rusqlite::Connection::open(self.folder().join("engine.db"));
        let locker = locker.map_err(|error| error.to_string())?;
        locker
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|error| error.to_string())?;
        self.locker = Some(locker);
        self.is_faulty = true;
        Ok(())
    }

    fn mend(&mut self) -> Done {
        if !self.is_faulty {
            return Ok(());
        }
        self.locker = None;
        self.engine()?
            .limit_growth(None)
            .map_err(|error| error.to_string())?;
        // Until the engine tries again.
        self.clock.0.fetch_add(2 * SECOND, Ordering::Relaxed);
        self.is_faulty = false;
        for (kind, asked) in std::mem::take(&mut self.to_ask) {
            self.ask(kind, asked)?;
        }
        self.work()
    }

    /// The process ends between two batches.
    fn reopen(&mut self, back: Nanos) -> Done {
        self.mend()?;
        let calls = self.end_life();
        self.clock.0.fetch_sub(back, Ordering::Relaxed);
        self.open()?;
        self.send_again(calls)
    }

    /// The process dies while it writes the next batch.
    fn crash(&mut self, seed: u64) -> Done {
        self.mend()?;
        let mut rng = Rng::new(seed);
        // What waits is sent, but not taken yet.
        self.take_answers()?;
        let folder = self.folder();
        let take = |folder: &PathBuf| Image::take(folder).map_err(|error| error.to_string());
        let before = take(&folder)?;
        self.engine()?.step();
        let after = take(&folder)?;
        let may_answer = rng.one_in(3);
        if may_answer {
            self.take_answers()?;
        }
        let (old, new) = (self.content(&before)?, self.content(&after)?);
        let mut images: Vec<_> = (0..LOOKED_AT)
            .map(|_| disk::tear(&before, &after, &mut rng))
            .collect();
        if self.every_write {
            images.extend(disk::every_write(&before, &after));
        }
        for torn in &images {
            let found = self.content(&torn.image)?;
            let is_right = found == new || (found == old && !torn.is_synced);
            if !is_right {
                return Err(format!("a crash {} leaves something else", torn.how));
            }
            self.images += 1;
        }
        let last = images
            .into_iter()
            .take(LOOKED_AT)
            .rfind(|torn| torn.is_synced || !may_answer);
        let image = last.map_or(after, |torn| torn.image);
        let calls = self.end_life();
        self.life += 1;
        image.put(&self.folder()).map_err(|error| error.to_string())?;
        self.open()?;
        self.send_again(calls)
    }

    /// What the file of an image says, once SQLite has recovered it.
    fn content(&self, image: &Image) -> Done<u64> {
        let folder = TempDir::new_in(self.root.path()).map_err(|error| error.to_string())?;
        image.put(folder.path()).map_err(|error| error.to_string())?;
        file::content(&folder.path().join("engine.db"))
    }

    /// The process ends. Answers the calls that will have no answer.
    fn end_life(&mut self) -> Vec<Call> {
        self.engine = None;
        self.locker = None;
        self.is_faulty = false;
        self.workers.end_of_process();
        let calls = std::mem::take(&mut self.calls);
        for call in &calls {
            self.never_answered(&call.kind);
        }
        calls
    }

    /// Some clients ask what they had no answer to once more.
    fn send_again(&mut self, calls: Vec<Call>) -> Done {
        for call in calls {
            if call.kind.may_be_sent_again() {
                self.ask(call.kind, call.asked)?;
            }
        }
        Ok(())
    }

    /// The engine was not available: the client asks again a little later.
    pub(crate) fn ask_later(&mut self, kind: CallKind, asked: Asked) {
        self.to_ask.push((kind, asked));
    }

    pub(crate) fn never_answered(&mut self, kind: &CallKind) {
        if let Some(label) = kind.label() {
            self.ledger.answered(label, super::ledger::Fate::Unknown);
        }
    }

    /// What holds whenever the engine is at rest.
    fn check(&mut self) -> Done {
        if self.is_faulty {
            return Ok(());
        }
        let wrong = self.engine()?.audit();
        if let Some(first) = wrong.first() {
            return Err(first.clone());
        }
        let file = file::read(&self.folder().join("engine.db"))?;
        self.seen.extend(file.seen());
        let mut wrong = file.check(&mut self.known, &self.ledger, self.clock_goes_back);
        wrong.extend(self.ledger.check(&file.labels()));
        wrong.extend(file.check_ledger(&self.ledger));
        match wrong.first() {
            None => Ok(()),
            Some(first) => Err(first.clone()),
        }
    }

    /// Workers that do all they should bring every run to its end.
    pub(crate) fn run_to_the_end(&mut self) -> Done {
        self.mend()?;
        for call in std::mem::take(&mut self.calls) {
            self.never_answered(&call.kind);
        }
        self.work()?;
        for round in 0..400 {
            self.check()?;
            let file = file::read(&self.folder().join("engine.db"))?;
            let open = file.open_runs();
            self.end_what_repeats(file.schedules().cloned().collect(), &open)?;
            if open.is_empty() {
                self.reopen(0)?;
                self.check()?;
                return self.grow_old();
            }
            self.end_of_day(&open, round)?;
            let wait = match self.engine()?.next_wake() {
                Some(at) => (at - self.clock.now()).clamp(0, 3_600 * SECOND),
                None => 0,
            };
            self.pass(wait)?;
        }
        let open = file::read(&self.folder().join("engine.db"))?.open_runs();
        Err(format!("these runs do not end: {open:?}"))
    }

    /// Once all that has closed has had its retention, nothing is left.
    fn grow_old(&mut self) -> Done {
        for _ in 0..3 {
            self.clock.0.fetch_add(31 * 86_400 * SECOND, Ordering::Relaxed);
            while self.engine()?.step() {}
        }
        let wrong = self.engine()?.audit();
        if let Some(first) = wrong.first() {
            return Err(first.clone());
        }
        if !file::read(&self.folder().join("engine.db"))?.is_empty() {
            return Err("something is left after its retention".to_owned());
        }
        Ok(())
    }
}

/// A folder in memory where there is one: what a disk does with a sync is simulated anyway.
fn folder() -> Done<TempDir> {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    };
    made.or_else(|_| TempDir::new())
        .map_err(|error| error.to_string())
}
