//! The NATS sink against a real server.
#![cfg(feature = "nats")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test has no better use for an error"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use async_nats::jetstream::{
    self,
    stream::{Config, Stream},
};
use futures::future::join_all;
use segno_sinks::{Delivered, Delivery, Failure, Options, Sinks};
use segno_test_support::{
    Authority, Cut,
    servers::{Nats, NatsOperator},
    write_file,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(30);
const TAKEN: Result<Delivered, Failure> = Ok(Delivered { status: None });

/// A sink named `stream`.
fn sink(url: &str, options: &str) -> Sinks {
    let text = format!("stream.nats = {{ url = \"{url}\", {options} }}");
    Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap()
}

async fn deliver(sinks: &Sinks, key: &str, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("stream", Delivery::new(key, payload)).await
}

/// The stream `ORDERS` of `orders.>`, made unless it is there.
async fn stream(server: &Nats, max_message_size: i32) -> Stream {
    orders(async_nats::connect(server.url()).await.unwrap(), max_message_size).await
}

async fn orders(client: async_nats::Client, max_message_size: i32) -> Stream {
    let config = Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        max_message_size,
        ..Config::default()
    };
    jetstream::new(client).get_or_create_stream(config).await.unwrap()
}

/// Delivers until it is taken, as its caller does.
async fn until_taken(sinks: &Sinks, key: &str, payload: &Value) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match deliver(sinks, key, payload).await {
            Ok(_) => return,
            Err(failure) => assert!(
                matches!(failure, Failure::Retryable { .. }) && Instant::now() < deadline,
                "{failure:?}"
            ),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn messages_arrive_whole() {
    let server = Nats::start().await;
    let stream = stream(&server, -1).await;
    let sinks = sink(
        &server.url(),
        r#"subject = "orders.{{ payload.region }}", headers = { Tenant = "{{ payload.tenant or '' }}", Kind = "order" }"#,
    );
    let payloads: Vec<_> = (0..500)
        .map(|n| json!({"n": n, "region": format!("r{}", n % 3), "text": "ä\u{0}\n"}))
        .collect();
    let keys: Vec<_> = (0..500).map(|n| format!("route//shop/ä {n}/tell/0")).collect();
    // What is delivered before the others begin comes before them.
    assert_eq!(deliver(&sinks, "first", &payloads[0]).await, TAKEN);
    let deliveries = payloads
        .iter()
        .zip(&keys)
        .map(|(payload, key)| deliver(&sinks, key, payload));
    for outcome in join_all(deliveries).await {
        assert_eq!(outcome, TAKEN);
    }
    let mut numbers = BTreeSet::new();
    for sequence in 2..=501 {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let payload: Value = serde_json::from_slice(&message.payload).unwrap();
        let n = payload["n"].as_u64().unwrap();
        assert_eq!(payload, payloads[n as usize]);
        assert_eq!(message.subject.as_str(), format!("orders.r{}", n % 3));
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(
            header("Nats-Msg-Id"),
            Some(format!("route//shop/%C3%A4%20{n}/tell/0"))
        );
        assert_eq!(
            (header("Kind").as_deref(), header("Tenant")),
            (Some("order"), None)
        );
        numbers.insert(n);
    }
    assert_eq!(numbers.len(), 500);
}

#[tokio::test]
async fn a_key_that_comes_again_is_one_message() {
    let server = Nats::start().await;
    let mut stream = stream(&server, -1).await;
    let sinks = sink(&server.url(), r#"subject = "orders.eu""#);
    let long = "k".repeat(1_000);
    for key in ["same", "same", &long, &long] {
        assert_eq!(deliver(&sinks, key, &json!(key)).await, TAKEN);
    }
    assert_eq!(stream.info().await.unwrap().state.messages, 2);
}

#[tokio::test]
async fn without_a_stream_it_says_so_and_waits() {
    let server = Nats::start().await;
    let sinks = sink(&server.url(), r#"subject = "orders.eu""#);
    let failure = deliver(&sinks, "k", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    let said = "no stream of JetStream takes messages of the subject \"orders.eu\"";
    assert!(failure.to_string().contains(said), "{failure}");
    let mut stream = stream(&server, -1).await;
    assert_eq!(deliver(&sinks, "k", &json!(1)).await, TAKEN);
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
}

#[tokio::test]
async fn a_server_that_dies_is_found_again_with_all_it_took() {
    let mut server = Nats::start().await;
    server.kill();
    let sinks = sink(&server.url(), r#"subject = "orders.eu""#);
    let failure = deliver(&sinks, "1", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    assert!(
        failure.to_string().starts_with("NATS cannot be reached: "),
        "{failure}"
    );
    server.start_again().await;
    let first = stream(&server, -1).await;
    until_taken(&sinks, "1", &json!(1)).await;
    server.kill();
    let failure = deliver(&sinks, "2", &json!(2)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    server.start_again().await;
    for (key, payload) in [("2", json!(2)), ("1", json!(1))] {
        until_taken(&sinks, key, &payload).await;
    }
    drop(first);
    let mut stream = stream(&server, -1).await;
    assert_eq!(stream.info().await.unwrap().state.messages, 2, "each once");
}

#[tokio::test]
async fn over_a_cut_network_a_message_is_there_once() {
    let server = Nats::start().await;
    let cut = Cut::to(server.port()).await;
    let mut stream = stream(&server, -1).await;
    let text = format!(
        "stream.nats = {{ url = \"nats://127.0.0.1:{}\", subject = \"orders.eu\" }}\nstream.limits.timeout = \"2s\"",
        cut.port()
    );
    let sinks = Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap();
    assert_eq!(deliver(&sinks, "0", &json!(0)).await, TAKEN);
    for (key, answers) in [("1", true), ("2", false)] {
        // The message arrives and nobody hears of it; or it does not.
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        let failure = deliver(&sinks, key, &json!(key)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        cut.mend();
        until_taken(&sinks, key, &json!(key)).await;
    }
    assert_eq!(stream.info().await.unwrap().state.messages, 3, "each once");
}

/// An NKey of this test's own, and its public half.
const SEED: &str = "SUAAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSAIJCEMSCKJR2OM";
const NKEY: &str = "UAANAWQ5D2RFCOLNKV5PXVCYRM6G3GO35OLS73IQUMSWF2RG3TOPUNZ4";

#[tokio::test]
async fn signs_in_with_tls_where_the_authority_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let base = tempfile::tempdir().unwrap();
    let ca = write_file(base.path(), "ours.pem", &ours.pem());
    write_file(base.path(), "other.pem", &other.pem());
    let server = Nats::secure(&ours.server(), "me", "h+nter&2/", NKEY).await;
    let options = async_nats::ConnectOptions::with_user_and_password("me".into(), "h+nter&2/".into());
    let client = options
        .add_root_certificates(ca)
        .require_tls(true)
        .connect(server.url())
        .await
        .unwrap();
    let mut stream = orders(client, -1).await;
    let make = |user: &str, more: &str| {
        let url = format!("tls://{user}localhost:{}", server.port());
        let text = format!("stream.nats = {{ url = \"{url}\", subject = \"orders.eu\"{more} }}");
        Sinks::new(toml::from_str(&text).unwrap(), base.path())
    };
    let nkey = format!(", ca = \"ours.pem\", nkey = {SEED:?}");
    for (key, user, more) in [
        ("1", "me:h+nter&2%2F@", ", ca = \"ours.pem\""),
        ("2", "", nkey.as_str()),
    ] {
        let sinks = make(user, more).unwrap();
        assert_eq!(deliver(&sinks, key, &json!(1)).await, TAKEN);
    }
    // The seed of an NKey that the server does not know.
    let strange = nkey.replace(SEED, "SUADEMZUGU3DOOBZHI5TYPJ6H5AECQSDIRCUMR2IJFFEWTCNJZHVAUOZNU");
    for (user, more, said) in [
        ("me:h+nter&2%2F@", ", ca = \"other.pem\"", "certificate"),
        ("me:h+nter&2%2F@", "", "certificate"),
        ("me:T0KEN@", ", ca = \"ours.pem\"", "authorization"),
        ("", ", ca = \"ours.pem\"", "authorization"),
        ("", strange.as_str(), "authorization"),
    ] {
        let failure = deliver(&make(user, more).unwrap(), "3", &json!(1))
            .await
            .unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        let failure = failure.to_string();
        assert!(failure.starts_with("NATS cannot be reached: "), "{failure}");
        assert!(
            failure.contains(said) && !failure.contains("T0KEN"),
            "{said}: {failure}"
        );
    }
    let error = make("", ", ca = \"none.pem\"").unwrap_err().to_string();
    assert!(error.contains("none.pem cannot be read"), "{error}");
    assert_eq!(stream.info().await.unwrap().state.messages, 2);
}

#[tokio::test]
async fn signs_in_with_a_file_of_credentials_which_may_be_replaced() {
    let (ours, strange) = (NatsOperator::default(), NatsOperator::default());
    let base = tempfile::tempdir().unwrap();
    let server = Nats::operated(&ours).await;
    let options = async_nats::ConnectOptions::with_credentials(&ours.credentials(None)).unwrap();
    let mut stream = orders(options.connect(server.url()).await.unwrap(), -1).await;
    let make = || {
        let text = format!(
            "stream.nats = {{ url = \"{}\", subject = \"orders.eu\", credentials_file = \"segno.creds\" }}",
            server.url()
        );
        Sinks::new(toml::from_str(&text).unwrap(), base.path()).unwrap()
    };
    let refused = make();
    let now = SystemTime::now();
    for (credentials, said) in [
        (None, "segno.creds: it cannot be read"),
        (Some("hunter2".to_owned()), "segno.creds: it has no JWT"),
        (Some(strange.credentials(None)), "authorization violation"),
        (
            Some(ours.credentials(Some(now - Duration::from_secs(60)))),
            "authorization violation",
        ),
    ] {
        if let Some(text) = credentials {
            write_file(base.path(), "segno.creds", &text);
        }
        let failure = deliver(&refused, "0", &json!(0)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        let failure = failure.to_string();
        assert!(failure.starts_with("NATS cannot be reached: "), "{failure}");
        assert!(
            failure.contains(said) && !failure.contains("hunter2"),
            "{said}: {failure}"
        );
    }
    let short = ours.credentials(Some(SystemTime::now() + Duration::from_secs(5)));
    write_file(base.path(), "segno.creds", &short);
    assert_eq!(deliver(&refused, "1", &json!(1)).await, TAKEN, "mended meanwhile");
    let sinks = make();
    assert_eq!(deliver(&sinks, "2", &json!(2)).await, TAKEN);
    // The server ends the connection when they expire, and takes the new ones when it is made again.
    let deadline = Instant::now() + DEADLINE;
    while deliver(&sinks, "2", &json!(2)).await.is_ok() {
        assert!(Instant::now() < deadline, "they do not expire");
        sleep(Duration::from_millis(50)).await;
    }
    write_file(base.path(), "segno.creds", &ours.credentials(None));
    until_taken(&sinks, "3", &json!(3)).await;
    assert_eq!(stream.info().await.unwrap().state.messages, 3);
}

#[tokio::test]
async fn what_no_attempt_mends_is_permanent() {
    let server = Nats::start().await;
    let _stream = stream(&server, 1_000).await;
    let sinks = sink(
        &server.url(),
        r#"subject = "orders.{{ payload.to }}", headers = { Note = "{{ payload.note or '' }}" }"#,
    );
    for (payload, said) in [
        (json!({"to": "a b"}), "the subject comes out"),
        (json!({"to": "*"}), "the subject comes out"),
        (json!({"to": ""}), "the subject comes out"),
        (json!({}), "a template of the sink fails"),
        (json!({"to": "a", "note": "x\r\ny"}), "line break"),
        (json!({"to": "a", "text": "x".repeat(1_000)}), "max_msg_size"),
        (json!({"to": "a", "text": "x".repeat(2_000_000)}), "max_payload"),
    ] {
        let failure = deliver(&sinks, "k", &payload).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Permanent { .. }),
            "{said}: {failure:?}"
        );
        assert!(failure.to_string().contains(said), "{failure}");
    }
    assert_eq!(deliver(&sinks, "k", &json!({"to": "a"})).await, TAKEN);
}

#[test]
fn options_that_cannot_be_meant() {
    for (options, said) in [
        (
            r#"url = "nats://user:hunter2@", subject = "s""#,
            "no URL of a NATS server",
        ),
        (
            r#"url = "nats://a", subject = "s", headers = { "a b" = "x" }"#,
            "cannot be named \"a b\"",
        ),
        (
            r#"url = "nats://a", subject = "s", headers = { Nats-Msg-Id = "x" }"#,
            "one of NATS's own",
        ),
    ] {
        let error = toml::from_str::<BTreeMap<String, Options>>(&format!("stream.nats = {{ {options} }}"))
            .unwrap_err();
        let error = error.message();
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }
    let text = "stream.nats = { url = \"nats://a\", subject = \"s\", token = \"hunter2\" }";
    let options: BTreeMap<String, Options> = toml::from_str(text).unwrap();
    assert!(!format!("{options:?}").contains("hunter2"));
    assert!(toml::from_str::<BTreeMap<String, Options>>("stream.nats = { url = \"nats://a\" }").is_err());
}
