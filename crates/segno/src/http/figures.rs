//! `/overview` and `/live`: everything in some figures, once or again and again.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use futures::{Stream, stream};

use super::{
    executions::problem_of_engine,
    problem::{MEDIA_TYPE, Problem},
};
use crate::overview::{
    Overview,
    broadcast::{Broadcast, Told},
};

/// Streams at once: each is a connection that stays.
const MAX_STREAMS: usize = 200;
/// How often a stream that has nothing to say shows that it is there.
const ALIVE: Duration = Duration::from_secs(15);

/// The routes of this file.
pub(super) fn router(figures: Broadcast) -> Router {
    Router::new()
        .route("/overview", get(overview))
        .route("/live", get(stream_of))
        .with_state(figures)
}

/// Tells the state of everything in some figures.
#[utoipa::path(
    get, path = "/overview", tag = "overview",
    responses(
        (status = 200, description = "The figures.", body = Overview),
        (status = 503, description = "The engine does not answer.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn overview(State(figures): State<Broadcast>) -> Result<Json<Overview>, Problem> {
    figures.now().await.map(Json).map_err(problem_of_engine)
}

/// Tells the figures of `/overview` about once a second, as server-sent events.
///
/// An event of type `overview` has them as its data. One of type `unavailable` says, as a JSON text, why the engine does not
/// give them; the stream goes on.
#[utoipa::path(
    get, path = "/live", tag = "overview",
    responses(
        (status = 200, description = "The stream.", body = String, content_type = "text/event-stream"),
        (status = 429, description = "As many streams as this process serves are open.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn stream_of(
    State(figures): State<Broadcast>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    if figures.lookers() >= MAX_STREAMS {
        let detail = "as many live streams as this process serves are open";
        return Err(
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).retry_after(ALIVE),
        );
    }
    let stopping = figures.stopping();
    let events = stream::unfold((figures.look(), stopping), |(mut looking, stopping)| async move {
        loop {
            stopping.run_until_cancelled(looking.changed()).await?.ok()?;
            let told = looking.borrow_and_update().clone();
            let Some(told) = told else { continue };
            let (name, data) = match &*told {
                Told::Overview(overview) => ("overview", serde_json::to_string(overview)),
                Told::Unavailable(why) => ("unavailable", serde_json::to_string(why)),
            };
            let event = Event::default().event(name).data(data.unwrap_or_default());
            return Some((Ok(event), (looking, stopping)));
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)))
}
