//! The rows of docs/bad-input.md.

use reqwest::{StatusCode, header::CONTENT_TYPE};
use segno_test_support::Receiver;
use serde_json::{Value, json};

use crate::support::{App, DEADLINE, TestEngine, json_of, only_execution, order};

on_every_engine!(what_is_refused, what_is_taken_twice_or_by_nobody, what_is_poison);

/// One row: what is sent, and what is answered.
struct Row {
    what: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
    status: StatusCode,
    code: &'static str,
    /// What `detail` and `errors` have in them.
    says: &'static [&'static str],
}

const EVENT: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn row(what: &'static str, body: impl Into<Vec<u8>>, says: &'static [&'static str]) -> Row {
    Row {
        what,
        content_type: EVENT,
        body: body.into(),
        status: StatusCode::BAD_REQUEST,
        code: "invalid-event",
        says,
    }
}

fn with(changes: Value) -> Vec<u8> {
    let mut event = order("1", 1);
    for (key, value) in changes.as_object().unwrap() {
        event[key] = value.clone();
    }
    event.to_string().into_bytes()
}

fn rows() -> Vec<Row> {
    let deep = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let mut not_utf8 = order("1", 1).to_string().into_bytes();
    let at = not_utf8.iter().position(|byte| *byte == b'/').unwrap();
    not_utf8[at] = 0xff;
    vec![
        row("cut off", r#"{"specversion": "1.0", "id":"#, &["line 1"]),
        row("no JSON", "hello", &["line 1"]),
        row("empty", "", &["JSON"]),
        row("another type", "[1, 2]", &[]),
        row("a wrong type", with(json!({"id": 7})), &["\"id\""]),
        row(
            "nothing in it",
            "{}",
            &["\"id\"", "\"source\"", "\"type\"", "\"specversion\""],
        ),
        row(
            "unknown specversion",
            with(json!({"specversion": "2.0"})),
            &["\"specversion\""],
        ),
        row(
            "old specversion",
            with(json!({"specversion": "0.3"})),
            &["\"specversion\""],
        ),
        row("no time", with(json!({"time": "yesterday"})), &["\"time\""]),
        row(
            "a name with capitals",
            with(json!({"TraceId": "x"})),
            &["\"TraceId\""],
        ),
        row("not UTF-8", not_utf8, &[]),
        row("deep", deep, &[]),
        Row {
            content_type: BATCH,
            ..row(
                "one of a batch",
                json!([order("1", 1), {"id": "2"}]).to_string(),
                &["\"event\":1"],
            )
        },
        Row {
            code: "schema-mismatch",
            ..row(
                "does not fit its schema",
                with(json!({"type": "order.checked", "data": {"total": "many", "items": [1]}})),
                &["/data/total", "/data/items/0"],
            )
        },
        Row {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "too-large",
            ..row("huge", with(json!({"data": "x".repeat(40_000)})), &["20000"])
        },
        Row {
            content_type: "application/cloudevents+xml",
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "unsupported-format",
            ..row("XML", "<event/>", &["xml"])
        },
    ]
}

const CONFIG: &str = r#"
    [http]
    max_event_bytes = 20000

    [sinks.log]
    file = { path = "log.jsonl" }

    [schemas."order.checked"]
    schema = { type = "object", properties = { total = { type = "number" }, items = { type = "array", items = { type = "string" } } } }

    [[routes]]
    name = "all"
    on = "order.*"
    actions = [{ name = "log", to = "log" }]
    "#;

async fn what_is_refused(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    for row in rows() {
        let request = app
            .post("/events")
            .header(CONTENT_TYPE, row.content_type)
            .body(row.body);
        let response = request.send().await.unwrap();
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "application/problem+json",
            "{}",
            row.what
        );
        let problem = json_of(response, row.status).await;
        assert_eq!(problem["code"], row.code, "{}: {problem:#}", row.what);
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{}", row.what);
        let text = problem.to_string();
        for says in row.says {
            assert!(text.contains(says), "{}: no {says} in {text}", row.what);
        }
    }
    let page = json_of(app.get("/executions").send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(page["executions"], json!([]), "nothing was stored");
    // And what is right goes through, after all of that.
    let execution = app
        .closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    app.stop().await;
}

async fn what_is_taken_twice_or_by_nobody(engine: TestEngine) {
    let app = App::start(&engine, CONFIG).await;
    let first = app.accept(&order("1", 1)).await;
    let again = app.accept(&order("1", 2)).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["executions"][0]["run_id"], first["executions"][0]["run_id"]);
    let nobody = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "nobody.cares"});
    let accepted = app.accept(&nobody).await;
    assert_eq!(accepted["executions"], json!([]));
    assert_eq!(accepted["message"], "no route matched");
    app.stop().await;
}

