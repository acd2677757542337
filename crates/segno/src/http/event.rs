//! `GET /events/{source}/{id}`: the whole story of one event.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    executions::problem_of_engine,
    extract::Path,
    problem::{MEDIA_TYPE, Problem},
};
use crate::{
    dead_letters::Decider,
    story::{EventStory, tell},
};

/// Tells what became of one event: what the routes say to it, its executions and their runs, what failed, what is waited
/// for, what was decided and replayed. Source and id are percent-encoded as one path segment each.
#[utoipa::path(
    get, path = "/events/{source}/{id}", tag = "events",
    params(
        ("source" = String, Path, description = "Source of the event, percent-encoded."),
        ("id" = String, Path, description = "Id of the event, percent-encoded."),
    ),
    responses(
        (status = 200, description = "Its story.", body = EventStory),
        (status = 404, description = "No such event was taken in, or the engine keeps it no longer.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn get(
    State(decider): State<Decider>,
    Path((source, id)): Path<(String, String)>,
) -> Result<Json<EventStory>, Problem> {
    let story = tell(&decider.client, &decider.live.get().routes, &source, &id)
        .await
        .map_err(problem_of_engine)?;
    let none = || {
        let detail = "no event of this source and id was taken in, or it was so long ago that the engine has deleted it";
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    };
    story.map(Json).ok_or_else(none)
}
