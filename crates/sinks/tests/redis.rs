//! The Redis sink against a real server.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::collections::BTreeMap;

use futures::future::join_all;
use redis::{AsyncCommands, aio::MultiplexedConnection, streams::StreamRangeReply};
use segno_sinks::{Delivered, Delivery, Failure, Options, Sinks};
use segno_test_support::{Authority, Cut, servers::Redis, write_file};
use serde_json::{Value, json};

const TAKEN: Result<Delivered, Failure> = Ok(Delivered { status: None });

/// A sink named `stream`.
fn sink(url: &str, options: &str) -> Sinks {
    let text = format!("stream.redis = {{ url = \"{url}\", {options} }}");
    Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap()
}

async fn deliver(sinks: &Sinks, key: &str, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("stream", Delivery::new(key, payload)).await
}

async fn connect(server: &Redis) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// The fields of the entries of `events`, in their order.
async fn entries(server: &Redis) -> Vec<BTreeMap<String, String>> {
    let reply: StreamRangeReply = connect(server).await.xrange_all("events").await.unwrap();
    let fields = |entry: redis::streams::StreamId| {
        let texts = entry.map.into_iter();
        texts
            .map(|(name, value)| (name, redis::from_redis_value(value).unwrap()))
            .collect()
    };
    reply.ids.into_iter().map(fields).collect()
}

#[tokio::test]
async fn entries_arrive_whole() {
    let server = Redis::start().await;
    let sinks = sink(
        &server.url(),
        r#"stream = "{{ payload.stream }}", fields = { type = "{{ payload.type }}", note = "{{ payload.note or '' }}" }"#,
    );
    let payloads: Vec<_> = (0..500)
        .map(|n| json!({"stream": "events", "type": "order.placed", "n": n, "text": "ä\u{0}\n"}))
        .collect();
    let keys: Vec<_> = (0..500).map(|n| format!("route//shop/{n}/tell/0")).collect();
    // What is delivered before the others begin comes before them.
    assert_eq!(deliver(&sinks, "first", &payloads[0]).await, TAKEN);
    let deliveries = payloads
        .iter()
        .zip(&keys)
        .map(|(payload, key)| deliver(&sinks, key, payload));
    for outcome in join_all(deliveries).await {
        assert_eq!(outcome, TAKEN);
    }
    let entries = entries(&server).await;
    assert_eq!(entries.len(), 501);
    assert_eq!(entries[0]["key"], "first");
    let of_key: BTreeMap<_, _> = entries.iter().map(|entry| (&entry["key"], entry)).collect();
    for (payload, key) in payloads.iter().zip(&keys) {
        let entry = of_key[key];
        assert_eq!(
            serde_json::from_str::<Value>(&entry["payload"]).unwrap(),
            *payload
        );
        assert_eq!(
            (entry["type"].as_str(), entry["note"].as_str()),
            ("order.placed", "")
        );
        assert_eq!(entry.len(), 4);
    }
}

