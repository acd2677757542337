//! The Pusher sink, against soketi, and against receivers that answer as Pusher does.
#![cfg(feature = "pusher")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use futures::future::join_all;
use segno_sinks::{Delivered, Delivery, Failure, Sinks};
use segno_test_support::{Answer, Cut, Receiver, free_port, node, servers::Soketi};
use serde_json::{Value, json};

fn sinks(url: &str, more: &str) -> Sinks {
    let options = format!(
        "[push.pusher]\nurl = \"{url}\"\nallow_private = true\napp_id = \"app\"\nkey = \"key\"\nsecret = \"secret\"\n{more}"
    );
    Sinks::new(toml::from_str(&options).unwrap(), Path::new("/nowhere")).unwrap()
}

const SIMPLE: &str = "channels = \"orders\"\nevent = \"{{ payload.event or 'placed' }}\"";

async fn deliver(sinks: &Sinks, payload: &Value) -> Result<Delivered, Failure> {
    sinks
        .deliver("push", Delivery::new("orders/shop/1/tell/0", payload))
        .await
}

#[tokio::test]
async fn events_come_to_those_who_listen_also_after_the_server_was_down() {
    let mut server = Soketi::start().await;
    let more = "channels = [\"orders\", \"order-{{ payload.id }}\"]\nevent = \"placed\"\nsocket_id = \"{{ payload.from or '' }}\"";
    let sinks = sinks(&server.url(), more);
    server.kill();
    let failure = deliver(&sinks, &json!({ "id": 7 })).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    server.start_again().await;
    let mut all = server.listener(&["orders"]).await;
    let mut one = server.listener(&["order-7"]).await;
    assert_eq!(
        deliver(&sinks, &json!({ "id": 7 })).await,
        Ok(Delivered { status: Some(200) })
    );
    for (listener, channel) in [(&mut all, "orders"), (&mut one, "order-7")] {
        let event = listener.next().await;
        assert_eq!(event["event"], "placed");
        assert_eq!(event["channel"], channel);
        assert_eq!(event["data"], "{\"id\":7}");
    }
    // Whose doing it was is not told.
    deliver(&sinks, &json!({ "id": 7, "from": one.socket_id() }))
        .await
        .unwrap();
    deliver(&sinks, &json!({ "id": 7, "last": true })).await.unwrap();
    assert_eq!(one.next().await["data"], "{\"id\":7,\"last\":true}");
}

