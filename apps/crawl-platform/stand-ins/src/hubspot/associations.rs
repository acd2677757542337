//! Associations without a label.

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{post, put},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Account, Refused, Shared, batch, inputs, objects::kind};
use crate::control::lock;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(
            "/crm/v4/associations/{from}/{to}/batch/associate/default",
            post(associate),
        )
        .route("/crm/v4/associations/{from}/{to}/batch/read", post(read))
        .route(
            "/crm/v4/objects/{from}/{id}/associations/default/{to}/{other}",
            put(associate_one),
        )
}

/// Associates two objects, both ways; the answer's entries.
fn add(account: &mut Account, from: &(String, u64), to: &(String, u64)) -> [Value; 2] {
    let entry =
        |(kind, id): &(String, u64), (to_kind, to): &(String, u64)| (kind.clone(), *id, to_kind.clone(), *to);
    account.associations.extend([entry(from, to), entry(to, from)]);
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
            .filter(|(kind, one, to_kind, _)| *kind == from && one.to_string() == id && *to_kind == to)
            .map(|(_, _, _, other)| {
                let number = type_number(&from, &to);
                json!({
                    "toObjectId": other.to_string(),
                    "associationTypes": [{ "category": "HUBSPOT_DEFINED", "typeId": number, "label": null }]
                })
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
