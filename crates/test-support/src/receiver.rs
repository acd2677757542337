//! A webhook receiver: an HTTP server that records each request and answers it as the test says.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header},
};
use bytes::Bytes;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::clock::now;

/// Longest body it takes, in bytes: more than any sink sends.
const MAX_BODY: usize = 16 << 20;

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    /// Path and query, as on the request line.
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When its body was read whole.
    pub at: SystemTime,
    /// What it was answered with.
    pub status: StatusCode,
}

impl Received {
    /// The value of a header, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// How one request is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How long the answer is held back after the request is recorded.
    pub delay: Duration,
}

impl Answer {
    /// An empty answer with this status.
    ///
    /// # Panics
    ///
    /// When `status` is no HTTP status.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("an HTTP status"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
        }
    }

    /// The same answer with one header more.
    ///
    /// # Panics
    ///
    /// When name or value cannot stand in a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(
            name.parse::<HeaderName>().expect("a header name"),
            value.parse::<HeaderValue>().expect("a header value"),
        );
        self
    }

    /// The same answer with `Retry-After`: seconds or an HTTP date.
    #[must_use]
    pub fn retry_after(self, value: &str) -> Self {
        self.header(header::RETRY_AFTER.as_str(), value)
    }

    /// The same answer with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same answer, held back for `delay`.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Program = Box<dyn FnMut(&Received) -> Answer + Send>;

struct Shared {
    requests: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    program: Mutex<Program>,
}

/// The receiver; it stops listening when dropped.
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Answers every request with 200.
    pub async fn start() -> Self {
        Self::answering(|_| Answer::status(200)).await
    }

    /// Answers with `answers` in turn, and with 200 when they are used up.
    pub async fn sequence(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut left = answers.into_iter().collect::<Vec<_>>().into_iter();
        Self::answering(move |_| left.next().unwrap_or_else(|| Answer::status(200))).await
    }

    /// Answers this share of the requests (0.0 to 1.0) with 503 and the others with 200, by a generator
    /// with this seed.
    pub async fn failing(rate: f64, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        Self::answering(move |_| Answer::status(if random.random_bool(rate) { 503 } else { 200 })).await
    }

    /// Answers as `program` says; it is called with the request (its `status` still 200).
    pub async fn answering(program: impl FnMut(&Received) -> Answer + Send + 'static) -> Self {
        Self::listen(0, Box::new(program)).await
    }

    /// Answers every request with 200 on a port chosen before, e.g. by [`free_port`](crate::free_port).
    pub async fn on_port(port: u16) -> Self {
        Self::listen(port, Box::new(|_| Answer::status(200))).await
    }

    async fn listen(port: u16, program: Program) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("a port to listen on");
        let address = listener.local_addr().expect("the receiver's address");
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            count: watch::channel(0).0,
            program: Mutex::new(program),
        });
        let app = axum::Router::new().fallback(receive).with_state(shared.clone());
        let server = tokio::spawn(async move {
            // It ends only with the task.
            let _ = axum::serve(listener, app).await;
        });
        Self {
            shared,
            address,
            server,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL with `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers from now on as `program` says.
    pub fn set_program(&self, program: impl FnMut(&Received) -> Answer + Send + 'static) {
        *self.shared.program.lock() = Box::new(program);
    }

    /// All requests so far, in the order of their recording.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.requests.lock().clone()
    }

    /// Waits until there are at least `n` requests and returns all there are.
    ///
    /// # Panics
    ///
    /// When they are not there within `deadline`.
    pub async fn wait_for(&self, n: usize, deadline: Duration) -> Vec<Received> {
        self.wait_until(deadline, |requests| requests.len() >= n).await
    }

    /// Waits until `condition` holds of the requests and returns all there are.
    ///
    /// # Panics
    ///
    /// When it does not hold within `deadline`.
    pub async fn wait_until(
        &self,
        deadline: Duration,
        mut condition: impl FnMut(&[Received]) -> bool,
    ) -> Vec<Received> {
        let mut count = self.shared.count.subscribe();
        let met = tokio::time::timeout(
            deadline,
            count.wait_for(|_| condition(&self.shared.requests.lock())),
        )
        .await
        .is_ok();
        let requests = self.requests();
        assert!(
            met,
            "not met within {deadline:?}; {} requests came: {requests:#?}",
            requests.len()
        );
        requests
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return Response::builder()
            .status(413)
            .body(Body::empty())
            .expect("a plain answer");
    };
    let mut received = Received {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body,
        at: now(),
        status: StatusCode::OK,
    };
    let answer = (shared.program.lock())(&received);
    received.status = answer.status;
    shared.requests.lock().push(received);
    shared.count.send_modify(|count| *count += 1);
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn records_and_answers_in_turn() {
        let receiver = Receiver::sequence([
            Answer::status(503).retry_after("7").body("later"),
            Answer::status(410),
        ])
        .await;
        let client = reqwest::Client::new();
        let send = || {
            client
                .post(receiver.url("/a/b?c=d"))
                .header("x-one", "1")
                .body("{\"n\":1}")
                .send()
        };
        let first = send().await.unwrap();
        assert_eq!(
            (
                first.status().as_u16(),
                first.headers()["retry-after"].to_str().unwrap()
            ),
            (503, "7")
        );
        assert_eq!(first.text().await.unwrap(), "later");
        assert_eq!(send().await.unwrap().status(), 410);
        assert_eq!(send().await.unwrap().status(), 200);
        let requests = receiver.wait_for(3, DEADLINE).await;
        assert_eq!(requests.len(), 3);
        assert_eq!(requests[0].uri, "/a/b?c=d");
        assert_eq!(requests[0].header("x-one"), Some("1"));
        assert_eq!(requests[0].json(), serde_json::json!({"n": 1}));
        assert_eq!(
            requests.iter().map(|r| r.status.as_u16()).collect::<Vec<_>>(),
            [503, 410, 200]
        );
    }

    #[tokio::test]
    async fn fails_the_same_share_for_the_same_seed() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let receiver = Receiver::failing(0.5, 42).await;
            let client = reqwest::Client::new();
            for _ in 0..40 {
                client.get(receiver.url("/")).send().await.unwrap();
            }
            runs.push(
                receiver
                    .requests()
                    .iter()
                    .map(|r| r.status.as_u16())
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(runs[0], runs[1]);
        assert!(runs[0].contains(&503) && runs[0].contains(&200));
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_request_it_waits_for() {
        let receiver = Arc::new(Receiver::start().await);
        let waiting = tokio::spawn({
            let receiver = receiver.clone();
            async move { receiver.wait_for(1, DEADLINE).await.len() }
        });
        reqwest::get(receiver.url("/")).await.unwrap();
        assert_eq!(waiting.await.unwrap(), 1);
    }

    #[tokio::test]
    #[should_panic(expected = "not met within")]
    async fn a_wait_for_what_does_not_come_fails() {
        Receiver::start()
            .await
            .wait_for(1, Duration::from_millis(50))
            .await;
    }
}