/// Pusher takes no key: an event whose answer is lost comes again.
#[tokio::test]
async fn over_a_cut_network_no_event_is_lost() {
    let server = Soketi::start().await;
    let mut listener = server.listener(&["orders"]).await;
    let cut = Cut::to(server.port()).await;
    let sinks = sinks(&format!("http://127.0.0.1:{}", cut.port()), SIMPLE);
    for (n, answers) in [(1, true), (2, false)] {
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        let failure = deliver(&sinks, &json!(n)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        cut.mend();
        deliver(&sinks, &json!(n)).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(listener.next().await["data"].clone());
    }
    assert_eq!(seen, ["1", "1", "2"]);
}

#[tokio::test]
async fn a_wrong_secret_is_permanent_where_errors_come_as_200_too() {
    let server = Soketi::start().await;
    let options = format!(
        "[push.pusher]\nurl = \"{}\"\nallow_private = true\napp_id = \"app\"\nkey = \"key\"\nsecret = \"T0KEN\"\n{SIMPLE}",
        server.url()
    );
    let sinks = Sinks::new(toml::from_str(&options).unwrap(), Path::new("/nowhere")).unwrap();
    let failure = deliver(&sinks, &json!(1)).await.unwrap_err();
    assert!(
        matches!(
            failure,
            Failure::Permanent {
                status: Some(401),
                ..
            }
        ),
        "{failure:?}"
    );
    assert!(!format!("{failure:?}").contains("T0KEN"));
}

#[tokio::test]
async fn events_side_by_side_go_together_ten_at_most() {
    let server = Soketi::start().await;
    let mut listener = server.listener(&["orders"]).await;
    let sinks = sinks(&server.url(), SIMPLE);
    let payloads: Vec<_> = (0..57).map(|n| json!({ "n": n })).collect();
    let keys: Vec<_> = (0..57).map(|n| format!("key/{n}")).collect();
    let deliveries = keys
        .iter()
        .zip(&payloads)
        .map(|(key, payload)| sinks.deliver("push", Delivery::new(key, payload)));
    for outcome in join_all(deliveries).await {
        outcome.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..57 {
        let event = listener.next().await;
        let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
        seen.push(data["n"].as_u64().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..57).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_a_batch_that_is_refused_only_the_event_at_fault_fails() {
    let receiver = Receiver::answering(|request| {
        let poison = String::from_utf8_lossy(&request.body).contains("poison");
        Answer::status(if poison { 400 } else { 200 }).body("{}")
    })
    .await;
    let sinks = sinks(&receiver.url("/"), SIMPLE);
    let payloads: Vec<_> = (0..20)
        .map(|n| if n == 13 { json!("poison") } else { json!(n) })
        .collect();
    let deliveries = payloads.iter().map(|payload| deliver(&sinks, payload));
    for (n, outcome) in join_all(deliveries).await.into_iter().enumerate() {
        if n == 13 {
            assert!(
                matches!(
                    outcome,
                    Err(Failure::Permanent {
                        status: Some(400),
                        ..
                    })
                ),
                "{outcome:?}"
            );
        } else {
            outcome.unwrap();
        }
    }
    let batches: Vec<_> = receiver
        .requests()
        .iter()
        .filter(|request| request.uri.path() == "/apps/app/batch_events")
        .map(|request| request.json()["batch"].as_array().unwrap().len())
        .collect();
    assert!(
        !batches.is_empty() && batches.iter().all(|size| (2..=10).contains(size)),
        "{batches:?}"
    );
}

#[tokio::test]
async fn answers_are_told_apart() {
    for (status, permanent) in [
        (400, true),
        (401, true),
        (403, true),
        (404, true),
        (413, true),
        (429, false),
        (500, false),
        (503, false),
    ] {
        let receiver =
            Receiver::answering(move |_| Answer::status(status).retry_after("7").body("T0KEN")).await;
        let failure = deliver(&sinks(&receiver.url("/"), SIMPLE), &json!(1))
            .await
            .unwrap_err();
        match &failure {
            Failure::Permanent { .. } => assert!(permanent, "{failure:?}"),
            Failure::Retryable { retry_after, .. } => {
                assert!(!permanent, "{failure:?}");
                assert_eq!(*retry_after, Some(Duration::from_secs(7)));
            }
        }
        assert_eq!(failure.status(), Some(status));
        assert!(!failure.to_string().contains("T0KEN"), "{failure}");
    }
    let url = format!("http://127.0.0.1:{}", free_port());
    let failure = deliver(&sinks(&url, SIMPLE), &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
}

#[tokio::test]
async fn what_the_service_would_refuse_is_refused_before() {
    let receiver = Receiver::start().await;
    let more = "channels = \"{{ payload.channel }}\"\nevent = \"{{ payload.event }}\"\nsocket_id = \"{{ payload.from or '' }}\"";
    let sinks = sinks(&receiver.url("/"), more);
    let fits = json!({ "channel": "a", "event": "b", "x": "" });
    let room = 10 * 1024 - fits.to_string().len();
    let with = |field: &str, value: String| {
        let mut payload = fits.clone();
        payload[field] = Value::String(value);
        payload
    };
    deliver(&sinks, &with("x", "x".repeat(room))).await.unwrap();
    for (payload, says) in [
        (with("x", "x".repeat(room + 1)), "10241 bytes"),
        (with("channel", "a b".into()), "is no channel"),
        (with("channel", String::new()), "is no channel"),
        (with("channel", "x".repeat(201)), "is no channel"),
        (with("channel", "private-encrypted-a".into()), "not supported"),
        (with("event", "x".repeat(201)), "200 bytes"),
        (with("event", String::new()), "200 bytes"),
        (with("from", "1".into()), "no socket id"),
        (json!({}), "template"),
    ] {
        let failure = deliver(&sinks, &payload).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Permanent { status: None, .. }),
            "{failure:?}"
        );
        assert!(failure.to_string().contains(says), "{says}: {failure}");
    }
    assert_eq!(receiver.requests().len(), 1);
}

/// The vendor's own client signs the same request in the same way.
#[tokio::test]
async fn signs_as_the_vendors_client_does() {
    let receiver = Receiver::answering(|_| Answer::status(200).body("{}")).await;
    let sinks = sinks(&receiver.url("/"), SIMPLE);
    deliver(&sinks, &json!({ "é": "a+b & c", "event": "placed" }))
        .await
        .unwrap();
    let [request] = &receiver.requests()[..] else {
        panic!("one request")
    };
    let query = request.uri.query().unwrap();
    let pairs: BTreeMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let script = r#"
        const Pusher = require("pusher");
        const [path, body, timestamp] = process.argv.slice(1);
        Date.now = () => Number(timestamp) * 1000;
        const pusher = new Pusher({ appId: "app", key: "key", secret: "secret", host: "localhost" });
        process.stdout.write(pusher.createSignedQueryString({ method: "POST", path, body, params: {} }));
    "#;
    let output = Command::new(node::program())
        .current_dir(node::packages())
        .args(["-e", script, request.uri.path()])
        .arg(std::str::from_utf8(&request.body).unwrap())
        .arg(pairs["auth_timestamp"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs = String::from_utf8(output.stdout).unwrap();
    let theirs: BTreeMap<_, _> = theirs
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    assert_eq!(pairs, theirs);
}

#[tokio::test]
async fn options_that_cannot_work_are_refused() {
    let app = "app_id = \"a\"\nkey = \"k\"\nsecret = \"s\"";
    for (options, says) in [
        (
            format!("{app}\nchannels = \"c\"\ncluster = \"eu\"\nurl = \"http://x\""),
            "has both",
        ),
        (
            format!("{app}\nchannels = \"c\"\ncluster = \"eu.evil/\""),
            "no name of a cluster",
        ),
        (format!("{app}\nchannels = [\"{{{{\"]"), "does not compile"),
        (app.to_owned(), "missing field `channels`"),
        (format!("{app}\nchannel = \"c\""), "unknown field `channel`"),
    ] {
        let error = match toml::from_str(&format!("[push.pusher]\n{options}")) {
            Err(error) => error.message().to_owned(),
            Ok(options) => Sinks::new(options, Path::new("/nowhere"))
                .unwrap_err()
                .to_string(),
        };
        assert!(error.contains(says), "{options}: {error}");
    }
}
