//! The built function under Lambda's runtime interface, which the test serves, with a receiver as the Segno.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::{process::Stdio, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use segno_test_support::{Answer, Received, Receiver, servers::Ministack};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc},
};

const DEADLINE: Duration = Duration::from_secs(30);

/// What Lambda's runtime interface hands out and is told.
struct Runtime {
    next: Mutex<mpsc::Receiver<Value>>,
    done: mpsc::Sender<(bool, Value)>,
}

/// A function that runs.
struct Function {
    invoke: mpsc::Sender<Value>,
    done: mpsc::Receiver<(bool, Value)>,
    _process: Child,
}

impl Function {
    async fn start(segno: &Receiver, variables: &[(&str, &str)]) -> Self {
        let (invoke, next) = mpsc::channel(1);
        let (done, told) = mpsc::channel(1);
        let runtime = Arc::new(Runtime {
            next: Mutex::new(next),
            done,
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next_invocation))
            .route("/2018-06-01/runtime/invocation/{id}/{what}", post(outcome))
            .with_state(runtime);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let process = Command::new(env!("CARGO_BIN_EXE_segno-lambda"))
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "orders")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "g")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "s")
            .env("SEGNO_URL", segno.url("/"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            invoke,
            done: told,
            _process: process,
        }
    }

    /// What it answers, and whether that is a success.
    async fn invoke(&mut self, payload: Value) -> (bool, Value) {
        self.invoke.send(payload).await.unwrap();
        let done = tokio::time::timeout(DEADLINE, self.done.recv()).await;
        done.expect("an answer in time").expect("the function runs")
    }
}

async fn next_invocation(State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    let payload = runtime.next.lock().await.recv().await.unwrap_or_default();
    let mut headers = HeaderMap::new();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(
        "lambda-runtime-aws-request-id",
        "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    );
    set("lambda-runtime-deadline-ms", "4102444800000");
    set(
        "lambda-runtime-invoked-function-arn",
        "arn:aws:lambda:us-east-1:1:function:orders",
    );
    (headers, payload.to_string())
}

async fn outcome(
    State(runtime): State<Arc<Runtime>>,
    Path((_, what)): Path<(String, String)>,
    body: String,
) -> StatusCode {
    let answer = serde_json::from_str(&body).unwrap_or(Value::Null);
    runtime.done.send((what == "response", answer)).await.unwrap();
    StatusCode::ACCEPTED
}

fn ids(request: &Received) -> Vec<String> {
    let events = request.json();
    let ids = events.as_array().unwrap().iter();
    ids.map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A Segno that refuses the event `refused` and takes nothing that contains `down`.
async fn segno() -> Receiver {
    Receiver::answering(|request| {
        let ids = ids(request);
        if ids.iter().any(|id| id == "down") {
            return Answer::status(503).body("{\"detail\": \"the engine does not take events now\"}");
        }
        match ids.iter().any(|id| id == "refused") {
            true => Answer::status(400).body("{\"detail\": \"no\"}"),
            false => Answer::status(202),
        }
    })
    .await
}

fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t"})
}

fn queued(message: &str, body: &str, group: Option<&str>) -> Value {
    let queue = if group.is_some() { "q.fifo" } else { "q" };
    json!({
        "messageId": message, "body": body, "eventSource": "aws:sqs", "attributes": {"MessageGroupId": group},
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:1:{queue}"), "messageAttributes": {},
    })
}

fn failures(answer: &(bool, Value)) -> Vec<&str> {
    assert!(answer.0, "{answer:?}");
    let failures = answer.1["batchItemFailures"].as_array().unwrap();
    failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn events_of_eventbridge_sns_and_s3() {
    let segno = segno().await;
    let mut function = Function::start(&segno, &[("SEGNO_AUTHORIZATION", "Bearer t")]).await;
    let envelope = json!({
        "version": "0", "id": "e-1", "detail-type": "ReportRunStoppedEvent", "source": "phoenix", "account": "1",
        "time": "2030-04-05T17:31:00Z", "region": "us-east-1", "resources": [], "detail": {"run": 3},
    });
    assert_eq!(
        function.invoke(envelope.clone()).await,
        (true, json!({"events": 1}))
    );
    let request = segno.requests().remove(0);
    assert_eq!(request.uri.path(), "/events");
    assert_eq!(request.header("authorization"), Some("Bearer t"));
    assert_eq!(request.json()[0]["type"], "ReportRunStoppedEvent");

    let sns = |message: &str| {
        json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {
            "Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Subject": null,
            "Message": message, "Timestamp": "2030-04-05T17:31:00.000Z", "MessageAttributes": {},
        }}]})
    };
    assert_eq!(
        function.invoke(sns(&event("2").to_string())).await.1,
        json!({"events": 1})
    );
    assert_eq!(function.invoke(sns("plain")).await.1, json!({"events": 1}));
    assert_eq!(segno.requests()[2].json()[0]["id"], "n-1");
    let s3 = json!({"Records": [{
        "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": "R"}, "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}},
    }]});
    assert_eq!(function.invoke(s3).await.1, json!({"events": 1}));

    // AWS repeats what fails.
    let (succeeded, error) = function.invoke(sns(&event("down").to_string())).await;
    assert!(
        !succeeded
            && error["errorMessage"]
                .as_str()
                .unwrap()
                .contains("takes nothing now"),
        "{error}"
    );
    let (succeeded, error) = function
        .invoke(json!({"detail-type": "t", "source": "s", "detail": 7}))
        .await;
    assert!(
        !succeeded
            && error["errorMessage"]
                .as_str()
                .unwrap()
                .contains("`id` is missing"),
        "{error}"
    );
}

