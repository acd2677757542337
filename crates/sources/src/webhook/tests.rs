use std::sync::Mutex;

use async_trait::async_trait;
use axum::http::{HeaderName, Request};
use hmac::{Hmac as Mac, KeyInit, Mac as _};
use segno_event::Event;
use serde_json::Value;
use sha2::Sha512;

use super::*;
use crate::Outcome;

const NOW: i64 = 1_700_000_000;

struct At;

impl Clock for At {
    fn now(&self) -> i64 {
        NOW
    }
}

#[derive(Default)]
struct Taker(Mutex<Vec<Event>>);

#[async_trait]
impl Intake for Taker {
    async fn take(&self, events: &[Event]) -> Vec<Outcome> {
        self.0.lock().unwrap().extend(events.iter().cloned());
        events
            .iter()
            .map(|event| match event.ty.as_str() {
                "later" => Outcome::Later("down".to_owned()),
                "huge" => Outcome::Refused("too large".to_owned()),
                _ => Outcome::Durable,
            })
            .collect()
    }
}

struct Hook {
    router: Router,
    taker: Arc<Taker>,
}

impl Hook {
    fn new(options: &str) -> Self {
        let taker = Arc::new(Taker::default());
        let intake: Arc<dyn Intake> = taker.clone();
        let options: Options = toml::from_str(options).unwrap();
        let Built::Served(served) = build_at(options, "test", &intake, Arc::new(At)).unwrap() else {
            panic!("it is served");
        };
        assert_eq!(served.path, "/webhooks/test");
        Self {
            router: served.router,
            taker,
        }
    }

