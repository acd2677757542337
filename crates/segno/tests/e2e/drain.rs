//! SIGTERM: readiness fails first, what is under way is finished, and the process ends with 0 inside 30 seconds.

use std::time::Duration;

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::support::{DEADLINE, Launch, TestEngine, json_of, order};

on_every_engine!(what_is_under_way_is_finished);

async fn what_is_under_way_is_finished(engine: TestEngine) {
    // Longer than load balancers are given, shorter than activities are.
    let receiver = Receiver::answering(|_| Answer::status(204).after(Duration::from_secs(5))).await;
    let config = format!(
        r#"
        [sinks.there.webhook]
        url = "{}"
        allow_private = true
        [[routes]]
        name = "tell"
        on = "order.placed"
        actions = [{{ name = "tell", to = "there" }}]
        "#,
        receiver.url("/there"),
    );
    let mut launch = Launch::up(&engine, &config);
    let mut program = launch.start().await;
    let sent = reqwest::Client::new()
        .post(program.url("/events"))
        .header("content-type", "application/cloudevents+json")
        .body(order("1", 1).to_string());
    let accepted = json_of(sent.send().await.unwrap(), StatusCode::ACCEPTED).await;
    let id = accepted["events"][0]["executions"][0]["workflow_id"]
        .as_str()
        .unwrap()
        .to_owned();
    receiver.wait_for(1, DEADLINE).await;

    // A request of which only half is there.
    let body = order("2", 1).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let mut half = TcpStream::connect(launch.http).await.unwrap();
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: {}\r\ncontent-type: application/cloudevents+json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{first}",
        launch.http,
        body.len()
    );
    half.write_all(head.as_bytes()).await.unwrap();

    let told = Instant::now();
    program.signal("TERM").await;
    // Readiness fails while connections are still taken.
    loop {
        let ready = reqwest::get(program.url("/readyz"))
            .await
            .expect("it still listens");
        if ready.status() == StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        assert!(told.elapsed() < DEADLINE);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        reqwest::get(program.url("/livez")).await.unwrap().status(),
        StatusCode::OK
    );
    // Then no new ones are.
    while TcpStream::connect(launch.http).await.is_ok() {
        assert!(told.elapsed() < DEADLINE, "it still listens");
        sleep(Duration::from_millis(20)).await;
    }
    // The request under way is finished, and answered.
    half.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");

    let status = program.ended().await;
    assert!(status.success(), "{status}:\n{}", program.log());
    assert!(told.elapsed() < Duration::from_secs(30), "{:?}", told.elapsed());

    // The delivery that was under way had its time: it is done, and was made once.
    let program = launch.start().await;
    assert_eq!(program.closed(&id).await["status"], "Completed");
    let key = format!("{id}/tell/0");
    let of_first = |requests: &[segno_test_support::Received]| {
        requests
            .iter()
            .filter(|request| request.header("webhook-id") == Some(key.as_str()))
            .count()
    };
    receiver
        .wait_until(DEADLINE, |requests| requests.len() > of_first(requests))
        .await;
    assert_eq!(of_first(&receiver.requests()), 1);
}
