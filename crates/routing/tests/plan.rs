//! From an event to plans, and to an explanation of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::time::Duration;

use segno_event::{Event, Filter, Key, Transform};
use segno_routing::{
    Action, Dedupe, Handler, Plan, PlannedAction, PlannedHandler, Retry, Route, RouteError, Routes, Timing,
    explain, plan,
};
use serde_json::json;

fn action(name: &str, weight: u32, transform: Option<&str>) -> Action {
    Action {
        name: name.to_owned(),
        weight,
        to: "log".to_owned(),
        category: None,
        entity: None,
        available: None,
        transform: transform.map(|source| Transform::compile(source).expect("a transform")),
        retry: Retry::default(),
    }
}

fn route(name: &str, on: &[&str], when: Option<&str>, handler: Handler) -> Route {
    Route {
        name: name.to_owned(),
        on: on
            .iter()
            .map(|pattern| pattern.parse().expect("a pattern"))
            .collect(),
        when: when.map(|source| Filter::compile(source).expect("a filter")),
        handler,
        timing: Timing::default(),
        flow: None,
    }
}

fn workflow() -> Handler {
    Handler::Workflow("W".to_owned())
}

fn order() -> Event {
    Event::new("/shop", "o/1", "order.placed")
        .with_data(json!({"id": "o/1", "total": 150.5, "items": [1, 2]}))
}

#[test]
fn a_route_takes_what_pattern_and_filter_both_take() {
    let routes = Routes::new(vec![
        route("all", &["*"], None, workflow()),
        route("other-type", &["user.*", "quote.*"], None, workflow()),
        route(
            "either",
            &["user.*", "order.*"],
            Some("event.data.total > 100"),
            workflow(),
        ),
        route(
            "too-small",
            &["order.*"],
            Some("event.data.total > 1000"),
            workflow(),
        ),
        route(
            "no-such-field",
            &["order.*"],
            Some("event.data.sum > 1"),
            workflow(),
        ),
    ])
    .expect("routes");
    let plans = plan(&routes, &order());
    assert_eq!(
        plans.iter().map(|plan| plan.route.as_str()).collect::<Vec<_>>(),
        ["all", "either"]
    );
    assert!(plans.iter().all(|plan| plan.event == order()));
    assert_eq!(
        plans[0].handler,
        PlannedHandler::Workflow { name: "W".to_owned() }
    );
}

#[test]
fn actions_are_staged_by_weight() {
    let actions = vec![
        action("c", 100, None),
        action("a", 10, Some(".id")),
        action("d", 100, None),
        action("b", 50, None),
    ];
    let routes = Routes::new(vec![route("r", &["*"], None, Handler::Actions(actions))]).expect("routes");
    let PlannedHandler::Actions { stages } = plan(&routes, &order()).remove(0).handler else {
        panic!("actions")
    };
    let names: Vec<Vec<_>> = stages
        .iter()
        .map(|stage| stage.iter().map(|action| action.name.as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["a"], vec!["b"], vec!["c", "d"]]);
    assert_eq!(
        stages[0][0],
        PlannedAction {
            name: "a".to_owned(),
            weight: 10,
            to: "log".to_owned(),
            category: None,
            entity: None,
            available: None,
            transform: Some(".id".to_owned()),
            retry: Retry::default(),
        }
    );
}

#[test]
fn plans_travel_as_json() {
    let retry = Retry::with(Some(Duration::from_millis(1500)), Some(1.5), None, Some(5));
    let routes = Routes::new(vec![
        route(
            "deliver",
            &["*"],
            None,
            Handler::Actions(vec![action("a", 10, Some(".id"))]),
        ),
        route(
            "consume",
            &["*"],
            None,
            Handler::Consumer {
                name: "c".to_owned(),
                retry,
            },
        ),
        route("run", &["*"], None, workflow()),
    ])
    .expect("routes");
    for plan in plan(&routes, &order()) {
        let json = serde_json::to_string(&plan).expect("serializes");
        assert_eq!(
            serde_json::from_str::<Plan>(&json).expect("deserializes"),
            plan,
            "{json}"
        );
    }
    let consume = serde_json::to_value(&plan(&routes, &order())[1]).expect("serializes");
    assert_eq!(
        consume["handler"],
        json!({"consumer": {"name": "c", "retry":
            {"initial": "1s 500ms", "backoff": 1.5, "max_interval": "2m 30s", "max_attempts": 5}}})
    );
}

