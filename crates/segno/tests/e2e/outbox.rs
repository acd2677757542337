//! From an outbox to consumers, by configuration alone; and waiting for what they do.

#[cfg(feature = "integrations")]
mod bus;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::StatusCode;
use segno::{Consumer, ConsumerError, Consumers, Event, WaitError, outbox::process_events};
use segno_outbox::{Error, Outbox};
use segno_test_support::servers::Postgres;
use serde_json::{Value, json};
use sqlx::{Pool, Sqlite};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::{Instant, sleep};

use crate::support::{App, DEADLINE, TestEngine, json_of};

on_every_engine!(
    from_postgres_to_consumers,
    parked_rows_are_shown_and_given_up,
    to_a_sink_from_a_database_that_comes_later,
);

/// Remembers the events, and fails for good on those of one id.
#[derive(Clone, Default)]
struct Recorder {
    ids: Arc<Mutex<Vec<String>>>,
    fails_on: Option<&'static str>,
}

impl Recorder {
    fn ids(&self) -> Vec<String> {
        self.ids.lock().unwrap().clone()
    }
}

impl Consumer for Recorder {
    async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
        if self.fails_on == Some(event.id.as_str()) {
            return Err(ConsumerError::permanent("it cannot be done"));
        }
        self.ids.lock().unwrap().push(event.id.clone());
        Ok(())
    }
}

fn event(id: &str) -> Event {
    let mut event = Event::new("/families", id, "family.updated").with_data(json!({"familyId": 100}));
    event.subject = Some("family/100".to_owned());
    event
}

pub(crate) async fn emit<DB: segno_outbox::Backend>(pool: &Pool<DB>, event: Event) {
    let outbox = Outbox::new();
    let emitted = outbox.action_with_events(pool, [event], async |_| Ok::<_, Error>(()));
    emitted.await.unwrap();
}

