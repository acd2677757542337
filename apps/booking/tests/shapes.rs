//! What each event becomes, without a queue: the actions that are bound to it, and payloads of exactly the shapes that the
//! readers of the queues know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::collections::{BTreeMap, BTreeSet};

use segno::config::Config;
use segno_event::Event;
use segno_routing::{ActionExplanation, Handler, HandlerExplanation, Outcome, Yields, explain};
use serde_json::{Value, json};

const BINDINGS: &str = include_str!("bindings.txt");
const FAMILIES: &str = include_str!("events.json");
const GUID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// What is bound to an event, as the table has it.
#[derive(Debug, PartialEq)]
struct Binding {
    entity: String,
    /// In the order in which they run.
    actions: Vec<String>,
}

/// The table: of each event what is bound to it.
fn table() -> BTreeMap<String, Binding> {
    let rows = BINDINGS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let mut words = row.split_whitespace().map(str::to_owned);
        let (name, entity) = (words.next().unwrap(), words.next().unwrap());
        let actions = words.filter(|word| word != "-").collect();
        (name, Binding { entity, actions })
    })
    .collect()
}

/// The data of an event: its family's.
fn data_of(name: &str) -> Value {
    let families: BTreeMap<String, Value> = serde_json::from_str(FAMILIES).unwrap();
    families[name.split('.').next().unwrap()].clone()
}

/// An event of this person's doing, as the queue's codec makes it.
fn event(name: &str, actor: &str, data: Value) -> Event {
    serde_json::from_value(json!({
        "specversion": "1.0", "id": "e-1", "source": "/sources/events", "type": name, "subject": GUID,
        "time": "2030-01-01T10:00:00Z", "guid": GUID, "actor": actor, "requestid": "r-1", "data": data,
    }))
    .unwrap()
}

/// What the actions of the one route that takes this event make of it; of an event that none takes, nothing.
fn actions(config: &Config, event: &Event) -> Vec<ActionExplanation> {
    let taken = explain(&config.routes, event).routes.into_iter();
    let mut handlers: Vec<_> = taken
        .filter_map(|route| match route.outcome {
            Outcome::Matched { handler, .. } => Some(handler),
            _ => None,
        })
        .collect();
    assert!(handlers.len() <= 1, "{}: {} routes", event.ty, handlers.len());
    match handlers.pop() {
        None => Vec::new(),
        Some(HandlerExplanation::Actions { stages }) => stages.into_iter().flatten().collect(),
        Some(other) => panic!("{}: {other:?}", event.ty),
    }
}

/// Of each sink what its payloads must have, and what they may have besides.
fn shape(sink: &str) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let (required, optional) = match sink {
        "mail" => (
            "event_name entity guid fullname email template data",
            "sender_name sender_email subject attachments",
        ),
        "slack" => (
            "event_name entity guid text color username data",
            "channel title icon",
        ),
        "notification" => (
            "id type event_name entity guid fullname",
            "subject address gateway gateway_id status additional_info",
        ),
        "laure" | "delivery" | "reflex" | "leica" => ("id event_name created_at guid data", ""),
        other => panic!("there is no queue {other}"),
    };
    (
        required.split_whitespace().collect(),
        optional.split_whitespace().collect(),
    )
}

#[test]
fn every_event_is_bound_as_the_table_says() {
    let config = segno_booking::config().expect("no mistakes");
    let mut bound: BTreeMap<String, Binding> = BTreeMap::new();
    for route in config.routes.iter() {
        let Handler::Actions(actions) = &route.handler else {
            panic!("{} has no actions", route.name);
        };
        let mut sorted: Vec<_> = actions.iter().collect();
        sorted.sort_by_key(|action| action.weight);
        let entities: BTreeSet<_> = actions
            .iter()
            .map(|action| action.entity.clone().unwrap())
            .collect();
        assert_eq!(entities.len(), 1, "{}: {entities:?}", route.name);
        for action in actions {
            let is_service = ["laure", "delivery", "reflex", "leica"].contains(&action.to.as_str());
            let category = if is_service {
                "service_message"
            } else {
                "notification"
            };
            assert_eq!(
                action.category.as_deref(),
                Some(category),
                "{}: {}",
                route.name,
                action.name
            );
        }
        let described = sorted.iter().map(|action| {
            let name = if action.name == action.to {
                String::new()
            } else {
                format!("{}>", action.name)
            };
            let sometimes = if action.available.is_some() { "?" } else { "" };
            format!("{}:{name}{}{sometimes}", action.weight, action.to)
        });
        let actions: Vec<_> = described.collect();
        for pattern in &route.on {
            let entity = entities.first().unwrap().clone();
            let actions = actions.clone();
            let before = bound.insert(pattern.as_str().to_owned(), Binding { entity, actions });
            assert_eq!(before, None, "{} is bound twice", pattern.as_str());
        }
    }
    let table = table();
    assert_eq!(table.len(), 154);
    for (name, binding) in &table {
        // What is known and bound to nothing has a schema, so that the catalogue has it.
        match bound.remove(name) {
            Some(found) => assert_eq!(found, *binding, "{name}"),
            None => {
                assert_eq!(binding.actions, [""; 0], "{name}");
                assert!(config.schemas.get(name).is_some(), "{name} is unknown");
            }
        }
    }
    assert!(bound.is_empty(), "not in the table: {bound:?}");
}

