//! States that are looked at when somebody asks for the metrics: what waits, what is held up, how sources and outboxes do.
//!
//! Looking costs the engine a few counts a route, so it may take a twentieth of the time at most: who asks more often gets
//! what was seen last. What does not answer in time leaves its figures as they were, and `segno_metrics_sample_success` at 0.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueType, workflowservice::v1::CountWorkflowExecutionsRequest,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{Metrics, exposition, metrics::NONE, process};
use crate::{
    dead_letters::quoted,
    flow::{self, Full},
    http::Health,
    live::Live,
    overview::Letters,
    pauses::{Pauses, What},
    task_queue,
    worker::TASK_QUEUE,
};

/// The least time between two looks.
const PERIOD: Duration = Duration::from_secs(2);
/// How many times as long as it took nobody looks again.
const SHARE: u32 = 20;
/// How long one look may take: short of the 10 seconds that Prometheus waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// Counts that the engine is asked for at once.
const CONCURRENT: usize = 8;

/// Looks at a running Segno. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sampler(Arc<Shared>);

struct Shared {
    parts: Parts,
    /// When to look again. Held while somebody looks, and while the figures are written down: so nobody reads half of them.
    next: Mutex<Option<Instant>>,
}

/// What is looked at.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) live: Live,
    pub(crate) pauses: Pauses,
    pub(crate) full: Full,
    pub(crate) health: Health,
    pub(crate) letters: Arc<Letters>,
    #[cfg(feature = "outbox")]
    pub(crate) relays: crate::outbox::Relays,
    /// The embedded engine's file.
    pub(crate) file: Option<PathBuf>,
    /// The embedded engine.
    #[cfg(feature = "embedded")]
    pub(crate) engine: Option<segno_engine::Handle>,
}

impl Sampler {
    pub(crate) fn new(parts: Parts) -> Self {
        let engine = if parts.file.is_some() {
            "embedded"
        } else {
            "cluster"
        };
        let version = env!("CARGO_PKG_VERSION");
        let info = Metrics::global().build_info.with_label_values(&[version, engine]);
        info.set(1.0);
        Self(Arc::new(Shared {
            parts,
            next: Mutex::new(None),
        }))
    }

    /// All metrics, as text.
    pub(crate) async fn metrics(&self) -> String {
        let metrics = Metrics::global();
        let mut next = self.0.next.lock().await;
        let begun = Instant::now();
        if next.is_none_or(|next| next <= begun) {
            let parts = &self.0.parts;
            parts.at_hand(metrics);
            let looked = timeout(PATIENCE, parts.ask(metrics)).await;
            if let Ok(Err(status)) = &looked {
                tracing::debug!(%status, "the engine cannot be asked for figures");
            }
            let success = matches!(looked, Ok(Ok(())));
            metrics
                .sampled
                .with_label_values(&NONE)
                .set(f64::from(u8::from(success)));
            *next = Some(Instant::now() + PERIOD.max(begun.elapsed() * SHARE));
        }
        exposition::text(metrics)
    }
}

impl Parts {
    /// What is known without asking anybody.
    fn at_hand(&self, metrics: &Metrics) {
        process::sample(metrics);
        metrics.paused.reset();
        for what in self.pauses.all() {
            metrics.paused.with_label_values(&labels(&what)).set(1.0);
        }
        metrics.breaker_open.reset();
        for (sink, open) in self.live.get().sinks.breakers() {
            let open = f64::from(u8::from(open));
            metrics.breaker_open.with_label_values(&[sink]).set(open);
        }
        let full = self.full.len() as f64;
        metrics.flows_full.with_label_values(&NONE).set(full);
        #[cfg(feature = "embedded")]
        if let Some(engine) = &self.engine {
            engine_figures(&engine.figures(), metrics);
        }
        if let Some(file) = &self.file {
            let mut log = file.clone().into_os_string();
            log.push("-wal");
            for (name, path) in [("database", file.clone()), ("log", log.into())] {
                if let Ok(metadata) = std::fs::metadata(path) {
                    let size = metrics.engine_file.with_label_values(&[name]);
                    size.set(metadata.len() as f64);
                }
            }
        }
    }

    /// What others have to be asked for.
    async fn ask(&self, metrics: &Metrics) -> Result<(), Status> {
        let ready = f64::from(u8::from(self.health.is_ready().await));
        metrics.ready.with_label_values(&NONE).set(ready);
        #[cfg(feature = "outbox")]
        outboxes(&self.relays, metrics).await;
        self.tasks(metrics).await?;
        let letters = self.letters.now(&self.client).await?;
        metrics
            .open_letters
            .with_label_values(&NONE)
            .set(letters.count as f64);
        self.executions(metrics).await
    }

    /// What waits for a worker.
    async fn tasks(&self, metrics: &Metrics) -> Result<(), Status> {
        for (ty, name) in [
            (TaskQueueType::Workflow, "workflow"),
            (TaskQueueType::Activity, "activity"),
        ] {
            let (stats, _) = task_queue::describe(&self.client, TASK_QUEUE, ty).await?;
            let age = stats.approximate_backlog_age.unwrap_or_default();
            metrics
                .backlog
                .with_label_values(&[name])
                .set(stats.approximate_backlog_count as f64);
            metrics
                .backlog_age
                .with_label_values(&[name])
                .set(age.seconds as f64 + f64::from(age.nanos) / 1e9);
        }
        Ok(())
    }

