//! Real servers on free loopback ports, each a test's own, with its data in a temporary folder.
//!
//! They end with the test. [`Server::kill`] ends one as a crash does, and [`Server::start_again`] brings it back on the
//! same port with the same data.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{free_port, process::Process};

mod aiosmtpd;
mod azurite;
mod browser;
mod maildev;
mod mariadb;
mod ministack;
mod nats;
mod postgres;
mod redis;
mod soketi;

pub use aiosmtpd::Aiosmtpd;
pub use azurite::Azurite;
pub use browser::{Browser, ENTER, ESCAPE, Element, TAB};
pub use maildev::Maildev;
pub use mariadb::MariaDb;
pub use ministack::Ministack;
pub use nats::{Nats, NatsOperator};
pub use postgres::Postgres;
pub use redis::Redis;
pub use soketi::{Listener, Soketi};

/// How long a server may take until it serves: far more than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one question whether it serves may take.
const QUESTION: Duration = Duration::from_secs(5);
/// How often a server that ends by itself is started again.
const TRIES: u32 = 5;
/// Between two questions.
const POLL: Duration = Duration::from_millis(30);

/// How a server is started, and how it is seen to serve.
#[derive(Clone, Debug)]
struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    /// What is sent to it once it takes a connection.
    hello: &'static [u8],
    /// What its answer begins with, or contains, once it serves.
    answer: &'static [u8],
}

/// A server's process, port and data.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    process: Option<Process>,
    port: u16,
    folder: TempDir,
}

impl Server {
    async fn start(folder: TempDir, launch: impl Fn(u16, &Path) -> Launch) -> Self {
        let port = free_port();
        let launch = launch(port, folder.path());
        let mut server = Self {
            launch,
            process: None,
            port,
            folder,
        };
        server.start_again().await;
        server
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it with SIGKILL. Its data stay.
    ///
    /// # Panics
    ///
    /// When something still listens on its port a minute later.
    pub fn kill(&mut self) {
        if self.process.take().is_none() {
            return;
        }
        // A child of it may have the port for a moment longer.
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(Instant::now() < deadline, "something still listens on its port");
            std::thread::yield_now();
        }
    }

    /// Starts it again after [`kill`](Self::kill), and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not within a minute.
    pub async fn start_again(&mut self) {
        self.kill();
        let deadline = Instant::now() + PATIENCE;
        let mut tries = TRIES;
        let mut process = Process::start(&self.launch.program, &self.launch.arguments);
        while !self.serves().await {
            let status = process.ended();
            if status.is_some() && tries > 0 {
                // Children of the one before may still have its data.
                tries -= 1;
                sleep(POLL * 10).await;
                process = Process::start(&self.launch.program, &self.launch.arguments);
            } else if status.is_some() || Instant::now() > deadline {
                let program = self.launch.program.display();
                panic!("{program} does not serve ({status:?}):\n{}", process.into_log());
            }
            sleep(POLL).await;
        }
        self.process = Some(process);
    }

    async fn serves(&self) -> bool {
        timeout(QUESTION, self.ask())
            .await
            .unwrap_or(Ok(false))
            .unwrap_or(false)
    }

    async fn ask(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(self.launch.hello).await?;
        let mut answer = Vec::new();
        loop {
            let wanted = self.launch.answer;
            if answer.windows(wanted.len()).any(|part| part == wanted) {
                return Ok(true);
            }
            if stream.read_buf(&mut answer).await? == 0 {
                return Ok(false);
            }
        }
    }
}

/// The program of this name in one of the folders, or on `PATH`.
fn program(name: &str, folders: &[&str]) -> PathBuf {
    let folder = folders
        .iter()
        .map(Path::new)
        .find(|folder| folder.join(name).exists());
    folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}

/// Whether this process is root's: some servers refuse to run as root.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("`id` runs");
    id.stdout.trim_ascii() == b"0"
}

/// Runs a command that has to succeed.
fn run(program: &Path, arguments: &[String]) {
    if let Err(why) = attempt(program, arguments) {
        panic!("{why}");
    }
}

/// Runs a command; where it fails, what it said.
fn attempt(program: &Path, arguments: &[String]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{} {arguments:?}: {}\n{}{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    ))
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
