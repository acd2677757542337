//! An intake that keeps what it is given in memory, and a source that runs.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use segno_event::Event;
use segno_sources::{Built, Intake, Kind, Options, Outcome};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

type Answer = Box<dyn Fn(&Event, usize) -> Outcome + Send>;

/// Takes everything, unless it is told otherwise.
#[derive(Default)]
pub(crate) struct Taker {
    /// Each event in the order in which it became durable, once.
    taken: Mutex<Vec<Event>>,
    /// How often each id was given, also when it was not taken.
    given: Mutex<HashMap<String, usize>>,
    answer: Mutex<Option<Answer>>,
}

impl Taker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Answers by the event and by how often it has been given, from 1.
    pub(crate) fn answer(&self, answer: impl Fn(&Event, usize) -> Outcome + Send + 'static) {
        *self.answer.lock().unwrap() = Some(Box::new(answer));
    }

    pub(crate) fn taken(&self) -> Vec<Event> {
        self.taken.lock().unwrap().clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.taken().into_iter().map(|event| event.id).collect()
    }

    pub(crate) fn given(&self, id: &str) -> usize {
        self.given.lock().unwrap().get(id).copied().unwrap_or_default()
    }

    /// Waits until so many events are taken.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Event> {
        until(&format!("{count} events"), async || self.taken().len() >= count).await;
        self.taken()
    }
}

#[async_trait]
impl Intake for Taker {
    async fn take(&self, events: &[Event]) -> Vec<Outcome> {
        let one = |event: &Event| {
            let times = {
                let mut given = self.given.lock().unwrap();
                let times = given.entry(event.id.clone()).or_default();
                *times += 1;
                *times
            };
            let answer = self.answer.lock().unwrap();
            let outcome = answer
                .as_ref()
                .map_or(Outcome::Durable, |answer| answer(event, times));
            let mut taken = self.taken.lock().unwrap();
            let known = taken
                .iter()
                .any(|one| one.id == event.id && one.source == event.source);
            if outcome == Outcome::Durable && !known {
                taken.push(event.clone());
            }
            outcome
        };
        events.iter().map(one).collect()
    }
}

/// A source that runs.
pub(crate) struct Run {
    stop: CancellationToken,
    task: JoinHandle<Result<(), segno_sources::Error>>,
}

impl Run {
    /// Starts the source of this kind.
    pub(crate) fn start(kind: &str, options: &str, taker: &Arc<Taker>) -> Self {
        let intake: Arc<dyn Intake> = taker.clone();
        let Built::Fetching(source) = build(kind, options, &intake).expect("a source") else {
            panic!("it does not fetch");
        };
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { source.run(intake, token).await });
        Self { stop, task }
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended().await.expect("it stops in order");
    }

    /// Ends it as a crash does.
    pub(crate) async fn crash(self) {
        self.task.abort();
        drop(self.task.await);
    }

    pub(crate) async fn ended(mut self) -> Result<(), segno_sources::Error> {
        self.ended_mut().await
    }

    pub(crate) async fn ended_mut(&mut self) -> Result<(), segno_sources::Error> {
        tokio::time::timeout(DEADLINE, &mut self.task)
            .await
            .expect("it ends")
            .expect("it does not panic")
    }
}

/// The source `test` of this kind with these options, in TOML; without a folder that relative paths in it could be of.
pub(crate) fn build(kind: &str, options: &str, intake: &Arc<dyn Intake>) -> Result<Built, String> {
    let table: toml::Table = options.parse().expect("TOML");
    let kind = Kind::read(kind, table).map_err(|error| error.to_string())?;
    let kind = kind.expect("this build has it");
    Options { kind }
        .build("test", Path::new("/nowhere"), intake)
        .map_err(|error| error.to_string())
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(POLL).await;
    }
}
