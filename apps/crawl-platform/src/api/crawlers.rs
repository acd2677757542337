//! Crawlers and their schedules.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use uuid::Uuid;

use super::problem::{Body, Checked, Problem};
use crate::{
    lifecycle::Lifecycle,
    schedules,
    store::{Crawler, CrawlerDefinition, Schedule, ScheduleDefinition},
};

fn checked(checked: Result<(), Vec<String>>) -> Result<(), Problem> {
    checked
        .map_err(|mistakes| Problem::mistakes("invalid-definition", "the definition breaks rules", mistakes))
}

/// All crawlers.
#[utoipa::path(get, path = "/crawlers", tag = "crawlers", responses((status = 200, body = Vec<Crawler>)))]
pub(super) async fn list(State(lifecycle): State<Lifecycle>) -> Result<Json<Vec<Crawler>>, Problem> {
    Ok(Json(lifecycle.store().crawlers().await?))
}

/// A new crawler.
#[utoipa::path(
    post, path = "/crawlers", tag = "crawlers", request_body = CrawlerDefinition,
    responses((status = 201, body = Crawler), (status = 422, body = Problem))
)]
pub(super) async fn create(
    State(lifecycle): State<Lifecycle>,
    Body(definition): Body<CrawlerDefinition>,
) -> Result<(StatusCode, Json<Crawler>), Problem> {
    checked(definition.check())?;
    let crawler = lifecycle.store().put_crawler(Uuid::now_v7(), &definition).await?;
    Ok((StatusCode::CREATED, Json(crawler)))
}

/// Changes a crawler, or makes it under this id. Runs that have begun keep what they began with, but for what their next jobs
/// are.
#[utoipa::path(
    put, path = "/crawlers/{id}", tag = "crawlers", params(("id" = Uuid, Path)), request_body = CrawlerDefinition,
    responses((status = 200, body = Crawler), (status = 422, body = Problem))
)]
pub(super) async fn change(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
    Body(definition): Body<CrawlerDefinition>,
) -> Result<Json<Crawler>, Problem> {
    checked(definition.check())?;
    Ok(Json(lifecycle.store().put_crawler(id, &definition).await?))
}

/// A crawler.
#[utoipa::path(
    get, path = "/crawlers/{id}", tag = "crawlers", params(("id" = Uuid, Path)),
    responses((status = 200, body = Crawler), (status = 404, body = Problem))
)]
pub(super) async fn show(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
) -> Result<Json<Crawler>, Problem> {
    Ok(Json(lifecycle.store().crawler(id).await?))
}

/// All schedules.
#[utoipa::path(get, path = "/schedules", tag = "schedules", responses((status = 200, body = Vec<Schedule>)))]
pub(super) async fn list_schedules(
    State(lifecycle): State<Lifecycle>,
) -> Result<Json<Vec<Schedule>>, Problem> {
    Ok(Json(lifecycle.store().schedules().await?))
}

/// A new schedule.
#[utoipa::path(
    post, path = "/schedules", tag = "schedules", request_body = ScheduleDefinition,
    responses((status = 201, body = Schedule), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn create_schedule(
    State(lifecycle): State<Lifecycle>,
    Body(definition): Body<ScheduleDefinition>,
) -> Result<(StatusCode, Json<Schedule>), Problem> {
    let schedule = put(&lifecycle, Uuid::now_v7(), &definition).await?;
    Ok((StatusCode::CREATED, Json(schedule)))
}

/// Changes a schedule, or makes it under this id.
#[utoipa::path(
    put, path = "/schedules/{id}", tag = "schedules", params(("id" = Uuid, Path)), request_body = ScheduleDefinition,
    responses((status = 200, body = Schedule), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn change_schedule(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
    Body(definition): Body<ScheduleDefinition>,
) -> Result<Json<Schedule>, Problem> {
    put(&lifecycle, id, &definition).await.map(Json)
}

/// First into the table, then onto the engine: what is in the table and not on the engine is put there at the next start. One
/// that the engine refuses is taken out of the table if it is new.
async fn put(lifecycle: &Lifecycle, id: Uuid, definition: &ScheduleDefinition) -> Result<Schedule, Problem> {
    checked(definition.check())?;
    let before = lifecycle
        .store()
        .schedules()
        .await?
        .into_iter()
        .find(|schedule| schedule.id == id);
    let schedule = lifecycle.store().put_schedule(id, definition).await?;
    if let Err(error) = schedules::put(lifecycle.client(), &schedule, lifecycle.timing()).await {
        match before {
            Some(before) => drop(lifecycle.store().put_schedule(id, &before.definition).await?),
            None => drop(lifecycle.store().delete_schedule(id).await?),
        }
        return Err(error.into());
    }
    Ok(schedule)
}

/// Deletes a schedule; its runs stay.
#[utoipa::path(
    delete, path = "/schedules/{id}", tag = "schedules", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn delete_schedule(
    State(lifecycle): State<Lifecycle>,
    Checked(Path(id)): Checked<Path<Uuid>>,
) -> Result<StatusCode, Problem> {
    let was_there = lifecycle.store().delete_schedule(id).await?;
    schedules::delete(lifecycle.client(), id).await?;
    if was_there {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no-such-schedule",
            format!("there is no schedule {id}"),
        ))
    }
}
