//! What is more than this process takes is answered, not suffered.

use std::time::Duration;

use reqwest::StatusCode;
use segno_test_support::Receiver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{App, DEADLINE, TestEngine, json_of, order};

on_every_engine!(too_many_at_once, far_too_large);

fn config(receiver: &Receiver) -> String {
    format!(
        r#"
        [http]
        max_concurrent = 2

        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [{{ name = "tell", to = "notify" }}]
        "#,
        receiver.url("/hook")
    )
}

/// A request that has begun and does not end.
async fn begin(app: &App) -> tokio::net::TcpStream {
    let url = app.url("");
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\n\
                content-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn too_many_at_once(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    let held = [begin(&app).await, begin(&app).await];
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let refused = loop {
        // The two may have not been seen yet.
        let response = app.get("/executions").send().await.unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            break response;
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(
        refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let response = app.send(&order("1", 1)).await;
    assert_eq!(
        json_of(response, StatusCode::TOO_MANY_REQUESTS).await["code"],
        "too-many-requests"
    );
    // Probes are answered all the same.
    assert_eq!(app.get("/livez").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(app.get("/readyz").send().await.unwrap().status(), StatusCode::OK);

    drop(held);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while app.send(&order("1", 1)).await.status() != StatusCode::ACCEPTED {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    receiver.wait_for(1, DEADLINE).await;
    app.stop().await;
}

async fn far_too_large(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let app = App::start(&engine, &config(&receiver)).await;
    // With its length announced, and without.
    let body = vec![b' '; 8 << 20];
    let request = app
        .post("/events")
        .header("content-type", "application/cloudevents+json")
        .body(body.clone());
    let response = request.send().await.unwrap();
    assert_eq!(
        json_of(response, StatusCode::PAYLOAD_TOO_LARGE).await["code"],
        "too-large"
    );

    let url = app.url("");
    let mut stream = tokio::net::TcpStream::connect(url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let head = "POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
                content-type: application/cloudevents+json\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, " ".repeat(64 << 10));
    for _ in 0..32 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    app.stop().await;
}
