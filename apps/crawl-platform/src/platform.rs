//! All of it as a process: the API, the database, the cluster, Segno with the workflows.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use segno::{Builder, Running, Segno, config::Config};
use segno_sinks::Sink;
use tokio::{net::TcpListener, sync::OnceCell, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    archive::{Archive, ArchiveError},
    clock::Clock,
    cluster::{Cluster, ClusterError},
    console, events,
    export::Exporter,
    front_door::{FrontDoor, InProcess},
    lifecycle::{CrawlerRun, Lifecycle, LifecycleActivities, Parts, Timing},
    notifier::{Notifier, Silent},
    output::Outputs,
    schedules,
    store::{Store, StoreError},
    sweeper::{self, SweepSettings, Sweeper, SweeperActivities},
    watcher,
};

/// The platform does not start, or does not stop in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cluster.
    #[error("the cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The place of archives.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Segno.
    #[error("segno: {0}")]
    Segno(#[from] segno::Error),
    /// The address cannot be listened on, a folder cannot be made, or the server broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The systems that business events change.
    #[error("the business events: {0}")]
    Events(#[from] events::SetUpError),
    /// The sweeper's schedule.
    #[error("the sweeper cannot be scheduled: {0}")]
    Sweeper(String),
}

/// More for the program to be made of.
pub type Extend = Box<dyn FnOnce(Builder) -> Builder + Send>;

/// What the platform is made of.
pub struct Options {
    /// Where the API listens. Where Segno's configuration says who may call, it is below `/app` of Segno's own alone, and here are
    /// only probes and mails that come in, which bring a secret of their own.
    pub listen: SocketAddr,
    /// Where Segno's own API listens: the front door of events, and what became of them.
    pub segno: SocketAddr,
    /// Where the embedded engine's gRPC API listens.
    pub grpc: SocketAddr,
    /// The folder of the engine's file.
    pub engine_data: PathBuf,
    /// Segno's configuration.
    pub config: Config,
    /// The URL of the database.
    pub database: String,
    /// What runs jobs.
    pub cluster: Arc<dyn Cluster>,
    /// The folder of what processes leave behind.
    pub output: PathBuf,
    /// Where supporting files are kept: a folder, or `s3://bucket/prefix`.
    pub archives: String,
    /// What takes the events of exports to EventBridge.
    pub bus: Option<Arc<dyn Sink>>,
    /// What tells front ends.
    pub notifier: Arc<dyn Notifier>,
    /// How long things take.
    pub timing: Timing,
    /// How the sweeper judges.
    pub sweep: SweepSettings,
    /// The business events; without it their types are events like others.
    pub events: Option<events::Options>,
    /// What the platform takes the time to be.
    pub clock: Clock,
    /// Workflows and activities besides those of runs.
    pub extend: Extend,
}

impl Options {
    /// A platform in a folder, with a SQLite database, on this cluster; its APIs at free ports of this machine.
    pub fn in_folder(folder: &std::path::Path, cluster: Arc<dyn Cluster>) -> Self {
        let free = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: free,
            segno: free,
            grpc: free,
            engine_data: folder.join("engine"),
            config: Config::default(),
            database: format!("sqlite:{}", folder.join("platform.db").display()),
            cluster,
            output: folder.join("output"),
            archives: folder.join("archives").to_string_lossy().into_owned(),
            bus: None,
            notifier: Arc::new(Silent),
            timing: Timing::default(),
            sweep: SweepSettings::default(),
            events: None,
            clock: Clock::system(),
            extend: Box::new(|builder| builder),
        }
    }
}

/// A running platform.
pub struct Platform {
    address: SocketAddr,
    segno: Running,
    lifecycle: Lifecycle,
    server: JoinHandle<std::io::Result<()>>,
    watcher: JoinHandle<()>,
    stop: CancellationToken,
}