/// Waits until something holds of the only outbox.
async fn outbox(app: &App, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let mut list = json_of(app.get("/outboxes").send().await.unwrap(), StatusCode::OK).await;
        let outbox = list["outboxes"][0].take();
        if holds(&outbox) {
            return outbox;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {outbox:#}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// These times (RFC 3339) are there, and none is before the one before, but for what two clocks may be apart.
fn in_order(times: &[&Value]) {
    let parse = |time: &Value| OffsetDateTime::parse(time.as_str().unwrap_or_default(), &Rfc3339);
    let times: Vec<_> = times.iter().map(|time| parse(time).unwrap()).collect();
    let apart = Duration::from_millis(5);
    assert!(times.windows(2).all(|two| two[0] <= two[1] + apart), "{times:?}");
}

fn ready(outbox: &Value) -> bool {
    outbox["waiting"].is_object()
}

async fn from_postgres_to_consumers(engine: TestEngine) {
    let database = Postgres::start().await;
    let config = format!(
        "[outbox.families]\ndatabase = {:?}\nmigrate = true\n",
        database.url()
    );
    let good = Recorder::default();
    let bad = Recorder {
        fails_on: Some("1"),
        ..Recorder::default()
    };
    let consumers = Consumers::new()
        .subscribe("recalculate", ["family.*", "answers.*"], good.clone())
        .unwrap()
        .subscribe("notify", ["family.updated"], bad.clone())
        .unwrap();
    let app = App::start_with(&engine, &config, |builder| builder.consumers(consumers)).await;
    let waiter = app.running().waiter().clone();
    outbox(&app, ready).await;

    let pool: Pool<sqlx::Postgres> = Pool::connect(&database.url()).await.unwrap();
    for id in ["1", "2"] {
        // Who waits may do so before the event is there.
        let waiting = tokio::spawn({
            let waiter = waiter.clone();
            async move { waiter.wait_for(&event(id), "recalculate", DEADLINE).await }
        });
        emit(&pool, event(id)).await;
        waiting.await.unwrap().unwrap();
        assert!(
            good.ids().contains(&id.to_owned()),
            "it returns when it is handled"
        );
    }
    // What one consumer fails on is its own dead letter: nothing else is held up.
    let failed = waiter
        .wait_for(&event("1"), "notify", DEADLINE)
        .await
        .unwrap_err();
    assert!(
        matches!(&failed, WaitError::Failed { reason, workflow_id, .. }
            if reason.contains("it cannot be done") && workflow_id == "notify//families/1"),
        "{failed}"
    );
    waiter.wait_for(&event("2"), "notify", DEADLINE).await.unwrap();
    assert_eq!(bad.ids(), ["2"]);

    // Each tells where it came from.
    for (id, position) in [("1", 1), ("2", 2)] {
        let path = format!("/events/%2Ffamilies/{id}");
        let story = json_of(app.get(&path).send().await.unwrap(), StatusCode::OK).await;
        let (origin, row) = (&story["origin"], &story["origin"]["row"]);
        let names = json!([origin["by"], origin["name"], row["outbox"], row["position"]]);
        assert_eq!(
            names,
            json!(["outbox", "families", "families", position]),
            "{story:#}"
        );
        in_order(&[&row["written_at"], &row["relayed_at"], &story["accepted_at"]]);
        assert_eq!(
            story["event"],
            serde_json::to_value(event(id)).unwrap(),
            "as it was"
        );
    }

    let short = Duration::from_millis(300);
    let wait = async |event: Event, consumer: &str| {
        waiter
            .wait_for(&event, consumer, short)
            .await
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        wait(event("never"), "notify").await,
        "the consumer \"notify\" has not handled the event within 300ms: the event has not arrived"
    );
    assert_eq!(
        wait(event("1"), "nobody").await,
        "no route runs a consumer \"nobody\"; there are notify, recalculate"
    );
    assert_eq!(
        wait(Event::new("/s", "1", "answers.updated"), "notify").await,
        "no route takes events of the type \"answers.updated\" like this one to the consumer \"notify\""
    );
    let relayed = outbox(&app, |outbox| outbox["relay"]["published"] == 2).await;
    assert_eq!(relayed["waiting"]["pending"], 0, "{relayed:#}");
    app.stop().await;
}

/// A database file of the test's.
pub(crate) async fn sqlite(folder: &Path) -> (String, Pool<Sqlite>) {
    let url = format!("sqlite://{}", folder.join("service.db").display());
    let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(2);
    let pool = options.connect(&format!("{url}?mode=rwc")).await.unwrap();
    (url, pool)
}

async fn parked_rows_are_shown_and_given_up(engine: TestEngine) {
    let (url, pool) = sqlite(engine.folder()).await;
    let config = format!("[outbox.families]\ndatabase = {url:?}\nmigrate = true\n");
    let recorder = Recorder::default();
    let consumers = Consumers::new()
        .subscribe("all", ["*"], recorder.clone())
        .unwrap();
    let app = App::start_with(&engine, &config, |builder| builder.consumers(consumers)).await;
    outbox(&app, ready).await;

    let large = event("large").with_data(json!({"text": "x".repeat(3 << 20)}));
    emit(&pool, large).await;
    emit(&pool, event("after")).await;
    let mut other = event("other");
    other.subject = Some("family/101".to_owned());
    emit(&pool, other.clone()).await;
    app.running().wait_for(&other, "all", DEADLINE).await.unwrap();
    let shown = outbox(&app, |outbox| outbox["waiting"]["parked"] == 1).await;
    assert_eq!(shown["waiting"]["held"], 1, "{shown:#}");
    assert_eq!(recorder.ids(), ["other"], "what comes after it waits");

    let parked = app.get("/outboxes/families/parked").send().await.unwrap();
    let parked = json_of(parked, StatusCode::OK).await;
    let row = &parked["parked"][0];
    assert_eq!((&row["id"], &row["key"]), (&json!("large"), &json!("family/100")));
    assert!(row["reason"].as_str().unwrap().contains("bytes long"), "{row}");

    let path = format!("/outboxes/families/parked/{}/discard", row["position"]);
    let none = app.post(&path).json(&json!({})).send().await.unwrap();
    json_of(none, StatusCode::BAD_REQUEST).await;
    for changed in [true, false] {
        let done = app
            .post(&path)
            .json(&json!({"note": "too large"}))
            .send()
            .await
            .unwrap();
        assert_eq!(json_of(done, StatusCode::OK).await["changed"], changed);
    }
    app.running()
        .wait_for(&event("after"), "all", DEADLINE)
        .await
        .unwrap();
    let unknown = app.get("/outboxes/nobody/parked").send().await.unwrap();
    json_of(unknown, StatusCode::NOT_FOUND).await;
    app.stop().await;
}

async fn to_a_sink_from_a_database_that_comes_later(engine: TestEngine) {
    let mut database = Postgres::start().await;
    let url = database.url();
    database.kill();
    let config = format!(
        "[outbox.families]\ndatabase = {url:?}\nmigrate = true\nto = \"log\"\n[sinks.log]\nfile = {{ path = \"log\" }}\n"
    );
    let app = App::start(&engine, &config).await;
    let away = outbox(&app, |outbox| outbox["error"].is_string()).await;
    assert!(!away["error"].as_str().unwrap().contains("postgres://"), "{away}");
    database.start_again().await;
    outbox(&app, ready).await;
    let pool: Pool<sqlx::Postgres> = Pool::connect(&url).await.unwrap();
    emit(&pool, event("1")).await;
    outbox(&app, |outbox| outbox["relay"]["published"] == 1).await;
    let log = std::fs::read_to_string(engine.folder().join("log")).unwrap();
    let line: Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!(line["key"], "outbox//families/1");
    assert_eq!(line["payload"]["data"], json!({"familyId": 100}));
    app.stop().await;
}

#[tokio::test]
async fn processed_inside_a_test() {
    let folder = tempfile::tempdir().unwrap();
    let (_, pool) = sqlite(folder.path()).await;
    let outbox = Outbox::new();
    outbox.migrate(&pool).await.unwrap();
    let (families, all) = (Recorder::default(), Recorder::default());
    let consumers = Consumers::new()
        .subscribe("families", ["family.*"], families.clone())
        .unwrap()
        .subscribe("all", ["*"], all.clone())
        .unwrap();
    for id in ["1", "2"] {
        emit(&pool, event(id)).await;
    }
    emit(&pool, Event::new("/studies", "3", "study.created")).await;
    assert_eq!(process_events(&outbox, &pool, &consumers).await.unwrap().len(), 3);
    assert_eq!(families.ids(), ["1", "2"]);
    assert_eq!(all.ids(), ["1", "2", "3"]);

    let failing = Consumers::new()
        .subscribe(
            "failing",
            ["*"],
            Recorder {
                fails_on: Some("4"),
                ..Recorder::default()
            },
        )
        .unwrap();
    emit(&pool, event("4")).await;
    let error = process_events(&outbox, &pool, &failing)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the event \"4\" (family.updated) was not processed: the consumer \"failing\": it cannot be done"
    );
}

#[test]
fn consumers_are_for_something() {
    let none: [&str; 0] = [];
    let error = Consumers::new()
        .subscribe("c", none, Recorder::default())
        .map(drop)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the consumer \"c\": it is for no type of event"
    );
    let error = Consumers::new()
        .subscribe("c", [""], Recorder::default())
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("is no event type"), "{error}");
}