#[test]
fn route_names_are_checked() {
    let named = |name: &str| route(name, &["*"], None, workflow());
    assert_eq!(
        Routes::new(vec![named("a"), named("b"), named("a")]).map(|routes| routes.len()),
        Err(RouteError::Duplicate("a".to_owned()))
    );
    for name in ["", "a/b", "a b", "ä", &"x".repeat(101)] {
        assert_eq!(
            Routes::new(vec![named(name)]).map(drop),
            Err(RouteError::Name(name.to_owned()))
        );
    }
    assert!(Routes::new(vec![named("Big-orders_2.x"), named(&"x".repeat(100))]).is_ok());
    assert!(Routes::default().is_empty() && plan(&Routes::default(), &order()).is_empty());
}

#[test]
fn every_route_is_explained() {
    let actions = vec![
        action("each", 10, Some(".data.items[]")),
        action("none", 10, Some("empty")),
        action("broken", 20, Some(".data.id | keys")),
    ];
    let routes = Routes::new(vec![
        route(
            "deliver",
            &["order.*"],
            Some("event.data.total > 100"),
            Handler::Actions(actions),
        ),
        route(
            "whole",
            &["*"],
            None,
            Handler::Actions(vec![action("a", 100, None)]),
        ),
        route(
            "consume",
            &["order.*"],
            None,
            Handler::Consumer {
                name: "c".to_owned(),
                retry: Retry::default(),
            },
        ),
        route("run", &["order.*"], None, workflow()),
        route("other", &["user.*", "quote.*"], None, workflow()),
        route("small", &["order.*"], Some("event.data.total < 100"), workflow()),
        route("failing", &["order.*"], Some("event.data.sum < 100"), workflow()),
    ])
    .expect("routes");
    let explanation = serde_json::to_value(explain(&routes, &order())).expect("serializes");
    let error = explanation["routes"][0]["handler"]["actions"]["stages"][1][0]["error"].clone();
    assert!(
        error.as_str().is_some_and(|error| error.contains("o/1")),
        "{error}"
    );
    assert_eq!(
        explanation,
        json!({
            "event": {"id": "o/1", "source": "/shop", "type": "order.placed"},
            "routes": [
                {"route": "deliver", "outcome": "matched", "workflow_id": "deliver//shop/o%2F1", "handler":
                    {"actions": {"stages": [
                        [{"name": "each", "weight": 10, "to": "log", "transform": ".data.items[]", "payloads": [1, 2]},
                         {"name": "none", "weight": 10, "to": "log", "transform": "empty", "payloads": []}],
                        [{"name": "broken", "weight": 20, "to": "log", "transform": ".data.id | keys", "error": error}],
                    ]}}},
                {"route": "whole", "outcome": "matched", "workflow_id": "whole//shop/o%2F1", "handler":
                    {"actions": {"stages": [[{"name": "a", "weight": 100, "to": "log", "payloads":
                        [serde_json::to_value(order()).expect("serializes")]}]]}}},
                {"route": "consume", "outcome": "matched", "workflow_id": "consume//shop/o%2F1",
                 "handler": {"consumer": {"name": "c"}}},
                {"route": "run", "outcome": "matched", "workflow_id": "run//shop/o%2F1",
                 "handler": {"workflow": {"name": "W"}}},
                {"route": "other", "outcome": "pattern_mismatch", "patterns": ["user.*", "quote.*"]},
                {"route": "small", "outcome": "filter_false", "filter": "event.data.total < 100"},
                {"route": "failing", "outcome": "filter_failed", "filter": "event.data.sum < 100",
                 "error": "the event has no field `sum`: test for it with has() first"},
            ],
        })
    );
}

