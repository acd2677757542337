//! The platform's lifecycle on an engine, with a cluster, a database, a front door and front ends of the test's own.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use segno::{Event, Running, Segno, config::Config};
use segno_crawl_platform::{
    archive::Archive,
    cluster::{Cluster, JobName},
    export::Exporter,
    front_door::{EmitError, FrontDoor},
    lifecycle::{
        CrawlerRun, Lifecycle, LifecycleActivities, Parts, Timing,
        rules::{Intervals, f64_seconds::Seconds},
    },
    notifier::{Notice, Notifier, NotifyError},
    output::Outputs,
    store::{CrawlerDefinition, ExportTo, Run, Store},
};
use segno_test_support::TemporalServer;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::cluster::Memory;

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Takes events in and remembers them; as an engine does, one event of one id once.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<Mutex<BTreeMap<(String, String), Event>>>);

impl Door {
    /// How many events of a type there are.
    pub(crate) fn count(&self, ty: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .values()
            .filter(|event| event.ty == ty)
            .count()
    }
}

#[async_trait]
impl FrontDoor for Door {
    async fn take(&self, event: Event) -> Result<(), EmitError> {
        let key = (event.source.clone(), event.id.clone());
        self.0.lock().unwrap().insert(key, event);
        Ok(())
    }
}

/// Remembers what front ends were told.
#[derive(Clone, Default)]
pub(crate) struct FrontEnds(Arc<Mutex<Vec<(Uuid, Notice)>>>);

impl FrontEnds {
    pub(crate) fn told(&self, run: Uuid) -> Vec<Notice> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter(|(of, _)| *of == run)
            .map(|(_, notice)| *notice)
            .collect()
    }
}

#[async_trait]
impl Notifier for FrontEnds {
    async fn notify(&self, run: Uuid, notice: Notice) -> Result<(), NotifyError> {
        self.0.lock().unwrap().push((run, notice));
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) cluster: Memory,
    pub(crate) store: Store,
    pub(crate) outputs: Outputs,
    pub(crate) door: Door,
    pub(crate) front_ends: FrontEnds,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) folder: TempDir,
    segno: Option<Running>,
    config: String,
    _server: Option<TemporalServer>,
}

/// Short times, so that a test is over soon.
pub(crate) fn timing() -> Timing {
    Timing {
        status_poll_seconds: Seconds::from_millis(50),
        intervals: Intervals::every(Duration::from_millis(100)),
        pending_limit_seconds: Seconds::new(60),
        start_limit_seconds: Seconds::new(600),
        stop_grace_seconds: Seconds::from_millis(500),
        lost_after_seconds: Seconds::from_millis(200),
        redeploy_pause_seconds: Seconds::from_millis(50),
        deployments: 3,
        heartbeat_seconds: Seconds::new(10),
        history_events: Timing::default().history_events,
    }
}

/// A crawler of so many processes.
pub(crate) fn crawler(processes: u32) -> CrawlerDefinition {
    CrawlerDefinition {
        name: "books".to_owned(),
        project_id: Some("p-1".to_owned()),
        report_id: Some("rep-1".to_owned()),
        image: None,
        command: vec!["crawl-books".to_owned()],
        args: Vec::new(),
        env: BTreeMap::new(),
        processes,
        parallel: None,
        export: ExportTo::Database,
    }
}

impl World {
    pub(crate) async fn embedded() -> Self {
        Self::start(String::new(), None).await
    }

    pub(crate) async fn temporal() -> Self {
        let server = TemporalServer::start().await;
        let namespace = server.namespace().await;
        let address = server.address().to_owned();
        let config =
            format!("engine = {{ temporal = {{ address = {address:?}, namespace = {namespace:?} }} }}\n");
        Self::start(config, Some(server)).await
    }

