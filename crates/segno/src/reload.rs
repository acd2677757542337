//! The configuration taken on again while the process runs: on SIGHUP, and by `POST /config/reload`.
//!
//! ```text
//! read the file, all of it ── a mistake: told with its code, nothing changes
//!   └─ make the sinks that are new or written differently; the others stay as they are, with their connections
//!        └─ put the new setup in the old one's place (`Live`): events from now on are planned by it
//!             └─ make, change and delete the schedules ── the engine refuses: the old setup is put back
//! ```
//!
//! Nothing that was taken in before is touched: its plan is in its execution.

use std::{collections::BTreeSet, sync::Arc};

use segno_sinks::Sinks;
use serde::Serialize;
use temporalio_client::Client;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::{
    Consumers, Error as StartError,
    builder::{check_handlers, with_subscriptions},
    catalogue::Catalogue,
    config::{Code, Config, Mistakes, Prints, changed},
    flow::Full,
    live::{Live, Setup},
    retention,
    running::MAX_EVENT_BYTES,
    schedules,
    telemetry::{self, ConfigReloaded},
    workflow_sink::{self, LateClient},
};

/// Reads the configuration anew, from wherever it came.
pub(crate) type Read = Arc<dyn Fn() -> Result<Config, Mistakes> + Send + Sync>;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is nothing to read.
    #[error("the process was started without a configuration file")]
    NoFile,
    /// There are mistakes in it.
    #[error("the configuration has mistakes")]
    Mistakes(Mistakes),
    /// What it says cannot be taken on by this process.
    #[error(transparent)]
    Refused(Box<StartError>),
}

impl Error {
    /// The codes of what is wrong, whose pages tell the remedy.
    pub(crate) fn codes(&self) -> Vec<Code> {
        match self {
            Self::Mistakes(mistakes) => mistakes.iter().map(|mistake| mistake.code()).collect(),
            Self::NoFile | Self::Refused(_) => vec![Code::Reload],
        }
    }

    /// Everything that is wrong, for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Mistakes(mistakes) => mistakes
                .iter()
                .map(|mistake| {
                    let place = mistake.position();
                    let place = place.map(|(line, column)| format!(" (line {line}, column {column})"));
                    let file = mistake.included_file().map(|file| format!(" in {file}"));
                    format!(
                        "{}: {}{}{}; {}",
                        mistake.code(),
                        mistake.message(),
                        file.unwrap_or_default(),
                        place.unwrap_or_default(),
                        mistake.help()
                    )
                })
                .collect(),
            Self::NoFile => vec![format!("{}: {self}; name one by --config", Code::Reload)],
            Self::Refused(error) => {
                let mut line = format!("{}: {error}", Code::Reload);
                let mut cause = std::error::Error::source(&**error);
                while let Some(error) = cause {
                    line = format!("{line}: {error}");
                    cause = error.source();
                }
                vec![line]
            }
        }
    }
}

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConfigReloaded)]
pub(crate) struct Reloaded {
    /// Names of routes that are new, gone, or written differently.
    pub(crate) routes: Vec<String>,
    /// The same of sinks. One that is gone stays usable for what was planned before.
    pub(crate) sinks: Vec<String>,
    /// Tables of the file that have changed and are taken on by a restart alone.
    pub(crate) needs_restart: Vec<String>,
}

/// Takes configurations on. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reloader(Arc<Shared>);

struct Shared {
    parts: Parts,
    /// What was taken on last. Held while somebody reloads: one after the other.
    last: Mutex<Prints>,
}

/// What a reload needs of the process.
pub(crate) struct Parts {
    /// None: there was no file.
    pub(crate) read: Option<Read>,
    pub(crate) live: Live,
    pub(crate) client: Client,
    pub(crate) client_of_sinks: LateClient,
    pub(crate) full: Full,
    pub(crate) stop: CancellationToken,
    /// The names of what is registered in Rust.
    pub(crate) consumers: BTreeSet<String>,
    pub(crate) workflows: BTreeSet<String>,
    /// The consumers that bring routes of their own.
    pub(crate) subscriptions: Consumers,
}

impl Reloader {
    /// `prints`: of the configuration that the process was started with.
    pub(crate) fn new(parts: Parts, prints: Prints) -> Self {
        Self(Arc::new(Shared {
            parts,
            last: Mutex::new(prints),
        }))
    }

    /// Whether there is anything to read.
    pub(crate) fn has_file(&self) -> bool {
        self.0.parts.read.is_some()
    }