#[test]
fn what_an_action_says_of_itself_is_planned() {
    let mail = Action {
        category: Some("notification".to_owned()),
        entity: Some("Order".to_owned()),
        available: Some(Filter::compile("event.data.total > 200").expect("a filter")),
        ..action("mail", 10, None)
    };
    let routes = Routes::new(vec![route("r", &["*"], None, Handler::Actions(vec![mail]))]).unwrap();
    let plans = plan(&routes, &order());
    let PlannedHandler::Actions { stages } = &plans[0].handler else {
        panic!("{plans:?}");
    };
    let planned = serde_json::to_value(&stages[0][0]).unwrap();
    assert_eq!(planned["category"], "notification");
    assert_eq!(planned["entity"], "Order");
    assert_eq!(planned["available"], "event.data.total > 200");
    let explained = serde_json::to_value(explain(&routes, &order())).unwrap();
    let action = &explained["routes"][0]["handler"]["actions"]["stages"][0][0];
    assert_eq!(action["skipped"], "event.data.total > 200", "{explained:#}");
    assert!(action.get("payloads").is_none(), "{explained:#}");
}

#[test]
fn a_plan_of_before_is_still_one() {
    let plan: Plan = serde_json::from_value(json!({
        "route": "r", "event": order(),
        "handler": {"actions": {"stages": [[{
            "name": "a", "weight": 10, "to": "log", "retry": Retry::default(),
        }]]}},
    }))
    .unwrap();
    let PlannedHandler::Actions { stages } = plan.handler else {
        panic!("no actions");
    };
    assert_eq!(stages[0][0].available, None);
}

#[test]
fn the_start_of_an_execution_is_planned_and_explained() {
    let timing = |key: &str| Timing {
        delay: Some(Duration::from_secs(60)),
        deadline: Some(Duration::from_secs(3600)),
        dedupe: Some(Dedupe {
            key: Key::compile(key).expect("a key"),
            window: Duration::from_secs(600),
        }),
        schedule: None,
        retention: None,
    };
    let of = |key: &str| {
        let mut route = route("r", &["*"], None, workflow());
        route.timing = timing(key);
        Routes::new(vec![route]).unwrap()
    };
    let (good, bad) = (of("event.data.total"), of("event.data.none"));
    let plans = plan(&good, &order());
    assert_eq!(plans[0].start.delay, Some(Duration::from_secs(60)));
    assert_eq!(
        plans[0].start.dedupe,
        Some(("150.5".to_owned(), Duration::from_secs(600)))
    );
    // The deadline is the execution's own affair, the start is not.
    let json = serde_json::to_value(&plans[0]).unwrap();
    assert_eq!(json["deadline"], "1h");
    assert!(json.get("start").is_none());
    assert_eq!(
        serde_json::from_value::<Plan>(json).unwrap().deadline,
        plans[0].deadline
    );
    assert_eq!(
        plan(&bad, &order())[0].start.dedupe,
        None,
        "an event without a key repeats no other"
    );
    let explained = serde_json::to_value(explain(&good, &order())).unwrap();
    let route = &explained["routes"][0];
    assert_eq!(
        (&route["delay"], &route["deadline"]),
        (&json!("1m"), &json!("1h"))
    );
    assert_eq!(route["dedupe"], json!({"window": "10m", "key": "150.5"}));
    let explained = serde_json::to_value(explain(&bad, &order())).unwrap();
    assert!(
        explained["routes"][0]["dedupe"]["key_error"]
            .as_str()
            .unwrap()
            .contains("none")
    );
}
