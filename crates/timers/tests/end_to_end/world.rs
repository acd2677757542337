//! What a scenario acts on: an engine, the HTTP service in front of it, and workers that come and go.

use std::{pin::Pin, sync::Arc, thread::JoinHandle, time::Duration};

use segno_timers::{Options, TASK_QUEUE, Timers};
use serde_json::Value;
use temporalio_client::Client;
use temporalio_sdk::{Runtime, Worker as SdkWorker, WorkerOptions};
use tokio::sync::oneshot;

/// Bound of every wait for something that is to happen soon.
pub(crate) const SOON: Duration = Duration::from_secs(60);

type Connect = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Client> + Send>> + Send + Sync>;

/// An engine's namespace for one test.
#[derive(Clone)]
pub(crate) struct World {
    connect: Connect,
}

impl World {
    /// The world of an engine that this connects to; each client on a connection of its own.
    pub(crate) fn new<F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Client> + Send + 'static,
    {
        Self {
            connect: Arc::new(move || Box::pin(connect())),
        }
    }

    pub(crate) async fn client(&self) -> Client {
        (self.connect)().await
    }

    /// The HTTP service, with private addresses allowed: receivers of tests are on loopback.
    pub(crate) async fn service(&self) -> Service {
        self.service_with(Options {
            allow_private: true,
            secret: None,
        })
        .await
    }

    pub(crate) async fn service_with(&self, options: Options) -> Service {
        let app = segno_timers::router(Timers::new(self.client().await, options));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Service {
            url,
            http: reqwest::Client::new(),
        }
    }

    /// A worker that may call private addresses.
    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(Options {
            allow_private: true,
            secret: None,
        })
    }

    pub(crate) fn worker_with(&self, options: Options) -> Worker {
        Worker::start(self.clone(), options)
    }
}

/// A worker on threads of its own. Dropping it is a crash: what it was doing is dropped and told to nobody.
pub(crate) struct Worker {
    stop: Option<oneshot::Sender<ShutDown>>,
    thread: Option<JoinHandle<()>>,
}

struct ShutDown;

impl Worker {
    fn start(world: World, options: Options) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                let client = world.client().await;
                let mut worker_options = WorkerOptions::new(TASK_QUEUE)
                    .graceful_shutdown_period(Duration::from_millis(100))
                    .build();
                segno_timers::register(&mut worker_options, &options).unwrap();
                let sdk = Runtime::from_current_tokio(Default::default()).unwrap();
                let mut worker = SdkWorker::new(&sdk, client, worker_options).unwrap();
                let shut_down = worker.shutdown_handle();
                let asked = async {
                    if stopped.await.is_ok() {
                        shut_down();
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    ended = worker.run() => ended.unwrap(),
                    () = asked => {}
                }
                // Its destructor would wait for what it was doing.
                std::mem::forget(worker);
            });
            runtime.shutdown_background();
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Shuts it down in good order: attempts that are being made are given up.
    pub(crate) async fn shut_down(mut self) {
        let _ = self.stop.take().map(|stop| stop.send(ShutDown));
        tokio::task::spawn_blocking(move || drop(self)).await.unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        let joined = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            joined.transpose().expect("the worker did not panic");
        }
    }
}

/// The HTTP service under test.
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

/// Status and JSON body (null for none) of an answer.
pub(crate) type Answer = (u16, Value);

impl Service {
    async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the service answers");
        let status = response.status().as_u16();
        let body = response.bytes().await.expect("the answer is whole");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::send(self.http.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Self::send(self.http.delete(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.http.put(format!("{}{path}", self.url)).json(body)).await
    }

    pub(crate) async fn post(&self, body: &Value) -> Answer {
        Self::send(self.http.post(format!("{}/timers", self.url)).json(body)).await
    }

    pub(crate) async fn post_keyed(&self, key: &str, body: &Value) -> Answer {
        let request = self
            .http
            .post(format!("{}/timers", self.url))
            .header("Idempotency-Key", key);
        Self::send(request.json(body)).await
    }

    /// Sends bytes that may be no JSON.
    pub(crate) async fn post_raw(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .http
            .post(format!("{}/timers", self.url))
            .header("content-type", content_type);
        Self::send(request.body(body)).await
    }

    /// Makes a timer and returns its id.
    pub(crate) async fn create(&self, body: Value) -> String {
        let (status, answer) = self.post(&body).await;
        assert_eq!(status, 200, "{answer}");
        let id = answer["id"].as_str().expect("an id").to_owned();
        assert_eq!(
            answer,
            serde_json::json!({"id": id}),
            "the answer is the id and nothing else"
        );
        id
    }

    pub(crate) async fn time_left(&self, id: &str) -> u64 {
        let (status, answer) = self.get(&format!("/timers/{id}")).await;
        assert_eq!(status, 200, "{answer}");
        let left = answer["time_left"].as_u64().expect("time_left");
        assert_eq!(answer, serde_json::json!({"id": id, "time_left": left}));
        left
    }

    /// Asks for a timer's deliveries until the answer is as wanted.
    pub(crate) async fn deliveries(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/timers/{id}/deliveries");
        self.until(&path, |(status, body)| *status == 200 && wanted(body))
            .await
            .1
    }

    /// Asks again until the answer is as wanted: what the engine does behind the service is not to be
    /// waited for in another way.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{path} still answers {answer:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
