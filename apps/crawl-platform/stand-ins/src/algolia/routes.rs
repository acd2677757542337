//! The paths.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post, put},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Refused, Shared, now, records};
use crate::control::lock;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/1/indexes/{index}", post(add))
        .route("/1/indexes/{index}/batch", post(batch))
        .route("/1/indexes/{index}/objects", post(several))
        .route("/1/indexes/{index}/query", post(query))
        .route("/1/indexes/{index}/task/{task}", get(task))
        .route("/1/indexes/{index}/{id}", put(save).get(one).delete(delete))
        .route("/1/indexes/{index}/{id}/partial", post(partial))
}

fn body(bytes: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(bytes).map_err(|error| Refused::invalid(format!("Invalid JSON: {error}")))
}

async fn add(
    State(application): State<Shared>,
    Path(index): Path<String>,
    bytes: Bytes,
) -> Result<(http::StatusCode, Json<Value>), Refused> {
    let request = json!({ "action": "addObject", "body": body(&bytes)? });
    let mut application = lock(&application);
    let id = records::operate(application.indices.entry(index).or_default(), &request)?;
    let task = application.next_task();
    let answer = json!({ "objectID": id, "taskID": task, "createdAt": now() });
    Ok((http::StatusCode::CREATED, Json(answer)))
}

async fn save(
    State(application): State<Shared>,
    Path((index, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let record = records::object(&body(&bytes)?)?;
    let mut application = lock(&application);
    records::save(application.indices.entry(index).or_default(), &id, record)?;
    let task = application.next_task();
    Ok(Json(
        json!({ "objectID": id, "taskID": task, "updatedAt": now() }),
    ))
}

async fn partial(
    State(application): State<Shared>,
    Path((index, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let attributes = records::object(&body(&bytes)?)?;
    let create = match query.get("createIfNotExists").map(String::as_str) {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => {
            return Err(Refused::invalid(format!(
                "createIfNotExists is no boolean: {other}"
            )));
        }
    };
    let mut application = lock(&application);
    records::partial(
        application.indices.entry(index).or_default(),
        &id,
        &attributes,
        create,
    )?;
    let task = application.next_task();
    Ok(Json(
        json!({ "objectID": id, "taskID": task, "updatedAt": now() }),
    ))
}

async fn delete(State(application): State<Shared>, Path((index, id)): Path<(String, String)>) -> Json<Value> {
    let mut application = lock(&application);
    if let Some(records) = application.indices.get_mut(&index) {
        records.remove(&id);
    }
    let task = application.next_task();
    Json(json!({ "taskID": task, "deletedAt": now() }))
}

fn no_index(index: &str) -> Refused {
    Refused(404, format!("Index {index} does not exist"))
}

async fn one(
    State(application): State<Shared>,
    Path((index, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refused> {
    let application = lock(&application);
    let records = application.indices.get(&index).ok_or_else(|| no_index(&index))?;
    let record = records.get(&id);
    let record = record.ok_or_else(|| Refused(404, "ObjectID does not exist".to_owned()))?;
    let wanted = query.get("attributesToRetrieve");
    let wanted = wanted.map(|names| names.split(',').map(str::to_owned).collect::<Vec<_>>());
    Ok(Json(records::show(record, wanted.as_deref())))
}

async fn batch(
    State(application): State<Shared>,
    Path(index): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let body = body(&bytes)?;
    let requests = body["requests"]
        .as_array()
        .ok_or_else(|| Refused::invalid("Missing mandatory attribute `requests`"))?;
    let mut application = lock(&application);
    // All of it or nothing.
    let mut changed = application.indices.get(&index).cloned().unwrap_or_default();
    let ids = requests
        .iter()
        .map(|request| records::operate(&mut changed, request));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    application.indices.insert(index, changed);
    let task = application.next_task();
    Ok(Json(json!({ "taskID": task, "objectIDs": ids })))
}

/// Of any indices: the path's is `*`.
async fn several(
    State(application): State<Shared>,
    Path(index): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    if index != "*" {
        return Err(Refused(404, "no such endpoint".to_owned()));
    }
    let body = body(&bytes)?;
    let requests = body["requests"]
        .as_array()
        .ok_or_else(|| Refused::invalid("Missing mandatory attribute `requests`"))?;
    let application = lock(&application);
    let mut results = Vec::new();
    for request in requests {
        let (Some(index), Some(id)) = (request["indexName"].as_str(), request["objectID"].as_str()) else {
            return Err(Refused::invalid(
                "Missing mandatory attributes `indexName` and `objectID`",
            ));
        };
        let record = application.indices.get(index).and_then(|records| records.get(id));
        results.push(record.map_or(Value::Null, |record| records::show(record, None)));
    }
    Ok(Json(json!({ "results": results })))
}

async fn query(
    State(application): State<Shared>,
    Path(index): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let body = if bytes.is_empty() {
        json!({})
    } else {
        body(&bytes)?
    };
    let number = |name: &str, default: u64| {
        let number = body[name].as_u64().unwrap_or(default);
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let (page, size) = (number("page", 0), number("hitsPerPage", 20).clamp(1, 1_000));
    let text = body["query"].as_str().unwrap_or_default();
    let words: Vec<_> = text
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let application = lock(&application);
    let records = application.indices.get(&index).ok_or_else(|| no_index(&index))?;
    let found: Vec<_> = records
        .values()
        .map(|record| records::show(record, None))
        .filter(|record| records::matches(record, &words))
        .collect();
    let hits: Vec<_> = found.iter().skip(page.saturating_mul(size)).take(size).collect();
    Ok(Json(json!({
        "hits": hits, "nbHits": found.len(), "page": page, "nbPages": found.len().div_ceil(size),
        "hitsPerPage": size, "query": text, "params": "", "processingTimeMS": 1,
    })))
}

async fn task(
    State(application): State<Shared>,
    Path((_, task)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let mut application = lock(&application);
    let known = task
        .parse::<i64>()
        .ok()
        .filter(|task| (1..=application.last_task).contains(task));
    let task = known.ok_or_else(|| Refused::invalid("Invalid task ID"))?;
    let times = application.asked.entry(task).or_default();
    *times += 1;
    let status = if *times > 1 { "published" } else { "notPublished" };
    Ok(Json(json!({ "status": status, "pendingTask": *times <= 1 })))
}
