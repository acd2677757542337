//! What holds in every place.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use segno_crawl_platform::cluster::{Cluster as _, Job, JobName, Phase, kubernetes::Kubernetes};
use serde_json::json;
use uuid::Uuid;

use crate::place::{NO_IMAGE, Place, Where, within};

macro_rules! in_every_place {
    ($($name:ident)*) => {$(
        mod $name {
            use super::{Place, Where};

            async fn test(place: Where) {
                if let Some(place) = Place::new(place).await {
                    super::behaviour::$name(&place).await;
                    place.end().await;
                }
            }

            #[tokio::test]
            async fn cluster() {
                test(Where::Cluster).await;
            }

            #[tokio::test]
            async fn alone() {
                test(Where::Alone).await;
            }

            #[tokio::test]
            async fn real() {
                test(Where::Real).await;
            }
        }
    )*};
}

in_every_place! {
    a_job_is_deployed_once
    a_job_of_somebody_else_is_left_alone
    a_job_runs_and_succeeds
    a_job_fails_with_its_exit_status
    a_job_without_room_says_why
    a_job_without_its_image_says_so
    a_stopped_job_ends_and_stays_on_record
    a_job_that_does_not_listen_is_ended_by_force
    a_job_is_removed_with_its_pod
    a_run_s_jobs_are_listed_by_pages
    changes_are_hinted_at
    a_namespace_that_is_not_there_is_told
}

const RUNS: &str = "trap 'exit 143' TERM; echo started; while :; do sleep 0.1; done";

mod behaviour {
    use super::*;

    pub(super) async fn a_job_is_deployed_once(place: &Place) {
        let job = place.job(1, RUNS);
        assert_eq!(place.cluster.state(&job.name).await.unwrap(), None);
        let first = place.cluster.deploy(&job).await.unwrap();
        let second = place.cluster.deploy(&job).await.unwrap();
        assert!(first.created && !second.created);
        assert_eq!(first.id, second.id);
        let state = place.cluster.state(&job.name).await.unwrap().unwrap();
        assert_eq!(
            (state.id, state.run, state.task),
            (first.id, Some(job.run), Some(job.task))
        );
        place.cluster.delete_pod(&job.name).await.unwrap();
    }

    pub(super) async fn a_job_of_somebody_else_is_left_alone(place: &Place) {
        let job = place.job(1, RUNS);
        place.foreign_job(&job.name).await;
        let error = place.cluster.deploy(&job).await.unwrap_err();
        assert!(!error.is_retryable());
        assert!(error.to_string().contains(job.name.as_str()), "{error}");
        let all = place.cluster.all().await.unwrap();
        assert!(all.is_empty(), "it is not the platform's: {all:?}");
    }

    pub(super) async fn a_job_runs_and_succeeds(place: &Place) {
        let job = place.job(1, "echo $GREETING; echo two; echo three");
        place.cluster.deploy(&job).await.unwrap();
        place.runs(&job.name).await;
        place.ends(&job.name, 0, "Completed").await;
        let state = place
            .until(&job.name, "to its end", |state| state.phase.has_ended())
            .await;
        assert_eq!(
            (state.phase, state.exit_code),
            (Phase::Succeeded, Some(0)),
            "{state:?}"
        );
        assert!(state.started_at.is_some() && state.ended_at >= state.started_at);
        assert!(!state.stopping && state.failure.is_none());
        assert_eq!(place.cluster.states(place.run).await.unwrap(), [state]);
        let log = place.cluster.log_tail(&job.name, 2).await.unwrap();
        // Only a node has logs.
        let expected = if place.by_hand { "" } else { "two\nthree\n" };
        assert_eq!(log, expected);
        assert!(!place.cluster.stop(&job.name, Duration::ZERO).await.unwrap());
    }

    pub(super) async fn a_job_fails_with_its_exit_status(place: &Place) {
        let job = place.job(1, "echo oh no; exit 3");
        place.cluster.deploy(&job).await.unwrap();
        place.runs(&job.name).await;
        place.ends(&job.name, 3, "Error").await;
        let state = place
            .until(&job.name, "to its end", |state| state.phase.has_ended())
            .await;
        assert_eq!((state.phase, state.exit_code), (Phase::Failed, Some(3)));
        assert_eq!(state.failure.as_deref(), Some("exit status 3"));
        // No pod follows: the job counts it as its end.
        let state = place
            .until(&job.name, "to its end", |state| state.ended_at.is_some())
            .await;
        assert_eq!(state.failure.as_deref(), Some("exit status 3"));
        if !place.by_hand {
            assert_eq!(place.cluster.log_tail(&job.name, 9).await.unwrap(), "oh no\n");
        }
    }

