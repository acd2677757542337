//! The HTTP API.
//!
//! | request | does | event |
//! |---|---|---|
//! | `POST /profiles` | makes a profile, and its user | |
//! | `PATCH /profiles/{id}` | changes one | `profile.updated` |
//! | `PATCH /users/{id}` | changes a user | `user.updated` |
//! | `POST /families` | makes a family | `family.created` |
//! | `PUT`, `DELETE /families/{id}/members/{profile}` | adds a member, removes one | `family.updated` |
//! | `POST /studies` | makes a study | |
//! | `PUT`, `DELETE /studies/{id}/participants/{profile}` | who takes part | `study.participant.added`, `.removed` |
//! | `PUT /studies/{id}/answers/{user}` | a user answers | `answers.updated` |
//! | `GET /studies/{id}/answers/{profile}` | a profile's answers | |
//! | `GET /healthz` | whether everything is there | |
//!
//! A change is answered with its event's id. With `?wait=SECONDS` the answer comes when the answers that follow from it can be
//! read (`recalculated` is true), or when the time is up (false).

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, patch, post, put},
};
use segno::{Event, WaitError, Waiter};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    CONSUMER, Error, Reaction,
    changes::{Changes, NewProfile, ProfileChange, Submission},
    service::Bus,
};

/// Longest wait, in seconds.
const MAX_WAIT: u64 = 60;

/// What the API works with.
pub(crate) struct Parts {
    pub(crate) changes: Changes,
    pub(crate) waiter: Waiter,
    pub(crate) reaction: Reaction,
    pub(crate) bus: Bus,
}

type Shared = State<Arc<Parts>>;

pub(crate) fn router(parts: Parts) -> Router {
    Router::new()
        .route("/profiles", post(create_profile))
        .route("/profiles/{id}", patch(change_profile))
        .route("/users/{id}", patch(change_user))
        .route("/families", post(create_family))
        .route(
            "/families/{id}/members/{profile}",
            put(add_member).delete(remove_member),
        )
        .route("/studies", post(create_study))
        .route(
            "/studies/{id}/participants/{profile}",
            put(add_participant).delete(remove_participant),
        )
        .route("/studies/{id}/answers/{who}", put(submit).get(answers))
        .route("/healthz", get(healthz))
        .with_state(Arc::new(parts))
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Answers(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Outbox(segno_outbox::Error::Inline { .. }) => StatusCode::CONFLICT,
            Self::Database(sqlx::Error::Database(error)) if error.constraint().is_some() => {
                StatusCode::CONFLICT
            }
            Self::Database(_) | Self::Outbox(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

/// Whether to wait for what follows.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Wait {
    wait: Option<u64>,
}

impl Parts {
    /// The answer to a change.
    async fn changed(&self, event: &Event, wait: Wait) -> Response {
        let mut answer = json!({"eventId": event.id, "recalculated": self.reaction == Reaction::Inside});
        if let (Reaction::After, Some(seconds)) = (self.reaction, wait.wait) {
            let deadline = Duration::from_secs(seconds.min(MAX_WAIT));
            match self.waiter.wait_for(event, CONSUMER, deadline).await {
                Ok(()) => answer["recalculated"] = true.into(),
                // Nothing follows from it.
                Err(WaitError::NotRouted { .. }) => answer["recalculated"] = true.into(),
                Err(error) => answer["reason"] = error.to_string().into(),
            }
        }
        Json(answer).into_response()
    }
}

async fn create_profile(State(parts): Shared, Json(new): Json<NewProfile>) -> Result<Response, Error> {
    let (id, user) = parts.changes.create_profile(new).await?;
    Ok((StatusCode::CREATED, Json(json!({"id": id, "userId": user}))).into_response())
}

async fn change_profile(
    State(parts): Shared,
    Path(id): Path<i64>,
    Query(wait): Query<Wait>,
    Json(change): Json<ProfileChange>,
) -> Result<Response, Error> {
    let event = parts.changes.change_profile(id, change).await?;
    Ok(parts.changed(&event, wait).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChange {
    email: String,
}

async fn change_user(
    State(parts): Shared,
    Path(id): Path<i64>,
    Query(wait): Query<Wait>,
    Json(change): Json<UserChange>,
) -> Result<Response, Error> {
    let event = parts.changes.change_user(id, change.email).await?;
    Ok(parts.changed(&event, wait).await)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewFamily {
    id: Option<i64>,
    #[serde(default)]
    member_profile_ids: Vec<i64>,
}

async fn create_family(
    State(parts): Shared,
    Query(wait): Query<Wait>,
    Json(new): Json<NewFamily>,
) -> Result<Response, Error> {
    let (id, event) = parts
        .changes
        .create_family(new.id, &new.member_profile_ids)
        .await?;
    parts.changed(&event, wait).await;
    Ok((StatusCode::CREATED, Json(json!({"id": id, "eventId": event.id}))).into_response())
}

async fn add_member(
    State(parts): Shared,
    Path((family, profile)): Path<(i64, i64)>,
    Query(wait): Query<Wait>,
) -> Result<Response, Error> {
    let event = parts.changes.change_family(family, profile, true).await?;
    Ok(parts.changed(&event, wait).await)
}

async fn remove_member(
    State(parts): Shared,
    Path((family, profile)): Path<(i64, i64)>,
    Query(wait): Query<Wait>,
) -> Result<Response, Error> {
    let event = parts.changes.change_family(family, profile, false).await?;
    Ok(parts.changed(&event, wait).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStudy {
    id: Option<i64>,
    questions: u16,
}

async fn create_study(State(parts): Shared, Json(new): Json<NewStudy>) -> Result<Response, Error> {
    let id = parts.changes.create_study(new.id, new.questions).await?;
    Ok((StatusCode::CREATED, Json(json!({"id": id}))).into_response())
}

async fn add_participant(
    State(parts): Shared,
    Path((study, profile)): Path<(i64, i64)>,
    Query(wait): Query<Wait>,
) -> Result<Response, Error> {
    let event = parts.changes.change_participant(study, profile, true).await?;
    Ok(parts.changed(&event, wait).await)
}

async fn remove_participant(
    State(parts): Shared,
    Path((study, profile)): Path<(i64, i64)>,
    Query(wait): Query<Wait>,
) -> Result<Response, Error> {
    let event = parts.changes.change_participant(study, profile, false).await?;
    Ok(parts.changed(&event, wait).await)
}

async fn submit(
    State(parts): Shared,
    Path((study, user)): Path<(i64, i64)>,
    Query(wait): Query<Wait>,
    Json(submission): Json<Submission>,
) -> Result<Response, Error> {
    let event = parts.changes.submit(study, user, submission).await?;
    Ok(parts.changed(&event, wait).await)
}

async fn answers(
    State(parts): Shared,
    Path((study, profile)): Path<(i64, i64)>,
) -> Result<Json<Value>, Error> {
    let answers = parts.changes.answers(study, profile).await?;
    Ok(Json(
        json!({"profileId": profile, "studyId": study, "answers": answers}),
    ))
}

/// 200 if the database and the bus answer, else 500.
async fn healthz(State(parts): Shared) -> Response {
    let database = sqlx::query("SELECT 1").execute(&parts.changes.pool);
    let (database, redis) = tokio::join!(database, parts.bus.answers());
    let healthy = database.is_ok() && redis;
    let (code, status) = if healthy {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "unhealthy")
    };
    let health = json!({
        "status": status, "databaseConnected": database.is_ok(), "redisConnected": redis,
        "reaction": parts.reaction.name(),
    });
    (code, Json(health)).into_response()
}
