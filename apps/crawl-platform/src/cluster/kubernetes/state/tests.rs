use serde_json::{Value, json};

use super::*;

/// A job of this status and its pod, if it has one, of this status. `job` and `pod` are merged over what there is.
fn read(job: &Value, pod: Option<&Value>) -> JobState {
    let run = Uuid::nil();
    let mut job_object = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": "crawl-1", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": { RUN_LABEL: run, TASK_LABEL: run }, "annotations": {},
        },
        "spec": { "backoffLimit": 0, "template": {} },
        "status": {},
    });
    merge(&mut job_object, job);
    let pods = pod.map(|pod| {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "crawl-1-abcde", "creationTimestamp": "2026-01-01T00:00:01Z",
                "labels": { "job-name": "crawl-1", "controller-uid": "u1" },
            },
            "status": { "phase": "Pending" },
        });
        merge(&mut object, pod);
        serde_json::from_value::<core::Pod>(object).unwrap()
    });
    let job = serde_json::from_value(job_object).unwrap();
    of(&job, &Vec::from_iter(pods)).unwrap()
}

fn merge(target: &mut Value, other: &Value) {
    match (target, other) {
        (Value::Object(target), Value::Object(other)) => {
            for (field, value) in other {
                merge(target.entry(field).or_insert(Value::Null), value);
            }
        }
        (target, other) => target.clone_from(other),
    }
}

fn container(state: &Value) -> Value {
    json!([{
        "name": "crawler", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    }])
}

fn ended(phase: &str, code: i32, reason: &str) -> Value {
    json!({ "status": { "phase": phase, "containerStatuses": container(&json!({ "terminated": {
        "exitCode": code, "reason": reason,
        "startedAt": "2026-01-01T00:00:02Z", "finishedAt": "2026-01-01T00:00:09Z",
    } })) } })
}

fn failed(reason: &str, message: &str) -> Value {
    json!({ "status": { "failed": 1, "conditions": [{
        "type": "Failed", "status": "True", "reason": reason, "message": message,
    }] } })
}

#[test]
fn a_job_without_a_pod_waits_for_one() {
    let state = read(&json!({}), None);
    assert_eq!(state.phase, Phase::Pending);
    assert_eq!(state.pending.unwrap().reason, "NoPod");
    assert_eq!((state.run, state.task), (Some(Uuid::nil()), Some(Uuid::nil())));
    assert!(!state.stopping && state.pod.is_none());
}

#[test]
fn a_pod_without_a_node_says_why() {
    let message = "0/3 nodes are available: 3 Insufficient cpu.";
    let pod = json!({ "status": { "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
    }] } });
    let pending = read(&json!({}), Some(&pod)).pending.unwrap();
    assert_eq!((pending.message.as_str(), pending.unschedulable), (message, true));
}

#[test]
fn a_pod_without_its_image_says_so() {
    let waiting = json!({ "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image" } });
    let pod = json!({ "status": { "containerStatuses": container(&waiting) } });
    let pending = read(&json!({}), Some(&pod)).pending.unwrap();
    assert_eq!(pending.reason, "ImagePullBackOff");
    assert_eq!(
        (pending.message.as_str(), pending.unschedulable),
        ("Back-off pulling image", false)
    );
}

#[test]
fn a_pod_runs() {
    let running = json!({ "running": { "startedAt": "2026-01-01T00:00:02Z" } });
    let pod = json!({
        "spec": { "nodeName": "node-1", "containers": [] },
        "status": { "phase": "Running", "containerStatuses": container(&running) },
    });
    let state = read(&json!({ "status": { "active": 1 } }), Some(&pod));
    assert_eq!(state.phase, Phase::Running);
    assert_eq!(state.pod.unwrap().node.as_deref(), Some("node-1"));
    let started = state.started_at.unwrap();
    assert_eq!(started - state.created_at, time::Duration::seconds(2));
}