    /// Takes on what the configuration says now, and tells of it in the log.
    ///
    /// # Errors
    /// [`Error`]; then nothing has changed.
    pub(crate) async fn reload(&self) -> Result<Reloaded, Error> {
        let reloaded = self.take_on().await;
        telemetry::emit(ConfigReloaded(reloaded.as_ref()));
        reloaded
    }

    async fn take_on(&self) -> Result<Reloaded, Error> {
        let mut last = self.0.last.lock().await;
        let parts = &self.0.parts;
        let read = parts.read.clone().ok_or(Error::NoFile)?;
        let config = tokio::task::spawn_blocking(move || read()).await;
        let config = config.map_err(|_| Error::Refused(Box::new(StartError::ConfigUnread)))?;
        let mut config = config.map_err(Error::Mistakes)?;
        let refused = |error| Error::Refused(Box::new(error));
        let routes = with_subscriptions(std::mem::take(&mut config.routes), &parts.subscriptions);
        let routes = routes.map_err(refused)?;
        let registered = |names: &BTreeSet<String>, name: &str| names.contains(name);
        check_handlers(
            &routes,
            |name| registered(&parts.consumers, name),
            |name| registered(&parts.workflows, name),
        )
        .map_err(refused)?;

        let before = parts.live.get();
        let prints = std::mem::take(&mut config.prints);
        let names: Arc<[String]> = sink_names(&config);
        // One that is written as before stays: its connections, its limits, and what its breaker has learnt.
        let same = |name: &String| {
            prints
                .sinks
                .get(name)
                .is_some_and(|print| last.sinks.get(name) == Some(print))
                && before.sinks.contains(name)
        };
        config.sinks.retain(|name, _| !same(name));
        config.workflow_sinks.retain(|name, _| !same(name));
        let made = Sinks::new(std::mem::take(&mut config.sinks), &config.base);
        let made = made.map_err(|errors| refused(StartError::Sinks(errors)))?;
        let made = workflow_sink::add(
            made,
            std::mem::take(&mut config.workflow_sinks),
            &parts.client_of_sinks,
        );
        let setup = Setup::configured(&mut config, routes, before.sinks.clone().and(made), names);
        let routes = Arc::clone(&setup.routes);
        if routes.iter().any(|route| route.flow.is_some()) {
            parts.full.watch(parts.client.clone(), parts.stop.clone());
        }
        let before = parts.live.set(setup);
        if let Err(error) = schedules::put_in_place(&parts.client, &routes).await {
            let back = Arc::clone(&before.routes);
            parts.live.put_back(before);
            if let Err(error) = schedules::put_in_place(&parts.client, &back).await {
                tracing::warn!(%error, "schedules are not all as they were");
            }
            return Err(refused(error.into()));
        }
        if let Err(error) = retention::schedule(&parts.client, &routes).await {
            tracing::error!(%error, "what is done is not kept as long as its routes say now: the sweep is not scheduled anew");
        }
        retention::warn_of_longer(&parts.client, &routes).await;
        let reloaded = Reloaded {
            routes: changed(&last.routes, &prints.routes).map(str::to_owned).collect(),
            sinks: changed(&last.sinks, &prints.sinks).map(str::to_owned).collect(),
            needs_restart: prints.fixed_changes(&last),
        };
        // What takes a restart is still as it was.
        *last = Prints {
            fixed: std::mem::take(&mut last.fixed),
            ..prints
        };
        Ok(reloaded)
    }
}

/// The names of the configured sinks, sorted.
pub(crate) fn sink_names(config: &Config) -> Arc<[String]> {
    let names: BTreeSet<_> = config.sinks.keys().chain(config.workflow_sinks.keys()).collect();
    names.into_iter().cloned().collect()
}

impl Setup {
    /// What a configuration says, with these sinks.
    pub(crate) fn configured(
        config: &mut Config,
        routes: segno_routing::Routes,
        sinks: Sinks,
        sink_names: Arc<[String]>,
    ) -> Self {
        let (routes, schemas) = (Arc::new(routes), Arc::new(std::mem::take(&mut config.schemas)));
        Self {
            catalogue: Arc::new(Catalogue::new(&routes, &schemas)),
            routes,
            schemas,
            alert: config.dead_letters.alert.take(),
            archive: config.archive.unmatched,
            redact: Arc::new(std::mem::take(&mut config.redact)),
            sinks,
            sink_names,
            max_event_bytes: config.http.max_event_bytes.unwrap_or(MAX_EVENT_BYTES),
        }
    }
}