    pub(super) async fn a_job_without_room_says_why(place: &Place) {
        let why = "0/3 nodes are available: 3 Insufficient cpu.";
        if let Some(stand_in) = &place.stand_in {
            stand_in.world().limit(0, why);
        }
        let mut options = place.options();
        options.requests = [("cpu".to_owned(), "100000".to_owned())].into();
        let cluster = Kubernetes::connect(options).await.unwrap();
        let job = place.job(1, RUNS);
        cluster.deploy(&job).await.unwrap();
        let condition =
            json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why });
        let status = json!({ "phase": "Pending", "conditions": [condition] });
        place.pod_becomes(&job.name, None, status).await;
        let state = place
            .until(&job.name, "a reason", |state| {
                state
                    .pending
                    .as_ref()
                    .is_some_and(|pending| pending.unschedulable)
            })
            .await;
        let pending = state.pending.unwrap();
        assert_eq!(
            (state.phase, pending.reason.as_str()),
            (Phase::Pending, "Unschedulable")
        );
        assert!(pending.message.contains("nodes are available"), "{pending:?}");
        // One that waits can be stopped, too.
        assert!(cluster.stop(&job.name, Duration::from_secs(30)).await.unwrap());
        let state = place
            .until(&job.name, "to its end", |state| state.phase.has_ended())
            .await;
        assert_eq!(state.failure.as_deref(), Some("stopped"));
    }

    pub(super) async fn a_job_without_its_image_says_so(place: &Place) {
        let job = Job {
            image: Some(NO_IMAGE.to_owned()),
            ..place.job(1, RUNS)
        };
        place.cluster.deploy(&job).await.unwrap();
        let state =
            json!({ "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image" } });
        let status = json!({ "phase": "Pending", "containerStatuses": [{
            "name": "crawler", "image": NO_IMAGE, "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }] });
        place.pod_becomes(&job.name, Some("nowhere"), status).await;
        let state = place
            .until(&job.name, "a reason", |state| {
                let reason = state.pending.as_ref().map(|pending| pending.reason.as_str());
                matches!(reason, Some("ImagePullBackOff" | "ErrImagePull"))
            })
            .await;
        assert_eq!(state.phase, Phase::Pending);
        assert_eq!(place.cluster.log_tail(&job.name, 9).await.unwrap(), "");
        assert!(place.cluster.delete_pod(&job.name).await.unwrap());
    }

    pub(super) async fn a_stopped_job_ends_and_stays_on_record(place: &Place) {
        let job = place.job(1, RUNS);
        place.cluster.deploy(&job).await.unwrap();
        place.runs(&job.name).await;
        place
            .until(&job.name, "to run", |state| state.phase == Phase::Running)
            .await;
        if !place.by_hand {
            wait_for_log(place, &job.name, "started").await;
        }
        assert!(
            place
                .cluster
                .stop(&job.name, Duration::from_secs(50))
                .await
                .unwrap()
        );
        if place.by_hand {
            let state = place.cluster.state(&job.name).await.unwrap().unwrap();
            assert_eq!((state.phase, state.stopping), (Phase::Running, true));
        }
        place.node_removes_pod(&job.name).await;
        let state = place
            .until(&job.name, "to its end", |state| {
                state.phase.has_ended() && state.pod.is_none()
            })
            .await;
        assert_eq!(
            (state.phase, state.failure.as_deref()),
            (Phase::Failed, Some("stopped"))
        );
        assert!(
            !place
                .cluster
                .stop(&job.name, Duration::from_secs(50))
                .await
                .unwrap()
        );
        assert_eq!(pods(place).await, 0, "none follows");
        assert_eq!(place.cluster.states(place.run).await.unwrap().len(), 1);
    }

    pub(super) async fn a_job_that_does_not_listen_is_ended_by_force(place: &Place) {
        let job = place.job(1, "trap '' TERM; echo started; while :; do sleep 0.1; done");
        place.cluster.deploy(&job).await.unwrap();
        place.runs(&job.name).await;
        place
            .until(&job.name, "to run", |state| state.phase == Phase::Running)
            .await;
        if !place.by_hand {
            wait_for_log(place, &job.name, "started").await;
        }
        assert!(
            place
                .cluster
                .stop(&job.name, Duration::from_secs(50))
                .await
                .unwrap()
        );
        place
            .until(&job.name, "told", |state| {
                state.stopping && state.phase == Phase::Running
            })
            .await;
        assert!(place.cluster.delete_pod(&job.name).await.unwrap());
        let state = place
            .until(&job.name, "to its end", |state| state.phase.has_ended())
            .await;
        assert_eq!(state.phase, Phase::Failed);
        place
            .until(&job.name, "rid of its pod", |state| state.pod.is_none())
            .await;
        assert!(!place.cluster.delete_pod(&job.name).await.unwrap());
    }

    pub(super) async fn a_job_is_removed_with_its_pod(place: &Place) {
        let job = place.job(1, "exit 0");
        place.cluster.deploy(&job).await.unwrap();
        place.runs(&job.name).await;
        place.ends(&job.name, 0, "Completed").await;
        place
            .until(&job.name, "to its end", |state| state.phase.has_ended())
            .await;
        assert!(place.cluster.remove(&job.name).await.unwrap());
        assert_eq!(place.cluster.state(&job.name).await.unwrap(), None);
        let gone = within(async {
            while pods(place).await > 0 {
                // It can only be looked at.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(gone.await.is_some(), "its pod is there for ever");
        assert!(!place.cluster.remove(&job.name).await.unwrap());
        assert!(!place.cluster.stop(&job.name, Duration::ZERO).await.unwrap());
        assert!(!place.cluster.delete_pod(&job.name).await.unwrap());
        assert_eq!(place.cluster.log_tail(&job.name, 9).await.unwrap(), "");
        // The name is free again.
        assert!(place.cluster.deploy(&job).await.unwrap().created);
        place.cluster.remove(&job.name).await.unwrap();
    }

    pub(super) async fn a_run_s_jobs_are_listed_by_pages(place: &Place) {
        let mut expected = BTreeSet::new();
        for attempt in 1..=5 {
            let job = place.job(attempt, "exit 0");
            place.cluster.deploy(&job).await.unwrap();
            expected.insert(job.name);
        }
        let other = Job {
            name: JobName::of(Uuid::new_v4(), 0, 1),
            run: Uuid::new_v4(),
            ..place.job(6, "exit 0")
        };
        place.cluster.deploy(&other).await.unwrap();
        let names = |states: Vec<segno_crawl_platform::cluster::JobState>| {
            states
                .into_iter()
                .map(|state| state.name)
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(names(place.cluster.states(place.run).await.unwrap()), expected);
        expected.insert(other.name);
        assert_eq!(names(place.cluster.all().await.unwrap()), expected);
        assert!(place.cluster.states(Uuid::new_v4()).await.unwrap().is_empty());
    }

    pub(super) async fn changes_are_hinted_at(place: &Place) {
        let mut changes = place.cluster.changes();
        let job = place.job(1, "exit 0");
        place.cluster.deploy(&job).await.unwrap();
        let hint = within(changes.next()).await.expect("a hint").unwrap();
        assert_eq!((&hint.job, hint.run), (&job.name, place.run));
        place.runs(&job.name).await;
        place.ends(&job.name, 0, "Completed").await;
        let ended = within(async {
            loop {
                let state = place.cluster.state(&job.name).await.unwrap().unwrap();
                if state.phase == Phase::Succeeded {
                    return;
                }
                assert!(changes.next().await.is_some(), "it does not end");
            }
        });
        assert!(ended.await.is_some(), "the last change was not hinted at");
    }

    pub(super) async fn a_namespace_that_is_not_there_is_told(place: &Place) {
        let mut options = place.options();
        options.namespace = Some("segno-none".to_owned());
        let cluster = Kubernetes::connect(options).await.unwrap();
        let error = cluster.deploy(&place.job(1, RUNS)).await.unwrap_err();
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("segno-none"), "{error}");
    }
}

async fn pods(place: &Place) -> usize {
    let pods: Vec<Pod> = place.pods().list(&ListParams::default()).await.unwrap().items;
    pods.len()
}

async fn wait_for_log(place: &Place, name: &JobName, text: &str) {
    let seen = within(async {
        while !place.cluster.log_tail(name, 9).await.unwrap().contains(text) {
            // It can only be looked at.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(seen.await.is_some(), "{text} is not in the log");
}
