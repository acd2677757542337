//! The parts of a running process, and how they start and stop in order.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use segno_event::Event;
use segno_sinks::Sinks;
use segno_timers::Timers;
use temporalio_client::Client;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "outbox")]
use crate::outbox;
use crate::{
    Error,
    access::{Access, audit::AuditWorkflow},
    archive::ArchiveWorkflow,
    builder::{Builder, DEFAULT_DATA, DEFAULT_GRPC, DEFAULT_HTTP},
    dead_letters::{self, BulkWorkflow, DeadLetterActivities, Decider, KeeperWorkflow},
    dedupe::DedupeWorkflow,
    engine::{self, Engine},
    execution::{Activities, AlertWorkflow, EventWorkflow},
    flow::{FlowActivities, FlowWorkflow, Full},
    http,
    intake::Intake,
    listen::{self, Protection},
    live::{Live, Setup},
    overview,
    pauses::{PauseActivities, Pauses, PausesWorkflow},
    reload::{self, Reloader},
    replay::{ReplayActivities, ReplayWorkflow},
    retention::{self, RetentionActivities, RetentionWorkflow},
    schedules::{self, ScheduleActivities, ScheduleWorkflow},
    shutdown::{Signals, Stop, Told},
    sources::{self, Sources},
    telemetry::{self, ConfigLoaded, SampledParts, Sampler, TimerFired},
    tls::Tls,
    wait::{WaitError, Waiter},
    worker::{self, Worker},
    workflow_sink::{self, LateClient},
};

/// Largest event, in bytes, unless configured.
pub(crate) const MAX_EVENT_BYTES: usize = 1 << 20;
/// Requests served at once, unless configured.
const MAX_CONCURRENT: usize = 256;

/// How long a load balancer gets to see that the process is not ready before it stops taking connections.
const LAME_DUCK: Duration = Duration::from_secs(2);
/// How long requests may take to finish once no new ones are taken.
const DRAIN: Duration = Duration::from_secs(10);
/// How long everything may take to close: below the 30 seconds that supervisors commonly give.
const DEADLINE: Duration = Duration::from_secs(25);

/// A running Segno.
pub struct Running {
    http: SocketAddr,
    engine: Engine,
    intake: Intake,
    reloader: Reloader,
    waiter: Waiter,
    #[cfg(feature = "outbox")]
    relays: outbox::Relays,
    worker: Worker,
    server: JoinHandle<Result<(), std::io::Error>>,
    sources: Sources,
    /// Cancelled first: readiness fails, and sources fetch no more.
    stopping: CancellationToken,
    /// Cancelled next: no new connections.
    drain: CancellationToken,
    /// What is served, for a test that holds it against the table of roles.
    #[cfg(test)]
    router: axum::Router,
}

