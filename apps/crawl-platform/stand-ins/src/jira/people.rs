//! Accounts, watchers, participants.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    BOT, Refused, Shared, body,
    state::{Issue, ProjectKind, Site},
    window,
};
use crate::control::lock;

type Parameters = Query<HashMap<String, String>>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/rest/api/3/myself", get(myself))
        .route("/rest/api/3/user", get(user))
        .route("/rest/api/3/user/search", get(search))
        .route(
            "/rest/api/3/issue/{issue}/watchers",
            get(watchers).post(watch).delete(unwatch),
        )
        .route(
            "/rest/servicedeskapi/request/{issue}/participant",
            get(participants).post(participate),
        )
}

async fn myself(State(site): State<Shared>) -> Json<Value> {
    Json(lock(&site).show_user(BOT))
}

async fn user(State(site): State<Shared>, Query(query): Parameters) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let account = query
        .get("accountId")
        .ok_or_else(|| Refused::new(400, "The query parameter 'accountId' is required."))?;
    let user = site.users.get(account);
    let user = user.ok_or_else(|| {
        Refused::new(
            404,
            "Specified user does not exist or you do not have permission.",
        )
    })?;
    Ok(Json(json!(user)))
}

async fn search(State(site): State<Shared>, Query(query): Parameters) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let wanted = query.get("query").map(|query| query.to_lowercase());
    let wanted = wanted.ok_or_else(|| Refused::new(400, "The query parameter 'query' is required."))?;
    let (start, size) = window(query.get("startAt"), query.get("maxResults"), 50, 1_000)?;
    let fits = |text: &str| text.to_lowercase().starts_with(&wanted);
    let found = site
        .users
        .values()
        .filter(|user| fits(&user.display_name) || user.email_address.as_deref().is_some_and(fits));
    Ok(Json(
        found.skip(start).take(size).map(|user| json!(user)).collect(),
    ))
}

async fn watchers(State(site): State<Shared>, Path(issue): Path<String>) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let issue = site.issue(&issue).ok_or_else(Refused::no_issue)?;
    let watchers: Vec<_> = issue
        .watchers
        .iter()
        .map(|account| site.show_user(account))
        .collect();
    Ok(Json(json!({
        "watchCount": watchers.len(), "isWatching": issue.watchers.iter().any(|account| account == BOT),
        "watchers": watchers,
    })))
}

async fn watch(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    // Without a body, the account itself.
    let account = match bytes.is_empty() {
        true => BOT.to_owned(),
        false => match body(&bytes)? {
            Value::String(account) => account,
            _ => return Err(Refused::new(400, "The account ID is a text.")),
        },
    };
    let mut site = lock(&site);
    if !site.users.contains_key(&account) {
        return Err(Refused::new(404, &format!("The user {account} does not exist.")));
    }
    site.issue_mut(&issue)
        .ok_or_else(Refused::no_issue)?
        .watch(&account);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn unwatch(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refused> {
    let account = query.get("accountId").map_or(BOT, String::as_str).to_owned();
    let mut site = lock(&site);
    let issue = site.issue_mut(&issue).ok_or_else(Refused::no_issue)?;
    issue.watchers.retain(|other| *other != account);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The error of the service desk's API.
fn desk(status: u16, text: &str) -> Refused {
    Refused(
        status,
        json!({ "errorMessage": text, "i18nErrorMessage": { "i18nKey": "sd.error", "parameters": [] } }),
    )
}

/// A request of a service desk.
fn request<'a>(site: &'a Site, issue: &str) -> Result<&'a Issue, Refused> {
    let found = site.issue(issue);
    found
        .filter(|issue| site.kind(issue) == ProjectKind::ServiceDesk)
        .ok_or_else(|| {
            desk(
                404,
                "The request does not exist or you do not have permission to view it.",
            )
        })
}

async fn participants(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    Query(query): Parameters,
) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let (start, size) = window(query.get("start"), query.get("limit"), 50, 50)?;
    Ok(Json(page(&site, request(&site, &issue)?, start, size)))
}

fn page(site: &Site, request: &Issue, start: usize, size: usize) -> Value {
    let all = &request.participants;
    let values: Vec<_> = all
        .iter()
        .skip(start)
        .take(size)
        .map(|account| {
            let mut user = site.show_user(account);
            if let Some(user) = user.as_object_mut() {
                user.remove("accountType");
                user.insert("timeZone".to_owned(), json!("Etc/UTC"));
            }
            user
        })
        .collect();
    let last = start + values.len() >= all.len();
    json!({ "size": values.len(), "start": start, "limit": size, "isLastPage": last, "values": values })
}

async fn participate(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let given = body(&bytes)?;
    let accounts = given["accountIds"]
        .as_array()
        .ok_or_else(|| desk(400, "accountIds is required"))?;
    let mut site = lock(&site);
    request(&site, &issue)?;
    let mut known = Vec::new();
    for account in accounts {
        let account = account.as_str().unwrap_or_default();
        if !site.users.contains_key(account) {
            return Err(desk(400, &format!("User does not exist: {account}")));
        }
        known.push(account.to_owned());
    }
    if let Some(issue) = site.issue_mut(&issue) {
        for account in &known {
            issue.participate(account);
        }
    }
    Ok(Json(page(&site, request(&site, &issue)?, 0, 50)))
}