impl Platform {
    /// Makes the tables where they are missing, and starts everything.
    ///
    /// # Errors
    ///
    /// [`PlatformError`].
    pub async fn start(options: Options) -> Result<Self, PlatformError> {
        tokio::fs::create_dir_all(&options.output).await?;
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let store = Store::open(&options.database).await?.with_clock(options.clock);
        let outputs = Outputs::new(&options.output);
        let archive = Archive::at(&options.archives)?;
        let door = InProcess::default();
        let activities = LifecycleActivities::new(Parts {
            store: store.clone(),
            cluster: Arc::clone(&options.cluster),
            outputs: outputs.clone(),
            door: Arc::new(door.clone()) as Arc<dyn FrontDoor>,
            notifier: options.notifier,
            exporter: Exporter::new(store.clone(), outputs, options.bus),
            archive: archive.clone(),
        });
        let late = Arc::new(OnceCell::new());
        let sweeping = SweeperActivities::new(Arc::clone(&options.cluster), Arc::clone(&late), options.sweep);
        let http = &options.config.http;
        let signs_in = !http.tokens.is_empty() || http.oidc.is_some();
        let builder = Segno::builder()
            .config(options.config)
            .http(options.segno)
            .grpc(options.grpc)
            .data(options.engine_data)
            .workflow::<CrawlerRun>()
            .workflow::<Sweeper>()
            .activities(activities)
            .activities(sweeping);
        let builder = console::register(builder, store.clone(), options.timing.clone());
        let (builder, inbound) = match options.events {
            None => (builder, None),
            Some(events) => {
                let (activities, inbound) = events.set_up(store.clone(), archive)?;
                (crate::events::register(builder, activities), Some(inbound))
            }
        };
        let segno = (options.extend)(builder).start().await?;
        door.open(segno.intake().clone());
        let client = segno.client().clone();
        let lifecycle = Lifecycle::new(client.clone(), store.clone(), options.timing);
        // Set once, here.
        drop(late.set(lifecycle.clone()));
        if let Err(error) = sweeper::schedule(&client, options.sweep).await {
            // Why it does not start is what is told, however it ends.
            drop(segno.shutdown().await);
            return Err(PlatformError::Sweeper(error.to_string()));
        }
        // A schedule that the engine refuses keeps no other one from running.
        if let Err(error) = schedules::synchronise(&client, &store, lifecycle.timing()).await {
            tracing::error!(%error, "not all schedules are in place");
        }
        let watcher = tokio::spawn(watcher::watch(options.cluster, lifecycle.clone()));
        let stop = CancellationToken::new();
        let mut router = if signs_in {
            api::closed(lifecycle.clone())
        } else {
            api::router(lifecycle.clone())
        };
        if let Some(inbound) = inbound {
            router = router.merge(inbound(segno.intake().clone()).router());
        }
        let stopping = stop.clone();
        let server = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopping.cancelled_owned())
                .await
        });
        tracing::info!(%address, "ready");
        Ok(Self {
            address,
            segno,
            lifecycle,
            server,
            watcher,
            stop,
        })
    }

    /// Address of the API, or of what [`Options::listen`] leaves of it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Segno, inside.
    pub fn segno(&self) -> &Running {
        &self.segno
    }

    /// The runs.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Runs until the API's server ends, which it does only when it breaks.
    ///
    /// # Errors
    ///
    /// [`PlatformError::Io`].
    pub async fn wait(&mut self) -> Result<(), PlatformError> {
        (&mut self.server).await.map_err(std::io::Error::other)??;
        Ok(())
    }

    /// Takes no more requests, finishes those that there are, and stops the rest. Jobs go on.
    ///
    /// # Errors
    ///
    /// [`PlatformError`].
    pub async fn stop(self) -> Result<(), PlatformError> {
        self.stop.cancel();
        self.watcher.abort();
        let served = if self.server.is_finished() {
            Ok(())
        } else {
            self.server.await.map_err(std::io::Error::other)?
        };
        self.segno.shutdown().await?;
        self.lifecycle.store().close().await;
        Ok(served?)
    }
}