impl Running {
    pub(crate) async fn start(builder: Builder) -> Result<Self, Error> {
        let Builder {
            mut config,
            read,
            consumers,
            subscriptions,
            workflows,
            activities,
            program,
            pages,
            http,
            grpc,
            tls,
            api_keys,
            data,
            allow_unauthenticated,
            allow_plaintext,
        } = builder;
        let http = http.or(config.http.listen).unwrap_or(DEFAULT_HTTP);
        let grpc = grpc.or(config.grpc.listen).unwrap_or(DEFAULT_GRPC);
        let data = data
            .or(config.data.take())
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA));
        config.grpc.tls = tls.or(config.grpc.tls);
        for key in api_keys {
            config.grpc.api_keys.push(key.map_err(Error::ApiKey)?);
        }
        let embedding = engine::Embedding {
            data: &data,
            address: grpc,
            grpc: &config.grpc,
            allowed: engine::Allowed {
                unauthenticated: allow_unauthenticated,
                plaintext: allow_plaintext,
            },
        };
        let options = engine::Options::choose(config.engine.as_ref(), &embedding)?;
        telemetry::start_traces(&config.telemetry)?;
        let access = Arc::new(Access::new(&config.http)?);
        let has_client_certificates = config
            .http
            .tls
            .as_ref()
            .is_some_and(|files| files.client_ca.is_some());
        let http_tls = config.http.tls.take().map(Tls::from_files).transpose()?;
        let protection = Protection {
            has_tokens: access.is_asked_for(),
            has_tls: http_tls.is_some(),
            has_client_certificates,
            allow_unauthenticated,
            allow_plaintext,
        };
        listen::check_exposure(http, protection)?;
        let sink_names = reload::sink_names(&config);
        let sinks = Sinks::new(std::mem::take(&mut config.sinks), &config.base).map_err(Error::Sinks)?;
        let client_of_sinks = LateClient::default();
        let sinks = workflow_sink::add(
            sinks,
            std::mem::take(&mut config.workflow_sinks),
            &client_of_sinks,
        );
        #[cfg(feature = "outbox")]
        let outboxes = outbox::Outboxes::prepare(std::mem::take(&mut config.outboxes), &sinks)?;
        let routes = std::mem::take(&mut config.routes);
        let live = Live::new(Setup::configured(&mut config, routes, sinks, sink_names));
        let prints = std::mem::take(&mut config.prints);
        let registered = (
            consumers.keys().cloned().collect(),
            workflows.keys().map(|name| (*name).to_owned()).collect(),
        );
        // Before the engine, so that a second process fails here and leaves the engine's file alone.
        let listener = listen::bind(http, "--http").await?;

        let mut options_of_worker = worker::options();
        options_of_worker
            .register_workflow::<EventWorkflow>()
            .and_then(|options| options.register_workflow::<AlertWorkflow>())
            .and_then(|options| options.register_workflow::<ArchiveWorkflow>())
            .and_then(|options| options.register_workflow::<KeeperWorkflow>())
            .and_then(|options| options.register_workflow::<DedupeWorkflow>())
            .and_then(|options| options.register_workflow::<ScheduleWorkflow>())
            .and_then(|options| options.register_workflow::<BulkWorkflow>())
            .and_then(|options| options.register_workflow::<ReplayWorkflow>())
            .and_then(|options| options.register_workflow::<FlowWorkflow>())
            .and_then(|options| options.register_workflow::<PausesWorkflow>())
            .and_then(|options| options.register_workflow::<AuditWorkflow>())
            .and_then(|options| options.register_workflow::<RetentionWorkflow>())
            .map_err(Error::Workflow)?;
        let (pauses, full) = (Pauses::default(), Full::default());
        let health_of_sinks = overview::Health::default();
        let activities_of_events =
            Activities::new(live.clone(), consumers, pauses.clone(), health_of_sinks.clone());
        options_of_worker.register_activities(activities_of_events);
        options_of_worker.register_activities(PauseActivities(pauses.clone()));
        let letters = config.dead_letters;
        options_of_worker.register_activities(ReplayActivities {
            live: live.clone(),
            pauses: pauses.clone(),
            full: full.clone(),
        });
        options_of_worker.register_activities(DeadLetterActivities {
            live: live.clone(),
            pauses: pauses.clone(),
            renew_after: letters.renew_after,
        });
        options_of_worker.register_activities(FlowActivities);
        options_of_worker.register_activities(RetentionActivities(live.clone()));
        let timers = segno_timers::Options {
            allow_private: config.timers.allow_private,
            secret: config.timers.secret,
        };
        segno_timers::register_observed(&mut options_of_worker, &timers, |late| {
            telemetry::emit(TimerFired { late });
        })
        .map_err(Error::Timers)?;
        for register in workflows.into_values().chain(activities) {
            register(&mut options_of_worker).map_err(Error::Workflow)?;
        }

        let engine = Engine::start(options, &config.encryption).await?;
        let client = engine.client().clone();
        client_of_sinks.set(client.clone());
        let intake = Intake::of(client.clone(), live.clone())
            .with_pauses(pauses.clone())
            .with_full(full.clone());
        options_of_worker.register_activities(ScheduleActivities::new(intake.at("schedule", "")));
        let placed = schedules::put_in_place(&client, &live.get().routes).await;
        if let Err(error) = placed {
            engine.shutdown().await;
            return Err(error.into());
        }
        let (stopping, drain) = (CancellationToken::new(), CancellationToken::new());
        let unless_started = stopping.clone().drop_guard();
        // Before the worker, which would run what is paused.
        if let Err(status) = pauses.watch(client.clone(), stopping.clone()).await {
            engine.shutdown().await;
            return Err(Error::Pauses(status));
        }
        if live.get().routes.iter().any(|route| route.flow.is_some()) {
            full.watch(client.clone(), stopping.clone());
        }
        let worker = match Worker::start(client.clone(), options_of_worker).await {
            Ok(worker) => worker,
            Err(error) => {
                engine.shutdown().await;
                return Err(error.into());
            }
        };

        let health = http::Health {
            client: client.clone(),
            stopping: stopping.clone(),
            worker_ended: worker.ended(),
        };
        if let Err(error) = dead_letters::schedule(&client, letters.renew_after).await {
            tracing::error!(%error, "dead letters that nobody deals with will be deleted: the keeper is not scheduled");
        }
        if let Err(error) = retention::schedule(&client, &live.get().routes).await {
            tracing::error!(%error, "what is done is kept longer than its routes say: the sweep is not scheduled");
        }
        retention::warn_of_longer(&client, &live.get().routes).await;
        let source_kinds = config
            .sources
            .iter()
            .map(|(name, options)| (name.clone(), options.kind.name()))
            .collect();
        let sources = match sources::Ready::new(config.sources, &config.base, &intake) {
            Ok(sources) => sources,
            Err(error) => {
                drop(worker.stop().await);
                engine.shutdown().await;
                return Err(error.into());
            }
        };
        let waiter = Waiter::new(client.clone(), live.clone());
        #[cfg(feature = "outbox")]
        let relays = outboxes.start(&intake, &live, &stopping);
        let timers = Timers::new(client.clone(), timers);
        let letters = Arc::new(overview::Letters::default());
        let sampler = Sampler::new(SampledParts {
            client: client.clone(),
            live: live.clone(),
            pauses: pauses.clone(),
            full: full.clone(),
            health: health.clone(),
            #[cfg(feature = "outbox")]
            relays: relays.clone(),
            letters: letters.clone(),
            file: engine.file().map(Path::to_owned),
            #[cfg(feature = "embedded")]
            engine: engine.embedded().cloned(),
        });
        let decider = Decider {
            client: client.clone(),
            live: live.clone(),
            pauses: pauses.clone(),
        };
        let reloader = Reloader::new(
            reload::Parts {
                read,
                live: live.clone(),
                client: client.clone(),
                client_of_sinks,
                full,
                stop: stopping.clone(),
                consumers: registered.0,
                workflows: registered.1,
                subscriptions,
            },
            prints,
        );
        let greeting = Arc::clone(&access);
        tokio::spawn(stopping.clone().run_until_cancelled_owned(async move {
            if let Some(oidc) = greeting.oidc() {
                oidc.greet().await;
            }
        }));
        let reader = overview::Reader::new(
            client.clone(),
            live.clone(),
            pauses.clone(),
            health_of_sinks,
            letters,
        );
        let program_routes = program
            .into_iter()
            .map(|make| make(client.clone()))
            .reduce(|all, more| all.merge(more));
        let router = http::router(http::Parts {
            client,
            figures: overview::broadcast::Broadcast::new(reader, stopping.clone()),
            decider,
            #[cfg(feature = "outbox")]
            outboxes: relays.clone(),
            events: http::Events {
                intake: intake.at("http", ""),
                live: live.clone(),
            },
            live,
            reloader: reloader.clone(),
            health,
            sampler,
            source_kinds,
            sources: sources.served.clone(),
            timers: segno_timers::router(timers),
            program: program_routes,
            pages,
            keyring: config.encryption,
            codec_origins: config.codec_origins.into(),
            max_concurrent: config.http.max_concurrent.unwrap_or(MAX_CONCURRENT),
            // A page of a name that points here has no session here: where callers are asked, names do not matter.
            local_only: listener.address().ip().is_loopback()
                && !allow_unauthenticated
                && !access.is_asked_for(),
            access,
        });
        let http = listener.address();
        #[cfg(test)]
        let served = router.clone();
        let server = tokio::spawn(http::serve(listener, http_tls, router, drain.clone()));
        let sources = sources.start(&stopping);
        unless_started.disarm();
        telemetry::emit(ConfigLoaded);
        tracing::info!(%http, engine = engine.address(), embedded = engine.is_embedded(), "ready");
        Ok(Self {
            http,
            engine,
            intake,
            reloader,
            waiter,
            #[cfg(feature = "outbox")]
            relays,
            worker,
            server,
            sources,
            stopping,
            drain,
            #[cfg(test)]
            router: served,
        })
    }

    /// Address of the HTTP API.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Address of the Temporal API that executions run on: this process's own or the cluster's.
    pub fn engine_address(&self) -> &str {
        self.engine.address()
    }

    /// Whether the engine runs in this process.
    pub fn is_embedded(&self) -> bool {
        self.engine.is_embedded()
    }

    /// The engine's client.
    pub fn client(&self) -> &Client {
        self.engine.client()
    }

    /// Takes in events from within the process.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Waits until consumers have handled events.
    pub fn waiter(&self) -> &Waiter {
        &self.waiter
    }

    /// Waits until the consumer has handled the event: see [`Waiter::wait_for`].
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub async fn wait_for(&self, event: &Event, consumer: &str, deadline: Duration) -> Result<(), WaitError> {
        self.waiter.wait_for(event, consumer, deadline).await
    }

    /// The outbox relays of the configuration.
    #[cfg(feature = "outbox")]
    pub fn relays(&self) -> &outbox::Relays {
        &self.relays
    }

    /// Runs until a signal comes or the process cannot go on, then stops in order. A second signal stops it at
    /// once.
    pub(crate) async fn run_until(mut self, signals: &mut Signals) -> Result<(), Error> {
        let ended = self.worker.ended();
        let (failed, lame_duck) = loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::Reload if self.reloader.has_file() => {
                        let reloader = self.reloader.clone();
                        // Beside this: a signal to stop is not to wait for it. What comes of it is in the log.
                        tokio::spawn(async move { drop(reloader.reload().await) });
                    }
                    // The terminal is gone, and there is nothing else that it could mean.
                    Told::Reload => break (None, Duration::ZERO),
                    Told::Stop(stop) => {
                        tracing::info!(?stop, "stopping");
                        break (None, if stop == Stop::Terminate { LAME_DUCK } else { Duration::ZERO });
                    }
                },
                () = ended.cancelled() => break (Some(None), Duration::ZERO),
                served = &mut self.server => break (Some(Some(http_result(served))), Duration::ZERO),
            }
        };
        let server_done = matches!(failed, Some(Some(_)));
        let closed = tokio::select! {
            closed = self.close(lame_duck, server_done) => closed,
            stop = signals.stop() => {
                tracing::warn!(?stop, "stopped at once");
                return Ok(());
            }
        };
        match failed {
            None => closed,
            // The worker's own reason is in what closing it says.
            Some(None) => closed.and(Err(worker::Error::Died.into())),
            Some(Some(served)) => served.and(closed),
        }
    }

    /// Stops in order: readiness fails and sources fetch no more, requests and what sources have in hand finish, then what the worker runs, then the engine closes.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.close(Duration::ZERO, false).await
    }

    async fn close(self, lame_duck: Duration, server_done: bool) -> Result<(), Error> {
        let Self {
            engine,
            #[cfg(feature = "outbox")]
            relays,
            worker,
            mut server,
            sources,
            stopping,
            drain,
            ..
        } = self;
        stopping.cancel();
        let close = async {
            tokio::time::sleep(lame_duck).await;
            drain.cancel();
            let served = async {
                if server_done {
                    return Ok(());
                }
                match tokio::time::timeout(DRAIN, &mut server).await {
                    Ok(served) => http_result(served),
                    Err(_) => {
                        tracing::warn!("requests were cut off");
                        server.abort();
                        Ok(())
                    }
                }
            };
            let fetched = async {
                if tokio::time::timeout(DRAIN, sources.ended()).await.is_err() {
                    tracing::warn!("sources were cut off");
                }
            };
            #[cfg(feature = "outbox")]
            let relayed = async {
                if tokio::time::timeout(DRAIN, relays.stopped()).await.is_err() {
                    tracing::warn!("outbox relays were cut off");
                }
            };
            #[cfg(not(feature = "outbox"))]
            let relayed = std::future::ready(());
            let (served, worked, (), ()) = tokio::join!(served, worker.stop(), fetched, relayed);
            engine.shutdown().await;
            telemetry::finish_traces().await;
            served.and(worked.map_err(Error::from))
        };
        let closed = tokio::time::timeout(DEADLINE, close)
            .await
            .unwrap_or(Err(Error::Shutdown(DEADLINE)));
        tracing::info!("stopped");
        closed
    }
}

