//! The program itself: signals, addresses, logs, the demo.

use std::time::Duration;

use reqwest::StatusCode;
use segno_test_support::{Answer, Receiver, free_port};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{DEADLINE, Launch, TestEngine, order};

on_every_engine!(
    sigterm_fails_readiness_drains_and_ends,
    sigint_ends_at_once,
    what_runs_is_finished,
    what_hangs_is_cut_off,
    logs_have_no_payloads,
    a_taken_port_is_told,
    other_machines_are_refused,
    demo,
);

const CONFIG: &str = r#"
    [[routes]]
    name = "all"
    on = "*"
    actions = [{ name = "log", to = "log" }]

    [sinks.log]
    file = { path = "log.jsonl" }
    "#;

fn notify(receiver: &Receiver) -> String {
    format!(
        r#"
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

async fn send(http: &reqwest::Client, url: &str, event: &Value) -> reqwest::Response {
    http.post(url)
        .header("content-type", "application/cloudevents+json")
        .body(event.to_string())
        .send()
        .await
        .expect("an answer")
}

async fn sigterm_fails_readiness_drains_and_ends(engine: TestEngine) {
    let mut launch = Launch::up(&engine, CONFIG);
    let mut program = launch.start().await;
    let asked = Instant::now();
    program.signal("TERM").await;
    // Not ready, while it still answers.
    loop {
        let response = reqwest::get(program.url("/readyz"))
            .await
            .expect("it still answers");
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", program.log());
        sleep(Duration::from_millis(10)).await;
    }
    let status = program.ended().await;
    assert!(status.success(), "{status}: {}", program.log());
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert!(reqwest::get(program.url("/livez")).await.is_err());
}

async fn sigint_ends_at_once(engine: TestEngine) {
    let mut launch = Launch::up(&engine, CONFIG);
    for _ in 0..2 {
        let mut program = launch.start().await;
        let asked = Instant::now();
        program.signal("INT").await;
        let status = program.ended().await;
        assert!(status.success(), "{status}: {}", program.log());
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    }
}

async fn what_runs_is_finished(engine: TestEngine) {
    // The receiver is slow: the delivery runs while the program is told to stop.
    let receiver = Receiver::answering(|_| Answer::status(200).after(Duration::from_secs(3))).await;
    let mut launch = Launch::up(&engine, &notify(&receiver));
    let mut program = launch.start().await;
    let response = send(&reqwest::Client::new(), &program.url("/events"), &order("1", 1)).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    receiver.wait_for(1, DEADLINE).await;
    program.signal("TERM").await;
    assert!(program.ended().await.success(), "{}", program.log());

    // It is done: the next process has nothing to deliver again.
    let program = launch.start().await;
    let response = send(&reqwest::Client::new(), &program.url("/events"), &order("2", 2)).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let requests = receiver.wait_for(2, DEADLINE).await;
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.header("webhook-id").unwrap())
        .collect();
    assert_eq!(ids, ["all//shop/1/tell/0", "all//shop/2/tell/0"]);
}

async fn what_hangs_is_cut_off(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(200).after(Duration::from_secs(300))).await;
    let mut launch = Launch::up(&engine, &notify(&receiver));
    let mut program = launch.start().await;
    let response = send(&reqwest::Client::new(), &program.url("/events"), &order("1", 1)).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    receiver.wait_for(1, DEADLINE).await;
    let asked = Instant::now();
    program.signal("TERM").await;
    assert!(program.ended().await.success(), "{}", program.log());
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());

    // The next process does it again.
    receiver.set_program(|_| Answer::status(200));
    let program = launch.start().await;
    let execution = program.closed("all//shop/1").await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(receiver.requests().len(), 2);
}

