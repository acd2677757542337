//! A document's session: its steps in one shell, and what they printed.

use std::{fs, process::Stdio, time::Duration};

use segno_test_support::{TemporalServer, servers::Postgres};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use super::{
    document::{Document, Part},
    hook,
    places::{self, Places},
    sql,
    step::{self, Step},
};

/// How long a document may take.
const PATIENCE: Duration = Duration::from_secs(160);
/// What the shell knows besides: see there.
const PRELUDE: &str = include_str!("prelude.sh");

/// Runs everything in a document.
///
/// # Panics
/// When a step fails or prints something else than the document says: with the step, its output and the server's log.
pub(crate) async fn run(document: &Document) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hook = hook::start(folder.path()).await;
    let cluster = match document.mentions(places::CLUSTER) {
        true => Some(TemporalServer::start().await),
        false => None,
    };
    let namespace = match &cluster {
        Some(server) => server.namespace().await,
        None => String::new(),
    };
    let cluster = cluster.as_ref().map(|server| (server.address(), &*namespace));
    let places = Places::new(hook, cluster);
    let steps = step::of(document, &places);
    for part in document.parts() {
        if let Part::Block(block) = part
            && block.language == "sql"
            && block.file.is_none()
            && block.skip.is_none()
        {
            sql::run(&document.path, &block).await;
        }
    }
    if steps.is_empty() {
        return;
    }
    let database = match document.mentions("psql \"$ORDERS_DATABASE_URL\"") {
        true => Some(Postgres::start().await),
        false => None,
    };
    let database = database.as_ref().map(Postgres::url);
    shell(document, &steps, &folder, &places, database).await;
    let out = |at: usize, kind: &str| fs::read_to_string(folder.path().join(format!(".steps/{at}.{kind}")));
    for (at, step) in steps.iter().enumerate() {
        let place = format!("{}:{}", document.path, step.line);
        let printed = places.taken_out(&out(at, "out").unwrap_or_default());
        let told = || {
            let log = fs::read_to_string(folder.path().join(".serving.log")).unwrap_or_default();
            format!("{}\nprinted:\n{printed}\nwhat serves logged:\n{log}", step.script)
        };
        let status = out(at, "status").unwrap_or_else(|_| "none: it stopped in the middle".to_owned());
        assert_eq!(
            status.trim(),
            step.exit.to_string(),
            "{place}: exit status of\n{}",
            told()
        );
        for wanted in &step.prints {
            assert!(
                printed.contains(wanted),
                "{place}: not printed: {wanted}\n{}",
                told()
            );
        }
        if let Some(expected) = &step.output {
            let lines: Vec<_> = printed.lines().map(timeless).collect();
            let same = lines.len() == expected.len()
                && expected
                    .iter()
                    .zip(&lines)
                    .all(|(expected, line)| fits(&timeless(expected), line));
            assert!(same, "{place}: the document has another output than\n{}", told());
        }
    }
}

async fn shell(
    document: &Document,
    steps: &[Step],
    folder: &TempDir,
    places: &Places,
    database: Option<String>,
) {
    let here = folder.path();
    let scripts = here.join(".steps");
    fs::create_dir(&scripts).unwrap();
    let bin = here.join(".bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_segno"), bin.join("segno")).unwrap();
    if let Some(temporal) = std::env::var_os("SEGNO_TEMPORAL_BIN") {
        std::os::unix::fs::symlink(temporal, bin.join("temporal")).unwrap();
    }
    let mut main = PRELUDE.to_owned();
    for (at, step) in steps.iter().enumerate() {
        fs::write(scripts.join(format!("{at}.sh")), &step.script).unwrap();
        main.push_str(&format!("step {at} {}\n", step.exit));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut bash = Command::new("bash");
    bash.args(["-c", &main])
        .current_dir(here)
        .env("HERE", here)
        .env("ROOT", super::root())
        .env("HOME", here)
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("SEGNO_HTTP", format!("127.0.0.1:{}", places.http))
        .env("SEGNO_GRPC", format!("127.0.0.1:{}", places.grpc))
        .env("SEGNO_API", format!("http://127.0.0.1:{}", places.http))
        .env("SEGNO_URL", format!("http://127.0.0.1:{}", places.http))
        .env("RECEIVER", format!("127.0.0.1:{}", places.receiver))
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    for (name, value) in document.secrets() {
        bash.env(name, value);
    }
    if let Some(url) = database {
        bash.env("ORDERS_DATABASE_URL", url);
    }
    fs::create_dir(here.join("secrets")).unwrap();
    for (name, value) in document.secret_files() {
        fs::write(here.join("secrets").join(name), value).unwrap();
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TEMPORAL_")) {
        bash.env_remove(name);
    }
    let mut child = bash.spawn().expect("bash starts");
    if timeout(PATIENCE, child.wait()).await.is_err() {
        // It ends what it has started.
        let pid = child.id().expect("it runs").to_string();
        let asked = std::process::Command::new("kill").arg(pid).status();
        asked.expect("kill runs");
        child.wait().await.expect("it ends");
    }
}

/// The line with one word for every time in it.
fn timeless(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.trim_end().split(' ') {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let time = digits >= 14 && word.contains('T') && word.contains('Z') && word.matches(':').count() == 2;
        words.push(if time { "TIME" } else { word });
    }
    words.join(" ")
}

/// Whether a line is what is expected, in which `…` is anything.
fn fits(expected: &str, line: &str) -> bool {
    let mut rest = line;
    let parts: Vec<_> = expected.split('…').collect();
    for (at, part) in parts.iter().enumerate() {
        let found = if at == 0 {
            rest.starts_with(part).then_some(0)
        } else if at + 1 == parts.len() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        let Some(found) = found else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.is_empty()
}

#[test]
fn outputs_are_compared_but_for_times_and_gaps() {
    assert_eq!(timeless("since 2026-03-01T10:15:00.123Z"), "since TIME");
    assert!(fits("a … c", "a b c") && fits("a", "a") && fits("a…", "abc"));
    assert!(!fits("a", "ab") && !fits("a … c", "a b d") && !fits("b…", "abc"));
}
