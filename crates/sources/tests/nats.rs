//! The NATS source against a real server.

#![cfg(feature = "nats")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::time::{Duration, SystemTime};

use async_nats::{
    HeaderMap,
    jetstream::{self, Context, consumer::PullConsumer, stream},
};
use segno_sources::{Outcome, REJECTED};
use segno_test_support::{
    Authority, Cut,
    servers::{Nats, NatsOperator},
    write_file,
};
use serde_json::json;
use support::{Run, Taker, build, until};

/// A stream `events` of the subjects `events.>`.
async fn stream(server: &Nats) -> Context {
    events(async_nats::connect(server.url()).await.unwrap()).await
}

async fn events(client: async_nats::Client) -> Context {
    let context = jetstream::new(client);
    let config = stream::Config {
        name: "events".to_owned(),
        subjects: vec!["events.>".to_owned()],
        ..stream::Config::default()
    };
    context.create_stream(config).await.unwrap();
    context
}

fn options(url: &str, more: &str) -> String {
    format!("url = {url:?}\nstream = \"events\"\n{more}")
}

fn order(id: &str, subject: &str) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.placed", "subject": subject})
        .to_string()
}

async fn publish(context: &Context, body: String) {
    context
        .publish("events.orders", body.into())
        .await
        .unwrap()
        .await
        .unwrap();
}

/// Waits until the consumer has nothing to deliver and nothing that is not acknowledged.
async fn all_acknowledged(context: &Context, durable: &str) {
    let consumer: PullConsumer = context.get_consumer_from_stream(durable, "events").await.unwrap();
    until("nothing pending", async || {
        let info = consumer.clone().info().await.unwrap().clone();
        info.num_ack_pending == 0 && info.num_pending == 0
    })
    .await;
}

