//! Schemas of events: what does not fit is refused whole, and the catalogue says what does.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{App, TestEngine, json_of, order};

on_every_engine!(what_does_not_fit_is_refused, the_catalogue_is_served);

const CONFIG: &str = r#"
    [sinks.log]
    file = { path = "log.jsonl" }

    [schemas."order.placed"]
    description = "A customer has placed an order."
    schema = { type = "object", required = ["id", "total"], properties = { id = { type = "string" }, total = { type = "number", minimum = 1 } } }
    examples = [{ id = "1001", total = 250 }]

    [[routes]]
    name = "all"
    on = ["order.*", "user.created"]
    when = "true"
    actions = [
        { name = "second", to = "log" },
        { name = "first", weight = 1, to = "log", category = "notification", entity = "Order" },
    ]
    "#;

async fn what_does_not_fit_is_refused(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let mut bad = order("2", 0);
    bad["data"]["id"] = json!(7);
    let batch = json!([order("1", 1), bad, {"specversion": "1.0", "id": "3", "source": "/s", "type": "order.placed"}]);
    let problem = json_of(app.send_batch(&batch).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(problem["code"], "schema-mismatch", "{problem:#}");
    let mut found: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["event"].as_u64().unwrap(), error["path"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [(1, "/data/id"), (1, "/data/total"), (2, "/data")],
        "{problem:#}"
    );
    for error in problem["errors"].as_array().unwrap() {
        assert_eq!(error["attribute"], "data");
        assert!(!error["rule"].as_str().unwrap().is_empty());
    }
    // Nothing was stored, not even of the first.
    let page = json_of(app.get("/executions").send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(page["executions"], json!([]));
    // What fits goes through, and so does what has no schema.
    assert_eq!(
        app.accept(&order("1", 1)).await["executions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let free = json!({"specversion": "1.0", "id": "4", "source": "/s", "type": "order.sent"});
    assert_eq!(app.accept(&free).await["executions"].as_array().unwrap().len(), 1);
    app.stop().await;
}

async fn the_catalogue_is_served(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let catalogue: Value = json_of(app.get("/catalogue").send().await.unwrap(), StatusCode::OK).await;
    let order = &catalogue["types"][0];
    assert_eq!(order["type"], "order.placed", "{catalogue:#}");
    assert_eq!(order["description"], "A customer has placed an order.");
    assert_eq!(order["schema"]["properties"]["total"]["minimum"], 1);
    assert_eq!(order["examples"], json!([{"id": "1001", "total": 250}]));
    assert_eq!(order["routes"], json!(["all"]));
    assert_eq!(
        catalogue["types"][1],
        json!({"type": "user.created", "routes": ["all"]})
    );
    let route = &catalogue["routes"][0];
    assert_eq!(
        (&route["route"], &route["on"], &route["when"]),
        (&json!("all"), &json!(["order.*", "user.created"]), &json!("true"))
    );
    assert_eq!(
        route["actions"],
        json!([
            {"name": "first", "weight": 1, "to": "log", "category": "notification", "entity": "Order"},
            {"name": "second", "weight": 100, "to": "log"},
        ])
    );
    let asyncapi: Value = json_of(app.get("/asyncapi.json").send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(asyncapi["asyncapi"], "3.0.0");
    assert_eq!(asyncapi["channels"]["order.placed"]["address"], "order.placed");
    app.stop().await;
}
