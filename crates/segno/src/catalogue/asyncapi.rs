//! The catalogue as an [AsyncAPI 3.0](https://www.asyncapi.com/docs/reference/specification/v3.0.0) document: a channel and
//! a message for each type of event, and the operation that receives it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Catalogue, Type};

/// The dialect of a schema that names none, as in validation.
const DIALECT: &str = "2020-12";

/// The document.
pub(crate) fn document(catalogue: &Catalogue) -> Value {
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    let mut taken = BTreeSet::new();
    for ty in &catalogue.types {
        let name = name(&ty.ty, &mut taken);
        channels.insert(
            name.clone(),
            json!({
                "address": ty.ty,
                "title": ty.ty,
                "messages": { "event": { "$ref": format!("#/components/messages/{name}") } },
            }),
        );
        operations.insert(format!("receive.{name}"), operation(ty, &name));
        messages.insert(name, message(ty));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Segno",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The events that are taken in: CloudEvents 1.0, over HTTP at POST /events.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages },
    })
}

fn operation(ty: &Type, name: &str) -> Value {
    let summary = match ty.routes.as_slice() {
        [] => "No route takes it.".to_owned(),
        routes => format!("Taken by {}.", routes.join(", ")),
    };
    json!({
        "action": "receive",
        "summary": summary,
        "channel": { "$ref": format!("#/channels/{name}") },
        "messages": [{ "$ref": format!("#/channels/{name}/messages/event") }],
    })
}

fn message(ty: &Type) -> Value {
    let mut message = json!({
        "name": ty.ty,
        "title": ty.ty,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "description": "The event's attributes, as in CloudEvents' binary mode.",
            "required": ["ce-specversion", "ce-id", "ce-source", "ce-type"],
            "properties": {
                "ce-specversion": { "type": "string", "const": "1.0" },
                "ce-id": { "type": "string", "minLength": 1 },
                "ce-source": { "type": "string", "format": "uri-reference", "minLength": 1 },
                "ce-type": { "type": "string", "const": ty.ty },
                "ce-subject": { "type": "string" },
                "ce-time": { "type": "string", "format": "date-time" },
            },
        },
    });
    if let Some(description) = &ty.description {
        message["description"] = json!(description);
    }
    if let Some(schema) = &ty.schema {
        message["payload"] = json!({
            "schemaFormat": format!("application/schema+json;version=draft-{}", dialect(schema)),
            "schema": schema,
        });
    }
    if !ty.examples.is_empty() {
        let examples: Vec<_> = ty
            .examples
            .iter()
            .map(|data| json!({ "payload": data }))
            .collect();
        message["examples"] = json!(examples);
    }
    message
}

/// What a schema says of its dialect.
fn dialect(schema: &Value) -> &'static str {
    let named = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    ["2019-09", "07", "06", "04"]
        .into_iter()
        .find(|dialect| {
            named.contains(&format!("draft-{dialect}")) || named.contains(&format!("draft/{dialect}"))
        })
        .unwrap_or(DIALECT)
}

/// An event type as a name in the document, of which there are fewer characters: distinct types have distinct names.
fn name(ty: &str, taken: &mut BTreeSet<String>) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let plain: String = ty.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let mut name = plain.clone();
    let mut n = 1;
    while !taken.insert(name.clone()) {
        n += 1;
        name = format!("{plain}_{n}");
    }
    name
}

#[cfg(test)]
mod tests {
    use segno_event::TypePattern;
    use segno_routing::{Handler, Route, Routes, Timing};

    use super::*;
    use crate::catalogue::{Schema, Schemas};

    fn catalogue() -> Catalogue {
        let route = |name: &str, on: &[&str]| Route {
            name: name.to_owned(),
            on: on
                .iter()
                .map(|pattern| pattern.parse::<TypePattern>().unwrap())
                .collect(),
            when: None,
            handler: Handler::Consumer {
                name: "c".to_owned(),
                retry: Default::default(),
            },
            flow: None,
            timing: Timing::default(),
        };
        let routes = Routes::new(vec![
            route("a", &["order.*", "user/created"]),
            route("b", &["user:created"]),
        ]);
        let schema = json!({"type": "object", "description": "An order.", "properties": {"total": {"type": "number"}}});
        let order = Schema::new("order.placed", schema)
            .unwrap()
            .with_examples(vec![json!({"total": 1})]);
        let old = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"});
        let old = Schema::new("old", old).unwrap();
        Catalogue::new(&routes.unwrap(), &Schemas::from_iter([order, old]))
    }

    #[test]
    fn every_type_has_a_channel_of_its_own() {
        let document = document(&catalogue());
        let channels = document["channels"].as_object().unwrap();
        let addresses: Vec<_> = channels
            .values()
            .map(|channel| channel["address"].as_str().unwrap())
            .collect();
        assert_eq!(addresses, ["old", "order.placed", "user/created", "user:created"]);
        assert!(channels.contains_key("user_created") && channels.contains_key("user_created_2"));
        // Every reference leads somewhere.
        for operation in document["operations"].as_object().unwrap().values() {
            for reference in [&operation["channel"]["$ref"], &operation["messages"][0]["$ref"]] {
                let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        }
        let message = &document["components"]["messages"]["order.placed"];
        assert_eq!(message["description"], "An order.");
        assert_eq!(
            message["payload"]["schemaFormat"],
            "application/schema+json;version=draft-2020-12"
        );
        assert_eq!(message["examples"][0]["payload"]["total"], 1);
        let old = &document["components"]["messages"]["old"];
        assert_eq!(
            old["payload"]["schemaFormat"],
            "application/schema+json;version=draft-07"
        );
        assert_eq!(
            document["operations"]["receive.order.placed"]["summary"],
            "Taken by a."
        );
    }

    /// Against the official schema, a file that `./test` fetches.
    #[test]
    fn the_document_fits_the_official_schema() {
        let Some(path) = std::env::var_os("SEGNO_TEST_ASYNCAPI_SCHEMA") else {
            assert!(
                std::env::var_os("CI").is_none(),
                "SEGNO_TEST_ASYNCAPI_SCHEMA is not set"
            );
            return;
        };
        let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors = |document: &Value| {
            let errors = validator.iter_errors(document);
            errors
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect::<Vec<_>>()
        };
        assert_eq!(errors(&document(&catalogue())), Vec::<String>::new());
        let empty = Catalogue {
            types: Vec::new(),
            routes: Vec::new(),
        };
        assert_eq!(errors(&document(&empty)), Vec::<String>::new());
        // It does say no.
        assert!(!errors(&json!({"asyncapi": "3.0.0"})).is_empty());
    }
}