async fn logs_have_no_payloads(engine: TestEngine) {
    const SECRET: &str = "4929-0000-0000-1111";
    let receiver = Receiver::sequence([Answer::status(500).body(SECRET)]).await;
    let mut launch = Launch::up(&engine, &notify(&receiver));
    let mut program = launch.start().await;
    let mut event = order("1", 1);
    event["data"]["card"] = SECRET.into();
    let http = reqwest::Client::new();
    assert_eq!(
        send(&http, &program.url("/events"), &event).await.status(),
        StatusCode::ACCEPTED
    );
    event["type"] = "".into();
    assert_eq!(
        send(&http, &program.url("/events?token=hush"), &event)
            .await
            .status(),
        StatusCode::BAD_REQUEST
    );
    receiver.wait_for(2, DEADLINE).await;
    program.signal("INT").await;
    program.ended().await;

    let log = program.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    let access: Vec<_> = lines
        .iter()
        .filter(|line| line["target"] == "segno::access")
        .map(|line| {
            (
                line["method"].as_str().unwrap(),
                line["path"].as_str().unwrap(),
                line["status"].clone(),
            )
        })
        .collect();
    assert_eq!(
        access,
        [("POST", "/events", 202.into()), ("POST", "/events", 400.into())],
        "{log}"
    );
    assert!(!log.contains(SECRET), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

async fn a_taken_port_is_told(engine: TestEngine) {
    let mut first = Launch::up(&engine, CONFIG);
    let _running = first.start().await;
    let mut second = Launch::up(&engine, CONFIG);
    second.http = first.http;
    let mut program = second.spawn();
    assert!(!program.ended().await.success());
    let log = program.log();
    assert!(log.contains(&first.http.to_string()), "{log}");
    assert!(log.contains("in use"), "{log}");
    assert!(log.contains("--http"), "{log}");
}

async fn other_machines_are_refused(engine: TestEngine) {
    let mut launch = Launch::up(&engine, CONFIG);
    launch.http = format!("0.0.0.0:{}", free_port()).parse().unwrap();
    let mut program = launch.spawn();
    assert!(!program.ended().await.success());
    let log = program.log();
    assert!(log.contains("--allow-unauthenticated"), "{log}");

    launch.argument("--allow-unauthenticated");
    launch.start().await;
}

async fn demo(engine: TestEngine) {
    let receiver = format!("127.0.0.1:{}", free_port());
    let mut launch = Launch::segno("demo", &engine, &["--receiver", &receiver]);
    for run in 0..2 {
        let mut program = launch.start().await;
        let deadline = Instant::now() + DEADLINE;
        while !program.output().contains("deliveries arrived") {
            assert!(
                Instant::now() < deadline,
                "{}\n{}",
                program.output(),
                program.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
        let output = program.output();
        for shown in [
            format!("http://{}/", launch.http),
            r#"at /sales        {"order":1001,"total":250}"#.to_owned(),
            r#"at /people       {"text":"Shall we ship it?","to":"grace"}"#.to_owned(),
            "refused  at /warehouse".to_owned(),
            "arrived  at /warehouse".to_owned(),
            "arrived  at /timer".to_owned(),
            "All 6 deliveries arrived".to_owned(),
        ] {
            assert!(output.contains(&shown), "{shown} is missing from:\n{output}");
        }
        assert_eq!(output.contains("from earlier runs"), run > 0, "{output}");
        program.signal("INT").await;
        assert!(program.ended().await.success(), "{}", program.log());
    }
}

/// The engine alone: a client that knows nothing of Segno starts a workflow, and a restart keeps it.
#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_alone() {
    use temporalio_client::{
        UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus, WorkflowStartOptions,
    };
    use temporalio_common::data_converters::RawValue;

    let engine = TestEngine::embedded();
    let mut launch = Launch::engine(&engine);
    for start in 0..2 {
        let mut program = launch.spawn();
        let client = program.engine_client(&launch).await;
        if start == 0 {
            let options = WorkflowStartOptions::new("nobody", "kept").build();
            client
                .start_workflow(UntypedWorkflow::new("Any"), RawValue::default(), options)
                .await
                .unwrap();
        }
        let handle = client.get_workflow_handle::<UntypedWorkflow>("kept");
        let described = handle.describe(WorkflowDescribeOptions::default()).await.unwrap();
        assert_eq!(described.workflow_type(), "Any");
        assert_eq!(described.status(), WorkflowExecutionStatus::Running);
        let asked = Instant::now();
        program.signal("TERM").await;
        assert!(program.ended().await.success(), "{}", program.log());
        assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    }
}
