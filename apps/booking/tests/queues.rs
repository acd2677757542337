//! The whole way, over a real SQS API: events in the choreographer's format on the queue `events`, payloads on the others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use segno::{Running, Segno, config::Config};
use segno_routing::{HandlerExplanation, Outcome, Yields, explain};
use segno_test_support::{TemporalServer, servers::Ministack};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(60);
const OUTPUTS: [&str; 7] = [
    "mail",
    "slack",
    "notification",
    "laure",
    "delivery",
    "reflex",
    "leica",
];
const ADA: &str = "0a1b2c3d-0000-4000-8000-000000000001";

fn data_of(event: &str) -> Value {
    let families: BTreeMap<String, Value> = serde_json::from_str(include_str!("events.json")).unwrap();
    families[event.split('.').next().unwrap()].clone()
}

/// Makes each named behaviour, an `async fn(Platform)`, a test on every engine.
macro_rules! on_every_engine {
    ($($behaviour:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(super::Platform::start(None).await).await;
                }
            )+
        }

        mod temporal {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    let server = segno_test_support::TemporalServer::start().await;
                    super::$behaviour(super::Platform::start(Some(server)).await).await;
                }
            )+
        }
    };
}

on_every_engine!(
    an_event_comes_out_as_its_payloads,
    available_and_lists,
    what_is_wrong_holds_nothing_up,
);

/// The platform's queues, and Segno between them.
struct Platform {
    aws: Ministack,
    events: String,
    rejected: String,
    outputs: BTreeMap<&'static str, String>,
    /// What has come out so far, by queue.
    out: BTreeMap<&'static str, Vec<Value>>,
    segno: Running,
    _temporal: Option<TemporalServer>,
    _folder: TempDir,
}

impl Platform {
    /// Starts all of it, on the engine in the process or on this server.
    async fn start(temporal: Option<TemporalServer>) -> Self {
        let engine = match &temporal {
            None => String::new(),
            Some(server) => format!(
                "engine = {{ temporal = {{ address = {:?}, namespace = {:?} }} }}\n",
                server.address(),
                server.namespace().await
            ),
        };
        let aws = Ministack::start().await;
        let events = aws.queue("events").await;
        let rejected = aws.queue("events-rejected").await;
        let mut outputs = BTreeMap::new();
        for name in OUTPUTS {
            outputs.insert(name, aws.queue(name).await);
        }
        let folder = tempfile::tempdir().unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let segno = Segno::builder()
            .config(config(&folder, &engine, &aws.url()))
            .data(folder.path().join("data"))
            .http(free)
            .grpc(free)
            .start()
            .await
            .expect("segno starts");
        Self {
            aws,
            events,
            rejected,
            outputs,
            out: BTreeMap::new(),
            segno,
            _temporal: temporal,
            _folder: folder,
        }
    }

    /// Puts a body on the queue of events.
    async fn put(&self, body: &Value) {
        let request = json!({"QueueUrl": self.events, "MessageBody": body.to_string()});
        self.aws.call("AmazonSQS.SendMessage", request).await;
    }

