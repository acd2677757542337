//! The Redis source against a real server.

#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::{collections::HashMap, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection, streams::StreamRangeReply};
use segno_sources::{Outcome, REJECTED};
use segno_test_support::{Authority, Cut, servers::Redis, write_file};
use serde_json::json;
use support::{Run, Taker, build, until};

async fn connect(server: &Redis) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

fn options(url: &str, more: &str) -> String {
    format!("url = {url:?}\nstream = \"events\"\n{more}")
}

fn order(id: &str, subject: &str) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.placed", "subject": subject})
        .to_string()
}

async fn add(redis: &mut MultiplexedConnection, fields: &[(&str, &str)]) -> String {
    redis.xadd("events", "*", fields).await.unwrap()
}

async fn length(redis: &mut MultiplexedConnection, stream: &str) -> usize {
    redis.xlen(stream).await.unwrap()
}

/// Waits until the group has everything and nothing is pending.
async fn all_acknowledged(redis: &MultiplexedConnection, group: &str) {
    until("nothing pending", async || {
        let groups: redis::streams::StreamInfoGroupsReply =
            redis.clone().xinfo_groups("events").await.unwrap();
        groups
            .groups
            .iter()
            .any(|one| one.name == group && one.pending == 0 && one.lag == Some(0))
    })
    .await;
}

