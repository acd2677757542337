//! An engine on a port, and programs that are run against it.

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use segno_engine::{Engine, Options};
use segno_test_support::TemporalServer;
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command, time::timeout};

/// No scenario takes nearly as long.
const LONGEST: Duration = Duration::from_secs(150);

/// An engine under test.
pub(crate) struct Bed {
    pub(crate) address: String,
    pub(crate) namespace: String,
    _engine: Option<(Engine, TempDir)>,
    _server: Option<TemporalServer>,
}

impl Bed {
    pub(crate) async fn embedded() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let engine = Engine::open(Options::new(folder.path().join("engine.db")))
            .await
            .expect("an engine");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let handle = engine.handle();
        tokio::spawn(async move { segno_engine::serve(&handle, listener, std::future::pending()).await });
        Self {
            address,
            namespace: "default".to_owned(),
            _engine: Some((engine, folder)),
            _server: None,
        }
    }

    pub(crate) async fn temporal() -> Self {
        let server = TemporalServer::start().await;
        Self {
            address: server.address().to_owned(),
            namespace: server.namespace().await,
            _engine: None,
            _server: Some(server),
        }
    }

    /// Runs a scenario's program, which ends well if all holds. What it prints is this test's output.
    pub(crate) async fn run(&self, program: &mut Command) {
        program
            .args(["--address", &self.address, "--namespace", &self.namespace])
            .kill_on_drop(true);
        let mut child = program
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?} does not start: {error}"));
        let ended = timeout(LONGEST, child.wait())
            .await
            .unwrap_or_else(|_| panic!("the scenario has not ended within {LONGEST:?}"));
        let is_well = ended.as_ref().is_ok_and(ExitStatus::success);
        assert!(is_well, "the scenario does not hold: {ended:?}");
    }
}

/// A folder of this target's sources.
pub(crate) fn sources(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdks")
        .join(folder)
}

/// What `./test` has installed for a language.
///
/// # Panics
///
/// When it has not.
pub(crate) fn installed(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.filter(|path| path.exists()).unwrap_or_else(|| {
        panic!("{variable} names nothing that is there: ./test installs the SDK and sets it")
    })
}

/// The names of the scenario files in a folder, in order.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(sources(folder)).expect("the folder of the scenarios");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !name.starts_with("__"))
        .collect();
    names.sort();
    names
}
