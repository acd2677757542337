//! Objects as a table, which is what `kubectl get` asks for.

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::kinds::Kind;

/// Whether a request's `Accept` asks for tables.
pub(crate) fn wanted(accept: &str) -> bool {
    accept
        .split(',')
        .next()
        .is_some_and(|first| first.contains("as=Table") && first.contains("v=v1;"))
        || accept
            .split(',')
            .next()
            .is_some_and(|first| first.contains("as=Table") && first.ends_with("v=v1"))
}

/// The table of these objects. `columns`: whether it describes its columns, which it does once a watch.
pub(crate) fn table<'a>(
    kind: Kind,
    objects: impl Iterator<Item = &'a Value>,
    metadata: &Value,
    columns: bool,
) -> Value {
    let now = OffsetDateTime::now_utc();
    let rows = objects
        .map(|object| {
            json!({
                "cells": cells(kind, object, now),
                "object": {
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
                },
            })
        })
        .collect::<Vec<_>>();
    let definitions = names(kind)
        .iter()
        .map(|(name, priority)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({ "name": name, "type": "string", "format": format, "description": "", "priority": priority })
        })
        .collect::<Vec<_>>();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "rows": rows,
        "columnDefinitions": if columns { json!(definitions) } else { Value::Null },
    })
}

/// Columns of priority 1 are for `-o wide`.
fn names(kind: Kind) -> &'static [(&'static str, u8)] {
    match kind {
        Kind::Event => &[
            ("Last Seen", 0),
            ("Type", 0),
            ("Reason", 0),
            ("Object", 0),
            ("Message", 0),
            ("Name", 1),
        ],
        Kind::Job => &[
            ("Name", 0),
            ("Completions", 0),
            ("Duration", 0),
            ("Age", 0),
            ("Containers", 1),
            ("Images", 1),
        ],
        Kind::Namespace => &[("Name", 0), ("Status", 0), ("Age", 0)],
        Kind::Pod => &[
            ("Name", 0),
            ("Ready", 0),
            ("Status", 0),
            ("Restarts", 0),
            ("Age", 0),
            ("Node", 1),
        ],
        Kind::ServiceAccount => &[("Name", 0), ("Age", 0)],
    }
}

fn cells(kind: Kind, object: &Value, now: OffsetDateTime) -> Vec<Value> {
    let metadata = &object["metadata"];
    let (name, status) = (&metadata["name"], &object["status"]);
    let age = json!(since(&metadata["creationTimestamp"], &Value::Null, now));
    match kind {
        Kind::Event => vec![
            json!(since(&object["lastTimestamp"], &Value::Null, now)),
            object["type"].clone(),
            object["reason"].clone(),
            json!(format!(
                "{}/{}",
                text(&object["involvedObject"]["kind"]).to_lowercase(),
                text(&object["involvedObject"]["name"])
            )),
            object["message"].clone(),
            name.clone(),
        ],
        Kind::Job => {
            let containers = object["spec"]["template"]["spec"]["containers"].as_array();
            let joined = |field: &str| {
                let parts = containers
                    .into_iter()
                    .flatten()
                    .map(|one| text(&one[field]))
                    .collect::<Vec<_>>();
                json!(parts.join(","))
            };
            vec![
                name.clone(),
                json!(format!(
                    "{}/{}",
                    status["succeeded"].as_i64().unwrap_or(0),
                    object["spec"]["completions"].as_i64().unwrap_or(1)
                )),
                json!(if status["startTime"].is_null() {
                    String::new()
                } else {
                    since(&status["startTime"], &status["completionTime"], now)
                }),
                age,
                joined("name"),
                joined("image"),
            ]
        }
        Kind::Namespace => vec![name.clone(), status["phase"].clone(), age],
        Kind::Pod => {
            let containers = status["containerStatuses"].as_array().map_or(&[][..], |all| all);
            let ready = containers.iter().filter(|one| one["ready"] == true).count();
            let restarts = containers
                .iter()
                .filter_map(|one| one["restartCount"].as_i64())
                .sum::<i64>();
            let all = object["spec"]["containers"].as_array().map_or(0, Vec::len);
            vec![
                name.clone(),
                json!(format!("{ready}/{all}")),
                json!(pod_status(object)),
                json!(restarts.to_string()),
                age,
                object["spec"]["nodeName"].clone(),
            ]
        }
        Kind::ServiceAccount => vec![name.clone(), age],
    }
}

/// The word for how a pod is.
fn pod_status(pod: &Value) -> &str {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    let state = &pod["status"]["containerStatuses"][0]["state"];
    for state in ["waiting", "terminated"].map(|name| &state[name]["reason"]) {
        if let Some(reason) = state.as_str() {
            return reason;
        }
    }
    text(&pod["status"]["phase"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// How long ago, or between two times, in the unit that fits.
fn since(from: &Value, until: &Value, now: OffsetDateTime) -> String {
    let read = |value: &Value| OffsetDateTime::parse(text(value), &Rfc3339).ok();
    let Some(from) = read(from) else {
        return "<unknown>".to_owned();
    };
    let seconds = (read(until).unwrap_or(now) - from).whole_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