#[tokio::test]
async fn messages_in_both_modes_are_taken_and_acknowledged() {
    let server = Nats::start().await;
    let context = stream(&server).await;
    let taker = Taker::new();
    publish(&context, order("1", "a")).await;
    let run = Run::start("nats", &options(&server.url(), ""), &taker);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "2"),
        ("ce-source", "/s"),
        ("ce-type", "caf%C3%A9"),
    ] {
        headers.insert(name, value);
    }
    context
        .publish_with_headers("events.other", headers, "{\"a\": 1}".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let taken = taker.wait_for(2).await;
    assert_eq!(taken[0].id, "1");
    assert_eq!((taken[1].id.as_str(), taken[1].ty.as_str()), ("2", "café"));
    all_acknowledged(&context, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn the_server_hears_of_progress_and_delivers_again_after_a_crash() {
    let server = Nats::start().await;
    let context = stream(&server).await;
    let (slow, quick) = (Taker::new(), Taker::new());
    slow.answer(|_, _| Outcome::Later("down".to_owned()));
    publish(&context, order("1", "a")).await;
    let options = options(&server.url(), "ack_wait = \"1s\"");
    let one = Run::start("nats", &options, &slow);
    until("a try", async || slow.given("1") > 0).await;
    let two = Run::start("nats", &options, &quick);
    let began = tokio::time::Instant::now();
    until("a time in which it would be delivered again", async || {
        began.elapsed() > Duration::from_secs(4)
    })
    .await;
    assert_eq!(quick.given("1"), 0, "the first one still works on it");
    one.crash().await;
    quick.wait_for(1).await;
    all_acknowledged(&context, "segno").await;
    two.stop().await;
}

#[tokio::test]
async fn told_to_stop_it_gives_back_what_it_cannot_store() {
    let server = Nats::start().await;
    let context = stream(&server).await;
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    publish(&context, order("1", "a")).await;
    let run = Run::start("nats", &options(&server.url(), "ack_wait = \"5m\""), &taker);
    until("a try", async || taker.given("1") > 0).await;
    run.stop().await;
    // At once, and not after the five minutes.
    taker.answer(|_, _| Outcome::Durable);
    let run = Run::start("nats", &options(&server.url(), ""), &taker);
    taker.wait_for(1).await;
    all_acknowledged(&context, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn poison_goes_to_the_dead_letter_subject_and_blocks_nothing() {
    let server = Nats::start().await;
    let context = stream(&server).await;
    let config = stream::Config {
        name: "dead".to_owned(),
        subjects: vec!["dead".to_owned()],
        ..stream::Config::default()
    };
    let dead = context.create_stream(config).await.unwrap();
    let taker = Taker::new();
    publish(&context, order("1", "a")).await;
    publish(&context, "{".to_owned()).await;
    publish(&context, order("2", "a")).await;
    let with_dead_letter = options(&server.url(), "dead_letter = \"dead\"\nbatch = 3");
    let run = Run::start("nats", &with_dead_letter, &taker);
    taker.wait_for(2).await;
    all_acknowledged(&context, "segno").await;
    let message = dead.get_raw_message(1).await.unwrap();
    assert_eq!(&message.payload[..], b"{");
    let header = |name: &str| message.headers.get(name).unwrap().as_str().to_owned();
    assert!(header("Segno-Reason").starts_with("the body is not JSON"));
    assert_eq!(
        (header("Segno-Subject"), header("Nats-Msg-Id")),
        ("events.orders".to_owned(), "events/2".to_owned())
    );
    run.stop().await;

    publish(&context, "7".to_owned()).await;
    let run = Run::start("nats", &options(&server.url(), ""), &taker);
    let event = taker.wait_for(3).await.remove(2);
    assert_eq!(event.ty, REJECTED);
    all_acknowledged(&context, "segno").await;
    run.stop().await;
}

#[tokio::test]
async fn a_dead_letter_subject_of_no_stream_keeps_the_message() {
    let server = Nats::start().await;
    let context = stream(&server).await;
    let taker = Taker::new();
    publish(&context, "{".to_owned()).await;
    publish(&context, order("1", "a")).await;
    let began = tokio::time::Instant::now();
    let run = Run::start(
        "nats",
        &options(&server.url(), "dead_letter = \"nowhere\""),
        &taker,
    );
    taker.wait_for(1).await;
    let consumer: PullConsumer = context.get_consumer_from_stream("segno", "events").await.unwrap();
    // Again after one second, and then after two: the pauses grow.
    until("a third delivery of the first", async || {
        let info = consumer.clone().info().await.unwrap().clone();
        assert_eq!(info.ack_floor.stream_sequence, 0);
        info.delivered.consumer_sequence > 3
    })
    .await;
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    run.stop().await;
}

#[tokio::test]
async fn a_killed_server_and_a_cut_network_lose_nothing() {
    let mut server = Nats::start().await;
    let cut = Cut::to(server.port()).await;
    let url = format!("nats://127.0.0.1:{}", cut.port());
    let context = stream(&server).await;
    let taker = Taker::new();
    publish(&context, order("1", "a")).await;
    let run = Run::start("nats", &options(&url, ""), &taker);
    taker.wait_for(1).await;
    all_acknowledged(&context, "segno").await;
    publish(&context, order("2", "a")).await;
    taker.wait_for(2).await;
    cut.cut();
    publish(&context, order("3", "a")).await;
    server.kill();
    server.start_again().await;
    cut.mend();
    // It connects again by itself, or ends and is run again.
    let mut run = run;
    loop {
        let taken = tokio::select! {
            _ = taker.wait_for(3) => true,
            ended = run.ended_mut() => { assert!(ended.is_err(), "{ended:?}"); false }
        };
        if taken {
            break;
        }
        run = Run::start("nats", &options(&url, ""), &taker);
    }
    assert_eq!(taker.ids(), ["1", "2", "3"]);
    let messages = async_nats::connect(server.url()).await.unwrap();
    all_acknowledged(&jetstream::new(messages), "segno").await;
    run.stop().await;
}

/// The network is cut while a message is in hand: its acknowledgement does not arrive, and it is delivered again.
#[tokio::test]
async fn what_is_in_hand_when_the_network_is_cut_comes_again() {
    let server = Nats::start().await;
    let cut = Cut::to(server.port()).await;
    let context = stream(&server).await;
    let options = options(&format!("nats://127.0.0.1:{}", cut.port()), "ack_wait = \"2s\"");
    let taker = Taker::new();
    taker.answer(|_, _| Outcome::Later("down".to_owned()));
    publish(&context, order("1", "a")).await;
    let run = Run::start("nats", &options, &taker);
    until("a try", async || taker.given("1") > 0).await;
    cut.cut();
    taker.answer(|_, _| Outcome::Durable);
    run.ended().await.unwrap_err();
    taker.wait_for(1).await;
    let before = taker.given("1");
    cut.mend();
    let run = Run::start("nats", &options, &taker);
    until("it again", async || taker.given("1") > before).await;
    all_acknowledged(&context, "segno").await;
    // The same event, which whoever takes it knows.
    assert_eq!(taker.ids(), ["1"]);
    run.stop().await;
}

/// An NKey of this test's own, and its public half.
const SEED: &str = "SUAAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSAIJCEMSCKJR2OM";
const NKEY: &str = "UAANAWQ5D2RFCOLNKV5PXVCYRM6G3GO35OLS73IQUMSWF2RG3TOPUNZ4";

#[tokio::test]
async fn signs_in_with_tls_where_the_authority_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let folder = tempfile::tempdir().unwrap();
    let other = write_file(folder.path(), "other.pem", &other.pem());
    let ca = write_file(folder.path(), "ours.pem", &ours.pem());
    let server = Nats::secure(&ours.server(), "me", "h+nter&2/", NKEY).await;
    let signed = async_nats::ConnectOptions::with_user_and_password("me".into(), "h+nter&2/".into());
    let signed = signed.add_root_certificates(ca.clone()).require_tls(true);
    let context = events(signed.connect(server.url()).await.unwrap()).await;
    let options = |user: &str, more: String| {
        let url = format!("tls://{user}localhost:{}", server.port());
        format!("url = {url:?}\nstream = \"events\"\n{more}")
    };
    for (user, more, said) in [
        ("me:h+nter&2%2F@", format!("ca = {other:?}"), "certificate"),
        ("me:h+nter&2%2F@", String::new(), "certificate"),
        ("me:T0KEN@", format!("ca = {ca:?}"), "authorization"),
        ("", format!("ca = {ca:?}"), "authorization"),
    ] {
        let run = Run::start("nats", &options(user, more), &Taker::new());
        let error = run.ended().await.unwrap_err().to_string();
        assert!(error.starts_with("NATS cannot be reached: "), "{error}");
        assert!(
            error.contains(said) && !error.contains("T0KEN"),
            "{said}: {error}"
        );
    }
    for (id, user, more) in [
        ("1", "me:h+nter&2%2F@", format!("ca = {ca:?}")),
        ("2", "", format!("ca = {ca:?}\nnkey = {SEED:?}")),
    ] {
        publish(&context, order(id, "a")).await;
        let taker = Taker::new();
        let run = Run::start("nats", &options(user, more), &taker);
        taker.wait_for(1).await;
        all_acknowledged(&context, "segno").await;
        run.stop().await;
        assert_eq!(taker.ids(), [id]);
    }
}

#[tokio::test]
async fn signs_in_with_a_file_of_credentials_which_may_be_replaced() {
    let (ours, strange) = (NatsOperator::default(), NatsOperator::default());
    let folder = tempfile::tempdir().unwrap();
    let server = Nats::operated(&ours).await;
    let signed = async_nats::ConnectOptions::with_credentials(&ours.credentials(None)).unwrap();
    let context = events(signed.connect(server.url()).await.unwrap()).await;
    let file = folder.path().join("segno.creds");
    let options = options(&server.url(), &format!("credentials_file = {file:?}"));
    for (credentials, said) in [
        (None, "segno.creds: it cannot be read"),
        (Some("hunter2".to_owned()), "segno.creds: it has no JWT"),
        (Some(strange.credentials(None)), "authorization violation"),
    ] {
        if let Some(text) = credentials {
            write_file(folder.path(), "segno.creds", &text);
        }
        let run = Run::start("nats", &options, &Taker::new());
        let error = run.ended().await.unwrap_err().to_string();
        assert!(error.starts_with("NATS cannot be reached: "), "{error}");
        assert!(
            error.contains(said) && !error.contains("hunter2"),
            "{said}: {error}"
        );
    }
    let expires = SystemTime::now() + Duration::from_secs(5);
    write_file(folder.path(), "segno.creds", &ours.credentials(Some(expires)));
    let taker = Taker::new();
    publish(&context, order("1", "a")).await;
    let mut run = Run::start("nats", &options, &taker);
    taker.wait_for(1).await;
    until("they expire", async || {
        SystemTime::now() > expires + Duration::from_secs(1)
    })
    .await;
    // It goes on with new ones, or ends and is run again.
    write_file(folder.path(), "segno.creds", &ours.credentials(None));
    publish(&context, order("2", "a")).await;
    loop {
        let taken = tokio::select! {
            _ = taker.wait_for(2) => true,
            ended = run.ended_mut() => { assert!(ended.is_err(), "{ended:?}"); false }
        };
        if taken {
            break;
        }
        run = Run::start("nats", &options, &taker);
    }
    all_acknowledged(&context, "segno").await;
    assert_eq!(taker.ids(), ["1", "2"]);
    run.stop().await;
}

#[tokio::test]
async fn options_that_cannot_be_meant() {
    let intake: std::sync::Arc<dyn segno_sources::Intake> = Taker::new();
    for (more, reason) in [
        ("batch = 2000", "from 1 to 1000"),
        ("ack_wait = \"1ms\"", "at least a second"),
        ("durable = \"a.b\"", "`durable` is empty, or has"),
        ("ca = \"none.pem\"", "/nowhere/none.pem cannot be read"),
    ] {
        let error = build("nats", &options("nats://localhost", more), &intake).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let server = Nats::start().await;
    let run = Run::start("nats", &options(&server.url(), ""), &Taker::new());
    let error = run.ended().await.unwrap_err().to_string();
    assert!(error.contains("the stream events"), "{error}");
}