#[tokio::test]
async fn the_top_level_fields_as_fields() {
    let server = Redis::start().await;
    let options = r#"stream = "events", layout = "fields", key_field = "id""#;
    let sinks = sink(&server.url(), options);
    let payload = json!({"text": "ä", "n": 1.5, "flag": true, "nothing": null, "list": [1, {"a": "b"}]});
    assert_eq!(deliver(&sinks, "k", &payload).await, TAKEN);
    let expected = [
        ("flag", "true"),
        ("id", "k"),
        ("list", r#"[1,{"a":"b"}]"#),
        ("n", "1.5"),
        ("nothing", "null"),
        ("text", "ä"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(entries(&server).await, [BTreeMap::from(expected)]);
    let many: serde_json::Map<_, _> = (0..1_001).map(|n| (format!("f{n}"), Value::Null)).collect();
    for (payload, said) in [
        (json!([1]), "no object"),
        (json!({"id": 1}), "\"id\""),
        (Value::Object(many), "1001 fields"),
    ] {
        let failure = deliver(&sinks, "k", &payload).await.unwrap_err();
        assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
        assert!(failure.to_string().contains(said), "{failure}");
    }
}

#[tokio::test]
async fn the_stream_is_trimmed() {
    let server = Redis::start().await;
    let sinks = sink(&server.url(), r#"stream = "events", max_length = 100"#);
    let payload = json!(1);
    let keys: Vec<_> = (0..1_000).map(|n| n.to_string()).collect();
    for outcome in join_all(keys.iter().map(|key| deliver(&sinks, key, &payload))).await {
        assert_eq!(outcome, TAKEN);
    }
    let left = entries(&server).await.len();
    // Redis drops whole nodes, of 100 entries by default.
    assert!((100..=300).contains(&left), "{left}");
}

#[tokio::test]
async fn a_key_that_comes_again_within_the_window_is_left_out() {
    let server = Redis::start().await;
    let sinks = sink(&server.url(), r#"stream = "events", dedupe = "1h""#);
    let payloads = [json!(1), json!(2)];
    let both = join_all(
        payloads
            .iter()
            .cycle()
            .take(50)
            .map(|payload| deliver(&sinks, "same", payload)),
    );
    assert!(both.await.iter().all(|outcome| *outcome == TAKEN));
    assert_eq!(deliver(&sinks, "other", &payloads[1]).await, TAKEN);
    let entries = entries(&server).await;
    let keys: Vec<_> = entries.iter().map(|entry| entry["key"].as_str()).collect();
    assert_eq!(keys, ["same", "other"]);

    // Within the window only.
    let short = sink(&server.url(), r#"stream = "events", dedupe = "1ms""#);
    assert_eq!(deliver(&short, "short", &payloads[0]).await, TAKEN);
    let mut connection = connect(&server).await;
    while connection
        .exists::<_, bool>("segno:{events}:short")
        .await
        .unwrap()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(deliver(&short, "short", &payloads[0]).await, TAKEN);
    let entries = self::entries(&server).await;
    assert_eq!(entries.iter().filter(|entry| entry["key"] == "short").count(), 2);
}

/// A refused entry leaves no mark, so it is there when it is delivered again.
#[tokio::test]
async fn what_was_refused_is_not_taken_for_delivered() {
    let server = Redis::start().await;
    let mut connection = connect(&server).await;
    let options = r#"stream = "events", dedupe = "1h""#;
    let (sinks, plain) = (
        sink(&server.url(), options),
        sink(&server.url(), r#"stream = "events""#),
    );
    let () = connection.set("events", "no stream").await.unwrap();
    for sinks in [&sinks, &plain] {
        let failure = deliver(sinks, "k", &json!(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
        assert!(
            failure.to_string().contains("something else than a stream"),
            "{failure}"
        );
    }
    let () = connection.del("events").await.unwrap();

    let set = |value: &'static str| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(value);
        command
    };
    let () = set("1").query_async(&mut connection).await.unwrap();
    for sinks in [&sinks, &plain] {
        let failure = deliver(sinks, "k", &json!(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        assert!(failure.to_string().contains("OOM"), "{failure}");
    }
    let () = set("0").query_async(&mut connection).await.unwrap();
    assert_eq!(deliver(&sinks, "k", &json!(1)).await, TAKEN);
    assert_eq!(entries(&server).await.len(), 1);
}

#[tokio::test]
async fn a_server_that_dies_is_found_again_with_all_it_took() {
    let mut server = Redis::start().await;
    server.kill();
    let sinks = sink(&server.url(), r#"stream = "events", dedupe = "1h""#);
    let failure = deliver(&sinks, "1", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    server.start_again().await;
    until_taken(&sinks, "1").await;
    server.kill();
    let failure = deliver(&sinks, "2", &json!(2)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    server.start_again().await;
    until_taken(&sinks, "2").await;
    // Its marks outlive it too.
    until_taken(&sinks, "1").await;
    assert_eq!(entries(&server).await.len(), 2);
}

/// Delivers until it is taken: the first attempt may be the one that finds the old connection broken.
async fn until_taken(sinks: &Sinks, key: &str) {
    for _ in 0..3 {
        if deliver(sinks, key, &json!(1)).await == TAKEN {
            return;
        }
    }
    panic!("three attempts failed");
}

#[tokio::test]
async fn over_a_cut_network_an_entry_is_there_once() {
    let server = Redis::start().await;
    let cut = Cut::to(server.port()).await;
    let sinks = sink(
        &format!("redis://127.0.0.1:{}", cut.port()),
        r#"stream = "events", dedupe = "1h""#,
    );
    assert_eq!(deliver(&sinks, "0", &json!(1)).await, TAKEN);
    for (key, answers) in [("1", true), ("2", false)] {
        // The entry arrives and nobody hears of it; or it does not.
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        let failure = deliver(&sinks, key, &json!(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        cut.mend();
        until_taken(&sinks, key).await;
    }
    let entries = entries(&server).await;
    let keys: Vec<_> = entries.iter().map(|entry| entry["key"].as_str()).collect();
    assert_eq!(keys, ["0", "1", "2"]);
}

#[tokio::test]
async fn signs_in_with_tls_where_the_authority_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let base = tempfile::tempdir().unwrap();
    write_file(base.path(), "ours.pem", &ours.pem());
    write_file(base.path(), "other.pem", &other.pem());
    write_file(base.path(), "empty.pem", "");
    let server = Redis::secure(&ours.server(), "me", "hunter2").await;
    let make = |url: &str, ca: &str| {
        let text = format!("stream.redis = {{ url = \"{url}\", stream = \"events\"{ca} }}");
        Sinks::new(toml::from_str(&text).unwrap(), base.path())
    };
    let url = server.url();
    let good = make(&url, ", ca = \"ours.pem\"").unwrap();
    assert_eq!(deliver(&good, "1", &json!(1)).await, TAKEN);
    for (url, ca, said) in [
        (&url, ", ca = \"other.pem\"", "cannot be reached"),
        (&url, "", "cannot be reached"),
        (
            &url.replace("hunter2", "T0KEN"),
            ", ca = \"ours.pem\"",
            "Redis answers",
        ),
        (&url.replace("me:hunter2@", ""), ", ca = \"ours.pem\"", "NOAUTH"),
    ] {
        let failure = deliver(&make(url, ca).unwrap(), "2", &json!(2))
            .await
            .unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        let failure = failure.to_string();
        assert!(
            failure.contains(said) && !failure.contains("T0KEN"),
            "{said}: {failure}"
        );
    }
    for (url, ca, said) in [
        (&*url, "none.pem", "none.pem cannot be read"),
        (&*url, "empty.pem", "holds no certificate"),
        ("redis://localhost", "ours.pem", "begins with `rediss://`"),
    ] {
        let error = make(url, &format!(", ca = {ca:?}")).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let client = redis::Client::build_with_tls(
        url,
        redis::TlsCertificates {
            client_tls: None,
            root_cert: Some(ours.pem().into_bytes()),
        },
    );
    let mut connection = client.unwrap().get_multiplexed_async_connection().await.unwrap();
    assert_eq!(connection.xlen::<_, usize>("events").await.unwrap(), 1);
}

#[test]
fn options_that_cannot_be_meant() {
    for (options, said) in [
        (
            r#"url = "http://user:hunter2@x", stream = "s""#,
            "no URL of Redis",
        ),
        (
            r#"url = "redis://x", stream = "s", key_field = "payload""#,
            "\"payload\" is there twice",
        ),
        (
            r#"url = "redis://x", stream = "s", fields = { key = "x" }"#,
            "\"key\" is there twice",
        ),
    ] {
        let error = toml::from_str::<BTreeMap<String, Options>>(&format!("stream.redis = {{ {options} }}"))
            .unwrap_err();
        let error = error.message();
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }
    for (options, said) in [
        (r#"url = "redis://x""#, "stream"),
        (r#"url = "redis://x", stream = "s", max_length = 0"#, "zero"),
        (r#"url = "redis://x", stream = "s", layout = "xml""#, "xml"),
        (
            r#"url = "redis://x", stream = "s", dedupe = "0s""#,
            "longer than nothing",
        ),
    ] {
        let text = format!("stream.redis = {{ {options} }}");
        let error = toml::from_str::<BTreeMap<String, Options>>(&text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{error}");
    }
}