    /// What runs, waits and has failed.
    async fn executions(&self, metrics: &Metrics) -> Result<(), Status> {
        const RUNNING: &str = "ExecutionStatus = 'Running'";
        let mut counts = Vec::new();
        for route in self.live.get().routes.iter() {
            let of_route = format!("SegnoRoute = {}", quoted(&route.name));
            let events = format!("{of_route} AND WorkflowType != '{}'", flow::WORKFLOW_TYPE);
            counts.push((
                metrics.executions_running.clone(),
                vec![route.name.clone()],
                format!("{RUNNING} AND {events}"),
            ));
            let failed = format!("ExecutionStatus = 'Failed' AND {events}");
            counts.push((metrics.dead_letters.clone(), vec![route.name.clone()], failed));
            if route.flow.is_some() {
                let flows = format!(
                    "WorkflowType = '{}' AND {RUNNING} AND {of_route}",
                    flow::WORKFLOW_TYPE
                );
                let parked = format!("{flows} AND SegnoParked > 0");
                counts.push((metrics.flows.clone(), vec![route.name.clone()], flows));
                counts.push((metrics.keys_parked.clone(), vec![route.name.clone()], parked));
            }
        }
        for what in self.pauses.all() {
            let labels = labels(&what).map(str::to_owned).to_vec();
            let held = format!("{RUNNING} AND SegnoPaused = {}", quoted(&what.to_string()));
            counts.push((metrics.executions_held.clone(), labels, held));
        }
        let counted: Vec<_> = stream::iter(counts)
            .map(|(gauge, labels, query)| async move { (gauge, labels, self.count(query).await) })
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        // What is gone is not to stay as it was last seen.
        for gauge in [
            &metrics.executions_running,
            &metrics.dead_letters,
            &metrics.flows,
            &metrics.keys_parked,
            &metrics.executions_held,
        ] {
            gauge.reset();
        }
        let mut failed = None;
        for (gauge, labels, count) in counted {
            match count {
                Ok(count) => gauge.with_label_values(&labels).set(count as f64),
                Err(status) => failed = Some(status),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn count(&self, query: String) -> Result<i64, Status> {
        let request = CountWorkflowExecutionsRequest {
            namespace: self.client.namespace(),
            query,
        };
        let mut service = self.client.connection().workflow_service();
        let counted = service.count_workflow_executions(request.into_request()).await?;
        Ok(counted.into_inner().count)
    }
}

#[cfg(feature = "embedded")]
fn engine_figures(figures: &segno_engine::Figures, metrics: &Metrics) {
    // Both sides count from the start of this process's engine.
    let counters = [
        (metrics.engine_requests.with_label_values(&NONE), figures.requests),
        (
            metrics.engine_batches.with_label_values(&["written"]),
            figures.batches,
        ),
        (
            metrics.engine_batches.with_label_values(&["failed"]),
            figures.failed_batches,
        ),
    ];
    for (counter, now) in counters {
        counter.inc_by(now.saturating_sub(counter.get()));
    }
    let write_time = metrics.engine_write_seconds.with_label_values(&NONE);
    write_time.inc_by((figures.write_time.as_secs_f64() - write_time.get()).max(0.0));
    let gauges = [
        (&metrics.engine_in_memory, figures.in_memory),
        (&metrics.engine_waiting, figures.waiting_for_time),
        (&metrics.engine_journal, figures.journal_bytes),
    ];
    for (gauge, now) in gauges {
        gauge.with_label_values(&NONE).set(now as f64);
    }
}

fn labels(what: &What) -> [&str; 2] {
    match what {
        What::Route(name) => ["route", name],
        What::Sink(name) => ["sink", name],
    }
}

#[cfg(feature = "outbox")]
async fn outboxes(relays: &crate::outbox::Relays, metrics: &Metrics) {
    let stats = relays
        .iter()
        .map(|relay| async move { (relay, timeout(PATIENCE / 2, relay.stats()).await) });
    for (relay, stats) in futures::future::join_all(stats).await {
        let name = relay.name();
        let stats = stats.ok().and_then(Result::ok);
        metrics
            .outbox_up
            .with_label_values(&[name])
            .set(f64::from(u8::from(stats.is_some())));
        if let Some(stats) = stats {
            for (state, rows) in [
                ("pending", stats.pending),
                ("retrying", stats.retrying),
                ("parked", stats.parked),
                ("held", stats.held),
                ("stranded", stats.stranded),
            ] {
                metrics
                    .outbox_rows
                    .with_label_values(&[name, state])
                    .set(rows as f64);
            }
            let lag = metrics.outbox_lag.with_label_values(&[name]);
            lag.set(stats.lag.as_secs_f64());
        }
        let counters = relay.counters();
        for (outcome, rows) in [
            ("published", counters.published()),
            ("failed", counters.failed()),
            ("parked", counters.parked()),
            ("purged", counters.purged()),
            ("database_error", counters.errors()),
        ] {
            // The relay counts from its own start, which is this process's.
            let counter = metrics.outbox_work.with_label_values(&[name, outcome]);
            counter.inc_by(rows.saturating_sub(counter.get()));
        }
    }
}
