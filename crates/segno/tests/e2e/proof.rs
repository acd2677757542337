//! The whole way, with everything on it killed: transactions in PostgreSQL, outbox, relay, Redis, a route in order per
//! key, SQS. What was committed is delivered, what was rolled back is not, and the order of each key holds.
//!
//! `SEGNO_PROOF_EVENTS=100000` makes it as many transactions; a run of the tests makes do with fewer.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segno::Event;
use segno_outbox::Outbox;
use segno_test_support::servers::{Ministack, Postgres, Redis};
use serde_json::{Value, json};
use sqlx::{Pool, postgres::PgPoolOptions};
use tokio::time::{Instant, sleep};

use crate::support::{Launch, TestEngine};

/// Transactions, unless `SEGNO_PROOF_EVENTS` says so.
const TRANSACTIONS: usize = 1_500;
/// Services side by side; each changes keys of its own.
const WRITERS: usize = 6;
const KEYS: usize = 10;
/// Share of the transactions that are rolled back.
const ROLLED_BACK: f64 = 0.1;
/// How long nothing new may be delivered, at the end, before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);
const QUEUE: &str = "orders.fifo";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_what_is_delivered() {
    let total = transactions();
    let (mut database, mut bus, aws) = tokio::join!(Postgres::start(), Redis::start(), Ministack::start());
    let queue = aws.queue(QUEUE).await;
    let engine = TestEngine::embedded();
    let mut launch = Launch::up(&engine, &config(&database, &bus, &aws));
    let mut program = launch.start().await;

    let pool = PgPoolOptions::new()
        .max_connections(u32::try_from(WRITERS).unwrap() + 1)
        .connect_lazy(&database.url())
        .unwrap();
    let make = "CREATE TABLE placed (id TEXT PRIMARY KEY)";
    sqlx::query(make).execute(&pool).await.unwrap();
    Outbox::new().migrate(&pool).await.unwrap();

    let done = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(pool.clone(), writer, total / WRITERS, done.clone())))
        .collect();
    let mut delivered = Delivered::default();
    // Five crashes, spread over the way: of Segno, of the bus, of Segno, of the database, of Segno.
    for crash in 0..5 {
        while done.load(Ordering::SeqCst) < total * (crash + 1) / 6 {
            delivered.take(&aws, &queue).await;
            sleep(Duration::from_millis(20)).await;
        }
        match crash {
            1 => {
                bus.kill();
                bus.start_again().await;
            }
            3 => {
                database.kill();
                database.start_again().await;
            }
            _ => {
                program.kill().await;
                program = launch.start().await;
            }
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let committed: Vec<String> = sqlx::query_scalar("SELECT id FROM placed")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(committed.len() > total / 2, "{}", committed.len());

    let (mut news, mut count) = (Instant::now(), 0);
    while delivered.ids.len() < committed.len() && news.elapsed() < PATIENCE {
        delivered.take(&aws, &queue).await;
        if delivered.ids.len() > count {
            (news, count) = (Instant::now(), delivered.ids.len());
        }
        sleep(Duration::from_millis(50)).await;
    }
    delivered.check(&committed.into_iter().collect());
    drop(program);
}

fn transactions() -> usize {
    let set = std::env::var("SEGNO_PROOF_EVENTS").ok();
    set.map_or(TRANSACTIONS, |count| count.parse().expect("a number"))
}

fn config(database: &Postgres, bus: &Redis, aws: &Ministack) -> String {
    format!(
        r#"
        [outbox.orders]
        database = {database:?}
        to = "bus"

        [sources.bus]
        redis = {{ url = {bus:?}, stream = "events", trim = true }}

        [sinks]
        bus = {{ redis = {{ url = {bus:?}, stream = "events" }} }}
        orders = {{ sqs = {{ queue = "{QUEUE}", endpoint = {aws:?}, region = "us-east-1", credentials = {{ access_key_id = "id", secret_access_key = "secret" }} }} }}

        [[routes]]
        name = "orders"
        on = "order.*"
        order = {{ by = "subject" }}
        actions = [{{ name = "send", to = "orders", transform = ".data", retry = {{ initial = "100ms", max_interval = "1s" }} }}]
        "#,
        database = database.url(),
        bus = bus.url(),
        aws = aws.url(),
    )
}

/// Makes transactions, each with its change and its event; some are rolled back, and some end with the database.
async fn write(pool: Pool<sqlx::Postgres>, writer: usize, count: usize, done: Arc<AtomicUsize>) {
    let outbox = Outbox::new();
    let mut random = StdRng::seed_from_u64(writer as u64);
    for n in 0..count {
        let key = format!("{writer}-{}", random.random_range(0..KEYS));
        let id = format!("{key}-{n}");
        let gives_up = random.random_bool(ROLLED_BACK);
        let data = json!({ "id": id, "key": key, "n": n });
        let mut event = Event::new("/shop", &id, "order.placed").with_data(data);
        event.subject = Some(key);
        // What becomes of it is in the table: a commit whose answer is lost may have come through.
        let _ = outbox
            .action_with_events(&pool, [event], async |connection| {
                sqlx::query("INSERT INTO placed VALUES ($1)")
                    .bind(&id)
                    .execute(connection)
                    .await
                    .map_err(segno_outbox::Error::from)?;
                if gives_up {
                    return Err(segno_outbox::Error::from(sqlx::Error::RowNotFound));
                }
                Ok(())
            })
            .await;
        done.fetch_add(1, Ordering::SeqCst);
    }
}

/// What has arrived.
#[derive(Default)]
struct Delivered {
    ids: HashSet<String>,
    /// Of each key its last number.
    last: HashMap<String, i64>,
    /// What came after a later one of its key.
    late: Vec<String>,
    again: usize,
}

impl Delivered {
    async fn take(&mut self, aws: &Ministack, queue: &str) {
        for message in aws.drain(queue).await {
            let body: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            let text = |name: &str| body[name].as_str().unwrap().to_owned();
            if !self.ids.insert(text("id")) {
                self.again += 1;
                continue;
            }
            let n = body["n"].as_i64().unwrap();
            let last = self.last.entry(text("key")).or_insert(-1);
            if *last > n {
                self.late.push(text("id"));
            }
            *last = n.max(*last);
        }
    }

    fn check(&self, committed: &HashSet<String>) {
        let missing: Vec<_> = committed.difference(&self.ids).collect();
        let made_up: Vec<_> = self.ids.difference(committed).collect();
        let (delivered, again) = (self.ids.len(), self.again);
        eprintln!(
            "{} committed, {delivered} delivered, {again} of them again",
            committed.len()
        );
        assert!(missing.is_empty(), "not delivered: {missing:?}");
        assert!(made_up.is_empty(), "never committed: {made_up:?}");
        assert!(self.late.is_empty(), "out of order: {:?}", self.late);
    }
}
