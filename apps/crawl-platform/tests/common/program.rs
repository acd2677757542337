//! The built program, as tests start it, have it killed, and start it again.
#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reqwest::{Method, StatusCode};
use segno_test_support::free_port;
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long anything may take that a test waits for.
const DEADLINE: Duration = Duration::from_secs(90);

/// What the program is started with, and where it keeps what it knows.
pub(crate) struct Installation {
    folder: PathBuf,
    segno: PathBuf,
    more: String,
    variables: Vec<(String, String)>,
}

impl Installation {
    /// In this folder, with a file of Segno's configuration, and more settings of the platform (whole tables last).
    pub(crate) fn new(folder: &Path, segno: &Path, more: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            segno: segno.to_owned(),
            more: more.to_owned(),
            variables: Vec::new(),
        }
    }

    /// The same with a variable of the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn crash_file(&self) -> PathBuf {
        self.folder.join("crash")
    }

    /// From now on the program is killed when it comes to a place, once: see `src/crash.rs`.
    pub(crate) fn arm(&self, place: &str) {
        // At once, as the program may be looking.
        let new = self.folder.join("crash.new");
        std::fs::write(&new, place).unwrap();
        std::fs::rename(new, self.crash_file()).unwrap();
    }

    pub(crate) async fn start(&self) -> Program {
        let (listen, segno, grpc) = (free_port(), free_port(), free_port());
        let settings = format!(
            "listen = '127.0.0.1:{listen}'\nsegno_listen = '127.0.0.1:{segno}'\ngrpc_listen = '127.0.0.1:{grpc}'\n\
            data = '{}'\nsegno = '{}'\n{}",
            self.folder.display(),
            self.segno.display(),
            self.more,
        );
        let path = self.folder.join("settings.toml");
        std::fs::write(&path, settings).unwrap();
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.folder.join("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_crawl-platform"))
            .args(["serve", "--settings"])
            .arg(&path)
            .env("CRAWL_PLATFORM_CRASH_FILE", self.crash_file())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let program = Program {
            child,
            http: reqwest::Client::new(),
            log: self.folder.join("log"),
            api: format!("http://127.0.0.1:{listen}"),
            segno: format!("http://127.0.0.1:{segno}"),
            grpc: format!("127.0.0.1:{grpc}"),
        };
        let deadline = Instant::now() + DEADLINE;
        while !program.answers().await {
            assert!(
                Instant::now() < deadline,
                "it does not start:\n{}",
                program.last_words()
            );
            sleep(Duration::from_millis(10)).await;
        }
        program
    }
}

pub(crate) struct Program {
    child: Child,
    http: reqwest::Client,
    log: PathBuf,
    /// The platform's API.
    pub(crate) api: String,
    /// Segno's.
    pub(crate) segno: String,
    /// The embedded engine's, if there is one.
    pub(crate) grpc: String,
}

impl Program {
    async fn answers(&self) -> bool {
        let answer = self.http.get(format!("{}/healthz", self.api)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// One request, and what came back; none if the program ended before it answered.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<(StatusCode, Value)> {
        let mut request = self.http.request(method, url);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", content_type(body))
                .body(body.to_string());
        }
        let response = request.send().await.ok()?;
        let status = response.status();
        let text = response.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// POST to the platform's API; none if the program ended before it answered.
    pub(crate) async fn try_post(&self, path: &str, key: Option<&str>, body: &Value) -> Option<Value> {
        let url = format!("{}{path}", self.api);
        let (status, body) = self.ask(Method::POST, &url, key, Some(body)).await?;
        assert!(status.is_success(), "{path}: {status}: {body}");
        Some(body)
    }

    pub(crate) async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Value {
        let answer = self.try_post(path, key, body).await;
        answer.unwrap_or_else(|| panic!("{path}: no answer:\n{}", self.last_words()))
    }

    /// GET from the platform's API; null if there is no such thing, or no answer.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.api);
        match self.ask(Method::GET, &url, None, None).await {
            Some((status, body)) if status.is_success() => body,
            _ => Value::Null,
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it was killed at the place that it was armed with.
    pub(crate) async fn is_killed(&mut self, what: &str) {
        let Ok(status) = timeout(DEADLINE, self.child.wait()).await else {
            panic!("{what}: it never came there:\n{}", self.last_words());
        };
        assert_eq!(
            status.unwrap().signal(),
            Some(9),
            "{what}:\n{}",
            self.last_words()
        );
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// CloudEvents are told apart from all else.
fn content_type(body: &Value) -> &'static str {
    if body.get("specversion").is_some() {
        "application/cloudevents+json"
    } else {
        "application/json"
    }
}

/// Which of all cases are tried now: all of them, in their order, if a variable `…_ALL` is set; else such as a seed chooses,
/// for so long.
pub(crate) struct Share {
    first: u64,
    all: bool,
    until: Instant,
}

impl Share {
    /// By the variables of this name with `_ALL` and `_SEED` after it.
    pub(crate) fn of(name: &str, long: Duration) -> Self {
        let variable = |end: &str| std::env::var(format!("{name}_{end}")).ok();
        Self {
            first: variable("SEED").map_or(1, |seed| seed.parse().unwrap()),
            all: variable("ALL").is_some_and(|all| all == "1"),
            until: Instant::now() + long,
        }
    }

    /// The cases in the order in which they are tried.
    pub(crate) fn order<T>(&self, mut cases: Vec<T>) -> Vec<T> {
        use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
        if !self.all {
            cases.shuffle(&mut StdRng::seed_from_u64(self.first));
        }
        cases
    }

    /// Whether there is time for another one.
    pub(crate) fn goes_on(&self) -> bool {
        self.all || Instant::now() < self.until
    }
}
