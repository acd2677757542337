//! The built program with archives on S3 and records that go to EventBridge, on an emulator of AWS that is away for a while.

use std::{io::Cursor, time::Duration};

use segno_crawl_platform::{
    events::payloads::{Payload, ReportDeliveryInitiated},
    site,
};
use segno_test_support::servers::Ministack;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    installation::{Installation, Program},
    program::{TIMING, mails, mails_to_folder},
    world::eventually,
};

const BOOKS: u32 = 6;

/// The bucket, and a queue with what comes to the bus. The emulator forgets both when it is killed.
async fn prepare(aws: &Ministack) -> String {
    let bucket = format!("{}/archives", aws.url());
    let made = reqwest::Client::new().put(bucket).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let queue = aws.queue("deliveries").await;
    aws.call("AWSEvents.CreateEventBus", json!({ "Name": "data" }))
        .await;
    let pattern = json!({ "detail-type": ["ReportDeliveryInitiatedEvent"] }).to_string();
    let rule = json!({ "Name": "all", "EventBusName": "data", "EventPattern": pattern });
    aws.call("AWSEvents.PutRule", rule).await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:deliveries";
    let targets = json!({ "Rule": "all", "EventBusName": "data", "Targets": [{ "Id": "1", "Arn": arn }] });
    aws.call("AWSEvents.PutTargets", targets).await;
    queue
}

async fn run(program: &Program, crawler: &str) -> String {
    let begun = program
        .post(&format!("/crawlers/{crawler}/runs"), None, &json!({}))
        .await;
    begun["runId"].as_str().unwrap().to_owned()
}

async fn until(program: &Program, run: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut shown = Value::Null;
    eventually(what, async || {
        shown = program.get(&format!("/runs/{run}")).await;
        is_so(&shown)
    })
    .await;
    shown
}

async fn delivered(aws: &Ministack, queue: &str) -> Vec<Value> {
    let mut events = Vec::new();
    eventually("the event is on the bus", async || {
        for message in aws.drain(queue).await {
            events.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
        }
        !events.is_empty()
    })
    .await;
    // Another one would be there by now, or soon.
    tokio::time::sleep(Duration::from_millis(300)).await;
    events.extend(
        aws.drain(queue)
            .await
            .iter()
            .map(|message| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap()),
    );
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_go_to_eventbridge_and_files_to_s3() {
    let mut aws = Ministack::start().await;
    let queue = prepare(&aws).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, site::router(BOOKS)).await });
    let folder = tempfile::tempdir().unwrap();
    let segno = mails_to_folder(folder.path(), "");
    let more = format!(
        "archives = 's3://archives/runs'\n[eventbridge]\nbus = 'data'\nregion = 'us-east-1'\nendpoint = '{}'\n\
        credentials = {{ access_key_id = 'id', secret_access_key = 'secret' }}\n{TIMING}",
        aws.url()
    );
    let installation = Installation::new(folder.path(), &segno, &more)
        .variable("AWS_ENDPOINT", &aws.url())
        .variable("AWS_ALLOW_HTTP", "true")
        .variable("AWS_REGION", "us-east-1")
        .variable("AWS_ACCESS_KEY_ID", "id")
        .variable("AWS_SECRET_ACCESS_KEY", "secret");
    let program = installation.start().await;
    let definition = json!({
        "name": "books", "processes": 2, "export": "eventbridge", "projectId": "p-1", "reportId": "rep-1",
        "env": { "CRAWL_START_URL": site, "CRAWL_PAUSE_MS": "20" },
    });
    let crawler = program.post("/crawlers", None, &definition).await["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let id = run(&program, &crawler).await;
    let has_all = |run: &Value| run["exportStatus"] == "DELIVERED" && run["supportingFile"].is_string();
    let shown = until(&program, &id, "it is delivered", has_all).await;
    assert_eq!(
        (&shown["status"], &shown["records"]),
        (&json!("COMPLETED"), &json!(BOOKS))
    );
    let events = delivered(&aws, &queue).await;
    assert_eq!(events.len(), 1, "{events:#?}");
    let detail = &events[0]["detail"];
    let output = folder.path().join("output").join(&id);
    let expected = json!({
        "run": id, "crawler": crawler, "report": "rep-1", "project": "p-1", "records": BOOKS, "location": output,
    });
    assert_eq!(detail, &expected);
    assert_eq!(events[0]["source"], ReportDeliveryInitiated::SOURCE);
    let records = program.get(&format!("/runs/{id}/records")).await;
    assert_eq!(records, json!([]), "they are not in the database");

    // The archive is a whole one: a page of each book, by whichever process, and the site's lists.
    assert_eq!(shown["supportingFile"], format!("s3://archives/runs/{id}.zip"));
    let archive = format!("{}/archives/runs/{id}.zip", aws.url());
    let bytes = reqwest::get(&archive).await.unwrap().bytes().await.unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    assert!(
        archive.len() >= BOOKS as usize,
        "{:?}",
        archive.file_names().collect::<Vec<_>>()
    );
    for index in 0..archive.len() {
        let page = std::io::read_to_string(archive.by_index(index).unwrap()).unwrap();
        assert!(page.starts_with("<!doctype html>"), "{page}");
    }

    // While AWS is away nothing fails for good, and a crash in between changes nothing.
    aws.kill();
    let id = run(&program, &crawler).await;
    until(&program, &id, "its delivery has begun", |run| {
        run["exportStatus"] == "INITIATED"
    })
    .await;
    program.kill().await;
    // It has forgotten the rule, and drops what comes to it before there is one.
    aws.start_again().await;
    let queue = prepare(&aws).await;
    let program = installation.start().await;
    until(&program, &id, "it is delivered", has_all).await;
    let events = delivered(&aws, &queue).await;
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["detail"]["run"], json!(id));
    assert_eq!(mails(folder.path(), "DataDeliveryFailedEvent", &id), 0);
    eventually("the delivery is told of", async || {
        mails(folder.path(), "ReportDeliveryInitiatedEvent", &id) == 1
    })
    .await;
    program.kill().await;
    serving.abort();
}
