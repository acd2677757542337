//! What goes wrong between the platform and the cluster, on the stand-in.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt as _;
use segno_crawl_platform::cluster::{
    Cluster as _, ClusterError, JobName, Phase,
    kubernetes::{Kubernetes, Options},
};
use segno_crawl_stand_ins::kubernetes::{self as stand_in, Delivery, Failure};
use serde_json::json;

use crate::place::{Place, Where, within};

async fn place() -> Place {
    Place::new(Where::Cluster).await.unwrap()
}

fn api(place: &Place) -> &stand_in::Kubernetes {
    place.stand_in.as_ref().unwrap()
}

#[tokio::test]
async fn what_passes_is_told_apart_from_what_stays() {
    let place = place().await;
    let job = place.job(1, "exit 0");
    for (code, passes) in [
        (500, true),
        (503, true),
        (504, true),
        (401, true),
        (403, false),
        (400, false),
    ] {
        api(&place)
            .faults()
            .fail(1, "POST", "/jobs", Failure::Refused(code));
        let error = place.cluster.deploy(&job).await.unwrap_err();
        assert_eq!(error.is_retryable(), passes, "{code}: {error}");
        assert!(error.to_string().contains("cannot create the job"), "{error}");
    }
    api(&place)
        .faults()
        .fail(1, "POST", "/jobs", Failure::Refused(429));
    let error = place.cluster.deploy(&job).await.unwrap_err();
    let ClusterError::Retryable { retry_after, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(1)));
    assert!(
        place.cluster.deploy(&job).await.unwrap().created,
        "nothing was made before"
    );
}

