//! The built `segno` program as a child process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use reqwest::StatusCode;
use segno_test_support::free_port;
use serde_json::Value;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, GrpcCompression};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{DEADLINE, TestEngine};

/// Between two looks at the process.
const POLL: std::time::Duration = std::time::Duration::from_millis(20);

/// How to start the program, again and again, at the same addresses and with the same data.
pub(crate) struct Launch {
    program: PathBuf,
    folder: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    arguments: Vec<String>,
    /// Whether it takes the flags of addresses and data.
    addresses: bool,
    environment: Vec<(&'static str, String)>,
    starts: u32,
}

impl Launch {
    /// `segno up` with this configuration (without `engine`).
    pub(crate) fn up(engine: &TestEngine, config: &str) -> Self {
        let path = engine.folder().join("segno.toml");
        std::fs::write(&path, format!("{}{config}", engine.config())).expect("the configuration is written");
        Self::segno("up", engine, &["--config", &path.display().to_string()])
    }

    /// `segno <command>` with these arguments besides addresses and data.
    pub(crate) fn segno(command: &str, engine: &TestEngine, arguments: &[&str]) -> Self {
        let before = [command, "--log-format", "json"];
        Self::program(
            env!("CARGO_BIN_EXE_segno").into(),
            engine,
            &[&before, arguments].concat(),
        )
    }

    /// An example of this crate, with the configuration beside it.
    pub(crate) fn example(name: &str, engine: &TestEngine) -> Self {
        // Examples are built with the tests, into a folder beside the programs.
        let built = std::path::Path::new(env!("CARGO_BIN_EXE_segno"))
            .with_file_name("examples")
            .join(name);
        let config = format!("{}/examples/{name}/segno.toml", env!("CARGO_MANIFEST_DIR"));
        Self::program(built, engine, &["--config", &config])
    }

    /// `segno engine` on a file.
    #[cfg(feature = "embedded")]
    pub(crate) fn engine(engine: &TestEngine) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Self::engine_at(engine, &address.to_string())
    }

    /// The same at this address.
    #[cfg(feature = "embedded")]
    pub(crate) fn engine_at(engine: &TestEngine, address: &str) -> Self {
        let mut launch = Self::program(env!("CARGO_BIN_EXE_segno").into(), engine, &[]);
        launch.grpc = address.parse().expect("an address");
        let db = launch.folder.join("alone.db").display().to_string();
        launch.arguments = ["engine", "--log-format", "json", "--listen", address, "--db", &db]
            .map(str::to_owned)
            .into();
        launch.addresses = false;
        launch
    }

    fn program(program: PathBuf, engine: &TestEngine, arguments: &[&str]) -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let folder = engine.folder().to_owned();
        let environment = engine.environment();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self {
            program,
            folder,
            http: address(),
            grpc: address(),
            arguments,
            addresses: true,
            environment,
            starts: 0,
        }
    }

    /// Gives it one argument more.
    pub(crate) fn argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// Sets a variable of its environment.
    pub(crate) fn variable(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    /// Starts it; it is not ready yet.
    pub(crate) fn spawn(&mut self) -> Program {
        self.starts += 1;
        let log = self.folder.join(format!("segno-{}.log", self.starts));
        let output = self.folder.join(format!("segno-{}.out", self.starts));
        let file = |path| std::fs::File::create(path).expect("the program's output is written");
        let mut arguments = self.arguments.clone();
        if self.addresses {
            let data = self.folder.join("data").display().to_string();
            let (http, grpc) = (self.http.to_string(), self.grpc.to_string());
            arguments.extend(["--http", &http, "--grpc", &grpc, "--data", &data].map(str::to_owned));
        }
        let child = Command::new(&self.program)
            .args(&arguments)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(file(&output))
            .stderr(file(&log))
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        Program {
            child,
            http: self.http,
            log,
            output,
        }
    }

    /// Starts it and waits until it takes work.
    pub(crate) async fn start(&mut self) -> Program {
        let mut program = self.spawn();
        program.ready().await;
        program
    }
}

/// A running program; killed when dropped.
pub(crate) struct Program {
    child: Child,
    http: SocketAddr,
    log: PathBuf,
    output: PathBuf,
}

impl Program {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// What it printed.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.output).expect("the output can be read")
    }

    /// Whether it has ended.
    #[cfg(feature = "embedded")]
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the program's state").is_some()
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Ok(response) = reqwest::get(self.url("/readyz")).await
                && response.status() == StatusCode::OK
            {
                return;
            }
            if let Some(status) = self.child.try_wait().expect("the program's state") {
                panic!("the program ended ({status}):\n{}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "not ready within {DEADLINE:?}:\n{}",
                self.log()
            );
            sleep(POLL).await;
        }
    }

    /// Waits until the execution is closed and returns it.
    pub(crate) async fn closed(&self, workflow_id: &str) -> Value {
        let mut url = reqwest::Url::parse(&self.url("/executions")).expect("a URL");
        url.path_segments_mut().expect("a path").push(workflow_id);
        let deadline = Instant::now() + DEADLINE;
        loop {
            let response = reqwest::get(url.clone()).await.expect("an answer");
            let execution: Value = response.json().await.expect("JSON");
            if execution["status"]
                .as_str()
                .is_some_and(|status| status != "Running")
            {
                return execution;
            }
            assert!(
                Instant::now() < deadline,
                "not within {DEADLINE:?}: {execution:#}"
            );
            sleep(POLL).await;
        }
    }

    /// A client of the engine that it serves on a port, once it does.
    pub(crate) async fn engine_client(&mut self, launch: &Launch) -> Client {
        let url: reqwest::Url = format!("http://{}", launch.grpc).parse().expect("a URL");
        let deadline = Instant::now() + DEADLINE;
        loop {
            let options = ConnectionOptions::new(url.clone())
                .grpc_compression(GrpcCompression::None)
                .build();
            if let Ok(connection) = Connection::connect(options).await {
                return Client::new(connection, ClientOptions::new("default").build()).expect("a client");
            }
            assert!(
                Instant::now() < deadline,
                "not within {DEADLINE:?}:\n{}",
                self.log()
            );
            sleep(POLL).await;
        }
    }

    /// Sends it a signal, by its name.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("the program runs").to_string();
        let done = Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .await
            .expect("kill runs");
        assert!(done.success());
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("the program is killed");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        match timeout(DEADLINE, self.child.wait()).await {
            Ok(status) => status.expect("the program's state"),
            Err(_) => panic!("not ended within {DEADLINE:?}:\n{}", self.log()),
        }
    }
}
