//! What is done to records.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Record, Refused};

/// Largest record, in bytes of JSON.
const LARGEST: usize = 100_000;

type Index = BTreeMap<String, Record>;

/// The object in a body.
pub(super) fn object(body: &Value) -> Result<Record, Refused> {
    let object = body.as_object().cloned();
    object.ok_or_else(|| Refused::invalid("Invalid object: the body has to be a JSON object"))
}

fn check(record: &Record) -> Result<(), Refused> {
    let size = serde_json::to_string(record).map_or(0, |text| text.len());
    if size > LARGEST {
        let id = record.get("objectID").cloned().unwrap_or_default();
        return Err(Refused::invalid(format!(
            "Record at the position 0 objectID={id} is too big size={size}/{LARGEST} bytes"
        )));
    }
    Ok(())
}

pub(super) fn save(index: &mut Index, id: &str, mut record: Record) -> Result<(), Refused> {
    record.insert("objectID".to_owned(), json!(id));
    check(&record)?;
    index.insert(id.to_owned(), record);
    Ok(())
}

/// Sets attributes. What is not there is made, or left alone.
pub(super) fn partial(index: &mut Index, id: &str, attributes: &Record, create: bool) -> Result<(), Refused> {
    if let Some((name, _)) = attributes
        .iter()
        .find(|(_, value)| value.get("_operation").is_some())
    {
        return Err(Refused::invalid(format!(
            "{name}: operations on attributes are not taken here"
        )));
    }
    let mut record = match index.get(id) {
        Some(record) => record.clone(),
        None if create => Record::new(),
        None => return Ok(()),
    };
    record.extend(attributes.clone());
    save(index, id, record)
}

/// One operation of a batch. The id of its record.
pub(super) fn operate(index: &mut Index, request: &Value) -> Result<String, Refused> {
    let action = request["action"]
        .as_str()
        .ok_or_else(|| Refused::invalid("Missing mandatory attribute `action`"))?;
    let body = object(&request["body"])?;
    let given = body.get("objectID").and_then(Value::as_str).map(str::to_owned);
    let id = match (given, action) {
        (Some(id), _) => id,
        (None, "addObject") => uuid::Uuid::new_v4().simple().to_string(),
        (None, _) => return Err(Refused::invalid("Invalid object: objectID is missing")),
    };
    match action {
        "addObject" | "updateObject" => save(index, &id, body)?,
        "partialUpdateObject" => partial(index, &id, &body, true)?,
        "partialUpdateObjectNoCreate" => partial(index, &id, &body, false)?,
        "deleteObject" => {
            index.remove(&id);
        }
        other => return Err(Refused::invalid(format!("Invalid action {other}"))),
    }
    Ok(id)
}

/// A record with these attributes, or with all.
pub(super) fn show(record: &Record, wanted: Option<&[String]>) -> Value {
    let Some(wanted) = wanted.filter(|wanted| !wanted.iter().any(|name| name == "*")) else {
        return Value::Object(record.clone());
    };
    let kept = record
        .iter()
        .filter(|(name, _)| *name == "objectID" || wanted.contains(name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Whether every word is at the beginning of one in some text of the record.
pub(super) fn matches(value: &Value, words: &[String]) -> bool {
    let mut texts = Vec::new();
    gather(value, &mut texts);
    words
        .iter()
        .all(|word| texts.iter().any(|text| text.starts_with(word)))
}

fn gather(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let lower = text.to_lowercase();
            into.extend(lower.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        }
        Value::Array(list) => list.iter().for_each(|value| gather(value, into)),
        Value::Object(object) => object.values().for_each(|value| gather(value, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_does_what_it_says() {
        let mut index = Index::new();
        let mut operate = |action: &str, body: Value| {
            super::operate(&mut index, &json!({ "action": action, "body": body }))
                .map_err(|refused| refused.1)
        };
        operate("updateObject", json!({ "objectID": "1", "a": 1, "b": 1 })).unwrap();
        operate("partialUpdateObject", json!({ "objectID": "1", "b": 2 })).unwrap();
        operate("partialUpdateObject", json!({ "objectID": "2", "b": 3 })).unwrap();
        operate("partialUpdateObjectNoCreate", json!({ "objectID": "3", "b": 3 })).unwrap();
        operate("updateObject", json!({ "objectID": "4" })).unwrap();
        operate("deleteObject", json!({ "objectID": "4" })).unwrap();
        assert!(
            operate("updateObject", json!({ "a": 1 }))
                .unwrap_err()
                .contains("objectID")
        );
        assert!(
            operate("explode", json!({ "objectID": "1" }))
                .unwrap_err()
                .contains("explode")
        );
        let large = json!({ "objectID": "1", "a": "x".repeat(LARGEST) });
        assert!(operate("updateObject", large).unwrap_err().contains("too big"));
        let left: Vec<_> = index.values().map(|record| show(record, None)).collect();
        assert_eq!(
            left,
            [
                json!({ "objectID": "1", "a": 1, "b": 2 }),
                json!({ "objectID": "2", "b": 3 })
            ]
        );
        assert!(matches(
            &json!({ "a": ["Blue whale"] }),
            &["whal".to_owned(), "blue".to_owned()]
        ));
        assert!(!matches(&json!({ "a": ["Blue whale"] }), &["hale".to_owned()]));
    }
}
