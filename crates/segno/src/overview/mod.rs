//! The state of everything in some figures: what the console's first page shows, second by second.
//!
//! All of it comes from the engine by counts and by one short list, and is so the same whichever process is asked; only
//! what deliveries to sinks have come to is what this process has seen. Nothing here grows with the number of executions,
//! but for the engine's own work to count them: [`broadcast`] asks less often where that takes long.

pub(crate) mod broadcast;
mod letters;
mod sinks;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueType,
    workflowservice::v1::{CountWorkflowExecutionsRequest, ListWorkflowExecutionsRequest},
};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    live::Live,
    pauses::{Pauses, What},
    run::{format, json_value, moment},
    task_queue,
    worker::TASK_QUEUE,
};
pub(crate) use letters::Letters;
pub(crate) use sinks::{Health, SinkHealth};

/// Over how long a rate is taken.
const WINDOW: Duration = Duration::from_secs(10);
/// Executions that latency is taken from, those that closed last.
const SAMPLE: i32 = 100;

/// Everything in some figures.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// When they were taken (RFC 3339).
    at: String,
    /// Changes whenever a list of executions may have: what the counts are, in short.
    revision: String,
    /// All executions by status.
    #[schema(value_type = Object)]
    executions: BTreeMap<String, i64>,
    /// Executions of events.
    events: EventFigures,
    /// Dead letters.
    dead_letters: LetterCount,
    /// What waits for a worker on Segno's own task queue.
    backlog: Backlog,
    /// How long the executions of events took that ended last.
    latency: Latency,
    /// Timers that have not fired.
    timers: i64,
    /// Flows with keys that are parked.
    parked: i64,
    /// The routes that are paused.
    paused_routes: Vec<String>,
    /// The sinks.
    sinks: Vec<SinkHealth>,
}

/// Executions of events.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct EventFigures {
    /// How many have begun in the last ten seconds.
    begun: i64,
    /// The same a second.
    per_second: f64,
    /// How many run.
    running: i64,
}

/// How many dead letters there are.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct LetterCount {
    pub(crate) count: u64,
    /// Whether there may be more: only so many are looked at.
    more: bool,
}

/// What waits for a worker.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
struct Backlog {
    /// Workflow tasks.
    workflow_tasks: i64,
    /// Activity tasks: deliveries, most of them.
    activity_tasks: i64,
}

/// How long executions took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
struct Latency {
    /// Of how many; 0 where none ended within the last minutes.
    sample: usize,
    p50: f64,
    p95: f64,
    max: f64,
}

/// Takes the figures.
#[derive(Clone)]
pub(crate) struct Reader {
    client: Client,
    /// The configuration as it is now.
    live: Live,
    pauses: Pauses,
    health: Health,
    letters: Arc<Letters>,
}

impl Reader {
    pub(crate) fn new(
        client: Client,
        live: Live,
        pauses: Pauses,
        health: Health,
        letters: Arc<Letters>,
    ) -> Self {
        Self {
            client,
            live,
            pauses,
            health,
            letters,
        }
    }

    /// Takes all figures, side by side.
    pub(crate) async fn read(&self) -> Result<Overview, Status> {
        let client = &self.client;
        let now = OffsetDateTime::now_utc();
        let since = format(now - WINDOW);
        let begun = format!("SegnoEventId IS NOT NULL AND StartTime >= '{since}'");
        let (executions, running, begun, timers, parked, workflow_tasks, activity_tasks, latency) = tokio::try_join!(
            by_status(client, ""),
            total(client, "SegnoEventId IS NOT NULL AND ExecutionStatus = 'Running'"),
            total(client, &begun),
            total(
                client,
                "WorkflowType = 'SegnoTimer' AND ExecutionStatus = 'Running'"
            ),
            total(client, "SegnoParked > 0 AND ExecutionStatus = 'Running'"),
            backlog(client, TaskQueueType::Workflow),
            backlog(client, TaskQueueType::Activity),
            latency(client, now),
        )?;
        let revision = revision(&executions);
        let dead_letters = self.letters.count(client, &revision).await?;
        let paused = self.pauses.all();
        let paused_routes = paused.iter().filter_map(|what| match what {
            What::Route(name) => Some(name.clone()),
            What::Sink(_) => None,
        });
        Ok(Overview {
            at: format(now),
            revision,
            executions,
            events: EventFigures {
                begun,
                per_second: begun as f64 / WINDOW.as_secs_f64(),
                running,
            },
            dead_letters,
            backlog: Backlog {
                workflow_tasks,
                activity_tasks,
            },
            latency,
            timers,
            parked,
            paused_routes: paused_routes.collect(),
            sinks: self.sinks(),
        })
    }
}

