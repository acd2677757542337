//! The EventBridge source with AWS's own clients, and as the target of an API destination.

#![cfg(feature = "eventbridge")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::{process::Stdio, sync::Arc};

use segno_event::Data;
use segno_sources::{Built, Intake, Outcome};
use serde_json::{Value, json};
use support::{Taker, build};
use tokio::{net::TcpListener, process::Command, task::JoinHandle};

/// A source that is served.
struct Bridge {
    url: String,
    taker: Arc<Taker>,
    task: JoinHandle<()>,
}

impl Bridge {
    async fn start(options: &str) -> Self {
        let taker = Taker::new();
        let intake: Arc<dyn Intake> = taker.clone();
        let Built::Served(served) = build("eventbridge", options, &intake).unwrap() else {
            panic!("it is served");
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{}", listener.local_addr().unwrap(), served.path);
        let task = tokio::spawn(async move { axum::serve(listener, served.router).await.unwrap() });
        Self { url, taker, task }
    }

    /// Calls `PutEvents` without a signature.
    async fn put(&self, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let mut request = reqwest::Client::new()
            .post(&self.url)
            .header("x-amz-target", "AWSEvents.PutEvents")
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Posts an event as an API destination does.
    async fn post(&self, headers: &[(&str, &str)], body: String) -> u16 {
        let mut request = reqwest::Client::new().post(&self.url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const KEYS: &str = r#"keys = [
    { access_key_id = "AKIDEXAMPLE", secret_access_key = "secret/+key" },
    { access_key_id = "ASIAEXAMPLE", secret_access_key = "other", session_token = "the/token==" },
]"#;

/// A program of `tests/aws-clients`.
async fn run(program: &str, script: &str, url: &str, keys: &[&str]) -> Value {
    let output = Command::new(program)
        .arg(format!(
            "{}/tests/aws-clients/{script}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .arg(url)
        .args(keys)
        // What the machine has set up for AWS is not meant.
        .env_remove("AWS_PROFILE")
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    assert!(output.status.success(), "{script}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What every client has to be answered.
async fn with_client(program: &str, script: &str) {
    let bridge = Bridge::start(KEYS).await;
    let answer = run(program, script, &bridge.url, &["AKIDEXAMPLE", "secret/+key"]).await;
    assert_eq!(answer["FailedEntryCount"], 2, "{answer:#}");
    let entries = answer["Entries"].as_array().unwrap();
    assert_eq!(entries[1]["ErrorCode"], "MalformedDetail");
    assert_eq!(entries[2]["ErrorCode"], "InvalidArgument");
    let taken = bridge.taker.taken();
    assert_eq!(taken.len(), 2);
    let event = &taken[0];
    assert_eq!(event.id, entries[0]["EventId"].as_str().unwrap());
    assert_eq!(
        (event.source.as_str(), event.ty.as_str()),
        ("phoenix-webhooks", "ReportRunStoppedEvent")
    );
    assert_eq!(event.subject.as_deref(), Some("arn:aws:ec2:i-1"));
    assert_eq!(event.data, Some(Data::Json(json!({"run": 1, "name": "é"}))));
    assert!(event.time.is_some());
    assert_eq!(taken[1].extensions["awseventbus"], "orders");
    assert_ne!(taken[1].id, event.id);

    let answer = run(
        program,
        script,
        &bridge.url,
        &["ASIAEXAMPLE", "other", "the/token=="],
    )
    .await;
    assert_eq!(answer["FailedEntryCount"], 2, "{answer:#}");
    for (keys, error) in [
        (&["AKIDEXAMPLE", "wrong"][..], "InvalidSignatureException"),
        (&["AKIDOTHER", "secret/+key"], "UnrecognizedClientException"),
        (&["ASIAEXAMPLE", "other", "wrong"], "UnrecognizedClientException"),
        (&["ASIAEXAMPLE", "other"], "UnrecognizedClientException"),
    ] {
        let answer = run(program, script, &bridge.url, keys).await;
        assert_eq!(answer, json!({"error": error}), "{keys:?}");
    }
    assert_eq!(bridge.taker.taken().len(), 4);
}

#[tokio::test]
async fn boto3_puts_events() {
    let python = std::env::var("SEGNO_BOTO3_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    with_client(&python, "put_events.py").await;
}

#[tokio::test]
async fn awss_client_for_javascript_puts_events() {
    assert!(
        std::env::var_os("SEGNO_AWS_JS").is_some(),
        "SEGNO_AWS_JS names a folder with the package @aws-sdk/client-eventbridge"
    );
    with_client("node", "put_events.mjs").await;
}

fn entries(count: usize, detail: &str) -> String {
    let entry = json!({"Source": "s", "DetailType": "t", "Detail": detail});
    json!({"Entries": vec![entry; count]}).to_string()
}

#[tokio::test]
async fn awss_limits_are_checked() {
    let bridge = Bridge::start("").await;
    let (status, answer) = bridge.put(&[], &entries(10, "{}")).await;
    assert_eq!(
        (status, &answer["FailedEntryCount"]),
        (200, &json!(0)),
        "{answer}"
    );
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(300_000));
    for (body, kind) in [
        (entries(11, "{}"), "ValidationException"),
        (entries(0, "{}"), "ValidationException"),
        (entries(4, &large), "ValidationException"),
        ("{".to_owned(), "SerializationException"),
        (
            json!({"Entries": [{"Source": 7}]}).to_string(),
            "SerializationException",
        ),
        // Lists in place of objects.
        ("[[]]".to_owned(), "SerializationException"),
        (
            json!({"Entries": [["shop", "t", "{}"]]}).to_string(),
            "SerializationException",
        ),
    ] {
        let (status, answer) = bridge.put(&[], &body).await;
        assert_eq!((status, &answer["__type"]), (400, &json!(kind)), "{answer}");
    }
    let (status, answer) = bridge.put(&[], &"x".repeat(5 << 20)).await;
    assert_eq!(
        (status, &answer["__type"]),
        (413, &json!("RequestEntityTooLargeException"))
    );
    let aws = json!({"Entries": [{"Source": "aws.ec2", "DetailType": "t", "Detail": "{}"}]}).to_string();
    let (_, answer) = bridge.put(&[], &aws).await;
    assert_eq!(
        answer["Entries"][0]["ErrorCode"],
        "NotAuthorizedForSourceException"
    );
    assert_eq!(bridge.taker.taken().len(), 10);
}

#[tokio::test]
async fn a_call_that_a_client_tries_again_is_the_same_events() {
    let bridge = Bridge::start("").await;
    bridge.taker.answer(|_, times| match times {
        1 => Outcome::Later("down".to_owned()),
        _ => Outcome::Durable,
    });
    let call = [("amz-sdk-invocation-id", "4f2e7a54-0000-4000-8000-000000000000")];
    let (status, answer) = bridge.put(&call, &entries(2, "{}")).await;
    assert_eq!((status, &answer["FailedEntryCount"]), (200, &json!(2)));
    assert_eq!(answer["Entries"][0]["ErrorCode"], "InternalFailure");
    let (_, first) = bridge.put(&call, &entries(2, "{}")).await;
    let (_, second) = bridge.put(&call, &entries(2, "{}")).await;
    assert_eq!(first, second);
    assert_eq!(bridge.taker.taken().len(), 2);
    let (_, other) = bridge.put(&[], &entries(2, "{}")).await;
    assert_ne!(first["Entries"][0]["EventId"], other["Entries"][0]["EventId"]);
}

fn envelope(id: &str) -> String {
    json!({
        "version": "0", "id": id, "detail-type": "t", "source": "s", "account": "1", "time": "2030-04-05T17:31:00Z",
        "region": "us-east-1", "resources": [], "detail": {},
    })
    .to_string()
}

#[tokio::test]
async fn api_destinations_authenticate_by_their_connection() {
    let bridge = Bridge::start(
        r#"
        api_key = { header = "X-Api-Key", value = "hunter2" }
        basic = { username = "segno", password = "pass:word" }
        "#,
    )
    .await;
    // segno:pass:word
    let basic = ("authorization", "Basic c2Vnbm86cGFzczp3b3Jk");
    assert_eq!(bridge.post(&[("x-api-key", "hunter2")], envelope("1")).await, 202);
    assert_eq!(bridge.post(&[basic], envelope("2")).await, 202);
    assert_eq!(bridge.post(&[], envelope("3")).await, 401);
    assert_eq!(bridge.post(&[("x-api-key", "hunter")], envelope("3")).await, 401);
    assert_eq!(
        bridge
            .post(&[("authorization", "Basic c2Vnbm8=")], envelope("3"))
            .await,
        401
    );
    assert_eq!(bridge.post(&[basic], "{}".to_owned()).await, 400);
    bridge.taker.answer(|event, _| match event.id.as_str() {
        "4" => Outcome::Later("down".to_owned()),
        _ => Outcome::Refused("too large".to_owned()),
    });
    assert_eq!(bridge.post(&[basic], envelope("4")).await, 503);
    assert_eq!(bridge.post(&[basic], envelope("5")).await, 422);
    assert_eq!(bridge.taker.ids(), ["1", "2"]);
    // What is for API destinations opens no other door, and the other way round.
    let (status, answer) = bridge.put(&[("x-api-key", "hunter2")], &entries(1, "{}")).await;
    assert_eq!(
        (status, &answer["__type"]),
        (400, &json!("MissingAuthenticationTokenException"))
    );
    let signed_only = Bridge::start(KEYS).await;
    assert_eq!(signed_only.post(&[], envelope("1")).await, 401);
}
