//! `/schedules`: what the engine starts by the clock, and pausing, triggering and backfilling it.

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::{ScheduleOverlapPolicy, WorkflowExecutionStatus},
    schedule::v1::{
        BackfillRequest, IntervalSpec, ScheduleActionResult, SchedulePatch, ScheduleSpec,
        StructuredCalendarSpec, TriggerImmediatelyRequest, schedule_action::Action,
    },
    workflowservice::v1::{DescribeScheduleRequest, ListSchedulesRequest, PatchScheduleRequest},
};
use utoipa::{IntoParams, ToSchema};

use super::{
    executions::problem_of_engine,
    extract::{Path, Query},
    json::read_json,
    problem::{MEDIA_TYPE, Problem},
};
use crate::{
    encryption::open,
    run::{Summary, parse, rfc3339, status_name, value},
};

/// Schedules on a page, unless it is asked for others.
const PAGE: u16 = 100;
/// The largest page.
const MAX_PAGE: u16 = 500;
/// What people read of a pause whose reason nobody gave.
const NO_NOTE: &str = "over the HTTP API";

/// The routes of this file.
pub(super) fn router(client: Client) -> Router {
    Router::new()
        .route("/schedules", get(list))
        .route("/schedules/{id}", get(show))
        .route("/schedules/{id}/pause", post(pause))
        .route("/schedules/{id}/resume", post(resume))
        .route("/schedules/{id}/trigger", post(trigger))
        .route("/schedules/{id}/backfill", post(backfill))
        .with_state(client)
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How many at most, 1 to 500. Left out: 100.
    page_size: Option<u16>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// A page of schedules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchedulePage)]
pub(super) struct Page {
    schedules: Vec<Listed>,
    /// Names the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleListed)]
pub(super) struct Listed {
    /// Its id: of a route's schedule `segno-route/<route>`.
    id: String,
    /// Type of the workflow that it starts.
    workflow_type: String,
    /// When it comes, each rule in a few words or as a cron string.
    times: Vec<String>,
    /// The time zone of these; empty is UTC.
    time_zone: String,
    paused: bool,
    /// What was said when it was paused or resumed.
    note: String,
    /// The next times (RFC 3339).
    next: Vec<String>,
    /// The latest runs, the last first.
    recent: Vec<Recent>,
}

/// A run that a schedule has started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleRun)]
pub(super) struct Recent {
    /// The time that it is for (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    /// When it was started (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    /// Id of its execution.
    workflow_id: String,
    run_id: String,
    /// Its status as the schedule knows it; it may be behind.
    #[schema(example = "Completed")]
    status: &'static str,
}

/// A schedule with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleDetail)]
pub(super) struct Detail {
    #[serde(flatten)]
    listed: Listed,
    /// What the workflow is started with.
    #[schema(value_type = Value)]
    input: Value,
    /// What happens at a time whose predecessor still runs.
    #[schema(example = "Skip")]
    overlap: String,
    /// How many runs it has started.
    started: i64,
    /// Times that were passed over, as the one before still ran.
    skipped: i64,
    /// Times that were missed for too long, while no engine ran.
    missed: i64,
    /// The runs that it has started and that have not ended.
    running: Vec<Running>,
    /// When it was made (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

/// A run that has not ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleRunning)]
pub(super) struct Running {
    workflow_id: String,
    run_id: String,
}

/// What is said about a pause.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScheduleNote)]
pub(super) struct Note {
    /// Why.
    #[serde(default)]
    note: Option<String>,
}

/// From when to when to start what was due.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScheduleBackfill)]
pub(super) struct Backfill {
    /// From this time (RFC 3339).
    #[serde(default)]
    from: String,
    /// Until this time (RFC 3339).
    #[serde(default)]
    until: String,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleTold)]
pub(super) struct Told {
    /// Id of the schedule.
    id: String,
}

/// Lists the engine's schedules: those of routes, and others.
#[utoipa::path(
    get, path = "/schedules", tag = "schedules", params(Params),
    responses(
        (status = 200, description = "A page of them.", body = Page),
        (status = 400, description = "The page's size or the token is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn list(
    State(client): State<Client>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail);
    let size = params.page_size.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&size) {
        return Err(bad("page_size has to be between 1 and 500"));
    }
    let token = URL_SAFE_NO_PAD
        .decode(params.page_token.as_deref().unwrap_or_default())
        .map_err(|_| bad("page_token is none that a page named"))?;
    let request = ListSchedulesRequest {
        namespace: client.namespace(),
        maximum_page_size: size.into(),
        next_page_token: token,
        query: String::new(),
    };
    let mut service = client.connection().workflow_service();
    let reply = service.list_schedules(request.into_request()).await;
    let reply = reply.map_err(problem_of_engine)?.into_inner();
    let schedules = reply.schedules.into_iter().map(|entry| {
        let info = entry.info.unwrap_or_default();
        let spec = info.spec.unwrap_or_default();
        Listed {
            id: entry.schedule_id,
            workflow_type: info.workflow_type.unwrap_or_default().name,
            time_zone: spec.timezone_name.clone(),
            times: times(&spec),
            paused: info.paused,
            note: info.notes,
            next: info.future_action_times.into_iter().filter_map(rfc3339).collect(),
            recent: recent(info.recent_actions),
        }
    });
    Ok(Json(Page {
        schedules: schedules.collect(),
        next_page_token: (!reply.next_page_token.is_empty())
            .then(|| URL_SAFE_NO_PAD.encode(reply.next_page_token)),
    }))
}

/// Shows a schedule: its times, the next and the latest, and what it starts.
#[utoipa::path(
    get, path = "/schedules/{id}", tag = "schedules",
    params(("id" = String, Path, description = "Id of the schedule, percent-encoded.")),
    responses(
        (status = 200, description = "The schedule.", body = Detail),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn show(
    State(client): State<Client>,
    Path(id): Path<String>,
) -> Result<Json<Detail>, Problem> {
    let request = DescribeScheduleRequest {
        namespace: client.namespace(),
        schedule_id: id.clone(),
    };
    let mut service = client.connection().workflow_service();
    let reply = service.describe_schedule(request.into_request()).await;
    let reply = open(&client, reply.map_err(problem)?.into_inner()).await;
    let (schedule, info) = (reply.schedule.unwrap_or_default(), reply.info.unwrap_or_default());
    let spec = schedule.spec.unwrap_or_default();
    let state = schedule.state.unwrap_or_default();
    let overlap = schedule.policies.unwrap_or_default().overlap_policy();
    let action = schedule.action.and_then(|action| action.action);
    let (workflow_type, input) = action.map_or_else(Default::default, |Action::StartWorkflow(start)| {
        (start.workflow_type.unwrap_or_default().name, value(start.input))
    });
    let mut recent = recent(info.recent_actions);
    // A Temporal server does not follow what a schedule starts where that may run side by side.
    let running = recent
        .iter_mut()
        .filter(|run| run.status == status_name(WorkflowExecutionStatus::Running));
    let look = running.map(|run| async {
        if let Ok(latest) = Summary::latest(&client, &run.workflow_id).await {
            run.status = status_name(latest.status);
        }
    });
    join_all(look).await;
    let running = info.running_workflows.into_iter().map(|run| Running {
        workflow_id: run.workflow_id,
        run_id: run.run_id,
    });
    Ok(Json(Detail {
        input,
        overlap: policy(overlap),
        started: info.action_count,
        skipped: info.overlap_skipped,
        missed: info.missed_catchup_window,
        running: running.collect(),
        created: info.create_time.and_then(rfc3339),
        listed: Listed {
            id,
            workflow_type,
            time_zone: spec.timezone_name.clone(),
            times: times(&spec),
            paused: state.paused,
            note: state.notes,
            next: info.future_action_times.into_iter().filter_map(rfc3339).collect(),
            recent,
        },
    }))
}

/// Pauses a schedule: it starts nothing until it is resumed.
#[utoipa::path(
    post, path = "/schedules/{id}/pause", tag = "schedules", request_body = Note,
    params(("id" = String, Path, description = "Id of the schedule, percent-encoded.")),
    responses(
        (status = 202, description = "It is paused.", body = Told),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn pause(
    State(client): State<Client>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let note: Note = read_json(&headers, body).await?;
    let patch = SchedulePatch {
        pause: said(note),
        ..Default::default()
    };
    send(&client, id, patch).await
}

/// Lets a paused schedule go on.
#[utoipa::path(
    post, path = "/schedules/{id}/resume", tag = "schedules", request_body = Note,
    params(("id" = String, Path, description = "Id of the schedule, percent-encoded.")),
    responses(
        (status = 202, description = "It is not paused any more.", body = Told),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn resume(
    State(client): State<Client>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let note: Note = read_json(&headers, body).await?;
    let patch = SchedulePatch {
        unpause: said(note),
        ..Default::default()
    };
    send(&client, id, patch).await
}

/// Has a schedule start its workflow now, whether it is paused or not.
#[utoipa::path(
    post, path = "/schedules/{id}/trigger", tag = "schedules",
    params(("id" = String, Path, description = "Id of the schedule, percent-encoded.")),
    responses(
        (status = 202, description = "It is started.", body = Told),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn trigger(State(client): State<Client>, Path(id): Path<String>) -> Answer {
    let patch = SchedulePatch {
        trigger_immediately: Some(TriggerImmediatelyRequest {
            overlap_policy: ScheduleOverlapPolicy::AllowAll.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    send(&client, id, patch).await
}

/// Has a schedule start now, one after the other, what was due between two times.
#[utoipa::path(
    post, path = "/schedules/{id}/backfill", tag = "schedules", request_body = Backfill,
    params(("id" = String, Path, description = "Id of the schedule, percent-encoded.")),
    responses(
        (status = 202, description = "The engine has it.", body = Told),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn backfill(
    State(client): State<Client>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Backfill { from, until } = read_json(&headers, body).await?;
    let moment = |name: &str, text: &str| {
        let at = parse(text).ok_or_else(|| {
            let detail = format!("`{name}` has to be a time such as 2026-01-31T12:00:00Z (RFC 3339)");
            Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail)
        })?;
        Ok::<_, Problem>(Timestamp {
            seconds: at.unix_timestamp(),
            nanos: i32::try_from(at.nanosecond()).unwrap_or_default(),
        })
    };
    let (start_time, end_time) = (moment("from", &from)?, moment("until", &until)?);
    if end_time.seconds < start_time.seconds {
        let detail = "`until` has to be after `from`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail));
    }
    let patch = SchedulePatch {
        backfill_request: vec![BackfillRequest {
            start_time: Some(start_time),
            end_time: Some(end_time),
            overlap_policy: ScheduleOverlapPolicy::BufferAll.into(),
        }],
        ..Default::default()
    };
    send(&client, id, patch).await
}

type Answer = Result<(StatusCode, Json<Told>), Problem>;

async fn send(client: &Client, id: String, patch: SchedulePatch) -> Answer {
    let request = PatchScheduleRequest {
        namespace: client.namespace(),
        schedule_id: id.clone(),
        patch: Some(patch),
        identity: client.identity(),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    let mut service = client.connection().workflow_service();
    let told = service.patch_schedule(request.into_request()).await;
    told.map_err(problem)?;
    Ok((StatusCode::ACCEPTED, Json(Told { id })))
}

fn said(note: Note) -> String {
    let note = note.note.filter(|note| !note.trim().is_empty());
    note.unwrap_or_else(|| NO_NOTE.to_owned())
}

fn problem(status: Status) -> Problem {
    match status.code() {
        Code::NotFound => Problem::new(StatusCode::NOT_FOUND, "not-found", "there is no such schedule"),
        _ => problem_of_engine(status),
    }
}

fn recent(mut actions: Vec<ScheduleActionResult>) -> Vec<Recent> {
    actions.reverse();
    let told = actions.into_iter().map(|action| {
        let status = WorkflowExecutionStatus::try_from(action.start_workflow_status).unwrap_or_default();
        let run = action.start_workflow_result.unwrap_or_default();
        Recent {
            due: action.schedule_time.and_then(rfc3339),
            started: action.actual_time.and_then(rfc3339),
            workflow_id: run.workflow_id,
            run_id: run.run_id,
            status: status_name(status),
        }
    });
    told.collect()
}

fn policy(overlap: ScheduleOverlapPolicy) -> String {
    let words = match overlap {
        ScheduleOverlapPolicy::Unspecified | ScheduleOverlapPolicy::Skip => "it is skipped",
        ScheduleOverlapPolicy::BufferOne => "one waits",
        ScheduleOverlapPolicy::BufferAll => "all wait",
        ScheduleOverlapPolicy::CancelOther => "the one before is cancelled",
        ScheduleOverlapPolicy::TerminateOther => "the one before is terminated",
        ScheduleOverlapPolicy::AllowAll => "both run",
    };
    words.to_owned()
}

/// The rules of a spec. Engines keep a cron string as the comment of the calendar that they make of it.
fn times(spec: &ScheduleSpec) -> Vec<String> {
    let calendars = spec.structured_calendar.iter().map(calendar);
    let intervals = spec.interval.iter().map(interval);
    spec.cron_string
        .iter()
        .cloned()
        .chain(calendars)
        .chain(intervals)
        .collect()
}

fn calendar(calendar: &StructuredCalendarSpec) -> String {
    if !calendar.comment.is_empty() {
        return calendar.comment.clone();
    }
    let parts = [
        ("second", &calendar.second),
        ("minute", &calendar.minute),
        ("hour", &calendar.hour),
        ("day of month", &calendar.day_of_month),
        ("month", &calendar.month),
        ("day of week", &calendar.day_of_week),
    ];
    let told = parts.iter().map(|(name, ranges)| {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|range| match (range.end > range.start, range.step > 1) {
                (true, true) => format!("{}-{}/{}", range.start, range.end, range.step),
                (true, false) => format!("{}-{}", range.start, range.end),
                (false, _) => range.start.to_string(),
            })
            .collect();
        format!("{name} {}", ranges.join(","))
    });
    told.collect::<Vec<_>>().join(", ")
}

fn interval(interval: &IntervalSpec) -> String {
    let text = |duration: Option<prost_types::Duration>| {
        let duration = duration.and_then(|duration| std::time::Duration::try_from(duration).ok());
        humantime::format_duration(duration.unwrap_or_default()).to_string()
    };
    match interval.phase {
        Some(phase) if phase.seconds > 0 => {
            format!("every {}, {} in", text(interval.interval), text(Some(phase)))
        }
        _ => format!("every {}", text(interval.interval)),
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::schedule::v1::Range;

    use super::*;

    #[test]
    fn rules_are_told_in_words() {
        let duration = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let spec = ScheduleSpec {
            cron_string: vec!["0 0 * * *".into()],
            structured_calendar: vec![
                StructuredCalendarSpec {
                    comment: "5 4 * * *".into(),
                    ..Default::default()
                },
                StructuredCalendarSpec {
                    hour: vec![Range {
                        start: 8,
                        end: 18,
                        step: 2,
                    }],
                    ..Default::default()
                },
            ],
            interval: vec![IntervalSpec {
                interval: duration(90),
                phase: duration(5),
            }],
            ..Default::default()
        };
        let times = times(&spec);
        assert_eq!(times[..2], ["0 0 * * *", "5 4 * * *"]);
        assert!(times[2].contains("hour 8-18/2"), "{times:?}");
        assert_eq!(times[3], "every 1m 30s, 5s in");
    }
}