/// Each action is poison to the event in another way; the last shows that the others went on, and the second event that
/// nobody waited.
async fn what_is_poison(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let config = format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "poisoned"
        on = "order.placed"
        when = "event.data.total > 1"
        actions = [
            {{ name = "loops", to = "notify", transform = "last(range(.data.total * 1e15))" }},
            {{ name = "explodes", to = "notify", transform = "range(.data.total * 1000)" }},
            {{ name = "swells", to = "notify", transform = ".data.id * 1000000000" }},
            {{ name = "fails", to = "notify", transform = ".data.total | keys" }},
            {{ name = "unanswerable", to = "notify", available = "event.data.missing" }},
            {{ name = "skipped", to = "notify", available = "false" }},
            {{ name = "nothing", to = "notify", transform = "empty" }},
            {{ name = "good", to = "notify", transform = ".data.total", weight = 200 }},
        ]

        [[routes]]
        name = "good"
        on = "order.*"
        when = "event.data.total == 1"
        actions = [{{ name = "tell", to = "notify", transform = ".data.total" }}]
        "#,
        receiver.url("/hook")
    );
    let app = App::start(&engine, &config).await;
    let poison = only_execution(&app.accept(&order("poison", 7)).await).to_owned();
    let good = only_execution(&app.accept(&order("good", 1)).await).to_owned();
    assert_eq!(app.closed(&good).await["status"], "Completed");
    let execution = app.closed(&poison).await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    assert_eq!(execution["failure"]["type"], "DeadLetter");
    let story = |name: &str| -> (String, String) {
        let actions = execution["story"].as_array().unwrap();
        let action = actions.iter().find(|action| action["action"] == name).unwrap();
        let text = |key: &str| action[key].as_str().unwrap_or_default().to_owned();
        (text("state"), text("reason"))
    };
    for (name, state, reason) in [
        ("loops", "failed", "the transform was stopped after 2000000 steps"),
        (
            "explodes",
            "failed",
            "the transform yields more than 1000 payloads",
        ),
        ("swells", "failed", "the transform fails on this event"),
        ("fails", "failed", "the transform fails on this event"),
        ("unanswerable", "failed", "`available` fails on this event"),
        ("skipped", "skipped", "it is not available for this event: false"),
        ("nothing", "done", "the transform makes no payload of this event"),
        ("good", "done", ""),
    ] {
        let told = story(name);
        assert_eq!(told.0, state, "{name}: {told:?}");
        assert!(told.1.contains(reason), "{name}: {told:?}");
    }
    // An event on which the filter itself fails matches nothing.
    let unfiltered = json!({"specversion": "1.0", "id": "x", "source": "/s", "type": "order.placed"});
    assert_eq!(app.accept(&unfiltered).await["executions"], json!([]));
    let delivered: Vec<Value> = receiver
        .wait_for(2, DEADLINE)
        .await
        .iter()
        .map(|request| request.json())
        .collect();
    assert_eq!(delivered.len(), 2, "{delivered:?}");
    app.stop().await;
}
