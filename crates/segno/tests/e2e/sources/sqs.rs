//! SQS. The emulator keeps nothing when it is killed, so only Segno is.

use segno_test_support::servers::Ministack;
use serde_json::{Value, json};

use super::{body, check, config, until_written};
use crate::support::{Launch, TestEngine};

on_every_engine!(a_queue_while_segno_is_killed);

/// A call of SQS's API.
async fn call(server: &Ministack, operation: &str, body: Value) -> Value {
    let response = reqwest::Client::new()
        .post(server.url())
        .header("x-amz-target", format!("AmazonSQS.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20300101/us-east-1/sqs/aws4_request",
        )
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert!(
        response.status().is_success(),
        "{}",
        response.text().await.unwrap()
    );
    response.json().await.unwrap()
}

async fn send(server: &Ministack, url: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        call(
            server,
            "SendMessage",
            json!({"QueueUrl": url, "MessageBody": body(n)}),
        )
        .await;
    }
}

async fn a_queue_while_segno_is_killed(engine: TestEngine) {
    let server = Ministack::start().await;
    let queue = call(&server, "CreateQueue", json!({"QueueName": "orders"})).await;
    let queue = queue["QueueUrl"].as_str().unwrap();
    let source = format!(
        "sqs = {{ queue = {queue:?}, endpoint = {:?}, region = \"us-east-1\", visibility = \"3s\", \
         credentials = {{ access_key_id = \"test\", secret_access_key = \"test\" }} }}",
        server.url()
    );
    let mut launch = Launch::up(&engine, &config(&source));
    let program = launch.start().await;
    send(&server, queue, 0..20).await;
    until_written(&engine, 5).await;
    program.kill().await;
    send(&server, queue, 20..30).await;
    let mut program = launch.start().await;
    check(&until_written(&engine, 30).await, 30);
    program.signal("TERM").await;
    assert!(program.ended().await.success(), "{}", program.log());
}
