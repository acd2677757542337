//! What each event becomes, without a queue: how many actions it has, and payloads of exactly the shapes that the readers of
//! the queues know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::collections::{BTreeMap, BTreeSet};

use segno_event::Event;
use segno_routing::{HandlerExplanation, Outcome, Yields, explain};
use serde_json::{Value, json};

const EVENTS: &str = include_str!("events.json");
const GUID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// An event as the queue's codec makes it.
fn event(name: &str, data: Value) -> Event {
    serde_json::from_value(json!({
        "specversion": "1.0", "id": "e-1", "source": "/sources/events", "type": name, "subject": GUID,
        "time": "2030-01-01T10:00:00Z", "guid": GUID, "actor": "u-1", "requestid": "r-1", "data": data,
    }))
    .unwrap()
}

fn events() -> BTreeMap<String, Value> {
    serde_json::from_str(EVENTS).unwrap()
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
fn every_event_has_its_actions() {
    let config = segno_booking::config().expect("no mistakes");
    let counts: BTreeMap<&str, usize> = config
        .routes
        .iter()
        .map(|route| {
            let segno_routing::Handler::Actions(actions) = &route.handler else {
                panic!("{} has no actions", route.name);
            };
            (route.name.as_str(), actions.len())
        })
        .collect();
    for (name, actions) in [
        ("lead.created", 2),
        ("quote.created", 2),
        ("package_order.created", 1),
        ("user.password.reset", 2),
        ("comment.created", 4),
        ("order.workflow.cancel", 3),
        ("assignment.workflow.approve", 3),
        ("laure.assignment.rejected", 4),
    ] {
        assert_eq!(counts[name], actions, "{name}");
    }
    // An example for every route, and a route for every example.
    let events = events();
    assert_eq!(
        counts.keys().copied().collect::<Vec<_>>(),
        events.keys().map(String::as_str).collect::<Vec<_>>()
    );
}

#[test]
fn every_payload_has_the_shape_of_its_queue() {
    let config = segno_booking::config().expect("no mistakes");
    let mut queues = BTreeSet::new();
    for (name, data) in events() {
        let event = event(&name, data);
        let mut taken = 0;
        for route in explain(&config.routes, &event).routes {
            let Outcome::Matched { handler, .. } = route.outcome else {
                continue;
            };
            let HandlerExplanation::Actions { stages } = handler else {
                panic!("{name}: no actions");
            };
            taken += 1;
            for action in stages.iter().flatten() {
                assert!(
                    action.category.is_some() && action.entity.is_some(),
                    "{name}: {}",
                    action.name
                );
                let Yields::Payloads(payloads) = &action.yields else {
                    panic!("{name}: {}: {:?}", action.name, action.yields);
                };
                assert!(!payloads.is_empty(), "{name}: {} yields nothing", action.name);
                queues.insert(action.to.clone());
                let (required, optional) = shape(&action.to);
                for payload in payloads {
                    let keys: BTreeSet<_> = payload.as_object().unwrap().keys().map(String::as_str).collect();
                    let all = required.union(&optional).copied().collect();
                    assert!(
                        keys.is_superset(&required),
                        "{name}: {}: {payload:#}",
                        action.name
                    );
                    assert!(keys.is_subset(&all), "{name}: {}: {payload:#}", action.name);
                    assert!(
                        payload
                            .as_object()
                            .unwrap()
                            .values()
                            .all(|value| !value.is_null()),
                        "{name}: {}: {payload:#}",
                        action.name
                    );
                    assert_eq!(payload["event_name"], name);
                    assert_eq!(payload["guid"], GUID);
                }
            }
        }
        assert_eq!(taken, 1, "{name}");
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

#[test]
fn people_are_told_of_what_others_say() {
    let config = segno_booking::config().expect("no mistakes");
    let mut data = events()["comment.created"].clone();
    // The author mentions themself, and is the customer.
    data["mentions"] = json!([{"id": "u-1", "fullname": "Eve Adams", "email": "eve@example.com"}]);
    data["customer"] = data["author"].clone();
    let explained = explain(&config.routes, &event("comment.created", data));
    let matched = explained.routes.iter().find_map(|route| match &route.outcome {
        Outcome::Matched {
            handler: HandlerExplanation::Actions { stages },
            ..
        } => Some(stages),
        _ => None,
    });
    let yields: Vec<_> = matched
        .unwrap()
        .iter()
        .flatten()
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