#[tokio::test]
async fn a_deployment_whose_answer_is_lost_is_found_again() {
    let place = place().await;
    for (attempt, failure) in [Failure::DoneButCut, Failure::DoneButRefused(500)]
        .into_iter()
        .enumerate()
    {
        let job = place.job(u32::try_from(attempt).unwrap(), "exit 0");
        api(&place).faults().fail(1, "POST", "/jobs", failure);
        assert!(place.cluster.deploy(&job).await.unwrap_err().is_retryable());
        assert!(!place.cluster.deploy(&job).await.unwrap().created);
    }
    assert_eq!(place.cluster.all().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_call_without_an_answer_ends() {
    let place = place().await;
    let mut options = place.options();
    options.call_timeout_seconds = 1;
    let cluster = Kubernetes::connect(options).await.unwrap();
    let slow = Failure::Slow(Duration::from_secs(3_600));
    api(&place).faults().fail(1, "GET", "/jobs", slow);
    let error = cluster.states(place.run).await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("no answer"),
        "{error}"
    );
}

#[tokio::test]
async fn an_api_server_that_was_away_is_found_again() {
    let place = place().await;
    let job = place.job(1, "sleep 0.2");
    place.cluster.deploy(&job).await.unwrap();
    let mut changes = place.cluster.changes();
    within(changes.next()).await.expect("a hint");
    api(&place).kill();
    assert!(place.cluster.state(&job.name).await.unwrap_err().is_retryable());
    // Meanwhile the job ends.
    let ended = within(async {
        let job = |place: &Place| {
            api(place)
                .world()
                .object("Job", &place.namespace, job.name.as_str())
        };
        while job(&place).unwrap()["status"]["succeeded"] != 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    ended.await.expect("the job ends");
    api(&place).start_again().unwrap();
    // Of what happened there is a hint, though the watches saw nothing of it.
    let hint = within(async {
        loop {
            let change = changes.next().await.unwrap();
            let state = place.cluster.state(&change.job).await;
            if state.is_ok_and(|state| state.is_some_and(|state| state.phase == Phase::Succeeded)) {
                return change;
            }
        }
    });
    assert_eq!(hint.await.expect("a hint").job, job.name);
}

/// Deploys jobs in turn, and waits for a hint about each.
async fn hinted(
    place: &Place,
    changes: &mut (impl futures::Stream<Item = segno_crawl_platform::cluster::Change> + Unpin),
    from: u32,
) {
    let mut missing = BTreeSet::new();
    for attempt in from..from + 3 {
        let job = place.job(attempt, "exit 0");
        place.cluster.deploy(&job).await.unwrap();
        missing.insert(job.name);
    }
    let all = within(async {
        while !missing.is_empty() {
            let change = changes.next().await.expect("it does not end");
            missing.remove(&change.job);
        }
    });
    assert!(all.await.is_some(), "no hints about {missing:?}");
}

#[tokio::test]
async fn watches_that_are_cut_or_too_old_begin_again() {
    let place = place().await;
    let mut changes = place.cluster.changes();
    hinted(&place, &mut changes, 1).await;
    api(&place).faults().cut_watches();
    hinted(&place, &mut changes, 11).await;
    api(&place).kill();
    api(&place).compact();
    api(&place).start_again().unwrap();
    hinted(&place, &mut changes, 21).await;
}

#[tokio::test]
async fn jobs_that_cannot_be_watched_are_looked_at() {
    let place = place().await;
    api(&place)
        .faults()
        .on_requests(|request| request.is_watch().then_some(Failure::Refused(403)));
    let mut changes = place.cluster.changes();
    hinted(&place, &mut changes, 1).await;
    // What was there before is one thing; a job that is made later is seen too, and its end.
    hinted(&place, &mut changes, 11).await;
}

#[tokio::test]
async fn states_do_not_depend_on_events() {
    let place = place().await;
    let mut turn = 0;
    api(&place).faults().on_events(move |_| {
        turn += 1;
        match turn % 4 {
            0 => Delivery::Never,
            1 => Delivery::Twice,
            2 => Delivery::Late(Duration::from_millis(300)),
            _ => Delivery::InTime,
        }
    });
    let _changes = place.cluster.changes();
    for attempt in 1..=6 {
        let job = place.job(attempt, if attempt % 2 == 0 { "exit 0" } else { "exit 1" });
        place.cluster.deploy(&job).await.unwrap();
        let state = place
            .until(&job.name, "to its end", |state| state.phase.has_ended())
            .await;
        let expected = if attempt % 2 == 0 {
            Phase::Succeeded
        } else {
            Phase::Failed
        };
        assert_eq!(state.phase, expected);
    }
}

#[tokio::test]
async fn a_pod_that_runs_out_of_memory_says_so() {
    let place = place().await;
    let job = place.job(1, "sleep 3600");
    place.cluster.deploy(&job).await.unwrap();
    place
        .until(&job.name, "to run", |state| state.phase == Phase::Running)
        .await;
    let world = api(&place).world();
    world.end(&place.namespace, job.name.as_str(), &stand_in::End::OutOfMemory);
    let state = place
        .until(&job.name, "to its end", |state| state.phase.has_ended())
        .await;
    assert_eq!(state.failure.as_deref(), Some("OOMKilled"));
    let job = place.job(2, "sleep 3600");
    place.cluster.deploy(&job).await.unwrap();
    place
        .until(&job.name, "to run", |state| state.phase == Phase::Running)
        .await;
    let end = stand_in::End::Evicted("The node was low on resource: memory.".to_owned());
    world.end(&place.namespace, job.name.as_str(), &end);
    let state = place
        .until(&job.name, "to its end", |state| state.phase.has_ended())
        .await;
    let expected = "Evicted: The node was low on resource: memory.";
    assert_eq!(state.failure.as_deref(), Some(expected));
}

#[tokio::test]
async fn a_job_that_runs_too_long_is_ended() {
    let place = place().await;
    let mut options = place.options();
    options.active_deadline_seconds = Some(1);
    let cluster = Kubernetes::connect(options).await.unwrap();
    let job = place.job(1, "sleep 3600");
    cluster.deploy(&job).await.unwrap();
    let state = place
        .until(&job.name, "to its end", |state| {
            state.phase.has_ended() && state.pod.is_none()
        })
        .await;
    let failure = state.failure.unwrap();
    assert!(failure.starts_with("DeadlineExceeded"), "{failure}");
}

#[tokio::test]
async fn a_wrong_token_or_authority_is_told() {
    let place = place().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let options = Options {
        kubeconfig: Some(path.clone()),
        image: Some("busybox".to_owned()),
        ..Options::default()
    };
    let name = JobName::of(place.run, 0, 1);
    let good: serde_json::Value = serde_json::from_str(&api(&place).kubeconfig("default")).unwrap();
    let mut wrong = good.clone();
    wrong["users"][0]["user"]["token"] = json!("wrong");
    std::fs::write(&path, wrong.to_string()).unwrap();
    let cluster = Kubernetes::connect(options.clone()).await.unwrap();
    let error = cluster.state(&name).await.unwrap_err().to_string();
    assert!(error.contains("Unauthorized"), "{error}");
    // Another authority's certificate: nobody talks to whom they do not know.
    let other = stand_in::Kubernetes::start(&stand_in::Options::default()).unwrap();
    let mut wrong = good.clone();
    let theirs: serde_json::Value = serde_json::from_str(&other.kubeconfig("default")).unwrap();
    wrong["clusters"][0]["cluster"]["certificate-authority-data"] =
        theirs["clusters"][0]["cluster"]["certificate-authority-data"].clone();
    std::fs::write(&path, wrong.to_string()).unwrap();
    let cluster = Kubernetes::connect(options.clone()).await.unwrap();
    let error = cluster.state(&name).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    wrong["clusters"][0]["cluster"]["certificate-authority-data"] = json!("bm9uc2Vuc2U=");
    std::fs::write(&path, wrong.to_string()).unwrap();
    let error = Kubernetes::connect(options).await;
    assert!(error.is_err_and(|error| !error.is_retryable()));
}
