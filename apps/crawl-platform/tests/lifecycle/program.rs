//! The built program, killed again and again in the life of one run; and its demonstration.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segno_crawl_platform::site;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    installation::{Installation, Program},
    world::{DEADLINE, eventually},
};

/// How many runs are killed again and again, unless this variable says another number.
const SEEDS: &str = "SEGNO_CRAWL_CRASH_SEEDS";
/// The first of them; the same seed chooses the same boundaries.
const SEED: &str = "SEGNO_CRAWL_CRASH_SEED";
const BOOKS: u32 = 12;

/// Kills it when the workflow's history has so many events; false if the workflow ends before.
async fn kill_at(program: Program, workflow: &str, events: u64) -> bool {
    let client = segno_test_support::client(&program.grpc, "default").await;
    let handle = client.get_workflow_handle::<segno_crawl_platform::lifecycle::CrawlerRun>(workflow);
    let deadline = Instant::now() + DEADLINE;
    let reached = loop {
        let description = handle.describe(Default::default()).await.unwrap();
        if u64::try_from(description.history_length()).unwrap() >= events {
            break true;
        }
        if !matches!(
            description.status(),
            temporalio_client::WorkflowExecutionStatus::Running
        ) {
            break false;
        }
        assert!(Instant::now() < deadline, "the history does not grow to {events}");
        sleep(Duration::from_millis(1)).await;
    };
    program.kill().await;
    reached
}

/// Short times, so that a test is over soon.
pub(crate) const TIMING: &str = "[timing]\nstatus_poll_seconds = 0.1\nlost_after_seconds = 2\nheartbeat_seconds = 2\n\
    stop_grace_seconds = 1\nintervals = [{ from_seconds = 0, every_seconds = 0.2 }]\n";

/// Segno's configuration by which every business event is a mail in a folder.
pub(crate) fn mails_to_folder(folder: &Path, engine: &str) -> PathBuf {
    let config = format!(
        "{engine}[sinks.mail.mail]\nfrom = 'p@p.example'\nto = 'o@o.example'\nsubject = '{{{{ event.type }}}}'\n\
        text = '{{{{ event.id }}}}'\nfolder = 'mails'\n\
        [[routes]]\nname = 'mails'\non = '*Event'\nactions = [{{ name = 'mail', to = 'mail' }}]\n"
    );
    let path = folder.join("segno.toml");
    std::fs::write(&path, config).unwrap();
    path
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// How many mails tell of an event of this type and of this run.
pub(crate) fn mails(folder: &Path, ty: &str, run: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(folder.join("mails")) else {
        return 0;
    };
    entries
        .filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            // One that was being written when the program was killed has another name.
            let whole = path.extension().is_some_and(|end| end == "eml");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            whole && text.contains(&format!("Subject: {ty}")) && text.contains(run)
        })
        .count()
}

async fn survives(seed: u64, site: &str) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let segno = mails_to_folder(folder, "");
    let installation = Installation::new(folder, &segno, TIMING);
    let mut program = installation.start().await;
    let definition = json!({
        "name": "books", "processes": 2, "env": {"CRAWL_START_URL": site, "CRAWL_PAUSE_MS": "60"},
    });
    let crawler = program.post("/crawlers", None, &definition).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/crawlers/{crawler}/runs");
    let begun = program.post(&path, Some("once"), &json!({})).await;
    let (run, workflow) = (
        begun["runId"].as_str().unwrap(),
        begun["workflowId"].as_str().unwrap(),
    );
    let mut events = 0;
    loop {
        // An activity is about six events of the history.
        events += random.random_range(4..40);
        let reached = kill_at(program, workflow, events).await;
        program = installation.start().await;
        let again = program.post(&path, Some("once"), &json!({})).await;
        assert_eq!(
            (&again["runId"], &again["duplicate"]),
            (&begun["runId"], &json!(true))
        );
        if !reached {
            break;
        }
    }
    let mut shown = Value::Null;
    eventually("the run ends", async || {
        shown = program.get(&format!("/runs/{run}")).await;
        shown["exportStatus"] == "DELIVERED" && shown["supportingFile"].is_string()
    })
    .await;
    assert_eq!(shown["status"], "COMPLETED", "seed {seed}: {shown:#}");
    assert_eq!(shown["records"], BOOKS, "seed {seed}");
    assert_eq!(
        shown["attempts"].as_array().unwrap().len(),
        1,
        "seed {seed}: {shown:#}"
    );
    assert_eq!(
        entries(&folder.join("jobs")),
        2,
        "seed {seed}: each process was one job"
    );
    let records = program.get(&format!("/runs/{run}/records?limit=500")).await;
    let mut names: Vec<_> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["properties"]["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(
        (names.len(), records.as_array().unwrap().len()),
        (BOOKS as usize, BOOKS as usize)
    );
    for ty in [
        "CrawlerRunStartedEvent",
        "CrawlerSummaryCalculatedEvent",
        "ReportDeliveryInitiatedEvent",
    ] {
        eventually(ty, async || mails(folder, ty, run) > 0).await;
        assert_eq!(mails(folder, ty, run), 1, "seed {seed}: {ty}");
    }
    for ty in [
        "ReportRunFailedEvent",
        "ReportRunStoppedEvent",
        "DataDeliveryFailedEvent",
    ] {
        assert_eq!(mails(folder, ty, run), 0, "seed {seed}: {ty}");
    }
    program.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_the_boundaries_of_activities_it_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, site::router(BOOKS)).await });
    let first = variable(SEED, 1);
    for seed in first..first + variable(SEEDS, 2) {
        survives(seed, &site).await;
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_comes_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_crawl-platform"))
        .args(["demo", "--folder"])
        .arg(folder.path())
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(Duration::from_secs(150), ran)
        .await
        .unwrap()
        .unwrap();
    let (out, log) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{out}\n{log}");
    assert!(out.contains("COMPLETED, 25 records delivered"), "{out}\n{log}");
    assert!(out.contains("FAILED, stopped by the demo"), "{out}\n{log}");
    assert!(out.contains("mails about the events are in"), "{out}\n{log}");
}
