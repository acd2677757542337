//! The whole story of one event: what the routes say to it, every execution that it has, and what became of each.

mod route;
mod waits;

use route::RouteStory;
pub(crate) use waits::waits;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use segno_event::Event;
use segno_routing::{Routes, explain};
use serde::Serialize;
use serde_json::Value;
use temporalio_client::{
    Client,
    tonic::{Code, Status},
};
use temporalio_common::{
    protos::temporal::api::enums::v1::WorkflowExecutionStatus, search_attributes::SearchAttributeKey,
};
use utoipa::ToSchema;

use crate::{
    archive,
    dead_letters::{Decision, Letter, quoted, runs},
    execution::story::ActionState,
    origin::Origin,
    run::{Action, ReadError, Recorded, State, Summary, format, status_name},
    search_attributes::{EVENT_ID, EVENT_SOURCE, EVENT_SUBJECT, EVENT_TYPE, REPLAY, ROUTE, keyword},
};

/// Executions that are looked at side by side.
const CONCURRENT: usize = 16;
/// Runs of one event that are told.
const MAX_RUNS: usize = 1_000;

/// All that is known of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventStory {
    /// The event as it came, as CloudEvents JSON.
    #[schema(value_type = Object)]
    event: Value,
    /// When it was taken in (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_at: Option<String>,
    /// How it came in, where that is known: no replay and no decision is an event's beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// What each route, as it is configured now, says to it.
    routes: Vec<RouteStory>,
    /// Its executions, the first first.
    executions: Vec<ExecutionStory>,
}

/// What became of an event on a route.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventExecutionStory)]
struct ExecutionStory {
    workflow_id: String,
    /// The route; none where the event was only kept, as no route took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// The replay that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
    /// Status of the latest run.
    #[schema(example = "Completed")]
    status: &'static str,
    /// How it stands, in a sentence.
    state: String,
    /// What it waits for, where a pause, a delay or the flow control of its route holds it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it waits for its turn, behind orders//shop/1 (key \"customer-7\")")]
    waits: Option<String>,
    /// The actions of the latest run.
    actions: Vec<Action>,
    /// The dead letter that it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<Letter>,
    /// Its runs, the first first: each after the first follows a dead letter.
    runs: Vec<RunStory>,
}

/// One run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventRunStory)]
struct RunStory {
    run_id: String,
    #[schema(example = "Failed")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    /// What was decided about the run before.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Decision>,
}

/// Tells the story of the event of this source and id; none if it was never taken in, or so long ago that the engine has
/// deleted it.
pub(crate) async fn tell(
    client: &Client,
    routes: &Routes,
    source: &str,
    id: &str,
) -> Result<Option<EventStory>, Status> {
    let mut executions = listed(client, source, id).await?;
    // Lists of a cluster follow with a delay: what was started just now is found by its name.
    let named = Event::new(source, id, "-");
    let names = routes
        .iter()
        .map(|route| segno_routing::workflow_id(&route.name, &named))
        .chain([archive::workflow_id(&named)]);
    let missing: Vec<_> = names.filter(|name| !executions.contains_key(name)).collect();
    let found: Vec<_> = stream::iter(missing.into_iter().map(|name| latest(client, name)))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    for run in found.into_iter().flatten() {
        executions.insert(run.workflow_id.clone(), vec![run]);
    }
    let told: Vec<_> = stream::iter(executions.into_values().map(|runs| execution(client, runs)))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    let mut told: Vec<_> = told.into_iter().flatten().collect();
    told.sort_by_key(|told| told.started);
    // Keywords are cut: another event's executions may have been listed with this one's.
    told.retain(|told| told.event.source == source && told.event.id == id);
    let Some(first) = told.first() else {
        return Ok(None);
    };
    let routes = explain(routes, &first.event).routes;
    let accepted_at = first.started.map(format);
    let event = serde_json::to_value(&first.event).unwrap_or_default();
    let origin = told.iter().find_map(|told| told.origin.clone());
    let executions: Vec<_> = told.into_iter().map(|told| told.story).collect();
    Ok(Some(EventStory {
        event,
        accepted_at,
        origin,
        routes: routes
            .into_iter()
            .map(|route| {
                let workflow_id = segno_routing::workflow_id(&route.route, &named);
                let ran = executions.iter().any(|one| one.workflow_id == workflow_id);
                RouteStory::new(route, workflow_id, ran)
            })
            .collect(),
        executions,
    }))
}