#[tokio::test]
async fn entries_of_an_outbox_and_of_any_other_writer() {
    let server = Redis::start().await;
    let mut redis = connect(&server).await;
    let taker = Taker::new();
    add(
        &mut redis,
        &[
            ("id", "7"),
            ("eventType", "family.created"),
            ("payload", "{\"familyId\": 3}"),
        ],
    )
    .await;
    let run = Run::start("redis", &options(&server.url(), ""), &taker);
    add(&mut redis, &[("key", "k"), ("payload", &order("1", "a"))]).await;
    let taken = taker.wait_for(2).await;
    assert_eq!(
        (taken[0].id.as_str(), taken[0].ty.as_str()),
        ("7", "family.created"),
        "from the beginning"
    );
    assert_eq!(taken[0].source, "/sources/test");
    assert_eq!(taken[1].id, "1");
    all_acknowledged(&redis, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn a_subjects_events_keep_their_order_while_the_engine_comes_and_goes() {
    let server = Redis::start().await;
    let mut redis = connect(&server).await;
    let taker = Taker::new();
    taker.answer(|event, times| match event.id.parse::<usize>() {
        Ok(n) if n % 7 == 0 && times < 2 => Outcome::Later("down".to_owned()),
        _ => Outcome::Durable,
    });
    for n in 0..60 {
        add(
            &mut redis,
            &[("payload", &order(&n.to_string(), &(n % 3).to_string()))],
        )
        .await;
    }
    let run = Run::start("redis", &options(&server.url(), "batch = 20"), &taker);
    taker.wait_for(60).await;
    for subject in 0..3 {
        let numbers = taker.ids().into_iter().map(|id| id.parse::<usize>().unwrap());
        let numbers: Vec<_> = numbers.filter(|n| n % 3 == subject).collect();
        assert!(numbers.is_sorted() && numbers.len() == 20, "{numbers:?}");
    }
    all_acknowledged(&redis, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn what_was_in_hand_at_a_crash_is_read_again() {
    let server = Redis::start().await;
    let mut redis = connect(&server).await;
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    for n in 0..5 {
        add(&mut redis, &[("payload", &order(&n.to_string(), "a"))]).await;
    }
    let options = options(&server.url(), "consumer = \"one\"\nbatch = 2");
    let run = Run::start("redis", &options, &taker);
    until("a try", async || taker.given("0") > 0).await;
    run.crash().await;
    taker.answer(|_, _| Outcome::Durable);
    let run = Run::start("redis", &options, &taker);
    taker.wait_for(5).await;
    assert_eq!(taker.ids(), ["0", "1", "2", "3", "4"]);
    all_acknowledged(&redis, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn another_consumers_entries_are_claimed_unless_it_still_works_on_them() {
    let server = Redis::start().await;
    let mut redis = connect(&server).await;
    let (slow, quick) = (Taker::new(), Taker::new());
    slow.answer(|_, _| Outcome::Later("down".to_owned()));
    let with = |consumer: &str| {
        options(
            &server.url(),
            &format!("consumer = {consumer:?}\nclaim_after = \"1s\""),
        )
    };
    add(&mut redis, &[("payload", &order("1", "a"))]).await;
    let one = Run::start("redis", &with("one"), &slow);
    until("a try", async || slow.given("1") > 0).await;
    let two = Run::start("redis", &with("two"), &quick);
    let began = tokio::time::Instant::now();
    until("a time in which it would be claimed", async || {
        began.elapsed() > Duration::from_secs(4)
    })
    .await;
    assert_eq!(quick.given("1"), 0, "the first one still works on it");
    one.crash().await;
    quick.wait_for(1).await;
    all_acknowledged(&redis, "segno").await;
    two.stop().await;
}

#[tokio::test]
async fn poison_goes_to_the_dead_letter_stream_and_blocks_nothing() {
    let server = Redis::start().await;
    let mut redis = connect(&server).await;
    let taker = Taker::new();
    add(&mut redis, &[("payload", &order("1", "a"))]).await;
    let bad = add(&mut redis, &[("payload", "{"), ("more", "x")]).await;
    add(&mut redis, &[("payload", &order("2", "a"))]).await;
    let run = Run::start("redis", &options(&server.url(), "dead_letter = \"dead\""), &taker);
    taker.wait_for(2).await;
    all_acknowledged(&redis, "segno").await;
    let dead: StreamRangeReply = redis.xrange_all("dead").await.unwrap();
    assert_eq!(dead.ids.len(), 1);
    let fields: HashMap<&str, String> = ["payload", "more", "segno-reason", "segno-stream", "segno-id"]
        .into_iter()
        .map(|name| (name, dead.ids[0].get(name).unwrap()))
        .collect();
    assert_eq!((fields["payload"].as_str(), fields["more"].as_str()), ("{", "x"));
    assert!(
        fields["segno-reason"].starts_with("the body is not JSON"),
        "{fields:?}"
    );
    assert_eq!(
        (fields["segno-stream"].as_str(), &fields["segno-id"]),
        ("events", &bad)
    );
    run.stop().await;

    // Without such a stream it is told of.
    add(&mut redis, &[("other", "field")]).await;
    let run = Run::start("redis", &options(&server.url(), ""), &taker);
    let event = taker.wait_for(3).await.remove(2);
    assert_eq!(event.ty, REJECTED);
    all_acknowledged(&redis, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn only_what_every_group_has_acknowledged_is_trimmed() {
    let server = Redis::start().await;
    let mut redis = connect(&server).await;
    let taker = Taker::new();
    for n in 0..10 {
        add(&mut redis, &[("payload", &order(&n.to_string(), "a"))]).await;
    }
    // Another group has read three and acknowledged the first.
    let () = redis.xgroup_create("events", "other", "0").await.unwrap();
    let read = redis::streams::StreamReadOptions::default()
        .group("other", "c")
        .count(3);
    let reply: redis::streams::StreamReadReply =
        redis.xread_options(&["events"], &[">"], &read).await.unwrap();
    let ids: Vec<_> = reply.keys[0].ids.iter().map(|id| id.id.clone()).collect();
    let _: usize = redis.xack("events", "other", &ids[..1]).await.unwrap();
    let run = Run::start("redis", &options(&server.url(), "trim = true"), &taker);
    taker.wait_for(10).await;
    until("a trimmed stream", async || {
        length(&mut redis.clone(), "events").await == 9
    })
    .await;
    let _: usize = redis.xack("events", "other", &ids[1..]).await.unwrap();
    // The last one that it has read stays.
    until("a trimmed stream", async || {
        length(&mut redis.clone(), "events").await == 8
    })
    .await;
    let left: StreamRangeReply = redis.xrange_all("events").await.unwrap();
    assert_eq!(left.ids[0].id, ids[2]);
    run.stop().await;
}

#[tokio::test]
async fn a_killed_server_and_a_cut_network_lose_nothing() {
    let mut server = Redis::start().await;
    let mut redis = connect(&server).await;
    let cut = Cut::to(server.port()).await;
    let url = format!("redis://127.0.0.1:{}", cut.port());
    let taker = Taker::new();
    let run = Run::start("redis", &options(&url, ""), &taker);
    add(&mut redis, &[("payload", &order("1", "a"))]).await;
    taker.wait_for(1).await;
    cut.cut();
    assert!(run.ended().await.is_err());
    add(&mut redis, &[("payload", &order("2", "a"))]).await;
    server.kill();
    server.start_again().await;
    cut.mend();
    let run = Run::start("redis", &options(&url, ""), &taker);
    taker.wait_for(2).await;
    assert_eq!(taker.ids(), ["1", "2"]);
    run.stop().await;
}

/// The network is cut while an entry is in hand: it is not acknowledged, and comes again.
#[tokio::test]
async fn what_is_in_hand_when_the_network_is_cut_comes_again() {
    let server = Redis::start().await;
    let mut redis = connect(&server).await;
    let cut = Cut::to(server.port()).await;
    let options = options(&format!("redis://127.0.0.1:{}", cut.port()), "");
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    add(&mut redis, &[("payload", &order("1", "a"))]).await;
    let run = Run::start("redis", &options, &taker);
    until("a try", async || taker.given("1") > 0).await;
    cut.cut();
    taker.answer(|_, _| Outcome::Durable);
    let error = run.ended().await.unwrap_err().to_string();
    assert!(error.contains("acknowledged"), "{error}");
    let before = taker.given("1");
    cut.mend();
    let run = Run::start("redis", &options, &taker);
    until("it again", async || taker.given("1") > before).await;
    all_acknowledged(&redis, "segno").await;
    // The same event, which whoever takes it knows.
    assert_eq!(taker.ids(), ["1"]);
    run.stop().await;
}

#[tokio::test]
async fn signs_in_with_tls_where_the_authority_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let folder = tempfile::tempdir().unwrap();
    let other = write_file(folder.path(), "other.pem", &other.pem());
    let ca = write_file(folder.path(), "ours.pem", &ours.pem());
    let server = Redis::secure(&ours.server(), "me", "hunter2").await;
    let certificates = redis::TlsCertificates {
        client_tls: None,
        root_cert: Some(ours.pem().into_bytes()),
    };
    let client = redis::Client::build_with_tls(server.url(), certificates).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    add(&mut redis, &[("payload", &order("1", "a"))]).await;
    let trusting = |ca: &std::path::Path| format!("ca = {ca:?}");
    for (url, ca, said) in [
        (server.url(), trusting(&other), "Redis cannot be reached"),
        (server.url(), String::new(), "Redis cannot be reached"),
        (
            server.url().replace("hunter2", "T0KEN"),
            trusting(&ca),
            "Redis cannot be reached",
        ),
    ] {
        let run = Run::start("redis", &options(&url, &ca), &Taker::new());
        let error = run.ended().await.unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("T0KEN"), "{error}");
    }
    let taker = Taker::new();
    let run = Run::start("redis", &options(&server.url(), &trusting(&ca)), &taker);
    taker.wait_for(1).await;
    all_acknowledged(&redis, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn options_that_cannot_be_meant() {
    let intake: std::sync::Arc<dyn segno_sources::Intake> = Taker::new();
    for (more, reason) in [
        ("batch = 0", "from 1 to 1000"),
        ("claim_after = \"1ms\"", "at least a second"),
        ("group = \"\"", "`group` is empty"),
        ("dead_letter = \"events\"", "the stream itself"),
        ("order = \"none\"", "unknown variant"),
        ("ca = \"a.pem\"", "begins with `rediss://`"),
    ] {
        let error = build("redis", &options("redis://localhost", more), &intake).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let with_tls = options("rediss://localhost", "ca = \"none.pem\"");
    let error = build("redis", &with_tls, &intake).unwrap_err();
    assert!(error.contains("/nowhere/none.pem cannot be read"), "{error}");
    let error = build("redis", "url = \"hunter2\"\nstream = \"a\"", &intake).unwrap_err();
    assert!(
        error.contains("no URL of Redis") && !error.contains("hunter2"),
        "{error}"
    );
}
