//! Issues and their transitions.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Refused, Shared, adf, body, properties, search, state};
use crate::control::lock;

/// Longest title.
const LONGEST_SUMMARY: usize = 255;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/rest/api/3/issue", post(create))
        .route("/rest/api/3/issue/{issue}", get(one).put(edit).delete(remove))
        .route(
            "/rest/api/3/issue/{issue}/transitions",
            get(transitions).post(transition),
        )
        .route("/rest/api/3/search/jql", post(search::search))
}

async fn one(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let issue = site.issue(&issue).ok_or_else(Refused::no_issue)?;
    let mut shown = site.show_issue(issue);
    keep(&mut shown, query.get("fields").map(String::as_str));
    if let Some(wanted) = query.get("properties") {
        let wanted: Vec<_> = wanted.split(',').collect();
        let properties: Map<_, _> = issue
            .properties
            .iter()
            .filter(|(key, _)| wanted.contains(&"*all") || wanted.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        shown["properties"] = Value::Object(properties);
    }
    Ok(Json(shown))
}

/// Only the fields that are wanted.
pub(super) fn keep(issue: &mut Value, wanted: Option<&str>) {
    let Some(wanted) = wanted else { return };
    let wanted: Vec<_> = wanted.split(',').map(str::trim).collect();
    if wanted.iter().any(|name| name.starts_with('*')) {
        return;
    }
    if let Some(fields) = issue["fields"].as_object_mut() {
        fields.retain(|name, _| wanted.contains(&name.as_str()));
    }
}

/// Fields as they may be set.
fn check(fields: &Map<String, Value>) -> Result<(), Refused> {
    for (name, value) in fields {
        match name.as_str() {
            "summary" => {
                let text = value.as_str().unwrap_or_default();
                if text.trim().is_empty() {
                    return Err(Refused::field(
                        "summary",
                        "You must specify a summary of the issue.",
                    ));
                }
                if text.contains(['\n', '\r']) {
                    return Err(Refused::field(
                        "summary",
                        "The summary is invalid because it contains newline characters.",
                    ));
                }
                if text.chars().count() > LONGEST_SUMMARY {
                    return Err(Refused::field(
                        "summary",
                        "Summary must be less than 255 characters.",
                    ));
                }
            }
            "description" if !value.is_null() && !adf::is_document(value) => {
                return Err(Refused::field(
                    "description",
                    "Operation value must be an Atlassian Document",
                ));
            }
            "labels" => {
                let labels = value.as_array();
                let fits = |label: &Value| {
                    label
                        .as_str()
                        .is_some_and(|label| !label.is_empty() && !label.contains(' '))
                };
                if !labels.is_some_and(|labels| labels.iter().all(fits)) {
                    return Err(Refused::field(
                        "labels",
                        "The label contains spaces which is invalid.",
                    ));
                }
            }
            "status" | "created" | "updated" | "comment" => {
                let text =
                    format!("Field '{name}' cannot be set. It is not on the appropriate screen, or unknown.");
                return Err(Refused::field(name, &text));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn create(State(site): State<Shared>, bytes: Bytes) -> Result<Response, Refused> {
    let given = body(&bytes)?;
    let mut fields = given["fields"].as_object().cloned().unwrap_or_default();
    let new = properties::from_list(&given["properties"])?;
    let mut site = lock(&site);
    let project = fields.remove("project").unwrap_or_default();
    let known = site.projects.iter().find(|(key, known)| {
        project["key"].as_str() == Some(key) || project["id"].as_str() == Some(&known.id.to_string())
    });
    let Some(project) = known.map(|(key, _)| key.clone()) else {
        return Err(Refused::field("project", "Specify a valid project ID or key"));
    };
    let issue_type = fields.remove("issuetype").unwrap_or_default();
    let Some(issue_type) = issue_type["name"].as_str() else {
        return Err(Refused::field("issuetype", "Specify a valid issue type"));
    };
    let summary = fields.get("summary").cloned().unwrap_or_default();
    fields.entry("summary").or_insert(Value::Null);
    check(&fields)?;
    let summary = summary.as_str().unwrap_or_default();
    let issue = site.add_issue(&project, issue_type, summary, Value::Object(fields));
    let (id, key) = (issue.id.to_string(), issue.key.clone());
    if let Some(issue) = site.issue_mut(&key) {
        issue.properties = new;
    }
    Ok(crate::serve::answer(
        201,
        json!({ "id": id, "key": key, "self": format!("/rest/api/3/issue/{id}") }),
    ))
}

async fn edit(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let given = body(&bytes)?;
    let fields = given["fields"].as_object().cloned().unwrap_or_default();
    let new = properties::from_list(&given["properties"])?;
    let mut site = lock(&site);
    let issue = site.issue_mut(&issue).ok_or_else(Refused::no_issue)?;
    check(&fields)?;
    issue.fields.extend(fields);
    issue.properties.extend(new);
    issue.updated = state::now();
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn remove(State(site): State<Shared>, Path(issue): Path<String>) -> Result<Response, Refused> {
    let mut site = lock(&site);
    let id = site.issue(&issue).ok_or_else(Refused::no_issue)?.id;
    site.issues.remove(&id);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// From each status to each other one.
async fn transitions(State(site): State<Shared>, Path(issue): Path<String>) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let issue = site.issue(&issue).ok_or_else(Refused::no_issue)?;
    let statuses = site.statuses(issue).into_iter().enumerate();
    let transitions: Vec<_> = statuses
        .filter(|(n, _)| *n != issue.status)
        .map(|(n, status)| json!({ "id": id(n), "name": format!("To {}", status["name"].as_str().unwrap_or_default()), "to": status }))
        .collect();
    Ok(Json(
        json!({ "expand": "transitions", "transitions": transitions }),
    ))
}

/// The id of the transition to the status at this place.
fn id(place: usize) -> String {
    (place * 10 + 11).to_string()
}

async fn transition(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let given = body(&bytes)?;
    let wanted = given["transition"]["id"]
        .as_str()
        .ok_or_else(|| Refused::new(400, "Missing 'transition' identifier"))?;
    let mut site = lock(&site);
    let known = site.issue(&issue).ok_or_else(Refused::no_issue)?;
    let count = site.statuses(known).len();
    let place = (0..count).find(|place| *place != known.status && id(*place) == wanted);
    let place = place.ok_or_else(|| {
        Refused::new(
            400,
            &format!("It seems that you have tried to perform an illegal workflow operation. Transition id '{wanted}' is not valid for this issue."),
        )
    })?;
    if let Some(issue) = site.issue_mut(&issue) {
        issue.status = place;
        issue.updated = state::now();
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
