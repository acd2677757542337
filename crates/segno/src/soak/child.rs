//! The Segno under load: this program again, as a process of its own that can be killed.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use super::{Error, Options, Sample};

/// How long it may take to get ready, also after a crash.
const READY: Duration = Duration::from_secs(60);
/// How long it may take to end when it is asked to.
const ENDS: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);
/// Dead letters on a page.
const PAGE: usize = 500;

pub(super) struct Child {
    folder: PathBuf,
    http: SocketAddr,
    grpc: SocketAddr,
    started: Instant,
    process: Option<tokio::process::Child>,
    client: reqwest::Client,
}

impl Child {
    /// Writes its configuration.
    pub(super) fn new(options: &Options, receiver: SocketAddr) -> Result<Self, Error> {
        let io = |what| move |source| Error::Io { what, source };
        fs::create_dir_all(&options.folder).map_err(io("the folder cannot be made"))?;
        let folder = options
            .folder
            .canonicalize()
            .map_err(io("the folder cannot be found"))?;
        let config = format!(
            r#"
[sinks.receiver.webhook]
url = "http://{receiver}/"
allow_private = true

[[routes]]
name = "soak"
on = "soak.*"
retention = "{}"
actions = [{{ name = "deliver", to = "receiver", transform = ".data | {{n}}", retry = {{ initial = "200ms", max_interval = "2s", max_attempts = 100 }} }}]
"#,
            humantime::format_duration(options.retention),
        );
        fs::write(folder.join("segno.toml"), config).map_err(io("the configuration cannot be written"))?;
        let free = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.local_addr()
        };
        Ok(Self {
            http: free().map_err(io("there is no free port"))?,
            grpc: free().map_err(io("there is no free port"))?,
            folder,
            started: Instant::now(),
            process: None,
            client: reqwest::Client::builder().no_proxy().timeout(READY).build()?,
        })
    }

    /// Address of its HTTP API.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("segno.log")
    }

    /// Starts it and waits until it takes work.
    pub(super) async fn start(&mut self) -> Result<(), Error> {
        let io = |what| move |source| Error::Io { what, source };
        let log = fs::File::create(self.log()).map_err(io("the log cannot be written"))?;
        let program = std::env::current_exe().map_err(io("this program cannot be found"))?;
        let addresses = [self.http.to_string(), self.grpc.to_string()];
        let process = Command::new(program)
            .args([
                "up",
                "--log-format",
                "json",
                "--config",
                "segno.toml",
                "--data",
                "data",
            ])
            .args(["--http", &addresses[0], "--grpc", &addresses[1]])
            // What happens well is not worth a file that grows.
            .env("SEGNO_LOG", "warn")
            .env_remove("TEMPORAL_ADDRESS")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(io("the Segno under load cannot be started"))?;
        self.process = Some(process);
        let deadline = Instant::now() + READY;
        loop {
            let ready = self.client.get(format!("{}/readyz", self.url())).send().await;
            if ready.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return Ok(());
            }
            self.check()?;
            if Instant::now() > deadline {
                return Err(Error::Child("does not get ready".to_owned(), self.log()));
            }
            sleep(POLL).await;
        }
    }

    /// Whether it is still there.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        let status = self.process.as_mut().map(|process| process.try_wait());
        match status {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(status))) => Err(Error::Child(format!("has ended: {status}"), self.log())),
            Some(Err(source)) => Err(Error::Io {
                what: "the Segno under load cannot be waited for",
                source,
            }),
            None => Err(Error::Child("is not there".to_owned(), self.log())),
        }
    }

    /// Kills it, without a chance to end well.
    pub(super) async fn kill(&mut self) -> Result<(), Error> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.kill().await.map_err(|source| Error::Io {
            what: "the Segno under load cannot be killed",
            source,
        })
    }

    /// Asks it to end, and waits for it.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let io = |what| move |source| Error::Io { what, source };
        if let Some(pid) = process.id() {
            let asked = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
            asked
                .await
                .map_err(io("the Segno under load cannot be told to end"))?;
        }
        match timeout(ENDS, process.wait()).await {
            Ok(ended) => ended
                .map(drop)
                .map_err(io("the Segno under load cannot be waited for")),
            Err(_) => Err(Error::Child(format!("does not end within {ENDS:?}"), self.log())),
        }
    }

    /// The numbers of the events that are dead letters.
    pub(super) async fn dead_letters(&self) -> Result<HashSet<u64>, Error> {
        let mut numbers = HashSet::new();
        let mut token = None::<String>;
        loop {
            let mut query = vec![("page_size", PAGE.to_string())];
            query.extend(token.map(|token| ("page_token", token)));
            let page = self
                .client
                .get(format!("{}/dead-letters", self.url()))
                .query(&query);
            let mut page: Value = page.send().await?.error_for_status()?.json().await?;
            let found = page["dead_letters"].as_array().into_iter().flatten();
            numbers.extend(found.filter_map(|letter| letter["event"]["id"].as_str()?.parse::<u64>().ok()));
            match page["next_page_token"].take() {
                Value::String(next) => token = Some(next),
                _ => return Ok(numbers),
            }
        }
    }

    /// How it stands.
    pub(super) fn sample(&self, accepted: usize, arrived: usize) -> Sample {
        Sample {
            at: self.started.elapsed(),
            accepted,
            arrived,
            memory: self.memory().unwrap_or(0),
            files: size(&self.folder.join("data")),
        }
    }

    /// Bytes of memory, as Linux tells of it.
    fn memory(&self) -> Option<u64> {
        let pid = self.process.as_ref()?.id()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
