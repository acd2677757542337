//! The client of Pusher, against soketi, and against receivers that answer as Pusher does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::time::Duration;

use segno_crawl_clients::{
    Confidential,
    pusher::{Event, Options, Pusher},
};
use segno_test_support::{Answer, Receiver, servers::Soketi};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(30);

fn client(url: &str, secret: &str) -> Pusher {
    let options = Options {
        app_id: "app".to_owned(),
        key: "key".to_owned(),
        secret: Confidential::from(secret.to_owned()),
        cluster: None,
        url: Some(url.parse().unwrap()),
        timeout: Some(Duration::from_secs(10)),
    };
    Pusher::new(&options).unwrap()
}

/// A browser that listens on a channel, by as much of WebSocket (RFC 6455) as it takes.
struct Listener(BufReader<TcpStream>);

impl Listener {
    async fn on(port: u16, channel: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = "GET /app/key?protocol=7 HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0);
        }
        let mut listener = Self(stream);
        assert_eq!(listener.next().await["event"], "pusher:connection_established");
        let subscribe = json!({ "event": "pusher:subscribe", "data": { "channel": channel } }).to_string();
        assert!(subscribe.len() < 126);
        // A short frame of text whose mask changes nothing.
        let mut frame = vec![0x81, 0x80 | u8::try_from(subscribe.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(subscribe.as_bytes());
        listener.0.write_all(&frame).await.unwrap();
        assert_eq!(
            listener.next().await["event"],
            "pusher_internal:subscription_succeeded"
        );
        listener
    }

    /// The next message.
    async fn next(&mut self) -> Value {
        let reading = async {
            loop {
                let head = [self.0.read_u8().await.unwrap(), self.0.read_u8().await.unwrap()];
                let length = match head[1] & 0x7f {
                    126 => usize::from(self.0.read_u16().await.unwrap()),
                    127 => usize::try_from(self.0.read_u64().await.unwrap()).unwrap(),
                    short => usize::from(short),
                };
                let mut text = vec![0; length];
                self.0.read_exact(&mut text).await.unwrap();
                if head[0] == 0x81 {
                    return serde_json::from_slice(&text).unwrap();
                }
            }
        };
        timeout(DEADLINE, reading).await.expect("a message in time")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_see_events() {
    let soketi = Soketi::start().await;
    let pusher = client(&soketi.url(), "secret");
    let mut listener = Listener::on(soketi.port(), "report-7").await;
    pusher
        .trigger(&Event::new("report-7", "report-stopped", json!({ "run": 1 })))
        .await
        .unwrap();
    let seen = listener.next().await;
    assert_eq!(
        (&seen["event"], &seen["channel"]),
        (&json!("report-stopped"), &json!("report-7"))
    );
    assert_eq!(seen["data"], "{\"run\":1}");
    let mut events: Vec<_> = (0..23)
        .map(|n| Event::new("report-7", &format!("step-{n}"), json!("é")))
        .collect();
    events[22].channels.push("elsewhere".to_owned());
    pusher.trigger_batch(&events).await.unwrap();
    for n in 0..23 {
        let seen = listener.next().await;
        assert_eq!(
            (&seen["event"], &seen["data"]),
            (&json!(format!("step-{n}")), &json!("é"))
        );
    }

    // Soketi answers 200, with 401 inside.
    let error = client(&soketi.url(), "hunter2")
        .trigger(&events[0])
        .await
        .unwrap_err();
    assert_eq!(
        (error.status(), error.is_retryable()),
        (Some(401), false),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_stays() {
    let event = Event::new("a", "b", json!({}));
    let receiver = Receiver::sequence([
        Answer::status(429).retry_after("5"),
        Answer::status(503),
        Answer::status(413),
        Answer::status(403),
    ])
    .await;
    let pusher = client(&receiver.url("/"), "secret");
    let limited = pusher.trigger(&event).await.unwrap_err();
    assert_eq!(limited.retry_after(), Some(Duration::from_secs(5)));
    assert!(pusher.trigger(&event).await.unwrap_err().is_retryable());
    assert!(!pusher.trigger(&event).await.unwrap_err().is_retryable());
    assert!(
        !pusher
            .trigger_batch(std::slice::from_ref(&event))
            .await
            .unwrap_err()
            .is_retryable()
    );
    pusher.trigger(&event).await.unwrap();
    let requests = receiver.requests();
    assert_eq!(requests[3].uri.path(), "/apps/app/batch_events");
    assert_eq!(requests[4].uri.path(), "/apps/app/events");
    let query = requests[4].uri.query().unwrap();
    for name in [
        "auth_key=key",
        "auth_timestamp=",
        "auth_version=1.0",
        "body_md5=",
        "auth_signature=",
    ] {
        assert!(query.contains(name), "{query}");
    }
    let large = Event::new("a", "b", json!("x".repeat(10_241)));
    assert!(!pusher.trigger(&large).await.unwrap_err().is_retryable());
    assert_eq!(receiver.requests().len(), 5);
}
