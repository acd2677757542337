//! `POST /config/reload`.

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};

use super::problem::{MEDIA_TYPE, Mistake, Problem};
use crate::reload::{Error, Reloaded, Reloader};

/// The routes of this file.
pub(super) fn router(reloader: Reloader) -> Router {
    Router::new()
        .route("/config/reload", post(reload))
        .with_state(reloader)
}

/// Takes on what the configuration file says now: routes, sinks, schemas, schedules and limits.
///
/// What was taken in before goes on as it was planned. With a mistake in the file nothing changes. Of several processes each is
/// to be told.
#[utoipa::path(
    post, path = "/config/reload", tag = "configuration",
    responses(
        (status = 200, description = "It is taken on; an empty answer says that nothing has changed.", body = Reloaded),
        (status = 409, description = "The process was started without a configuration file.", body = Problem,
         content_type = MEDIA_TYPE),
        (status = 422, description = "Nothing has changed; `errors` names each mistake with its code.", body = Problem,
         content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn reload(State(reloader): State<Reloader>) -> Result<Json<Reloaded>, Problem> {
    reloader.reload().await.map(Json).map_err(|error| {
        let (status, code) = match &error {
            Error::NoFile => (StatusCode::CONFLICT, "no-configuration-file"),
            Error::Mistakes(_) | Error::Refused(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-configuration")
            }
        };
        let lines = error.lines();
        let detail = format!("nothing has changed: {}", lines.join("; "));
        let mistakes = lines.into_iter().map(|rule| Mistake {
            event: None,
            attribute: None,
            path: None,
            rule,
        });
        Problem::new(status, code, detail).with_errors(mistakes.collect())
    })
}
