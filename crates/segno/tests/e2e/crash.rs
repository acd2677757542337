//! Crashes of a process with the engine in it: what was acknowledged is done, whenever the process dies.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use reqwest::StatusCode;
use segno_test_support::{Answer, Received, Receiver};
use serde_json::{Value, json};
use temporalio_client::{Client, UntypedWorkflow, WorkflowFetchHistoryOptions};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use tokio::time::{Instant, sleep};

use crate::support::{Launch, TestEngine};

const EVENTS: usize = 2_000;
const TIMERS: usize = 500;
const KILLS: usize = 10;
/// Share of its requests that the receiver answers with an error.
const FAILING: f64 = 0.2;
/// How many of one delivery's requests fail in a row at most: a timer has five attempts, and a crash may take
/// one or two of them.
const FAILING_IN_A_ROW: u32 = 2;
/// Senders side by side.
const SENDERS: usize = 16;
/// How long everything may take to arrive after the last crash.
const PATIENCE: Duration = Duration::from_secs(180);
/// How late the engine may find that a deadline has come, when it was there. (Workers may be behind by more, on a
/// busy machine.)
const LATE: Duration = Duration::from_secs(10);

/// The seed of a run; `SEGNO_TEST_SEED` repeats one.
fn seed() -> u64 {
    let seed = std::env::var("SEGNO_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::rng().random());
    eprintln!("SEGNO_TEST_SEED={seed}");
    seed
}

fn config(receiver: &Receiver) -> String {
    format!(
        r#"
        [timers]
        allow_private = true

        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "all"
        on = "*"
        actions = [{{ name = "tell", to = "notify", retry = {{ initial = "200ms", max_interval = "5s" }} }}]
        "#,
        receiver.url("/hook")
    )
}

/// What a request delivers: of events the idempotency key, of timers the timer's id.
fn delivery(request: &Received) -> String {
    match request.uri.path().strip_prefix("/timer/") {
        Some(id) => id.to_owned(),
        None => request.header("webhook-id").unwrap_or_default().to_owned(),
    }
}

/// A receiver that fails a share of its requests.
async fn failing_receiver(seed: u64) -> Receiver {
    let mut random = StdRng::seed_from_u64(seed);
    let mut in_a_row: HashMap<String, u32> = HashMap::new();
    Receiver::answering(move |request| {
        let failures = in_a_row.entry(delivery(request)).or_default();
        if *failures < FAILING_IN_A_ROW && random.random_bool(FAILING) {
            *failures += 1;
            Answer::status(503)
        } else {
            *failures = 0;
            Answer::status(200)
        }
    })
    .await
}

/// Something to be sent, until it is acknowledged.
#[derive(Clone, Debug)]
enum Job {
    Event { id: String },
    Timer { key: String, seconds: u64 },
}

/// An acknowledged timer.
#[derive(Clone, Debug)]
struct Timer {
    id: String,
    /// Not before this: when it was first sent, and its time.
    earliest: SystemTime,
    /// Not after this, if the process is there: when it was acknowledged, and its time.
    latest: SystemTime,
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    events: Mutex<Vec<String>>,
    timers: Mutex<Vec<Timer>>,
    count: AtomicUsize,
}

/// Sends one job over and over until it is acknowledged.
async fn send(http: &reqwest::Client, api: &str, receiver: &str, job: &Job, acknowledged: &Acknowledged) {
    let began = SystemTime::now();
    loop {
        let request = match job {
            Job::Event { id } => {
                let event = json!({
                    "specversion": "1.0", "id": id, "source": "/crash", "type": "sample",
                    "data": {"text": "x".repeat(100)},
                });
                http.post(format!("{api}/events"))
                    .header("content-type", "application/cloudevents+json")
                    .body(event.to_string())
            }
            Job::Timer { key, seconds } => http
                .post(format!("{api}/timers"))
                .header("idempotency-key", key)
                .json(&json!({"seconds": seconds, "url": format!("{receiver}/timer")})),
        };
        if let Ok(response) = request.send().await
            && let status = response.status()
            && let Ok(reply) = response.json::<Value>().await
        {
            match job {
                Job::Event { .. } if status == StatusCode::ACCEPTED => {
                    let id = reply["events"][0]["executions"][0]["workflow_id"]
                        .as_str()
                        .unwrap();
                    acknowledged.events.lock().push(format!("{id}/tell/0"));
                    break;
                }
                Job::Timer { seconds, .. } if status == StatusCode::OK => {
                    let wait = Duration::from_secs(*seconds);
                    acknowledged.timers.lock().push(Timer {
                        id: reply["id"].as_str().unwrap().to_owned(),
                        earliest: began + wait,
                        latest: SystemTime::now() + wait,
                    });
                    break;
                }
                // What is no acknowledgement is sent again; what is refused is a mistake of the test.
                _ => assert!(status.is_server_error() || status == 429, "{status}: {reply}"),
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    acknowledged.count.fetch_add(1, Ordering::SeqCst);
}

/// Jobs in random order: timers short and long, so that crashes come before, at and after their deadlines.
fn jobs(random: &mut StdRng) -> Vec<Job> {
    let mut jobs: Vec<_> = (0..EVENTS).map(|n| Job::Event { id: n.to_string() }).collect();
    jobs.extend((0..TIMERS).map(|n| {
        let seconds = if n % 2 == 0 {
            random.random_range(1..6)
        } else {
            random.random_range(25..40)
        };
        Job::Timer {
            key: format!("timer-{n}"),
            seconds,
        }
    }));
    jobs.shuffle(random);
    jobs
}

/// When the waits in a timer's history began and ended, and its delivery was scheduled. There is no wait where the
/// deadline had come before a worker saw the timer.
async fn waits_and_delivery(client: &Client, id: &str) -> (Vec<SystemTime>, Vec<SystemTime>, SystemTime) {
    let history = client
        .get_workflow_handle::<UntypedWorkflow>(id)
        .fetch_history(WorkflowFetchHistoryOptions::default())
        .into_events()
        .await
        .expect("the history");
    let (mut started, mut fired, mut scheduled) = (Vec::new(), Vec::new(), None);
    for event in history {
        let at = event
            .event_time
            .and_then(|time| SystemTime::try_from(time).ok())
            .expect("a time");
        match event.attributes {
            Some(Attributes::TimerStartedEventAttributes(_)) => started.push(at),
            Some(Attributes::TimerFiredEventAttributes(_)) => fired.push(at),
            Some(Attributes::ActivityTaskScheduledEventAttributes(_)) => scheduled = scheduled.or(Some(at)),
            _ => {}
        }
    }
    (started, fired, scheduled.expect("its delivery was scheduled"))
}

/// Waits until the visibility query finds nothing.
async fn none_left(http: &reqwest::Client, api: &str, query: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let url = reqwest::Url::parse_with_params(&format!("{api}/executions"), [("query", query)]).unwrap();
        let page: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        let left = page["executions"].as_array().unwrap_or_else(|| panic!("{page}"));
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{query}: {left:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// 2,000 events and 500 timers go in while the process is killed ten times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let receiver = failing_receiver(random.random()).await;
    let engine = TestEngine::embedded();
    let mut launch = Launch::up(&engine, &config(&receiver));
    let mut program = launch.start().await;

    let acknowledged = Arc::new(Acknowledged::default());
    let jobs = jobs(&mut random);
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (jobs, next, acknowledged) = (jobs.clone(), next.clone(), acknowledged.clone());
            let (http, api, receiver) = (http.clone(), program.url(""), receiver.url(""));
            tokio::spawn(async move {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    send(&http, &api, &receiver, job, &acknowledged).await;
                }
            })
        })
        .collect();

    // Each crash comes at a random count of acknowledgements and a random moment after it.
    let mut moments: Vec<usize> = (0..KILLS)
        .map(|_| random.random_range(1..EVENTS + TIMERS))
        .collect();
    moments.sort_unstable();
    let mut outages = Vec::new();
    for moment in moments {
        let deadline = Instant::now() + PATIENCE;
        while acknowledged.count.load(Ordering::SeqCst) < moment {
            assert!(
                Instant::now() < deadline,
                "nothing is acknowledged any more:\n{}",
                program.log()
            );
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(random.random_range(0..150))).await;
        let down = SystemTime::now();
        program.kill().await;
        program = launch.start().await;
        outages.push((down, SystemTime::now()));
    }
    for sender in senders {
        tokio::time::timeout(PATIENCE, sender)
            .await
            .expect("all is acknowledged")
            .expect("a sender");
    }

    let events = acknowledged.events.lock().clone();
    let timers = acknowledged.timers.lock().clone();
    assert_eq!((events.len(), timers.len()), (EVENTS, TIMERS));
    let ids: HashSet<_> = timers.iter().map(|timer| &timer.id).collect();
    assert_eq!(ids.len(), TIMERS, "one timer a key");

    // Everything arrives, at least once.
    let mut missing: HashSet<_> = events
        .iter()
        .chain(timers.iter().map(|timer| &timer.id))
        .cloned()
        .collect();
    let deadline = Instant::now() + PATIENCE;
    let mut requests = receiver.requests();
    loop {
        for request in requests.iter().filter(|request| request.status.is_success()) {
            missing.remove(&delivery(request));
        }
        if missing.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{} did not arrive: {missing:?}\n{}",
            missing.len(),
            program.log()
        );
        sleep(Duration::from_millis(200)).await;
        requests = receiver.requests();
    }

    // Nothing stays behind.
    let api = program.url("");
    none_left(&http, &api, "ExecutionStatus = 'Running'").await;
    none_left(&http, &api, "ExecutionStatus != 'Completed'").await;

    // No timer fires early, and none was reset.
    let mut first: HashMap<String, SystemTime> = HashMap::new();
    for request in &requests {
        let at = first.entry(delivery(request)).or_insert(request.at);
        *at = (*at).min(request.at);
    }
    let client = program.engine_client(&launch).await;
    for timer in &timers {
        let at = first[&timer.id];
        assert!(
            at >= timer.earliest,
            "{} fired early: {at:?}, {timer:?}",
            timer.id
        );
        let (started, fired, delivery) = waits_and_delivery(&client, &timer.id).await;
        assert!(started.len() <= 1, "{} was reset: {started:?}", timer.id);
        assert_eq!(started.len(), fired.len(), "{}", timer.id);
        assert!(
            delivery >= timer.earliest,
            "{} fired early: {delivery:?}, {timer:?}",
            timer.id
        );
        for fired in fired {
            assert!(
                fired >= timer.earliest,
                "{} fired early: {fired:?}, {timer:?}",
                timer.id
            );
            // Up again by then, or when it came back.
            let due = outages
                .iter()
                .filter(|(down, _)| *down <= timer.latest + LATE)
                .map(|(_, up)| *up)
                .fold(timer.latest, SystemTime::max);
            assert!(
                fired <= due + LATE,
                "{} fired late: {fired:?}, {timer:?}, due {due:?}",
                timer.id
            );
        }
    }
    let repeated = requests
        .iter()
        .filter(|request| request.status.is_success())
        .count()
        - EVENTS
        - TIMERS;
    eprintln!("{} requests, {repeated} deliveries repeated", requests.len());
}

/// The process is down past the deadlines of its timers: they fire when it is back, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overdue_timers_fire_on_return() {
    const COUNT: usize = 50;
    let receiver = Receiver::start().await;
    let engine = TestEngine::embedded();
    let mut launch = Launch::up(&engine, &config(&receiver));
    let program = launch.start().await;
    let acknowledged = Acknowledged::default();
    let http = reqwest::Client::new();
    let mut random = StdRng::seed_from_u64(seed());
    let url = receiver.url("");
    let jobs: Vec<_> = (0..COUNT)
        .map(|n| Job::Timer {
            key: format!("timer-{n}"),
            seconds: random.random_range(3..6),
        })
        .collect();
    let api = program.url("");
    futures::future::join_all(jobs.iter().map(|job| send(&http, &api, &url, job, &acknowledged))).await;
    program.kill().await;
    let timers = acknowledged.timers.lock().clone();
    let last = timers.iter().map(|timer| timer.latest).max().unwrap();
    // The moment is part of what is tested: nobody is there at the deadlines.
    sleep(last.duration_since(SystemTime::now()).unwrap_or_default() + Duration::from_secs(1)).await;
    assert!(
        receiver.requests().is_empty(),
        "the process was killed before the first deadline"
    );

    let program = launch.start().await;
    let requests = receiver.wait_for(COUNT, PATIENCE).await;
    none_left(&http, &program.url(""), "ExecutionStatus = 'Running'").await;
    assert_eq!(
        requests.len(),
        COUNT,
        "the receiver took each at once, so each came once"
    );
    let came: HashSet<_> = receiver.requests().iter().map(delivery).collect();
    assert_eq!(came, timers.iter().map(|timer| timer.id.clone()).collect());
    assert_eq!(receiver.requests().len(), COUNT);
    none_left(&http, &program.url(""), "ExecutionStatus != 'Completed'").await;
}