#[test]
fn a_pod_has_ended_before_its_job_says_so() {
    let state = read(
        &json!({ "status": { "active": 1 } }),
        Some(&ended("Succeeded", 0, "Completed")),
    );
    assert_eq!((state.phase, state.exit_code), (Phase::Succeeded, Some(0)));
    assert!(state.ended_at.is_some());
    // Before even its own phase does.
    let state = read(&json!({}), Some(&ended("Running", 3, "Error")));
    assert_eq!((state.phase, state.exit_code), (Phase::Failed, Some(3)));
    assert_eq!(state.failure.as_deref(), Some("exit status 3"));
}

#[test]
fn a_failure_has_its_reason() {
    let limit = failed(
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    );
    let of = |job: &Value, pod: Option<&Value>| read(job, pod).failure.unwrap();
    assert_eq!(of(&limit, Some(&ended("Failed", 137, "OOMKilled"))), "OOMKilled");
    assert_eq!(of(&limit, Some(&ended("Failed", 1, "Error"))), "exit status 1");
    let mut evicted = ended("Failed", 137, "Error");
    merge(
        &mut evicted,
        &json!({ "status": { "reason": "Evicted", "message": "low on memory" } }),
    );
    assert_eq!(of(&limit, Some(&evicted)), "Evicted: low on memory");
    assert!(of(&limit, None).starts_with("BackoffLimitExceeded: "));
    let deadline = failed(
        "DeadlineExceeded",
        "Job was active longer than specified deadline",
    );
    let expected = "DeadlineExceeded: Job was active longer than specified deadline";
    assert_eq!(of(&deadline, None), expected);
    assert_eq!(of(&deadline, Some(&ended("Failed", 143, "Error"))), expected);
}

#[test]
fn with_pods_that_follow_a_failure_is_not_the_end() {
    let again = json!({ "spec": { "backoffLimit": 2 } });
    let pod = ended("Failed", 1, "Error");
    assert_eq!(read(&again, Some(&pod)).phase, Phase::Pending);
    let mut last = again.clone();
    merge(&mut last, &failed("BackoffLimitExceeded", ""));
    assert_eq!(read(&last, Some(&pod)).phase, Phase::Failed);
}

#[test]
fn a_stopped_job_keeps_its_record() {
    let told = json!({
        "metadata": { "annotations": { STOPPED_ANNOTATION: "2026-01-01T00:00:05Z" } },
        "spec": { "parallelism": 0 },
    });
    let running = json!({ "status": { "phase": "Running" } });
    let state = read(&told, Some(&running));
    assert_eq!((state.phase, state.stopping), (Phase::Running, true));
    let state = read(&told, Some(&ended("Failed", 143, "Error")));
    assert_eq!((state.phase, state.stopping), (Phase::Failed, false));
    assert_eq!(state.failure.as_deref(), Some("stopped (exit status 143)"));
    let state = read(&told, None);
    assert_eq!(
        (state.phase, state.failure.as_deref()),
        (Phase::Failed, Some("stopped"))
    );
    let mut counted = told.clone();
    merge(
        &mut counted,
        &failed(
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
        ),
    );
    assert_eq!(read(&counted, None).failure.as_deref(), Some("stopped"));
    // It was quicker.
    let state = read(&told, Some(&ended("Succeeded", 0, "Completed")));
    assert_eq!((state.phase, state.failure), (Phase::Succeeded, None));
    let mut done = told.clone();
    merge(&mut done, &json!({ "status": { "succeeded": 1 } }));
    assert_eq!(read(&done, None).phase, Phase::Succeeded);
}

#[test]
fn the_pod_of_a_job_that_had_its_name_before_says_nothing() {
    let mut pod = ended("Failed", 1, "Error");
    merge(
        &mut pod,
        &json!({ "metadata": { "labels": { "controller-uid": "another" } } }),
    );
    let state = read(&json!({}), Some(&pod));
    assert_eq!(state.phase, Phase::Pending);
    let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "name": "crawl-1", "uid": "u1" });
    merge(&mut pod, &json!({ "metadata": { "ownerReferences": [owner] } }));
    assert_eq!(read(&json!({}), Some(&pod)).phase, Phase::Failed);
}