    /// Takes what has come out until something holds of it.
    async fn until(&mut self, condition: impl Fn(&BTreeMap<&'static str, Vec<Value>>) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            for (name, queue) in &self.outputs {
                let messages = self.aws.drain(queue).await;
                let bodies = messages
                    .iter()
                    .map(|message| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
                self.out.entry(name).or_default().extend(bodies);
            }
            if condition(&self.out) {
                return;
            }
            assert!(Instant::now() < deadline, "{:#?}", self.out);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The executions, as the API lists them, until there are that many closed ones.
    async fn executions(&self, closed: usize) -> Vec<Value> {
        let url = format!("http://{}/executions", self.segno.http_address());
        let deadline = Instant::now() + DEADLINE;
        loop {
            let page: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
            let all = page["executions"].as_array().unwrap().clone();
            let done = all
                .iter()
                .filter(|execution| execution["status"] != "Running")
                .count();
            if done >= closed {
                return all;
            }
            assert!(Instant::now() < deadline, "{page:#}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn story(&self, workflow_id: &str) -> Vec<Value> {
        let mut url =
            reqwest::Url::parse(&format!("http://{}/executions", self.segno.http_address())).unwrap();
        url.path_segments_mut().unwrap().push(workflow_id);
        let execution: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        execution["story"]
            .as_array()
            .unwrap_or_else(|| panic!("{execution:#}"))
            .clone()
    }

    async fn stop(self) {
        self.segno.shutdown().await.expect("segno stops in order");
    }
}

/// The configuration as it is on this engine, with the emulator in place of AWS: what else AWS's own variables would say.
fn config(folder: &TempDir, engine: &str, endpoint: &str) -> Config {
    let main = std::fs::read_to_string(segno_booking::path()).unwrap();
    let here = format!(
        "sqs = {{ endpoint = \"{endpoint}\", region = \"us-east-1\", \
         credentials = {{ access_key_id = \"id\", secret_access_key = \"secret\" }}, queue"
    );
    let main = main.replace("sqs = { queue", &here);
    assert_eq!(main.matches(endpoint).count(), 1 + OUTPUTS.len());
    std::fs::write(folder.path().join("segno.toml"), format!("{engine}{main}")).unwrap();
    let routes = folder.path().join("routes");
    std::fs::create_dir(&routes).unwrap();
    for entry in std::fs::read_dir(segno_booking::path().with_file_name("routes")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), routes.join(entry.file_name())).unwrap();
    }
    Config::load(&folder.path().join("segno.toml")).expect("no mistakes")
}

/// A body as services put it.
fn body(name: &str, guid: &str, data: &Value) -> Value {
    json!({
        "event_name": name, "guid": guid, "actor": "", "request_id": "r-1",
        "created_at": "2030-01-01T10:00:00+00:00", "data": data,
    })
}

fn guid(n: usize) -> String {
    format!("0a1b2c3d-0000-4000-8000-{n:012}")
}

/// How often each event is on each queue.
type Counts = BTreeMap<(String, String), usize>;

/// What is to come of each event of the table, by the configuration alone.
fn expected(names: &[&str]) -> Counts {
    let config = segno_booking::config().expect("no mistakes");
    let mut counts = Counts::new();
    for (n, name) in names.iter().enumerate() {
        let event = serde_json::from_value(json!({
            "specversion": "1.0", "id": "e", "source": "/sources/events", "type": name, "subject": guid(n),
            "time": "2030-01-01T10:00:00Z", "guid": guid(n), "requestid": "r-1", "data": data_of(name),
        }));
        for route in explain(&config.routes, &event.unwrap()).routes {
            if let Outcome::Matched {
                handler: HandlerExplanation::Actions { stages },
                ..
            } = route.outcome
            {
                for action in stages.into_iter().flatten() {
                    if let Yields::Payloads(payloads) = action.yields {
                        *counts.entry((action.to, (*name).to_owned())).or_default() += payloads.len();
                    }
                }
            }
        }
    }
    counts
}

// On the embedded engine alone: it is the configuration that is tested, and the other is far slower with this many events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_comes_out_where_it_belongs() {
    let mut platform = Platform::start(None).await;
    let names: Vec<&str> = include_str!("bindings.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names.len(), 154);
    let expected = expected(&names);
    let all: usize = expected.values().sum();
    assert!(all > 200, "{all}");
    for (n, name) in names.iter().enumerate() {
        platform.put(&body(name, &guid(n), &data_of(name))).await;
    }
    platform
        .until(|out| out.values().map(Vec::len).sum::<usize>() >= all)
        .await;
    let mut found = Counts::new();
    for (queue, payloads) in &platform.out {
        for payload in payloads {
            let name = payload["event_name"].as_str().unwrap();
            *found.entry(((*queue).to_owned(), name.to_owned())).or_default() += 1;
        }
    }
    assert_eq!(found, expected);
    assert_eq!(platform.aws.drain(&platform.rejected).await, [] as [Value; 0]);
    platform.stop().await;
}

async fn an_event_comes_out_as_its_payloads(mut platform: Platform) {
    let approved = data_of("assignment.workflow.approve");
    platform
        .put(&body("assignment.workflow.approve", ADA, &approved))
        .await;
    platform
        .until(|out| out["delivery"].len() == 1 && out["mail"].len() == 1 && out["slack"].len() == 1)
        .await;
    let delivery = &platform.out["delivery"][0];
    assert!(delivery["id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(
        *delivery,
        json!({"id": delivery["id"], "event_name": "assignment.workflow.approve", "created_at": "2030-01-01T10:00:00Z",
               "guid": ADA, "data": approved})
    );
    assert_eq!(
        platform.out["mail"][0],
        json!({"event_name": "assignment.workflow.approve", "entity": "Assignment", "guid": ADA,
               "sender_name": "The booking team", "sender_email": "team@booking.example",
               "fullname": "Bob Ross", "email": "bob@example.com", "subject": "A1 is approved",
               "template": "platform-assignment-approved", "data": approved})
    );
    assert_eq!(
        platform.out["slack"][0],
        json!({"event_name": "assignment.workflow.approve", "entity": "Assignment", "guid": ADA,
               "channel": "assignments", "text": "A1 is approved", "color": "good", "username": "Choreographer",
               "data": {"id": "a-1", "slug": "A1"}})
    );
    // By ascending weight: each stage began when the one before was through.
    let executions = platform.executions(1).await;
    let story = platform
        .story(executions[0]["workflow_id"].as_str().unwrap())
        .await;
    let weights: Vec<_> = story
        .iter()
        .map(|action| action["weight"].as_u64().unwrap())
        .collect();
    assert_eq!(weights, [10, 100, 200]);
    for pair in story.windows(2) {
        assert!(
            pair[0]["ended"].as_str() <= pair[1]["started"].as_str(),
            "{story:#?}"
        );
    }
    let categories: Vec<_> = story
        .iter()
        .map(|action| action["category"].as_str().unwrap())
        .collect();
    assert_eq!(categories, ["service_message", "notification", "notification"]);
    platform.stop().await;
}

async fn available_and_lists(mut platform: Platform) {
    // An action that is not available is skipped; the other one runs.
    let mut lead = data_of("lead.created");
    lead["internal"] = json!(false);
    platform.put(&body("lead.created", &guid(1), &lead)).await;
    // A transform to a list is a message each, and one to an empty list none.
    platform
        .put(&body("comment.created", &guid(2), &data_of("comment.created")))
        .await;
    let mut alone = data_of("comment.created");
    alone["mentions"] = json!([]);
    alone["internal"] = json!(true);
    platform.put(&body("comment.created", &guid(3), &alone)).await;
    platform
        .until(|out| out["slack"].len() == 3 && out["mail"].len() == 3 && out["notification"].len() == 2)
        .await;
    let executions = platform.executions(3).await;
    assert!(
        executions
            .iter()
            .all(|execution| execution["status"] == "Completed"),
        "{executions:#?}"
    );
    let to = |queue: &str, key: &str| {
        let mut to: Vec<_> = platform.out[queue]
            .iter()
            .map(|payload| {
                (
                    payload["guid"].as_str().unwrap(),
                    payload[key].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        to.sort_unstable();
        to.into_iter().map(|(_, to)| to).collect::<Vec<_>>()
    };
    assert_eq!(
        to("mail", "email"),
        ["ada@example.com", "bob@example.com", "cy@example.com"]
    );
    assert_eq!(to("notification", "fullname"), ["Bob Ross", "Cy Young"]);
    let find = |route: &str, guid: &str| {
        executions
            .iter()
            .find(|execution| execution["route"] == route && execution["event_subject"] == guid)
            .and_then(|execution| execution["workflow_id"].as_str())
            .unwrap()
            .to_owned()
    };
    let story = platform.story(&find("lead.created", &guid(1))).await;
    assert_eq!(
        (&story[0]["action"], &story[0]["state"]),
        (&json!("mail"), &json!("skipped")),
        "{story:#?}"
    );
    assert!(
        story[0]["reason"].as_str().unwrap().contains("internal"),
        "{story:#?}"
    );
    let story = platform.story(&find("comment.created", &guid(3))).await;
    assert_eq!(
        (&story[1]["action"], &story[1]["delivered"]),
        (&json!("mentioned"), &json!(0)),
        "{story:#?}"
    );
    platform.stop().await;
}

async fn what_is_wrong_holds_nothing_up(mut platform: Platform) {
    let lead = data_of("lead.created");
    // Without a name, without a guid: no events.
    for key in ["event_name", "guid"] {
        let mut broken = body("lead.created", &guid(4), &lead);
        broken.as_object_mut().unwrap().remove(key);
        platform.put(&broken).await;
    }
    // An event that nobody knows: no action.
    platform.put(&body("lead.forgotten", &guid(5), &lead)).await;
    // One action fails on its data: the others go on.
    let mut cancelled = data_of("order.workflow.cancel");
    cancelled["creatives"] = json!("nobody");
    platform
        .put(&body("order.workflow.cancel", &guid(6), &cancelled))
        .await;
    // And what is right comes after all of that.
    platform.put(&body("lead.created", &guid(7), &lead)).await;
    platform
        .until(|out| out["slack"].len() == 2 && out["mail"].len() == 1 && out["leica"].len() == 1)
        .await;
    // Three with the one that keeps the event which no route takes.
    let executions = platform.executions(3).await;
    let on_routes = executions
        .iter()
        .filter(|execution| execution.get("route").is_some())
        .count();
    assert_eq!(on_routes, 2, "{executions:#?}");
    let status = |route: &str| {
        let execution = executions
            .iter()
            .find(|execution| execution["route"] == route)
            .unwrap();
        (
            execution["status"].as_str().unwrap(),
            execution["workflow_id"].as_str().unwrap(),
        )
    };
    assert_eq!(status("lead.created").0, "Completed");
    // A dead letter, which says which action failed and why.
    let (status, id) = status("order.workflow.cancel");
    assert_eq!(status, "Failed");
    let story = platform.story(id).await;
    let states: Vec<_> = story
        .iter()
        .map(|action| action["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["done", "failed", "done"], "{story:#?}");
    assert!(
        story[1]["reason"].as_str().unwrap().contains("transform fails"),
        "{story:#?}"
    );
    // Nothing is left on the queue, and what was no event is where somebody can look at it, with the reason.
    let deadline = Instant::now() + DEADLINE;
    let mut rejected = Vec::new();
    while rejected.len() < 2 {
        rejected.extend(platform.aws.drain(&platform.rejected).await);
        assert!(Instant::now() < deadline, "{rejected:#?}");
        sleep(Duration::from_millis(50)).await;
    }
    let mut reasons: Vec<_> = rejected
        .iter()
        .map(|message| {
            message["MessageAttributes"]["SegnoReason"]["StringValue"]
                .as_str()
                .unwrap()
        })
        .collect();
    reasons.sort_unstable();
    assert!(
        reasons[0].contains("event_name") || reasons[1].contains("event_name"),
        "{reasons:?}"
    );
    assert!(
        reasons[0].contains("guid") || reasons[1].contains("guid"),
        "{reasons:?}"
    );
    assert_eq!(platform.aws.drain(&platform.events).await, [] as [Value; 0]);
    platform.stop().await;
}