#[tokio::test]
async fn each_message_of_a_queue_fails_by_itself() {
    let segno = segno().await;
    let mut function = Function::start(&segno, &[]).await;
    let batch = |messages: &[(&str, String)]| {
        let records: Vec<_> = messages.iter().map(|(id, body)| queued(id, body, None)).collect();
        json!({"Records": records})
    };
    let body = |id: &str| event(id).to_string();
    let answer = function
        .invoke(batch(&[("a", body("1")), ("b", body("2"))]))
        .await;
    assert_eq!(failures(&answer), [""; 0]);
    assert_eq!(ids(&segno.requests()[0]), ["1", "2"], "in one request");
    let messages = [
        ("a", body("3")),
        ("b", "nonsense".to_owned()),
        ("c", body("refused")),
        ("d", body("4")),
    ];
    let answer = function.invoke(batch(&messages)).await;
    assert_eq!(failures(&answer), ["b", "c"]);
    let answer = function
        .invoke(batch(&[("a", body("5")), ("b", body("down"))]))
        .await;
    assert_eq!(failures(&answer), ["a", "b"]);
}

#[tokio::test]
async fn a_message_group_stays_in_order() {
    let segno = segno().await;
    let mut function = Function::start(&segno, &[]).await;
    let records = [("1", "g"), ("down", "g"), ("2", "h"), ("3", "g"), ("4", "h")]
        .map(|(id, group)| queued(&format!("m-{id}"), &event(id).to_string(), Some(group)));
    let answer = function.invoke(json!({"Records": records})).await;
    assert_eq!(failures(&answer), ["m-down", "m-3"]);
    let sent: Vec<_> = segno.requests().iter().flat_map(ids).collect();
    assert_eq!(sent, ["1", "down", "2", "4"]);
}

#[tokio::test]
async fn a_mapping_of_its_own() {
    let segno = segno().await;
    let map = "{type: \"order.\\(.body.kind)\", id: .body.n, data: .body}";
    let mut function = Function::start(&segno, &[("SEGNO_MAP", map)]).await;
    let answer = function.invoke(json!({"kind": "paid", "n": "7"})).await;
    assert_eq!(answer, (true, json!({"events": 1})));
    let sent = segno.requests()[0].json();
    assert_eq!(
        (&sent[0]["type"], &sent[0]["source"]),
        (&json!("order.paid"), &json!("/lambda/orders"))
    );
}

#[tokio::test]
async fn an_emulator_of_aws_runs_it() {
    let (aws, segno) = (Ministack::start().await, segno().await);
    let python = std::env::var("SEGNO_BOTO3_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/deploy.py"))
        .args([&aws.url(), env!("CARGO_BIN_EXE_segno-lambda"), &segno.url("/")])
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer, json!({"error": null, "answer": {"events": 1}}));
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let sent: Vec<_> = segno.requests().iter().flat_map(ids).collect();
        if ["e-1", "q-1", "q-2"]
            .iter()
            .all(|id| sent.iter().any(|one| one == id))
        {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{sent:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