#[test]
fn every_payload_has_the_shape_of_its_queue() {
    let config = segno_booking::config().expect("no mistakes");
    let mut queues = BTreeSet::new();
    for (name, binding) in table() {
        let explained = actions(&config, &event(&name, "u-9", data_of(&name)));
        assert_eq!(explained.len(), binding.actions.len(), "{name}");
        for action in explained {
            let at = format!("{name}: {}", action.name);
            let Yields::Payloads(payloads) = &action.yields else {
                panic!("{at}: {:?}", action.yields);
            };
            assert!(!payloads.is_empty(), "{at} yields nothing");
            queues.insert(action.to.clone());
            let (required, optional) = shape(&action.to);
            let all: BTreeSet<_> = required.union(&optional).copied().collect();
            for payload in payloads {
                let fields = payload.as_object().unwrap();
                let keys: BTreeSet<_> = fields.keys().map(String::as_str).collect();
                assert!(
                    keys.is_superset(&required) && keys.is_subset(&all),
                    "{at}: {payload:#}"
                );
                let blank = |value: &Value| value.is_null() || value == "";
                assert!(!fields.values().any(blank), "{at}: {payload:#}");
                assert_eq!(payload["event_name"], name.as_str());
                assert_eq!(payload["guid"], GUID);
                if let Some(entity) = payload.get("entity") {
                    assert_eq!(entity, binding.entity.as_str(), "{at}");
                }
            }
        }
    }
    let all = [
        "delivery",
        "laure",
        "leica",
        "mail",
        "notification",
        "reflex",
        "slack",
    ];
    assert_eq!(queues, all.map(str::to_owned).into(), "every queue is written to");
}

/// With as little as an event may have: an action that needs more than that is skipped, and none fails.
#[test]
fn what_is_optional_may_be_missing() {
    let config = segno_booking::config().expect("no mistakes");
    for (name, binding) in table() {
        let mut data = data_of(&name);
        let fields = data.as_object_mut().unwrap();
        for optional in [
            "manager",
            "pool",
            "reason",
            "creatives",
            "mentions",
            "internal",
            "errors",
        ] {
            fields.remove(optional);
        }
        if name == "assignment.workflow.cancel" {
            fields.remove("creative");
        }
        for (action, bound) in actions(&config, &event(&name, "u-9", data))
            .iter()
            .zip(&binding.actions)
        {
            match &action.yields {
                Yields::Payloads(_) => {}
                Yields::Skipped(_) => assert!(bound.ends_with('?'), "{name}: {}", action.name),
                other => panic!("{name}: {}: {other:?}", action.name),
            }
        }
    }
}

#[test]
fn people_are_told_of_what_others_say() {
    let config = segno_booking::config().expect("no mistakes");
    let mut data = data_of("comment.created");
    // The author mentions themself, and is the customer.
    data["mentions"] = json!([{"id": "u-1", "fullname": "Eve Adams", "email": "eve@example.com"}]);
    data["customer"] = data["author"].clone();
    let explained = actions(&config, &event("comment.created", "u-1", data));
    let yields: Vec<_> = explained
        .iter()
        .map(|action| (action.name.as_str(), &action.yields))
        .collect();
    assert!(matches!(yields[0], ("notification", Yields::Payloads(none)) if none.is_empty()));
    assert!(matches!(yields[1], ("mentioned", Yields::Payloads(none)) if none.is_empty()));
    assert!(
        matches!(yields[2], ("customer", Yields::Skipped(_))),
        "{:?}",
        yields[2]
    );
    assert!(matches!(yields[3], ("slack", Yields::Payloads(one)) if one.len() == 1));
}
