//! Answers as those may see them who are no administrators.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::future;
use percent_encoding::percent_decode_str;
use segno_event::Event;
use serde_json::Value;
use temporalio_client::{
    Client,
    tonic::{Code, Status},
};
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;

use super::problem::Problem;
use crate::{
    access::{Role, Signed},
    live::Live,
    redact::{MASK, Rules},
    run,
};

/// Descriptions, which have no event in them.
const DESCRIPTIONS: [&str; 4] = ["/openapi.json", "/asyncapi.json", "/catalogue", "/metrics"];
/// A page of a history has not always the event that it is about.
const HISTORY: &str = "/executions/{workflow_id}/history";
/// The list of dead letters has the texts of their failures, and not their events.
const LETTERS: &str = "/dead-letters";
/// Events that are read side by side.
const AT_ONCE: usize = 16;

/// What the layer works with.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) live: Live,
}

/// Blots out of answers what rules say, unless an administrator asks.
pub(super) async fn mask(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let rules = Arc::clone(&shared.live.get().redact);
    let signed = request.extensions().get::<Signed>();
    let sees_all = signed.is_some_and(|signed| signed.who().role == Role::Admin);
    let matched = request.extensions().get::<MatchedPath>();
    let path = matched.map_or("", MatchedPath::as_str).to_owned();
    if rules.is_empty() || sees_all || DESCRIPTIONS.contains(&path.as_str()) {
        return next.run(request).await;
    }
    let uri = request.uri().clone();
    let response = next.run(request).await;
    if !is_json(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let masked = async {
        let body = to_bytes(body, usize::MAX)
            .await
            .map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let about = match path.as_str() {
            HISTORY if parts.status.is_success() => {
                let workflow_id = uri.path().split('/').nth(2).unwrap_or_default();
                let workflow_id = percent_decode_str(workflow_id).decode_utf8_lossy().into_owned();
                let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
                let run_id = pairs.into_iter().find(|(name, _)| name == "run_id");
                let run_id = run_id.map(|(_, id)| id.into_owned()).unwrap_or_default();
                let event = event_of(&shared.client, workflow_id, run_id).await;
                event
                    .map_err(|status| status.message().to_owned())?
                    .into_iter()
                    .collect()
            }
            LETTERS => of_letters(&shared.client, &rules, &mut answer).await,
            _ => Vec::new(),
        };
        rules.mask(&mut answer, &about);
        serde_json::to_vec(&answer).map_err(|error| error.to_string())
    };
    match masked.await {
        Ok(body) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(body))
        }
        // Rather nothing than what is not to be seen.
        Err(error) => {
            tracing::error!(error, path, "an answer could not be redacted, and was not given");
            let detail = "the answer could not be redacted: ask again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-redacted", detail).into_response()
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

async fn event_of(client: &Client, workflow_id: String, run_id: String) -> Result<Option<Event>, Status> {
    match run::event_of(client, WorkflowExecution { workflow_id, run_id }).await {
        Err(status) if status.code() == Code::NotFound => Ok(None),
        other => other,
    }
}

/// The events of the letters on a page for which a rule holds.
async fn of_letters(client: &Client, rules: &Rules, answer: &mut Value) -> Vec<Event> {
    let Some(letters) = answer["dead_letters"].as_array_mut() else {
        return Vec::new();
    };
    let mut held: Vec<_> = letters
        .iter_mut()
        .filter(|letter| {
            letter["event"]["type"]
                .as_str()
                .is_some_and(|ty| rules.holds_for(ty))
        })
        .collect();
    let mut events = Vec::new();
    for some in held.chunks_mut(AT_ONCE) {
        let reads = some.iter_mut().map(|letter| of_letter(client, letter));
        events.extend(future::join_all(reads).await.into_iter().flatten());
    }
    events
}

/// The event of one. Where it cannot be read, the letter's texts are blotted out.
async fn of_letter(client: &Client, letter: &mut Value) -> Option<Event> {
    let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
    let (id, run_id) = (text("id"), text("run_id"));
    if let Ok(Some(event)) = event_of(client, id, run_id).await {
        return Some(event);
    }
    letter["error"] = MASK.into();
    for failed in letter["failed"].as_array_mut().into_iter().flatten() {
        failed["error"] = MASK.into();
    }
    None
}