/// The runs of the event's executions, by workflow id, as lists have them.
async fn listed(client: &Client, source: &str, id: &str) -> Result<BTreeMap<String, Vec<Summary>>, Status> {
    let query = format!(
        "SegnoEventSource = {} AND SegnoEventId = {}",
        quoted(&keyword(source)),
        quoted(&keyword(id))
    );
    let mut executions: BTreeMap<String, Vec<Summary>> = BTreeMap::new();
    let (mut token, mut count) = (Vec::new(), 0);
    while count < MAX_RUNS {
        let (found, next) = runs(client, &query, MAX_RUNS - count, token).await?;
        count += found.len();
        for run in found {
            executions.entry(run.workflow_id.clone()).or_default().push(run);
        }
        if next.is_empty() {
            break;
        }
        token = next;
    }
    Ok(executions)
}

async fn latest(client: &Client, workflow_id: String) -> Result<Option<Summary>, Status> {
    match Summary::latest(client, &workflow_id).await {
        Ok(run) => Ok(Some(run)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

/// An execution of the event.
struct Told {
    started: Option<time::OffsetDateTime>,
    event: Event,
    origin: Option<Origin>,
    story: ExecutionStory,
}

/// One execution: its runs, and what its latest run says. None if it has been deleted, or is no event's.
async fn execution(client: &Client, mut runs: Vec<Summary>) -> Result<Option<Told>, Status> {
    runs.sort_by_key(|run| run.started);
    let Some(first) = runs.first().cloned() else {
        return Ok(None);
    };
    let latest = match Recorded::read(client, &first.workflow_id, "").await {
        Ok(latest) => latest,
        Err(ReadError::NoEvent(_)) => return Ok(None),
        Err(ReadError::Engine(status)) if status.code() == Code::NotFound => return Ok(None),
        Err(ReadError::Engine(status)) => return Err(status),
        Err(ReadError::Encrypted { summary, reason }) => return Ok(Some(encrypted(&runs, &summary, reason))),
    };
    // The list may be behind.
    runs.retain(|run| run.run_id != latest.summary.run_id);
    runs.push(latest.summary.clone());
    let kept = latest.summary.ty == archive::TYPE;
    let waits = waits(client, &latest.summary, latest.plan.flow.as_ref()).await;
    let story = ExecutionStory {
        workflow_id: first.workflow_id.clone(),
        route: (!kept).then(|| latest.plan.route.clone()),
        replay: latest.summary.attributes.get(&REPLAY),
        status: status_name(latest.summary.status),
        state: state(&latest, kept, waits.as_deref()),
        waits,
        dead_letter: latest.summary.has_failed().then(|| Letter::of(&latest)),
        runs: runs.iter().map(RunStory::of).collect(),
        actions: latest.actions,
    };
    Ok(Some(Told {
        started: first.started,
        event: latest.plan.event,
        origin: runs.into_iter().find_map(|run| run.origin),
        story,
    }))
}

/// An execution whose event cannot be decrypted: what is known of it without.
fn encrypted(runs: &[Summary], latest: &Summary, reason: String) -> Told {
    let known = |key: &SearchAttributeKey<String>| latest.attributes.get(key);
    let [source, id, ty] = [&EVENT_SOURCE, &EVENT_ID, &EVENT_TYPE].map(|key| known(key).unwrap_or_default());
    let mut event = Event::new(source, id, ty);
    event.subject = known(&EVENT_SUBJECT);
    let story = ExecutionStory {
        workflow_id: latest.workflow_id.clone(),
        route: known(&ROUTE),
        replay: known(&REPLAY),
        status: status_name(latest.status),
        waits: None,
        dead_letter: latest.has_failed().then(|| Letter::encrypted(latest, &reason)),
        state: reason,
        runs: runs.iter().map(RunStory::of).collect(),
        actions: Vec::new(),
    };
    Told {
        started: runs.first().and_then(|first| first.started),
        event,
        origin: runs.iter().find_map(|run| run.origin.clone()),
        story,
    }
}

impl RunStory {
    fn of(run: &Summary) -> Self {
        Self {
            run_id: run.run_id.clone(),
            status: status_name(run.status),
            started_at: run.started.map(format),
            closed_at: run.closed.map(format),
            after: run.after.as_ref().map(Decision::from),
        }
    }
}

/// How an execution stands, in a sentence.
fn state(run: &Recorded, kept: bool, waits: Option<&str>) -> String {
    let decided = run.summary.after.as_ref().map(|after| {
        let by = after
            .by
            .as_ref()
            .map(|by| format!(" by {by}"))
            .unwrap_or_default();
        let note = after
            .note
            .as_ref()
            .map(|note| format!(": {note}"))
            .unwrap_or_default();
        (&after.decision, format!("{by}{note}"))
    });
    match (run.summary.status, decided) {
        _ if kept => "kept: no route took it when it came".to_owned(),
        (WorkflowExecutionStatus::Running, _) => running(&run.actions, waits),
        (WorkflowExecutionStatus::Completed, Some((segno_routing::Decision::Skip, by))) => {
            format!("skipped{by}")
        }
        (WorkflowExecutionStatus::Completed, Some((segno_routing::Decision::Resolve, by))) => {
            format!("resolved{by}")
        }
        (WorkflowExecutionStatus::Completed, Some((_, by))) => format!("done, after it was retried{by}"),
        (WorkflowExecutionStatus::Completed, None) => done(run),
        (WorkflowExecutionStatus::Failed, _) => {
            let failure = run
                .failure
                .as_ref()
                .map_or("it failed", |failure| &failure.message);
            format!("a dead letter: {failure}")
        }
        (status, _) => status_name(status).to_lowercase(),
    }
}

/// How it was done: by itself, with what was skipped; or that another execution has taken its event.
fn done(run: &Recorded) -> String {
    let report = run.report.clone().unwrap_or_default();
    if let Some(by) = report.superseded_by {
        return format!("superseded by {by}, which ran in its place");
    }
    if let Some(into) = report.batched_into {
        return format!("went into the batch {into}");
    }
    let skipped = report
        .actions
        .iter()
        .filter(|action| action.state == ActionState::Skipped);
    let skipped = skipped.map(|action| {
        let why = action.reason.as_deref().unwrap_or_default();
        format!("; {} was skipped: {why}", action.action)
    });
    format!("done{}", skipped.collect::<String>())
}

fn running(actions: &[Action], waits: Option<&str>) -> String {
    let open = |action: &&Action| matches!(action.state, State::Scheduled | State::Running);
    let mut open: Vec<_> = actions.iter().filter(open).map(waiting).collect();
    open.extend(waits.map(str::to_owned));
    if open.is_empty() {
        return "waiting for its first step, or between two".to_owned();
    }
    open.join("; ")
}

fn waiting(action: &Action) -> String {
    let name = &action.name;
    let failed = action.failure.as_ref().map(|failure| {
        format!(
            ", after {} attempts, the last failed: {}",
            action.attempts,
            failure.cause()
        )
    });
    match (&action.state, &action.next_attempt_time, failed) {
        (State::Running, _, failed) => format!("{name} is being tried{}", failed.unwrap_or_default()),
        (_, Some(next), Some(failed)) => format!("{name} is tried again at {next}{failed}"),
        (_, _, failed) => format!("{name} waits for a worker{}", failed.unwrap_or_default()),
    }
}