impl Reader {
    /// How the configured sinks do.
    pub(crate) fn sinks(&self) -> Vec<SinkHealth> {
        self.health.of(&self.live.get().sink_names, &self.pauses)
    }
}

/// The counts in one word.
fn revision(counts: &BTreeMap<String, i64>) -> String {
    let counts: Vec<_> = counts
        .iter()
        .map(|(status, count)| format!("{status}{count}"))
        .collect();
    counts.join("-")
}

/// How many executions a query finds, by status.
pub(crate) async fn by_status(client: &Client, query: &str) -> Result<BTreeMap<String, i64>, Status> {
    let query = format!("{query} GROUP BY ExecutionStatus");
    let reply = count(client, query.trim_start().to_owned()).await?;
    let groups = reply.groups.into_iter().filter_map(|group| {
        let status = group.group_values.into_iter().next().map(json_value)?;
        Some((status.as_str()?.to_owned(), group.count))
    });
    Ok(groups.collect())
}

/// How many executions a query finds.
pub(crate) async fn total(client: &Client, query: &str) -> Result<i64, Status> {
    Ok(count(client, query.to_owned()).await?.count)
}

async fn count(
    client: &Client,
    query: String,
) -> Result<
    temporalio_common::protos::temporal::api::workflowservice::v1::CountWorkflowExecutionsResponse,
    Status,
> {
    let request = CountWorkflowExecutionsRequest {
        namespace: client.namespace(),
        query,
    };
    let mut service = client.connection().workflow_service();
    let reply = service.count_workflow_executions(request.into_request()).await?;
    Ok(reply.into_inner())
}

async fn backlog(client: &Client, kind: TaskQueueType) -> Result<i64, Status> {
    let (stats, _) = task_queue::describe(client, TASK_QUEUE, kind).await?;
    Ok(stats.approximate_backlog_count)
}

/// Executions older than that say nothing of how long they take now.
const RECENT: time::Duration = time::Duration::minutes(5);

async fn latency(client: &Client, now: OffsetDateTime) -> Result<Latency, Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: client.namespace(),
        page_size: SAMPLE,
        query: "ExecutionStatus = 'Completed' AND SegnoEventId IS NOT NULL".to_owned(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service
        .list_workflow_executions(request.into_request())
        .await?
        .into_inner();
    let took = reply.executions.iter().filter_map(|info| {
        let started = info.start_time.as_ref().and_then(moment)?;
        let closed = info.close_time.as_ref().and_then(moment)?;
        (now - closed < RECENT).then(|| (closed - started).as_seconds_f64() * 1000.0)
    });
    Ok(Latency::of(took.collect()))
}

impl Latency {
    fn of(mut took: Vec<f64>) -> Self {
        took.sort_by(f64::total_cmp);
        let Some(max) = took.last().copied() else {
            return Self::default();
        };
        // The smallest that so many in a hundred do not exceed.
        let at = |share: usize| took[(took.len() * share).div_ceil(100).max(1) - 1];
        Self {
            sample: took.len(),
            p50: at(50),
            p95: at(95),
            max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_taken_by_rank() {
        let latency = Latency::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((latency.p50, latency.p95, latency.max), (50.0, 95.0, 100.0));
        let one = Latency::of(vec![7.0]);
        assert_eq!((one.sample, one.p50, one.p95), (1, 7.0, 7.0));
        assert_eq!(Latency::of(Vec::new()).sample, 0);
    }

    #[test]
    fn another_count_is_another_revision() {
        let counts = |running| BTreeMap::from([("Running".to_owned(), running), ("Failed".to_owned(), 1)]);
        assert_ne!(revision(&counts(1)), revision(&counts(2)));
        assert_eq!(revision(&counts(1)), "Failed1-Running1");
    }
}