fn http_result(served: Result<Result<(), std::io::Error>, tokio::task::JoinError>) -> Result<(), Error> {
    match served {
        Ok(served) => served.map_err(Error::Http),
        Err(error) => Err(Error::Http(std::io::Error::other(error))),
    }
}

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "integrations"))]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{Segno, access, config::Config};

    const CONFIG: &str = r#"
[sources.github.webhook]
scheme = "github"
secrets = ["0123456789abcdef0123456789abcdef"]
[sources.aws.eventbridge]
api_key = { header = "x-key", value = "0123456789abcdef0123456789abcdef" }
"#;

    /// Method and path of each handler of a router, from its `Debug`: it has no other way to tell.
    fn served(router: &axum::Router) -> Vec<(String, String)> {
        let text = format!("{router:?}");
        // Up to what answers the rest.
        let text = text.split("fallback_router").next().unwrap_or_default();
        let (routes, paths) = text.split_once("node: Node").expect("routes and their paths");
        let mut served = Vec::new();
        for part in paths.split("RouteId(").skip(1) {
            let (id, rest) = part.split_once("): \"").expect("a path of a route");
            let path = rest.split('"').next().expect("a path");
            let route = routes
                .split(&format!("RouteId({id}): "))
                .nth(1)
                .expect("the route of a path");
            let route = route.split("RouteId(").next().unwrap_or_default();
            if !route.starts_with("MethodRouter") {
                served.push(("*".to_owned(), path.to_owned()));
                continue;
            }
            for method in [
                "get", "head", "delete", "options", "patch", "post", "put", "trace", "connect",
            ] {
                let (_, state) = route
                    .split_once(&format!(" {method}: "))
                    .unwrap_or_else(|| panic!("{method} of {route}"));
                if !state.starts_with("None") {
                    served.push((method.to_uppercase(), path.to_owned()));
                }
            }
        }
        served
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whatever_is_served_has_its_role_in_the_table() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config::parse("segno.toml", CONFIG, folder.path()).expect("a configuration");
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let builder = Segno::builder()
            .config(config)
            .data(folder.path())
            .http(free)
            .grpc(free);
        let running = builder.start().await.expect("it starts");
        let served = served(&running.router);
        for path in [
            "/events",
            "/timers/{id}",
            "/webhooks/github",
            "/eventbridge/aws",
            "/livez",
        ] {
            assert!(
                served.iter().any(|(_, served)| served == path),
                "{path} of {served:?}"
            );
        }
        let missing: Vec<_> = served
            .iter()
            .filter(|(method, path)| {
                let method = method.parse().expect("a method");
                access::listed(&method, path).is_none()
            })
            .collect();
        assert!(
            missing.is_empty(),
            "these are served and have no row in crates/segno/src/access/table.rs, so that they are the administrators' \
             alone: {missing:?}"
        );
        running.shutdown().await.expect("it stops");
    }
}
