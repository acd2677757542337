//! The webhook sink against real receivers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test has no better use for an error"
)]

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use segno_sinks::{Delivered, Delivery, Failure, Options, Secret, Sinks, signature};
use segno_test_support::{Answer, Cut, Received, Receiver, free_port};
use serde_json::json;

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const DEADLINE: Duration = Duration::from_secs(10);

/// A sink named `hook` with these options beside its URL.
fn sink(url: &str, options: &str) -> Sinks {
    let text = format!("hook.webhook = {{ url = \"{url}\", {options} }}");
    let options = toml::from_str(&text).unwrap();
    Sinks::new(options, "/nowhere".as_ref()).unwrap()
}

async fn deliver(sinks: &Sinks) -> Result<Delivered, Failure> {
    sinks
        .deliver(
            "hook",
            Delivery::new("orders/shop/1/tell/0", &json!({"total": 3})),
        )
        .await
}

fn verify(request: &Received, secret: &str) -> Result<String, signature::VerifyError> {
    let secret: Secret = secret.parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let tolerance = Duration::from_secs(60);
    signature::verify(&[secret], &request.headers, &request.body, now, tolerance).map(str::to_owned)
}

#[tokio::test]
async fn sends_a_signed_request() {
    let receiver = Receiver::start().await;
    let options = format!(
        "secret = \"{NEW}\", secrets = [\"{OLD}\"], headers = {{ X-Team = \"a\" }}, allow_private = true"
    );
    let sinks = sink(&receiver.url("/hook?a=b"), &options);
    assert_eq!(deliver(&sinks).await, Ok(Delivered { status: Some(200) }));
    let [request] = &receiver.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (request.method.as_str(), request.uri.to_string().as_str()),
        ("POST", "/hook?a=b")
    );
    assert_eq!(request.json(), json!({"total": 3}));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-team"), Some("a"));
    for secret in [OLD, NEW] {
        assert_eq!(verify(request, secret).as_deref(), Ok("orders/shop/1/tell/0"));
    }
    assert!(verify(request, "whsec_BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").is_err());
}

#[tokio::test]
async fn an_unsigned_sink_with_a_method_and_a_type_of_its_own() {
    let receiver = Receiver::start().await;
    let options = "method = \"PUT\", headers = { Content-Type = \"text/json\" }, allow_private = true";
    deliver(&sink(&receiver.url("/"), options)).await.unwrap();
    let [request] = &receiver.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (request.method.as_str(), request.header("content-type")),
        ("PUT", Some("text/json"))
    );
    assert_eq!(request.header("webhook-signature"), None);
    assert!(request.header("webhook-timestamp").is_some());
}

