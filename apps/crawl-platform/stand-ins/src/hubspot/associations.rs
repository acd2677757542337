//! Associations, with labels and without.

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Account, Label, Refused, Shared, TypeId, batch, inputs, objects::kind};
use crate::control::lock;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(
            "/crm/v4/associations/{from}/{to}/batch/associate/default",
            post(associate),
        )
        .route("/crm/v4/associations/{from}/{to}/batch/read", post(read))
        .route(
            "/crm/v4/associations/{from}/{to}/batch/create",
            post(associate_as),
        )
        .route(
            "/crm/v4/associations/{from}/{to}/batch/labels/archive",
            post(remove_labels),
        )
        .route(
            "/crm/v4/associations/{from}/{to}/labels",
            get(types).post(create_type),
        )
        .route(
            "/crm/v4/objects/{from}/{id}/associations/default/{to}/{other}",
            put(associate_one),
        )
}

/// Associates two objects, both ways; the answer's entries.
fn add(account: &mut Account, from: &(String, u64), to: &(String, u64)) -> [Value; 2] {
    let entry =
        |(kind, id): &(String, u64), (to_kind, to): &(String, u64)| (kind.clone(), *id, to_kind.clone(), *to);
    for entry in [entry(from, to), entry(to, from)] {
        account.associations.entry(entry).or_default();
    }
    let shown = |from: u64, to: u64, number: u32| {
        json!({
            "from": { "id": from.to_string() }, "to": { "id": to.to_string() },
            "associationSpec": { "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number }
        })
    };
    let number = type_number(&from.0, &to.0);
    [shown(from.1, to.1, number), shown(to.1, from.1, number + 1)]
}

/// The number of the association without a label between two kinds.
fn type_number(from: &str, to: &str) -> u32 {
    match (from, to) {
        ("contacts", "companies") => 279,
        ("companies", "contacts") => 280,
        ("tickets", "contacts") => 16,
        ("contacts", "tickets") => 15,
        _ => 450,
    }
}

fn object(account: &Account, kind: &str, id: &Value) -> Result<(String, u64), Value> {
    let text = id.as_str().unwrap_or_default();
    match account.find(kind, None, text) {
        Some(id) => Ok((kind.to_owned(), id)),
        None => {
            let mut problem = super::problem(
                "OBJECT_NOT_FOUND",
                &format!("{kind} object with id {text} does not exist"),
            );
            problem["context"] = json!({ "ids": [text] });
            Err(problem)
        }
    }
}

async fn associate(
    State(account): State<Shared>,
    Path((from, to)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let (_, inputs) = inputs(&bytes)?;
    let mut account = lock(&account);
    let (from, to) = (kind(&account, &from)?, kind(&account, &to)?);
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in &inputs {
        let one = object(&account, &from, &input["from"]["id"]);
        let other = object(&account, &to, &input["to"]["id"]);
        match (one, other) {
            (Ok(one), Ok(other)) => results.extend(add(&mut account, &one, &other)),
            (Err(problem), _) | (_, Err(problem)) => errors.push(problem),
        }
    }
    Ok(batch(&results, &errors, 200))
}

async fn associate_one(
    State(account): State<Shared>,
    Path((from, id, to, other)): Path<(String, String, String, String)>,
) -> Result<Response, Refused> {
    let mut account = lock(&account);
    let (from, to) = (kind(&account, &from)?, kind(&account, &to)?);
    let one = object(&account, &from, &json!(id)).map_err(|problem| Refused(404, problem))?;
    let other = object(&account, &to, &json!(other)).map_err(|problem| Refused(404, problem))?;
    let results = add(&mut account, &one, &other);
    Ok(batch(&results, &[], 200))
}

async fn read(
    State(account): State<Shared>,
    Path((from, to)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let (_, inputs) = inputs(&bytes)?;
    let account = lock(&account);
    let (from, to) = (kind(&account, &from)?, kind(&account, &to)?);
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in &inputs {
        let id = input["id"].as_str().unwrap_or_default();
        let others: Vec<_> = account
            .associations
            .iter()
            .filter(|((kind, one, to_kind, _), _)| *kind == from && one.to_string() == id && *to_kind == to)
            .map(|((_, _, _, other), types)| {
                let labels = account.labels.iter().filter(|label| types.contains(&label.id));
                let shown = [unlabelled(&from, &to)].into_iter().chain(labels.map(show));
                json!({ "toObjectId": other.to_string(), "associationTypes": shown.collect::<Vec<_>>() })
            })
            .collect();
        if others.is_empty() {
            let mut problem = super::problem(
                "OBJECT_NOT_FOUND",
                &format!("No {to} is associated with {from} {id}."),
            );
            problem["subCategory"] = json!("crm.associations.NO_ASSOCIATIONS_FOUND");
            problem["context"] = json!({ "fromObjectId": [id] });
            errors.push(problem);
        } else {
            results.push(json!({ "from": { "id": id }, "to": others }));
        }
    }
    Ok(batch(&results, &errors, 200))
}

const BY_SERVICE: &str = "HUBSPOT_DEFINED";
const BY_USER: &str = "USER_DEFINED";

/// The labels that every account has, as far as they are of use here.
pub(super) fn defined() -> Vec<Label> {
    let primary = |from: &str, to: &str, number: u64, inverse: u64| Label {
        from: from.to_owned(),
        to: to.to_owned(),
        id: (BY_SERVICE.to_owned(), number),
        label: "Primary".to_owned(),
        inverse: (BY_SERVICE.to_owned(), inverse),
    };
    vec![
        primary("contacts", "companies", 1, 2),
        primary("companies", "contacts", 2, 1),
    ]
}

/// Defines a label and its inverse; its number.
pub(super) fn define(account: &mut Account, from: &str, to: &str, label: &str, inverse: &str) -> u64 {
    let mine = account.labels.iter().filter(|label| label.id.0 == BY_USER);
    let number = mine.map(|label| label.id.1).max().unwrap_or_default() + 1;
    let ids = [number, number + 1].map(|number| (BY_USER.to_owned(), number));
    for (from, to, label, id, inverse) in [
        (from, to, label, &ids[0], &ids[1]),
        (to, from, inverse, &ids[1], &ids[0]),
    ] {
        account.labels.push(Label {
            from: from.to_owned(),
            to: to.to_owned(),
            id: id.clone(),
            label: label.to_owned(),
            inverse: inverse.clone(),
        });
    }
    number
}

fn unlabelled(from: &str, to: &str) -> Value {
    json!({ "category": BY_SERVICE, "typeId": type_number(from, to), "label": null })
}

fn show(label: &Label) -> Value {
    json!({ "category": label.id.0, "typeId": label.id.1, "label": label.label })
}

async fn types(
    State(account): State<Shared>,
    Path((from, to)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let account = lock(&account);
    let (from, to) = (kind(&account, &from)?, kind(&account, &to)?);
    let labels = account
        .labels
        .iter()
        .filter(|label| label.from == from && label.to == to);
    let all: Vec<_> = [unlabelled(&from, &to)]
        .into_iter()
        .chain(labels.map(show))
        .collect();
    Ok(crate::serve::answer(200, json!({ "results": all })))
}

async fn create_type(
    State(account): State<Shared>,
    Path((from, to)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let given: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Refused::invalid(&format!("Invalid input JSON: {error}")))?;
    let (Some(label), Some(_)) = (given["label"].as_str(), given["name"].as_str()) else {
        return Err(Refused::invalid(
            "Some required fields were not set: [label, name]",
        ));
    };
    let inverse = given["inverseLabel"].as_str().unwrap_or(label);
    let mut account = lock(&account);
    let (from, to) = (kind(&account, &from)?, kind(&account, &to)?);
    let number = define(&mut account, &from, &to, label, inverse);
    let made = account
        .labels
        .iter()
        .filter(|label| label.id.0 == BY_USER && label.id.1 >= number);
    let made: Vec<_> = made.map(show).collect();
    Ok(crate::serve::answer(200, json!({ "results": made })))
}

/// The types that an input names, each with its inverse and label.
fn named(account: &Account, from: &str, to: &str, input: &Value) -> Result<Vec<(TypeId, TypeId)>, Value> {
    let listed = input["types"].as_array().filter(|types| !types.is_empty());
    let missing = || super::problem("VALIDATION_ERROR", "types: at least one is required");
    let mut types = Vec::new();
    for ty in listed.ok_or_else(missing)? {
        let category = ty["associationCategory"].as_str().unwrap_or_default();
        let number = ty["associationTypeId"].as_u64().unwrap_or_default();
        let of_these = |label: &&Label| label.from == from && label.to == to;
        let mut labels = account.labels.iter().filter(of_these);
        let found = labels.find(|label| label.id.0 == category && label.id.1 == number);
        let plain = category == BY_SERVICE && number == u64::from(type_number(from, to));
        match found {
            Some(label) => types.push((label.id.clone(), label.inverse.clone())),
            None if plain => {}
            None => {
                return Err(super::problem(
                    "VALIDATION_ERROR",
                    &format!("{category} type {number} is none from {from} to {to}"),
                ));
            }
        }
    }
    Ok(types)
}

async fn associate_as(
    State(account): State<Shared>,
    Path((from, to)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let (_, inputs) = inputs(&bytes)?;
    let mut account = lock(&account);
    let (from, to) = (kind(&account, &from)?, kind(&account, &to)?);
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in &inputs {
        let one = object(&account, &from, &input["from"]["id"]);
        let other = object(&account, &to, &input["to"]["id"]);
        let types = named(&account, &from, &to, input);
        let (one, other, types) = match (one, other, types) {
            (Ok(one), Ok(other), Ok(types)) => (one, other, types),
            (Err(problem), ..) | (_, Err(problem), _) | (.., Err(problem)) => {
                errors.push(problem);
                continue;
            }
        };
        add(&mut account, &one, &other);
        for (there, back) in types {
            let entry = (one.0.clone(), one.1, other.0.clone(), other.1);
            account.associations.entry(entry).or_default().insert(there);
            let entry = (other.0.clone(), other.1, one.0.clone(), one.1);
            account.associations.entry(entry).or_default().insert(back);
        }
        let entry = (one.0.clone(), one.1, other.0.clone(), other.1);
        let now = account.associations.get(&entry);
        let labels = account
            .labels
            .iter()
            .filter(|label| now.is_some_and(|types| types.contains(&label.id)));
        results.push(json!({
            "fromObjectTypeId": from, "fromObjectId": one.1.to_string(),
            "toObjectTypeId": to, "toObjectId": other.1.to_string(),
            "labels": labels.map(|label| &label.label).collect::<Vec<_>>(),
        }));
    }
    Ok(batch(&results, &errors, 201))
}

async fn remove_labels(
    State(account): State<Shared>,
    Path((from, to)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let (_, inputs) = inputs(&bytes)?;
    let mut account = lock(&account);
    let (from, to) = (kind(&account, &from)?, kind(&account, &to)?);
    for input in &inputs {
        let types = named(&account, &from, &to, input).map_err(|problem| Refused(400, problem))?;
        let (Ok(one), Ok(other)) = (
            object(&account, &from, &input["from"]["id"]),
            object(&account, &to, &input["to"]["id"]),
        ) else {
            continue;
        };
        for (there, back) in types {
            let entry = (one.0.clone(), one.1, other.0.clone(), other.1);
            account.associations.entry(entry).or_default().remove(&there);
            let entry = (other.0.clone(), other.1, one.0.clone(), one.1);
            account.associations.entry(entry).or_default().remove(&back);
        }
    }
    Ok(http::StatusCode::NO_CONTENT.into_response())
}
