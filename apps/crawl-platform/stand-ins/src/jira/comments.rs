//! Comments.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{BOT, Refused, Shared, adf, body, properties, state, window};
use crate::control::lock;

type Parameters = Query<HashMap<String, String>>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/rest/api/3/issue/{issue}/comment", get(list).post(add))
        .route(
            "/rest/api/3/issue/{issue}/comment/{id}",
            get(one).put(change).delete(remove),
        )
        .route("/rest/api/3/comment/list", post(by_ids))
}

async fn list(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    Query(query): Parameters,
) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let issue = site.issue(&issue).ok_or_else(Refused::no_issue)?;
    let (start, size) = window(query.get("startAt"), query.get("maxResults"), 100, 100)?;
    let mut comments: Vec<_> = issue.comments.iter().collect();
    match query.get("orderBy").map(String::as_str) {
        None | Some("created" | "+created") => {}
        Some("-created") => comments.reverse(),
        Some(other) => {
            return Err(Refused::new(
                400,
                &format!("Invalid value '{other}' for parameter 'orderBy'"),
            ));
        }
    }
    let shown: Vec<_> = comments
        .iter()
        .skip(start)
        .take(size)
        .map(|comment| site.show_comment(comment, false))
        .collect();
    Ok(Json(json!({
        "startAt": start, "maxResults": size, "total": comments.len(), "comments": shown
    })))
}

async fn add(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let given = checked(&bytes)?;
    let properties = properties::from_list(&given["properties"])?;
    let mut site = lock(&site);
    let comment = site
        .add_comment(&issue, BOT, given["body"].clone(), properties)
        .ok_or_else(Refused::no_issue)?;
    comment.visibility = given.get("visibility").cloned();
    let id = comment.id;
    let shown = site.comment(id).map(|comment| site.show_comment(comment, false));
    Ok(crate::serve::answer(201, shown.unwrap_or_default()))
}

/// A comment as it may be sent.
fn checked(bytes: &[u8]) -> Result<Value, Refused> {
    let given = body(bytes)?;
    if !given.is_object() {
        return Err(Refused::new(
            400,
            "Invalid request payload. Refer to the REST API documentation and try again.",
        ));
    }
    match given.get("body") {
        None | Some(Value::Null) => Err(Refused::field("comment", "Comment body can not be empty!")),
        Some(body) if !adf::is_document(body) => Err(Refused::new(400, "INVALID_INPUT")),
        Some(body) if body["content"].as_array().is_none_or(Vec::is_empty) => {
            Err(Refused::field("comment", "Comment body can not be empty!"))
        }
        Some(_) => Ok(given),
    }
}

fn no_comment(id: &str) -> Refused {
    Refused::new(404, &format!("Can not find a comment for the id: {id}."))
}

/// The number of a comment of this issue.
fn of_issue(site: &state::Site, issue: &str, id: &str) -> Result<u64, Refused> {
    let issue = site.issue(issue).ok_or_else(Refused::no_issue)?;
    let mut numbers = issue.comments.iter().map(|comment| comment.id);
    numbers
        .find(|number| number.to_string() == id)
        .ok_or_else(|| no_comment(id))
}

async fn one(
    State(site): State<Shared>,
    Path((issue, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let number = of_issue(&site, &issue, &id)?;
    let comment = site.comment(number).ok_or_else(|| no_comment(&id))?;
    let mut shown = site.show_comment(comment, false);
    let expand = query.get("expand").map(String::as_str).unwrap_or_default();
    if expand.split(',').any(|name| name == "renderedBody") {
        shown["renderedBody"] = json!(site.render(&comment.body));
    }
    Ok(Json(shown))
}

async fn change(
    State(site): State<Shared>,
    Path((issue, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let given = checked(&bytes)?;
    let new = properties::from_list(&given["properties"])?;
    let mut site = lock(&site);
    let number = of_issue(&site, &issue, &id)?;
    let comment = site.comment_mut(number).ok_or_else(|| no_comment(&id))?;
    comment.body = given["body"].clone();
    comment.properties.extend(new);
    comment.updated = state::now();
    let comment = site.comment(number).ok_or_else(|| no_comment(&id))?;
    Ok(Json(site.show_comment(comment, false)))
}

async fn remove(
    State(site): State<Shared>,
    Path((issue, id)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let mut site = lock(&site);
    let number = of_issue(&site, &issue, &id)?;
    if let Some(issue) = site.issue_mut(&issue) {
        issue.comments.retain(|comment| comment.id != number);
    }
    Ok(http::StatusCode::NO_CONTENT.into_response())
}

async fn by_ids(
    State(site): State<Shared>,
    Query(query): Parameters,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let given = body(&bytes)?;
    let ids = given["ids"].as_array().filter(|ids| ids.len() <= 1_000);
    let ids =
        ids.ok_or_else(|| Refused::new(400, "The field 'ids' is required, with at most 1000 of them."))?;
    let expand = query.get("expand").map(String::as_str).unwrap_or_default();
    let with_properties = expand.split(',').any(|name| name == "properties");
    let site = lock(&site);
    let found = ids
        .iter()
        .filter_map(Value::as_u64)
        .filter_map(|id| site.comment(id));
    let values: Vec<_> = found
        .map(|comment| site.show_comment(comment, with_properties))
        .collect();
    Ok(Json(json!({
        "startAt": 0, "maxResults": values.len().max(50), "total": values.len(), "isLast": true, "values": values
    })))
}
