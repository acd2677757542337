//! The configured sources: what they hand their events to, and who looks after them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use futures::future::join_all;
use segno_event::Event;
use segno_sources::{Built, Options, Outcome, Source};
use temporalio_client::tonic::Code;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    intake::{self, Intake},
    telemetry::{self, MessagesRejected, MessagesWaiting, SourceEnded, SourceFailed, SourceStarted},
};

/// Pause before a source that failed runs again; it doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What runs so long is sound: the next failure is a first one.
const SOUND: Duration = Duration::from_secs(60);

/// A source that cannot be made of its options.
#[derive(Debug, thiserror::Error)]
#[error("source {name:?} cannot be set up: {error}")]
pub struct BuildError {
    /// Its name.
    pub name: String,
    /// Why.
    pub error: segno_sources::Error,
}

/// A source that fetches, with where it hands events in.
struct Fetching {
    name: String,
    source: Arc<dyn Source>,
    intake: Arc<dyn segno_sources::Intake>,
}

/// Sources that are made and do not run yet.
#[derive(Default)]
pub(crate) struct Ready {
    /// Those that fetch.
    fetching: Vec<Fetching>,
    /// The paths of those that are called.
    pub(crate) served: Router,
}

impl Ready {
    /// Makes the sources of a configuration; relative paths in it are taken from `base`.
    pub(crate) fn new(
        options: BTreeMap<String, Options>,
        base: &Path,
        intake: &Intake,
    ) -> Result<Self, BuildError> {
        let mut ready = Self::default();
        for (name, options) in options {
            let intake: Arc<dyn segno_sources::Intake> = Arc::new(Door {
                intake: intake.at("source", &name),
                source: name.clone(),
            });
            match options.build(&name, base, &intake) {
                Ok(Built::Fetching(source)) => ready.fetching.push(Fetching { name, source, intake }),
                Ok(Built::Served(served)) => {
                    tracing::info!(source = name, path = served.path, "served");
                    ready.served = ready.served.merge(served.router);
                }
                Err(error) => return Err(BuildError { name, error }),
            }
        }
        Ok(ready)
    }

    /// Runs those that fetch, until `stop`.
    pub(crate) fn start(self, stop: &CancellationToken) -> Sources {
        let mut tasks = JoinSet::new();
        for source in self.fetching {
            tasks.spawn(look_after(source, stop.clone()));
        }
        Sources(tasks)
    }
}

/// Sources that run.
pub(crate) struct Sources(JoinSet<()>);

impl Sources {
    /// Waits until all have ended: each has finished what it had in hand.
    pub(crate) async fn ended(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Runs a source again and again. A broker that is down is no reason not to be ready: what comes otherwise is taken.
async fn look_after(source: Fetching, stop: CancellationToken) {
    let Fetching { name, source, intake } = source;
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        telemetry::emit(SourceStarted { source: &name });
        let began = Instant::now();
        let (running, intake, token) = (Arc::clone(&source), Arc::clone(&intake), stop.clone());
        // In a task of its own, so that a panic ends this run alone.
        let run = tokio::spawn(async move { running.run(intake, token).await });
        let error = match run.await {
            Ok(Ok(())) if stop.is_cancelled() => break,
            Ok(Ok(())) => "it has ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        if began.elapsed() > SOUND {
            pause = FIRST_PAUSE;
        }
        telemetry::emit(SourceFailed {
            source: &name,
            error: &error,
            again_in: pause,
        });
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    telemetry::emit(SourceEnded { source: &name });
}

/// Where sources hand events in. Each event is on its own: one that is refused leaves the others alone.
struct Door {
    intake: Intake,
    source: String,
}

#[async_trait]
impl segno_sources::Intake for Door {
    async fn take(&self, events: &[Event]) -> Vec<Outcome> {
        join_all(events.iter().map(|event| self.one(event))).await
    }

    fn rejected(&self, messages: usize) {
        telemetry::emit(MessagesRejected {
            source: &self.source,
            count: messages as u64,
        });
    }

    fn waiting(&self, messages: u64) {
        telemetry::emit(MessagesWaiting {
            source: &self.source,
            messages,
        });
    }
}

impl Door {
    async fn one(&self, event: &Event) -> Outcome {
        match self.intake.accept(std::slice::from_ref(event)).await {
            Ok(_) => Outcome::Durable,
            Err(error) => outcome(&error),
        }
    }
}

/// Refused for good is only what is wrong with the event itself. A missing right or namespace is mended without it.
fn outcome(error: &intake::Error) -> Outcome {
    match error {
        intake::Error::Refused { source, .. } if source.code() == Code::InvalidArgument => {
            Outcome::Refused(format!("{error}: {}", source.message()))
        }
        intake::Error::Refused { source, .. }
        | intake::Error::Unavailable(source)
        | intake::Error::Flow(source) => Outcome::Later(format!("{error}: {}", source.message())),
        intake::Error::Full { .. } => Outcome::Later(error.to_string()),
        intake::Error::Misfits(events) => {
            let misfits = events.iter().flat_map(|event| &event.misfits);
            let misfits: Vec<_> = misfits
                .map(|misfit| format!("{}: {}", misfit.path, misfit.what))
                .collect();
            Outcome::Refused(format!("{error}: {}", misfits.join("; ")))
        }
        other => Outcome::Refused(other.to_string()),
    }
}
