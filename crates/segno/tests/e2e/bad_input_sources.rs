//! The rows of docs/bad-input.md for what comes in by sources: signed webhooks, `PutEvents`, and messages of a broker.

use reqwest::StatusCode;
use segno_sinks::{Secret, signature};
use segno_test_support::servers::Redis;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of};

on_every_engine!(
    what_a_signed_webhook_is_answered,
    what_a_mapping_cannot_read,
    what_put_events_is_answered,
    what_of_a_stream_is_rejected,
);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const ROUTES: &str = r#"
    [sinks.log]
    file = { path = "log.jsonl" }

    [schemas."order.checked"]
    schema = { type = "object", properties = { total = { type = "number" } } }

    [[routes]]
    name = "all"
    on = ["order.*", "segno.message.rejected"]
    actions = [{ name = "log", to = "log", transform = "{id, type, data}" }]
    "#;

/// One row: what is sent, and what is answered.
struct Row {
    what: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    /// What `detail` has in it.
    says: &'static str,
}

fn row(what: &'static str, body: impl Into<Vec<u8>>, says: &'static str) -> Row {
    Row {
        what,
        body: body.into(),
        status: 400,
        code: "invalid-event",
        says,
    }
}

fn deep() -> String {
    format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))
}

/// The ids of the executions that there are, once there are so many.
async fn executions(app: &App, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let page = json_of(app.get("/executions").send().await.unwrap(), StatusCode::OK).await;
        let found = page["executions"].as_array().unwrap().clone();
        if found.len() == count {
            return found;
        }
        assert!(found.len() < count && Instant::now() < deadline, "{found:#?}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Posts a signed delivery.
async fn deliver(app: &App, secret: &str, id: &str, age: i64, body: &[u8]) -> (u16, Value) {
    let secret: Secret = secret.parse().unwrap();
    let at = OffsetDateTime::now_utc().unix_timestamp() - age;
    let request = app
        .post("/webhooks/shop")
        .header(signature::ID, id)
        .header(signature::TIMESTAMP, at)
        .header(signature::SIGNATURE, signature::sign(&[secret], id, at, body))
        .body(body.to_vec());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

async fn what_a_signed_webhook_is_answered(engine: TestEngine) {
    let config = format!(
        "{ROUTES}\n[sources.shop]\nwebhook = {{ scheme = \"standard\", secrets = [{SECRET:?}], max_bytes = 20000 }}\n"
    );
    let app = App::start(&engine, &config).await;
    let good = json!({"type": "order.paid", "data": {"total": 1}}).to_string();
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (what, secret, age) in [
        ("another's signature", other, 0),
        ("a signature of long ago", SECRET, 400),
        ("a clock that is far ahead", SECRET, -400),
    ] {
        let (status, problem) = deliver(&app, secret, "forged", age, good.as_bytes()).await;
        assert_eq!(
            (status, &problem["code"]),
            (401, &json!("bad-signature")),
            "{what}"
        );
    }
    let unsigned = app
        .post("/webhooks/shop")
        .body(good.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(
        json_of(unsigned, StatusCode::UNAUTHORIZED).await["code"],
        "bad-signature"
    );

    let rows = [
        row("cut off", r#"{"type": "#, "line 1"),
        row("empty", "", "empty"),
        row("a list", "[1, 2]", "found a list"),
        row("a wrong type", r#"{"type": 7, "data": {}}"#, "type"),
        row("no type", r#"{"data": {}}"#, "type"),
        row(
            "no time",
            r#"{"type": "order.paid", "timestamp": "today", "data": {}}"#,
            "time",
        ),
        row("not UTF-8", b"{\"type\": \"order.\xff\"}".to_vec(), "not JSON"),
        row(
            "deep",
            format!(r#"{{"type": "order.paid", "data": {}}}"#, deep()),
            "not JSON",
        ),
        Row {
            status: 413,
            code: "too-large",
            ..row(
                "huge",
                json!({"type": "order.paid", "data": "x".repeat(40_000)}).to_string(),
                "20000",
            )
        },
        Row {
            status: 422,
            code: "refused",
            ..row(
                "does not fit its schema",
                json!({"type": "order.checked", "data": {"total": "many"}}).to_string(),
                "total",
            )
        },
    ];
    for row in rows {
        let (status, problem) = deliver(&app, SECRET, row.what, 0, &row.body).await;
        assert_eq!(
            (status, &problem["code"]),
            (row.status, &json!(row.code)),
            "{}: {problem:#}",
            row.what
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            !detail.is_empty() && detail.contains(row.says),
            "{}: {detail}",
            row.what
        );
    }
    executions(&app, 0).await;

    // What is right goes through after all of that; and a delivery that comes again, signed as before, is the same event.
    for _ in 0..2 {
        let (status, answer) = deliver(&app, SECRET, "msg-1", 10, good.as_bytes()).await;
        assert_eq!((status, &answer["events"]), (202, &json!(1)), "{answer}");
    }
    assert_eq!(app.closed("all//sources/shop/msg-1").await["status"], "Completed");
    executions(&app, 1).await;
    app.stop().await;
}

/// Mappings that loop or blow up on a delivery harm nobody but that one.
async fn what_a_mapping_cannot_read(engine: TestEngine) {
    let source = r#"
        [sources.shop.webhook]
        scheme = { token = { header = "X-Token" } }
        secrets = ["hunter2"]
        id_header = "X-Id"
        codec = { map = '''
            if .body.loops then last(range(1e15)) elif .body.many then range(1e9) | {type: "order.many"}
            elif .body.swells then {type: ("x" * 1e9)} else .body end
        ''' }
        "#;
    let app = App::start(&engine, &format!("{ROUTES}\n{source}")).await;
    let call = async |id: &str, body: Value| {
        let request = app
            .post("/webhooks/shop")
            .header("x-token", "hunter2")
            .header("x-id", id);
        let response = request.body(body.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    for (what, says) in [
        (json!({"loops": true}), "stopped after"),
        (json!({"many": true}), "more than"),
        (json!({"swells": true}), "the mapping fails"),
        (json!({"specversion": "2.0", "type": "order.paid"}), "specversion"),
        (json!(7), ""),
    ] {
        let (status, problem) = call("poison", what.clone()).await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("invalid-event")),
            "{what}: {problem:#}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{what}: {detail}");
    }
    assert_eq!(call("good", json!({"type": "order.paid"})).await.0, 202);
    assert_eq!(app.closed("all//sources/shop/good").await["status"], "Completed");
    executions(&app, 1).await;
    app.stop().await;
}

async fn what_put_events_is_answered(engine: TestEngine) {
    let app = App::start(&engine, &format!("{ROUTES}\n[sources.aws]\neventbridge = {{}}\n")).await;
    let put = async |body: Vec<u8>| {
        let request = app
            .post("/eventbridge/aws")
            .header("x-amz-target", "AWSEvents.PutEvents");
        let response = request.body(body).send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let entry = |ty: &str, detail: &str| json!({"Source": "shop", "DetailType": ty, "Detail": detail});
    let entries = |entries: Vec<Value>| json!({"Entries": entries}).to_string().into_bytes();
    for (what, body, status, ty) in [
        ("cut off", b"{".to_vec(), 400, "SerializationException"),
        (
            "not UTF-8",
            b"{\"Entries\": \"\xff\"}".to_vec(),
            400,
            "SerializationException",
        ),
        (
            "deep",
            format!("{{\"Entries\": {}}}", deep()).into_bytes(),
            400,
            "SerializationException",
        ),
        (
            "a wrong type",
            entries(vec![json!({"Source": 7})]),
            400,
            "SerializationException",
        ),
        (
            "too many",
            entries(vec![entry("order.paid", "{}"); 11]),
            400,
            "ValidationException",
        ),
        ("huge", vec![b'x'; 5 << 20], 413, "RequestEntityTooLargeException"),
    ] {
        let answer = put(body).await;
        assert_eq!(
            (answer.0, &answer.1["__type"]),
            (status, &json!(ty)),
            "{what}: {}",
            answer.1
        );
    }
    executions(&app, 0).await;
    // Each entry is answered by itself: the good one among bad ones is taken in.
    let (status, answer) = put(entries(vec![
        entry("order.paid", "{"),
        entry("order.checked", r#"{"total": "many"}"#),
        entry("order.paid", &deep()),
        entry("order.paid", "{}"),
    ]))
    .await;
    assert_eq!(
        (status, &answer["FailedEntryCount"]),
        (200, &json!(3)),
        "{answer:#}"
    );
    let codes: Vec<_> = answer["Entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["ErrorCode"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        codes,
        ["MalformedDetail", "InvalidArgument", "MalformedDetail", ""],
        "{answer:#}"
    );
    let taken = format!("all/shop/{}", answer["Entries"][3]["EventId"].as_str().unwrap());
    assert_eq!(app.closed(&taken).await["status"], "Completed");
    app.stop().await;
}

/// What a broker has is rejected with the reason, and comes neither again nor in the way of what is behind it.
async fn what_of_a_stream_is_rejected(engine: TestEngine) {
    let redis = Redis::start().await;
    let config = format!(
        "{ROUTES}\n[sources.bus]\nredis = {{ url = {:?}, stream = \"events\", order = \"all\" }}\n",
        redis.url()
    );
    let event = |id: &str, ty: &str, data: Value| {
        let event = json!({"specversion": "1.0", "id": id, "source": "/shop", "type": ty, "data": data});
        event.to_string().into_bytes()
    };
    let rows = [
        row("cut off", "{", "the body is not JSON"),
        row(
            "not UTF-8",
            b"{\"id\": \"\xff\"}".to_vec(),
            "the body is not JSON",
        ),
        row(
            "deep",
            format!(r#"{{"specversion": "1.0", "data": {}}}"#, deep()),
            "the body is not JSON",
        ),
        row("another type", "7", "must be a JSON object"),
        row("no format", r#"{"a": 1}"#, "none of the known formats"),
        row(
            "a wrong type",
            r#"{"specversion": "1.0", "id": 7, "source": "/s", "type": "t"}"#,
            "id",
        ),
        row(
            "unknown specversion",
            r#"{"specversion": "2.0", "id": "1", "source": "/s", "type": "t"}"#,
            "specversion",
        ),
        row(
            "does not fit its schema",
            event("2", "order.checked", json!({"total": "many"})),
            "total",
        ),
        row(
            "huge",
            event("3", "order.paid", json!("x".repeat(2_200_000))),
            "bytes",
        ),
    ];
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let bodies = rows.iter().map(|row| row.body.clone());
    let good = || event("1", "order.paid", json!({"total": 1}));
    // The good one last, twice.
    for body in bodies.chain([good(), good()]) {
        let _: String = redis::AsyncCommands::xadd(&mut connection, "events", "*", &[("payload", body)])
            .await
            .unwrap();
    }
    let app = App::start(&engine, &config).await;
    let found = executions(&app, rows.len() + 1).await;
    let mut reasons = Vec::new();
    for execution in &found {
        let told = app.closed(execution["workflow_id"].as_str().unwrap()).await;
        assert_eq!(told["status"], "Completed", "{told:#}");
        if told["event_type"] == "segno.message.rejected" {
            let reason = &told["input"]["event"]["data"]["reason"];
            reasons.push(reason.as_str().unwrap_or_else(|| panic!("{told:#}")).to_owned());
        }
    }
    assert_eq!(reasons.len(), rows.len(), "{reasons:?}");
    for row in &rows {
        let told = reasons.iter().position(|reason| reason.contains(row.says));
        let told = told.unwrap_or_else(|| panic!("{}: {reasons:?}", row.what));
        reasons.remove(told);
    }
    app.stop().await;
}