    async fn start(config: String, server: Option<TemporalServer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("platform.db").display()))
            .await
            .unwrap();
        let outputs = Outputs::new(folder.path().join("output"));
        let (cluster, door, front_ends) = (Memory::new(), Door::default(), FrontEnds::default());
        let parts = parts(&folder, &cluster, &store, &outputs, &door, &front_ends);
        let segno = segno(&folder, &config, parts).await;
        let lifecycle = Lifecycle::new(segno.client().clone(), store.clone(), timing());
        Self {
            cluster,
            store,
            outputs,
            door,
            front_ends,
            lifecycle,
            folder,
            segno: Some(segno),
            config,
            _server: server,
        }
    }

    /// The timing of runs that begin from now on.
    pub(crate) fn set_timing(&mut self, timing: Timing) {
        let client = self.segno.as_ref().unwrap().client().clone();
        self.lifecycle = Lifecycle::new(client, self.store.clone(), timing);
    }

    pub(crate) fn parts(&self) -> Parts {
        parts(
            &self.folder,
            &self.cluster,
            &self.store,
            &self.outputs,
            &self.door,
            &self.front_ends,
        )
    }

    /// The process ends in order, and another one begins.
    pub(crate) async fn restart(&mut self) {
        self.segno.take().unwrap().shutdown().await.unwrap();
        let parts = self.parts();
        let segno = segno(&self.folder, &self.config, parts).await;
        self.lifecycle = Lifecycle::new(segno.client().clone(), self.store.clone(), timing());
        self.segno = Some(segno);
    }

    pub(crate) fn client(&self) -> &temporalio_client::Client {
        self.segno.as_ref().unwrap().client()
    }

    pub(crate) async fn stop(mut self) {
        self.segno.take().unwrap().shutdown().await.unwrap();
    }

    /// The name of a run's job.
    pub(crate) fn job(&self, run: Uuid, process: u32) -> JobName {
        JobName::of(run, process, 1)
    }

    /// Writes what a process leaves behind: records, their count, and a supporting file.
    pub(crate) async fn leave_output(&self, run: Uuid, process: u32, records: u64, counted: u64) {
        let folder = self.outputs.of(run, process);
        tokio::fs::create_dir_all(folder.join("files")).await.unwrap();
        let lines: String = (0..records)
            .map(|number| format!("{{\"n\":{number}}}\n"))
            .collect();
        tokio::fs::write(folder.join("records.jsonl"), lines)
            .await
            .unwrap();
        tokio::fs::write(folder.join("metadata.json"), format!("{{\"records\":{counted}}}"))
            .await
            .unwrap();
        let stats = format!("{{\"pages\":{records},\"records\":{records},\"errors\":0}}");
        tokio::fs::write(folder.join("stats.json"), stats).await.unwrap();
        tokio::fs::write(folder.join("files/page.html"), "<p>a page</p>")
            .await
            .unwrap();
    }

    /// Waits until the run is so, and returns it.
    pub(crate) async fn until(&self, run: Uuid, what: &str, is_so: impl Fn(&Run) -> bool) -> Run {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let record = self.store.maybe_run(run).await.unwrap();
            if let Some(record) = &record
                && is_so(record)
            {
                return record.clone();
            }
            assert!(Instant::now() < deadline, "the run is not {what}: {record:#?}");
            sleep(POLL).await;
        }
    }

    /// Waits until the run has ended and its workflow has, too.
    pub(crate) async fn ended(&self, run: Uuid) -> Run {
        let record = self.until(run, "at its end", |run| run.status.is_final()).await;
        let id = record.workflow_id.clone().unwrap();
        eventually("the workflow ends", async || {
            !self.lifecycle.is_running(&id).await.unwrap()
        })
        .await;
        self.store.run(run).await.unwrap()
    }
}

fn parts(
    folder: &TempDir,
    cluster: &Memory,
    store: &Store,
    outputs: &Outputs,
    door: &Door,
    front_ends: &FrontEnds,
) -> Parts {
    Parts {
        store: store.clone(),
        cluster: Arc::new(cluster.clone()) as Arc<dyn Cluster>,
        outputs: outputs.clone(),
        door: Arc::new(door.clone()),
        notifier: Arc::new(front_ends.clone()),
        exporter: Exporter::new(store.clone(), outputs.clone(), None),
        archive: Archive::at(&folder.path().join("archives").to_string_lossy()).unwrap(),
    }
}

async fn segno(folder: &TempDir, config: &str, parts: Parts) -> Running {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Segno::builder()
        .config(Config::parse("test", config, folder.path()).unwrap())
        .data(folder.path().join("engine"))
        .http(free)
        .grpc(free)
        .workflow::<CrawlerRun>()
        .activities(LifecycleActivities::new(parts))
        .start()
        .await
        .unwrap()
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(POLL).await;
    }
}
