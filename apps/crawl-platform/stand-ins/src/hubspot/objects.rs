//! Objects.

use std::collections::{BTreeSet, HashMap};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Account, Properties, Refused, Shared, batch, error, inputs};
use crate::control::lock;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/crm/v3/objects/{kind}/batch/upsert", post(upsert))
        .route("/crm/v3/objects/{kind}/batch/read", post(read))
        .route("/crm/v3/objects/{kind}/{id}", get(one))
}

/// Kinds have numbers too.
pub(super) fn kind(account: &Account, given: &str) -> Result<String, Refused> {
    let name = match given {
        "0-1" | "contact" => "contacts",
        "0-2" | "company" => "companies",
        "0-3" | "deal" => "deals",
        "0-5" | "ticket" => "tickets",
        other => other,
    };
    if !account.objects.contains_key(name) {
        return Err(Refused::invalid(&format!(
            "Unable to infer object type from: {given}"
        )));
    }
    Ok(name.to_owned())
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refused> {
    let text = input[name].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| Refused::invalid(&format!("Some required fields were not set: [{name}]")))
}

async fn upsert(
    State(account): State<Shared>,
    Path(given): Path<String>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let (_, inputs) = inputs(&bytes)?;
    let mut account = lock(&account);
    let kind = kind(&account, &given)?;
    // What is wrong with the call as a whole is found before anything is done.
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    for input in &inputs {
        let (property, id) = (text(input, "idProperty")?, text(input, "id")?);
        if !account.is_unique(&kind, property) {
            return Err(Refused::invalid(&format!(
                "idProperty {property} is not a unique property of object type {kind}"
            )));
        }
        if !seen.insert(id.to_ascii_lowercase()) {
            return Err(Refused::invalid(&format!(
                "Duplicate IDs found in batch input: [{id}]. IDs must be unique"
            )));
        }
        let properties = input["properties"]
            .as_object()
            .ok_or_else(|| Refused::invalid("Some required fields were not set: [properties]"))?;
        let mut texts = Properties::new();
        for (name, value) in properties {
            let known = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !known {
                let text = format!("Property \"{name}\" does not exist");
                let mut body = error(400, "Property values were not valid");
                body["errors"] = json!([{ "message": text, "code": "PROPERTY_DOESNT_EXIST", "context": { "propertyName": [name] } }]);
                return Err(Refused(400, body));
            }
            let value = value
                .as_str()
                .ok_or_else(|| Refused::invalid(&format!("Invalid input JSON: {name} is no string")))?;
            texts.insert(name.clone(), value.to_owned());
        }
        checked.push((property, id, texts, input["objectWriteTraceId"].as_str()));
    }
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (property, id, properties, trace) in checked {
        let email = properties.get("email").map(String::as_str);
        let email = email.or((property == "email").then_some(id));
        if kind == "contacts" && email.is_some_and(|email| !is_email(email)) {
            let mut problem = super::problem(
                "VALIDATION_ERROR",
                &format!("Email address {} is invalid", email.unwrap_or_default()),
            );
            problem["context"] = json!({ "objectWriteTraceId": trace.into_iter().collect::<Vec<_>>() });
            errors.push(problem);
            continue;
        }
        let (id, new) = account.upsert(&kind, property, id, properties);
        let mut shown = account.show(&kind, id, None);
        shown["new"] = json!(new);
        if let Some(trace) = trace {
            shown["objectWriteTraceId"] = json!(trace);
        }
        results.push(shown);
    }
    Ok(batch(&results, &errors, 200))
}

/// As much of an address as the service looks at.
fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, domain)| {
        !name.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace)
    })
}

async fn read(
    State(account): State<Shared>,
    Path(given): Path<String>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let (body, inputs) = inputs(&bytes)?;
    let account = lock(&account);
    let kind = kind(&account, &given)?;
    let property = body["idProperty"].as_str();
    if let Some(property) = property.filter(|property| !account.is_unique(&kind, property)) {
        return Err(Refused::invalid(&format!(
            "idProperty {property} is not a unique property of object type {kind}"
        )));
    }
    let names = body["properties"].as_array().cloned().unwrap_or_default();
    let wanted: Vec<_> = names
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let (mut results, mut missing) = (Vec::new(), Vec::new());
    for input in &inputs {
        let id = text(input, "id")?;
        match account.find(&kind, property, id) {
            Some(id) => results.push(account.show(&kind, id, Some(&wanted))),
            None => missing.push(id),
        }
    }
    let mut errors = Vec::new();
    if !missing.is_empty() {
        let mut problem = super::problem(
            "OBJECT_NOT_FOUND",
            &format!(
                "Could not get some {} objects, they may be deleted or not exist.",
                kind.to_uppercase()
            ),
        );
        problem["context"] = json!({ "ids": missing });
        errors.push(problem);
    }
    Ok(batch(&results, &errors, 200))
}

async fn one(
    State(account): State<Shared>,
    Path((given, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refused> {
    let account = lock(&account);
    let kind = kind(&account, &given)?;
    let found = account.find(&kind, query.get("idProperty").map(String::as_str), &id);
    let found = found.ok_or_else(|| Refused(404, error(404, "resource not found")))?;
    let wanted = query
        .get("properties")
        .map(|names| names.split(',').map(str::to_owned).collect::<Vec<_>>());
    Ok(Json(account.show(&kind, found, wanted.as_deref())))
}
