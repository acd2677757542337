//! Properties of issues and comments.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Refused, Shared, body, state::Properties};
use crate::control::lock;

/// Longest key.
const LONGEST_KEY: usize = 255;
/// Longest value, in bytes of JSON.
const LONGEST_VALUE: usize = 32_768;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/rest/api/3/issue/{issue}/properties", get(keys_of_issue))
        .route(
            "/rest/api/3/issue/{issue}/properties/{key}",
            get(of_issue).put(set_of_issue).delete(remove_of_issue),
        )
        .route("/rest/api/3/comment/{id}/properties", get(keys_of_comment))
        .route(
            "/rest/api/3/comment/{id}/properties/{key}",
            get(of_comment).put(set_of_comment).delete(remove_of_comment),
        )
}

/// From a list of keys and values.
pub(super) fn from_list(list: &Value) -> Result<Properties, Refused> {
    let wrong = || {
        Refused::new(
            400,
            "Entity properties are a list of objects with 'key' and 'value'.",
        )
    };
    let mut properties = Properties::new();
    match list {
        Value::Null => {}
        Value::Array(list) => {
            for one in list {
                let key = one["key"].as_str().ok_or_else(wrong)?;
                let value = one.get("value").ok_or_else(wrong)?;
                check(key, value)?;
                properties.insert(key.to_owned(), value.clone());
            }
        }
        _ => return Err(wrong()),
    }
    Ok(properties)
}

fn check(key: &str, value: &Value) -> Result<(), Refused> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(Refused::new(
            400,
            "The property key has to be of 1 to 255 characters.",
        ));
    }
    if value.is_null() || value.to_string().len() > LONGEST_VALUE {
        return Err(Refused::new(
            400,
            "The property value has to be JSON of at most 32768 characters.",
        ));
    }
    Ok(())
}

fn keys(properties: &Properties) -> Json<Value> {
    let keys: Vec<_> = properties.keys().map(|key| json!({ "key": key })).collect();
    Json(json!({ "keys": keys }))
}

fn no_property(key: &str) -> Refused {
    Refused::new(404, &format!("The property with key {key} does not exist."))
}

fn show(properties: &Properties, key: &str) -> Result<Json<Value>, Refused> {
    let value = properties.get(key).ok_or_else(|| no_property(key))?;
    Ok(Json(json!({ "key": key, "value": value })))
}

fn set(properties: &mut Properties, key: String, bytes: &[u8]) -> Result<Response, Refused> {
    let value = body(bytes)?;
    check(&key, &value)?;
    let was = properties.insert(key, value);
    let status = if was.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(status.into_response())
}

fn remove(properties: &mut Properties, key: &str) -> Result<Response, Refused> {
    properties.remove(key).ok_or_else(|| no_property(key))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn keys_of_issue(
    State(site): State<Shared>,
    Path(issue): Path<String>,
) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    Ok(keys(
        &site.issue(&issue).ok_or_else(Refused::no_issue)?.properties,
    ))
}

async fn of_issue(
    State(site): State<Shared>,
    Path((issue, key)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    show(
        &site.issue(&issue).ok_or_else(Refused::no_issue)?.properties,
        &key,
    )
}

async fn set_of_issue(
    State(site): State<Shared>,
    Path((issue, key)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let mut site = lock(&site);
    let issue = site.issue_mut(&issue).ok_or_else(Refused::no_issue)?;
    set(&mut issue.properties, key, &bytes)
}

async fn remove_of_issue(
    State(site): State<Shared>,
    Path((issue, key)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let mut site = lock(&site);
    let issue = site.issue_mut(&issue).ok_or_else(Refused::no_issue)?;
    remove(&mut issue.properties, &key)
}

fn number(id: &str) -> Result<u64, Refused> {
    id.parse()
        .map_err(|_| Refused::new(400, "The comment ID is invalid."))
}

fn no_comment() -> Refused {
    Refused::new(404, "The comment was not found.")
}

async fn keys_of_comment(State(site): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    Ok(keys(
        &site.comment(number(&id)?).ok_or_else(no_comment)?.properties,
    ))
}

async fn of_comment(
    State(site): State<Shared>,
    Path((id, key)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    show(
        &site.comment(number(&id)?).ok_or_else(no_comment)?.properties,
        &key,
    )
}

async fn set_of_comment(
    State(site): State<Shared>,
    Path((id, key)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let mut site = lock(&site);
    let comment = site.comment_mut(number(&id)?).ok_or_else(no_comment)?;
    set(&mut comment.properties, key, &bytes)
}

async fn remove_of_comment(
    State(site): State<Shared>,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let mut site = lock(&site);
    let comment = site.comment_mut(number(&id)?).ok_or_else(no_comment)?;
    remove(&mut comment.properties, &key)
}
