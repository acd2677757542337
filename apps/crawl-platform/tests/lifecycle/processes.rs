//! Local processes as a cluster.

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures::StreamExt as _;
use segno_crawl_platform::cluster::{Cluster, Job, JobName, JobState, Phase, processes::Processes};
use uuid::Uuid;

use crate::world::{DEADLINE, eventually};

const RUN: Uuid = Uuid::from_u128(5);

fn open(folder: &Path, capacity: usize) -> Processes {
    Processes::open(folder.join("jobs"), "/bin/sh", capacity).unwrap()
}

fn job(process: u32, script: &str) -> Job {
    Job {
        name: JobName::of(RUN, process, 1),
        run: RUN,
        task: Uuid::from_u128(process.into()),
        image: None,
        command: Vec::new(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: BTreeMap::from([("WORD".to_owned(), "a word".to_owned())]),
        labels: BTreeMap::new(),
    }
}

async fn until(cluster: &Processes, name: &JobName, is_so: impl Fn(&JobState) -> bool) -> JobState {
    let mut last = None;
    eventually("the job is so", async || {
        last = cluster.state(name).await.unwrap();
        last.as_ref().is_some_and(&is_so)
    })
    .await;
    last.unwrap()
}

#[tokio::test]
async fn a_job_runs_once_and_its_end_is_known_to_whoever_asks() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = open(folder.path(), 4);
    let good = job(0, "echo one >> runs; echo \"$WORD\"; echo last >&2");
    let bad = job(1, "exit 7");
    let first = cluster.deploy(&good).await.unwrap();
    let again = cluster.deploy(&good).await.unwrap();
    assert_eq!(
        (first.created, again.created, &first.id),
        (true, false, &again.id)
    );
    cluster.deploy(&bad).await.unwrap();
    let state = until(&cluster, &good.name, |job| job.phase.has_ended()).await;
    assert_eq!((state.phase, state.exit_code), (Phase::Succeeded, Some(0)));
    assert_eq!((state.run, state.task), (Some(RUN), Some(Uuid::from_u128(0))));
    assert_eq!(cluster.log_tail(&good.name, 9).await.unwrap(), "a word\nlast");
    assert_eq!(cluster.log_tail(&good.name, 1).await.unwrap(), "last");
    let state = until(&cluster, &bad.name, |job| job.phase.has_ended()).await;
    assert_eq!((state.phase, state.exit_code), (Phase::Failed, Some(7)));
    assert_eq!(state.failure.as_deref(), Some("exit status 7"));
    cluster.deploy(&good).await.unwrap();

    // Another process of the platform.
    let other = open(folder.path(), 4);
    assert_eq!(other.states(RUN).await.unwrap().len(), 2);
    assert_eq!(other.states(Uuid::nil()).await.unwrap(), []);
    let runs = folder.path().join("jobs").join(good.name.as_str()).join("runs");
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "one\n");
    assert!(other.remove(&good.name).await.unwrap());
    assert_eq!(other.state(&good.name).await.unwrap(), None);
    assert!(!other.remove(&good.name).await.unwrap());
}

#[tokio::test]
async fn a_job_that_is_told_to_end_ends_or_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = open(folder.path(), 4);
    let obeys = job(
        0,
        "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done",
    );
    let stubborn = job(1, "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    let killed = job(2, "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    for job in [&obeys, &stubborn, &killed] {
        cluster.deploy(job).await.unwrap();
        eventually("it is ready", async || {
            cluster.log_tail(&job.name, 1).await.unwrap() == "ready"
        })
        .await;
    }
    assert!(cluster.stop(&obeys.name, Duration::from_secs(30)).await.unwrap());
    let state = until(&cluster, &obeys.name, |job| job.phase.has_ended()).await;
    assert_eq!(state.exit_code, Some(3));
    assert_eq!(cluster.log_tail(&obeys.name, 1).await.unwrap(), "bye");
    assert!(
        !cluster.stop(&obeys.name, Duration::ZERO).await.unwrap(),
        "it has ended"
    );

    assert!(
        cluster
            .stop(&stubborn.name, Duration::from_millis(200))
            .await
            .unwrap()
    );
    let state = until(&cluster, &stubborn.name, |job| job.phase.has_ended()).await;
    assert_eq!(state.exit_code, Some(137));

    assert!(cluster.delete_pod(&killed.name).await.unwrap());
    let state = cluster.state(&killed.name).await.unwrap().unwrap();
    assert_eq!(
        (state.phase, state.failure.as_deref()),
        (Phase::Failed, Some("killed"))
    );
    assert!(!cluster.delete_pod(&killed.name).await.unwrap());
}

#[tokio::test]
async fn jobs_wait_where_there_is_no_room_and_changes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = open(folder.path(), 1);
    let mut changes = cluster.changes();
    let first = job(0, "while [ ! -e go ]; do sleep 0.02; done");
    let (second, third) = (job(1, "exit 0"), job(2, "exit 0"));
    let watching = tokio::spawn(async move { changes.next().await });
    let keeps = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.keep_starting().await }
    });
    for job in [&first, &second, &third] {
        cluster.deploy(job).await.unwrap();
    }
    until(&cluster, &first.name, |job| job.phase == Phase::Running).await;
    let waits = cluster.state(&second.name).await.unwrap().unwrap();
    assert_eq!(waits.phase, Phase::Pending);
    let pending = waits.pending.unwrap();
    assert!(pending.unschedulable);
    assert_eq!(pending.message, "1 of 1 processes are taken");
    assert!(cluster.stop(&third.name, Duration::ZERO).await.unwrap());
    std::fs::write(
        folder.path().join("jobs").join(first.name.as_str()).join("go"),
        "",
    )
    .unwrap();
    let state = until(&cluster, &second.name, |job| job.phase.has_ended()).await;
    assert_eq!(state.phase, Phase::Succeeded);
    let state = cluster.state(&third.name).await.unwrap().unwrap();
    assert_eq!(
        state.failure.as_deref(),
        Some("told to end before it has started")
    );
    let told = tokio::time::timeout(DEADLINE, watching)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(told.run, RUN);
    keeps.abort();
}

#[tokio::test]
async fn a_job_whose_process_vanished_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = open(folder.path(), 1);
    let job = job(0, "echo ready; while :; do sleep 0.05; done");
    cluster.deploy(&job).await.unwrap();
    let state = until(&cluster, &job.name, |job| job.pod.is_some()).await;
    // As a machine that loses its power would: the shell that writes the exit status goes, too.
    let group = format!("-{}", state.pod.unwrap().name);
    let killed = std::process::Command::new("/bin/sh")
        .args(["-c", "kill -s KILL -- \"$0\"", &group])
        .status();
    assert!(killed.unwrap().success());
    let state = until(&cluster, &job.name, |job| job.phase.has_ended()).await;
    assert_eq!((state.phase, state.exit_code), (Phase::Failed, None));
    assert_eq!(
        state.failure.as_deref(),
        Some("its process is gone and has left no exit status")
    );
}