    /// The status, and the code of a problem.
    async fn call(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, String) {
        let mut request = Request::builder().method("POST").uri("/webhooks/test");
        for (name, value) in headers {
            request = request.header(name.parse::<HeaderName>().unwrap(), *value);
        }
        let request = request.body(body.into()).unwrap();
        let mut router = self.router.clone();
        let response = tower::Service::call(&mut router, request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    fn taken(&self) -> Vec<Event> {
        std::mem::take(&mut *self.taker.0.lock().unwrap())
    }
}

fn sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Mac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

const ACCEPTED: (u16, &str) = (202, "");
const FORGED: (u16, &str) = (401, "bad-signature");

fn is(answer: &(u16, String), expected: (u16, &str)) {
    assert_eq!((answer.0, answer.1.as_str()), expected);
}

#[tokio::test]
async fn standard_webhooks_with_a_secret_that_is_rotated() {
    let (old, new) = ([1_u8; 24], [2_u8; 24]);
    let hook = Hook::new(&format!(
        "scheme = \"standard\"\nsecrets = [\"whsec_{}\", \"whsec_{}\"]",
        base64(&old),
        base64(&new)
    ));
    let body = br#"{"type": "user.created", "timestamp": "2030-04-05T17:31:00Z", "data": {"id": 1}}"#;
    let send = async |key: &[u8], id: &str, at: i64, body: &'static [u8]| {
        let at = at.to_string();
        let signature = sha256(key, &[id.as_bytes(), b".", at.as_bytes(), b".", body]);
        let signature = format!("v1a,x v1,{} v1,{}", base64(b"another"), base64(&signature));
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", &at),
            ("webhook-signature", &signature),
        ];
        hook.call(&headers, body).await
    };
    for (key, id) in [(&old, "msg_1"), (&new, "msg_2")] {
        is(&send(key, id, NOW - 300, body).await, ACCEPTED);
    }
    let taken = hook.taken();
    assert_eq!(
        (taken[0].id.as_str(), taken[0].ty.as_str()),
        ("msg_1", "user.created")
    );
    assert_eq!(taken[1].id, "msg_2");
    assert_eq!(taken[0].source, "/sources/test");
    is(&send(&[3; 24], "msg_3", NOW, body).await, FORGED);
    is(&send(&old, "msg_4", NOW - 301, body).await, FORGED);
    is(&send(&old, "msg_5", NOW + 301, body).await, FORGED);
    is(&hook.call(&[], &body[..]).await, FORGED);
    // What is wrong with a body is told only to who may send one.
    is(&send(&[3; 24], "msg_6", NOW, b"{").await, FORGED);
    is(&send(&old, "msg_6", NOW, b"{").await, (400, "invalid-event"));
    assert_eq!(hook.taken(), []);
    is(
        &send(&old, "msg_7", NOW, br#"{"type": "later", "data": {}}"#).await,
        (503, "engine-unavailable"),
    );
    is(
        &send(&old, "msg_7", NOW, br#"{"type": "huge", "data": {}}"#).await,
        (422, "refused"),
    );
}

#[tokio::test]
async fn github_and_its_ping() {
    let hook = Hook::new("scheme = \"github\"\nsecrets = [\"It's a Secret to Everybody\"]\nmax_bytes = 1000");
    // The example of GitHub's own documentation.
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = |signature: &'static str, event: &'static str| {
        [
            ("x-hub-signature-256", signature),
            ("x-github-event", event),
            ("x-github-delivery", "d-1"),
        ]
    };
    is(
        &hook.call(&headers(signature, "ping"), "Hello, World!").await,
        (200, ""),
    );
    is(
        &hook.call(&headers(signature, "ping"), "Hello, World?").await,
        FORGED,
    );
    is(
        &hook.call(&headers("sha1=00", "ping"), "Hello, World!").await,
        FORGED,
    );
    is(
        &hook.call(&headers(signature, "push"), "x".repeat(1001)).await,
        (413, "too-large"),
    );
    let body = r#"{"action": "opened", "repository": {"html_url": "https://github.com/o/r"}}"#;
    let signature = format!(
        "sha256={}",
        hex::encode(sha256(b"It's a Secret to Everybody", &[body.as_bytes()]))
    );
    let call = [
        ("x-hub-signature-256", signature.as_str()),
        ("x-github-event", "issues"),
        ("x-github-delivery", "d-2"),
    ];
    is(&hook.call(&call, body).await, ACCEPTED);
    let event = hook.taken().remove(0);
    assert_eq!((event.id.as_str(), event.ty.as_str()), ("d-2", "github.issues"));
    assert_eq!(event.source, "https://github.com/o/r");
    assert_eq!(event.extensions["action"], "opened");
}

#[tokio::test]
async fn stripe_with_a_tolerance() {
    let hook = Hook::new("scheme = \"stripe\"\nsecrets = [\"whsec_new\", \"whsec_old\"]\ntolerance = \"1m\"");
    let body = r#"{"id": "evt_1", "type": "charge.failed", "created": 1700000000, "data": {"object": {"id": "ch_1"}}}"#;
    let header = |key: &str, at: i64| {
        let signature = hex::encode(sha256(
            key.as_bytes(),
            &[at.to_string().as_bytes(), b".", body.as_bytes()],
        ));
        format!("t={at},v1=00,v1={signature},v0=00")
    };
    for (header, answer) in [
        (header("whsec_old", NOW - 60), ACCEPTED),
        (header("whsec_new", NOW), ACCEPTED),
        (header("whsec_new", NOW - 61), FORGED),
        (header("another", NOW), FORGED),
        (
            header("whsec_new", NOW - 61).replace("t=", &format!("t={NOW},t=")),
            FORGED,
        ),
        ("v1=00".to_owned(), FORGED),
    ] {
        is(&hook.call(&[("stripe-signature", &header)], body).await, answer);
    }
    let taken = hook.taken();
    assert_eq!(taken.len(), 2);
    assert_eq!(
        (taken[0].id.as_str(), taken[0].ty.as_str()),
        ("evt_1", "stripe.charge.failed")
    );
    assert_eq!(taken[0].subject.as_deref(), Some("ch_1"));
    assert_eq!(taken[0].time.unwrap().unix_timestamp(), NOW);
}

#[tokio::test]
async fn plain_hmac_and_token() {
    let hook = Hook::new(
        r#"
        scheme = { hmac = { header = "X-Signature", algorithm = "sha512", encoding = "base64", prefix = "v=" } }
        secrets = ["key"]
        id_header = "X-Delivery"
        codec = { map = "{type: \"order.\\(.body.state)\", data: .body, subject: .headers[\"x-shop\"]}" }
        "#,
    );
    let body = br#"{"state": "paid"}"#;
    let mut mac = Mac::<Sha512>::new_from_slice(b"key").unwrap();
    mac.update(body);
    let signature = format!("v={}", base64(&mac.finalize().into_bytes()));
    let headers = [
        ("x-signature", signature.as_str()),
        ("x-delivery", "d-1"),
        ("x-shop", "s-1"),
    ];
    is(&hook.call(&headers, &body[..]).await, ACCEPTED);
    is(
        &hook.call(&[("x-signature", &signature[2..])], &body[..]).await,
        FORGED,
    );
    let event = hook.taken().remove(0);
    assert_eq!((event.id.as_str(), event.ty.as_str()), ("d-1", "order.paid"));
    assert_eq!(event.subject.as_deref(), Some("s-1"));
    // Without an id the same body is the same event.
    for _ in 0..2 {
        is(
            &hook.call(&[("x-signature", &signature)], &body[..]).await,
            ACCEPTED,
        );
    }
    let taken = hook.taken();
    assert_eq!(taken[0].id, taken[1].id);

    let hook = Hook::new("scheme = { token = { header = \"X-Gitlab-Token\" } }\nsecrets = [\"a\", \"b\"]");
    let event = r#"{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}"#;
    is(&hook.call(&[("x-gitlab-token", "b")], event).await, ACCEPTED);
    is(&hook.call(&[("x-gitlab-token", "c")], event).await, FORGED);
    is(
        &hook
            .call(&[("x-gitlab-token", "b"), ("x-gitlab-token", "b")], event)
            .await,
        FORGED,
    );
    assert_eq!(hook.taken().len(), 1);
}

#[test]
fn options_that_cannot_be_meant() {
    let intake: Arc<dyn Intake> = Arc::new(Taker::default());
    for (options, reason) in [
        ("scheme = \"github\"\nsecrets = []", "`secrets` is empty"),
        ("scheme = \"github\"\nsecrets = [\"\"]", "a secret is empty"),
        (
            "scheme = \"standard\"\nsecrets = [\"key\"]",
            "`whsec_` and base64",
        ),
        (
            "scheme = \"github\"\nsecrets = [\"a\"]\nmax_bytes = 0",
            "`max_bytes`",
        ),
    ] {
        let options: Options = toml::from_str(options).unwrap();
        let error = build(options, "test", std::path::Path::new(""), &intake)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("key"), "{error}");
    }
    assert!(toml::from_str::<Options>("scheme = \"none\"\nsecrets = [\"a\"]").is_err());
}