#[tokio::test]
async fn attempts_of_one_delivery_have_one_id() {
    let receiver = Receiver::sequence([Answer::status(500)]).await;
    let sinks = sink(&receiver.url("/"), "allow_private = true");
    assert!(deliver(&sinks).await.is_err());
    assert!(deliver(&sinks).await.is_ok());
    sinks
        .deliver("hook", Delivery::new("orders/shop/1/tell/1", &json!(null)))
        .await
        .unwrap();
    let ids: Vec<_> = receiver
        .requests()
        .iter()
        .map(|r| r.header("webhook-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let receiver = Receiver::sequence([
        Answer::status(503).retry_after("120"),
        Answer::status(404),
        Answer::status(302).header("location", "/elsewhere"),
        Answer::status(410),
    ])
    .await;
    let sinks = sink(&receiver.url("/"), "allow_private = true");
    let retryable = |status: u16, text: &str, retry_after| {
        let reason = format!("the receiver answered {text}");
        Err(Failure::Retryable {
            reason,
            status: Some(status),
            retry_after,
        })
    };
    let wait = Some(Duration::from_secs(120));
    assert_eq!(
        deliver(&sinks).await,
        retryable(503, "503 Service Unavailable", wait)
    );
    assert_eq!(deliver(&sinks).await, retryable(404, "404 Not Found", None));
    assert_eq!(deliver(&sinks).await, retryable(302, "302 Found", None));
    let gone = Failure::Permanent {
        reason: "the receiver answered 410 Gone".into(),
        status: Some(410),
    };
    assert_eq!(deliver(&sinks).await, Err(gone));
    assert!(
        receiver.requests().iter().all(|request| request.uri == "/"),
        "a redirect was followed"
    );
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_tried_again_later() {
    let receiver = Receiver::sequence([Answer::status(200).after(DEADLINE)]).await;
    let sinks = sink(&receiver.url("/"), "timeout = \"100ms\", allow_private = true");
    assert_eq!(
        deliver(&sinks).await,
        Err(Failure::retryable("no answer within 100ms"))
    );
    assert_eq!(deliver(&sinks).await, Ok(Delivered { status: Some(200) }));
}

#[tokio::test]
async fn no_receiver_and_no_tls_are_worth_a_retry_and_show_no_url() {
    let receiver = Receiver::start().await;
    let tls = receiver
        .url("/T0KEN?key=T0KEN")
        .replace("http://", "https://T0KEN:T0KEN@");
    for url in [format!("http://127.0.0.1:{}/T0KEN?key=T0KEN", free_port()), tls] {
        let failure = deliver(&sink(&url, "allow_private = true")).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Retryable { status: None, .. }),
            "{failure:?}"
        );
        assert!(
            failure
                .to_string()
                .starts_with("cannot connect to the receiver: "),
            "{failure}"
        );
        assert!(!format!("{failure} {failure:?}").contains("T0KEN"), "{failure:?}");
    }
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn over_a_cut_network_the_receiver_knows_what_comes_again() {
    let receiver = Receiver::start().await;
    let cut = Cut::to(receiver.address().port()).await;
    let url = format!("http://127.0.0.1:{}/", cut.port());
    let sinks = sink(&url, "allow_private = true");
    cut.cut();
    let failure = deliver(&sinks).await.unwrap_err();
    assert!(
        matches!(failure, Failure::Retryable { status: None, .. }),
        "{failure:?}"
    );
    assert!(receiver.requests().is_empty());
    // It arrives, and nobody hears of it.
    cut.cut_answers();
    let failure = deliver(&sinks).await.unwrap_err();
    assert!(
        matches!(failure, Failure::Retryable { status: None, .. }),
        "{failure:?}"
    );
    cut.mend();
    assert_eq!(deliver(&sinks).await, Ok(Delivered { status: Some(200) }));
    let requests = receiver.requests();
    let ids = requests.iter().map(|request| request.header("webhook-id"));
    assert_eq!(ids.collect::<Vec<_>>(), [Some("orders/shop/1/tell/0"); 2]);
}

#[tokio::test]
async fn a_long_answer_holds_nothing_up() {
    let receiver = Receiver::answering(|_| Answer::status(200).body(vec![b'x'; 8 << 20])).await;
    let sinks = sink(&receiver.url("/"), "allow_private = true");
    let delivered = tokio::time::timeout(DEADLINE, deliver(&sinks)).await.unwrap();
    assert_eq!(delivered, Ok(Delivered { status: Some(200) }));
}

#[tokio::test]
async fn private_addresses_are_refused_as_literals_and_as_names() {
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1"];
    for host in hosts {
        let url = format!("http://{host}:{port}/");
        let failure = deliver(&sink(&url, "allow_private = false")).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Permanent { status: None, .. }),
            "{host}: {failure:?}"
        );
        assert!(failure.to_string().contains("loopback"), "{host}: {failure}");
    }
    assert_eq!(receiver.requests().len(), 0);
    for host in hosts {
        deliver(&sink(&format!("http://{host}:{port}/"), "allow_private = true"))
            .await
            .unwrap();
    }
    assert_eq!(receiver.requests().len(), hosts.len());
}

#[tokio::test]
async fn a_sink_that_is_not_configured_is_a_permanent_failure() {
    let failure = Sinks::default()
        .deliver("mail", Delivery::new("key", &json!(1)))
        .await
        .unwrap_err();
    assert_eq!(
        failure,
        Failure::permanent("there is no sink \"mail\" in the configuration")
    );
}

#[test]
fn a_sink_of_two_kinds_or_none_is_refused() {
    for (sink, said) in [
        (
            r#"{ webhook = { url = "http://a" }, file = { path = "b" } }"#,
            "a sink has one kind",
        ),
        ("{}", "a sink has one of"),
        (r#"{ limits = { rate = "1/s" } }"#, "a sink has one of"),
        ("{ wehbook = {} }", "there is no kind of sink \"wehbook\""),
    ] {
        let error = toml::from_str::<BTreeMap<String, Options>>(&format!("hook = {sink}"));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
