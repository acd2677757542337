//! Runs.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::problem::{Body, Checked, Problem};
use crate::{
    lifecycle::{Lifecycle, RunView, StopRequest},
    store::{CorrectionRecord, Deployment, LogLine, Run, RunFilter, RunStatus, Task, Trigger},
};

/// Runs on a page, unless asked for otherwise.
const PAGE: u32 = 50;
/// Runs on a page at most.
const LARGEST_PAGE: u32 = 500;
/// Longest key.
const LONGEST_KEY: usize = 255;

/// A run request.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    /// `manual` or `api`, which it is if absent.
    #[serde(default)]
    trigger: Option<Trigger>,
}

/// What became of a run request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begun {
    /// The run.
    run_id: Uuid,
    /// The workflow that looks after it.
    workflow_id: String,
    /// Whether the request had come before: then nothing was begun.
    duplicate: bool,
}

/// Begins a run. Sent again with the same `Idempotency-Key`, the request begins nothing, and the answer names the same run.
#[utoipa::path(
    post, path = "/crawlers/{id}/runs", tag = "runs",
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Option<Begin>),
    responses(
        (status = 202, body = Begun), (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub(super) async fn begin(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(crawler)): Checked<Path<Uuid>>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let begin: Begin = match body.is_empty() {
        true => Begin::default(),
        false => serde_json::from_slice(&body)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid-body", error.to_string()))?,
    };
    let trigger = begin.trigger.unwrap_or(Trigger::Api);
    if trigger == Trigger::Scheduled {
        let detail = "runs of this trigger are begun by schedules alone: it is `manual` or `api` here";
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-trigger",
            detail,
        ));
    }
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(key) => match key.to_str() {
            Ok(key) if (1..=LONGEST_KEY).contains(&key.len()) => Some(key),
            _ => {
                let detail = format!("an Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters");
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "invalid-idempotency-key",
                    detail,
                ));
            }
        },
    };
    let asked = lifecycle.begin(crawler, trigger, key).await?;
    let begun = Begun {
        run_id: asked.run,
        workflow_id: asked.workflow_id,
        duplicate: asked.duplicate,
    };
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// Which runs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only runs of this crawler.
    crawler: Option<Uuid>,
    /// Only runs of this status.
    status: Option<RunStatus>,
    /// Only runs that were asked for so.
    trigger: Option<Trigger>,
    /// Only runs that were asked for at this time or later (RFC 3339).
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>)]
    since: Option<OffsetDateTime>,
    /// Only runs that were asked for before this time (RFC 3339).
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>)]
    until: Option<OffsetDateTime>,
    /// Where the page begins: `next` of the page before.
    cursor: Option<String>,
    /// Runs on the page, 1 to 500; 50 if absent.
    limit: Option<u32>,
}

/// A page of runs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Runs {
    /// The runs.
    runs: Vec<Run>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists runs, the newest first.
#[utoipa::path(
    get, path = "/runs", tag = "runs", params(Filter),
    responses((status = 200, body = Runs), (status = 400, body = Problem))
)]
pub(super) async fn list(
    State(lifecycle): State<Lifecycle>,
    Checked(Query(asked)): Checked<Query<Filter>>,
) -> Result<Json<Runs>, Problem> {
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let detail = format!("a page has 1 to {LARGEST_PAGE} runs");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-query", detail));
    }
    let filter = RunFilter {
        crawler: asked.crawler,
        status: asked.status,
        trigger: asked.trigger,
        since: asked.since,
        until: asked.until,
    };
    let page = lifecycle
        .store()
        .runs(&filter, asked.cursor.as_deref(), limit)
        .await??;
    Ok(Json(Runs {
        runs: page.runs,
        next: page.next,
    }))
}

/// All that is known of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Detail {
    /// Its record.
    #[serde(flatten)]
    run: Run,
    /// What its workflow says, if it says anything.
    workflow: Option<RunView>,
    /// Its processes.
    tasks: Vec<Task>,
    /// The attempts to deploy it.
    attempts: Vec<Deployment>,
    /// What reconciliation has changed, and why.
    corrections: Vec<CorrectionRecord>,
    /// What happened.
    logs: Vec<LogLine>,
}

/// A run with its tasks, attempts, corrections and logs.
#[utoipa::path(
    get, path = "/runs/{id}", tag = "runs", params(("id" = Uuid, Path)),
    responses((status = 200, body = Detail), (status = 404, body = Problem))
)]
pub(super) async fn show(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
) -> Result<Json<Detail>, Problem> {
    let store = lifecycle.store();
    let run = store.run(id).await?;
    let workflow = lifecycle.view(&run).await;
    Ok(Json(Detail {
        run,
        workflow,
        tasks: store.tasks(id).await?,
        attempts: store.deployments(id).await?,
        corrections: store.corrections(id).await?,
        logs: store.logs(id).await?,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// The first record's number, from 0.
    from: Option<u64>,
    /// How many, 1 to 500; 50 if absent.
    limit: Option<u32>,
}

/// Delivered records of a run, in order.
#[utoipa::path(
    get, path = "/runs/{id}/records", tag = "runs", params(("id" = Uuid, Path), From),
    responses((status = 200, body = Vec<serde_json::Value>), (status = 404, body = Problem))
)]
pub(super) async fn records(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
    Checked(Query(asked)): Checked<Query<From>>,
) -> Result<Json<Vec<serde_json::Value>>, Problem> {
    let store = lifecycle.store();
    store.run(id).await?;
    let limit = asked.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let rows = store.records(id, asked.from.unwrap_or(0), limit).await?;
    let records = rows
        .into_iter()
        .map(|row| serde_json::from_str(&row.data).unwrap_or(serde_json::Value::String(row.data)))
        .collect();
    Ok(Json(records))
}

/// Stops a run: its processes are told to end, and lose their pods if they have not in time; with `force` at once.
#[utoipa::path(
    post, path = "/runs/{id}/stop", tag = "runs", params(("id" = Uuid, Path)), request_body = StopRequest,
    responses((status = 202), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn stop(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
    Body(stop): Body<StopRequest>,
) -> Result<StatusCode, Problem> {
    lifecycle.stop(id, &stop).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Goes on with a run whose workflow was terminated or has failed. Nothing is deployed twice.
#[utoipa::path(
    post, path = "/runs/{id}/resume", tag = "runs", params(("id" = Uuid, Path)),
    responses((status = 202, body = Begun), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn resume(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let asked = lifecycle.resume(id).await?;
    let begun = Begun {
        run_id: asked.run,
        workflow_id: asked.workflow_id,
        duplicate: asked.duplicate,
    };
    Ok((StatusCode::ACCEPTED, Json(begun)))
}
