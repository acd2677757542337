//! What a Job and its Pods say together.
//!
//! A pod's word comes before that of its job, which counts its pods only some time later. Without a pod, the job's word is
//! all there is.

use k8s_openapi::{
    api::{
        batch::v1 as batch,
        core::v1::{self as core, ContainerStateTerminated, ContainerStatus},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::ResourceExt as _;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{JobState, Pending, Phase, Pod, RUN_LABEL, TASK_LABEL},
    STOPPED_ANNOTATION,
};

/// The state of a job; None if it is none of ours, by its name.
pub(super) fn of(job: &batch::Job, pods: &[core::Pod]) -> Option<JobState> {
    let name = job.name_any().parse().ok()?;
    let pod = newest(job, pods);
    let told = job.annotations().contains_key(STOPPED_ANNOTATION);
    let terminated = pod.and_then(terminated);
    let phase = phase(job, pod, told);
    let deleted = job.metadata.deletion_timestamp.is_some()
        || pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_some());
    let container = pod.and_then(container);
    let running = container
        .and_then(|container| container.state.as_ref())
        .and_then(|state| state.running.as_ref());
    let started = running
        .and_then(|running| running.started_at.as_ref())
        .or_else(|| terminated.and_then(|terminated| terminated.started_at.as_ref()));
    let ended = terminated
        .and_then(|terminated| terminated.finished_at.as_ref())
        .or_else(|| {
            let status = job.status.as_ref()?;
            let condition = condition(job, "Failed").and_then(|one| one.last_transition_time.as_ref());
            status.completion_time.as_ref().or(condition)
        });
    Some(JobState {
        name,
        id: job.uid().unwrap_or_default(),
        run: run_of(&job.metadata),
        task: label(&job.metadata, TASK_LABEL),
        phase,
        pending: (phase == Phase::Pending).then(|| pending(job, pod)),
        stopping: (told || deleted) && !phase.has_ended(),
        pod: pod.map(|pod| Pod {
            name: pod.name_any(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            restarts: container
                .and_then(|container| u32::try_from(container.restart_count).ok())
                .unwrap_or(0),
        }),
        exit_code: terminated
            .filter(|_| phase.has_ended())
            .map(|terminated| terminated.exit_code),
        failure: (phase == Phase::Failed).then(|| failure(job, pod, told)),
        created_at: job
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(OffsetDateTime::UNIX_EPOCH, time),
        started_at: started.map(time),
        ended_at: ended.filter(|_| phase.has_ended()).map(time),
    })
}

/// Whether a pod is of this very job, and not of one that had its name before.
pub(super) fn belongs(pod: &core::Pod, job: &batch::Job) -> bool {
    let Some(uid) = &job.metadata.uid else {
        return false;
    };
    match &pod.metadata.owner_references {
        Some(owners) if !owners.is_empty() => owners.iter().any(|owner| owner.uid == *uid),
        _ => pod.labels().get("controller-uid") == Some(uid),
    }
}

/// The pod that speaks for a job: one that succeeded, else the last that was made.
pub(super) fn newest<'a>(job: &batch::Job, pods: &'a [core::Pod]) -> Option<&'a core::Pod> {
    pods.iter().filter(|pod| belongs(pod, job)).max_by_key(|pod| {
        let made = pod.metadata.creation_timestamp.as_ref().map(time);
        (pod_phase(pod) == "Succeeded", made, pod.name_any())
    })
}

/// Whether a pod's process has ended.
pub(super) fn has_ended(pod: &core::Pod) -> bool {
    matches!(pod_phase(pod), "Succeeded" | "Failed")
}

/// The run on an object's label.
pub(super) fn run_of(metadata: &ObjectMeta) -> Option<Uuid> {
    label(metadata, RUN_LABEL)
}

fn label(metadata: &ObjectMeta, name: &str) -> Option<Uuid> {
    metadata.labels.as_ref()?.get(name)?.parse().ok()
}

fn time(time: &Time) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.0.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn pod_phase(pod: &core::Pod) -> &str {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase.unwrap_or("Pending")
}

fn condition<'a>(job: &'a batch::Job, kind: &str) -> Option<&'a batch::JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|one| one.type_ == kind && one.status == "True")
}

fn container(pod: &core::Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn terminated(pod: &core::Pod) -> Option<&ContainerStateTerminated> {
    container(pod)?.state.as_ref()?.terminated.as_ref()
}

fn phase(job: &batch::Job, pod: Option<&core::Pod>, told: bool) -> Phase {
    match pod.map(|pod| (pod_phase(pod), terminated(pod))) {
        Some(("Succeeded", _)) => return Phase::Succeeded,
        Some(("Failed", _)) if final_failure(job, told) => return Phase::Failed,
        // Its container has ended, which its own phase does not say yet. Its pod is not started again.
        Some(("Running" | "Unknown", Some(ended))) => {
            return match ended.exit_code {
                0 => Phase::Succeeded,
                _ if final_failure(job, told) => Phase::Failed,
                _ => Phase::Pending,
            };
        }
        _ => {}
    }
    // A job that failed ends its pods; a pod that is still there has not heard of it.
    if condition(job, "Complete").is_some() {
        return Phase::Succeeded;
    }
    match pod.map(pod_phase) {
        // Of an unknown one, the node is not heard of. It may run on.
        Some("Running" | "Unknown") => Phase::Running,
        // It gets no process any more.
        _ if condition(job, "Failed").is_some() => Phase::Failed,
        Some(_) => Phase::Pending,
        None => without_pod(job, told),
    }
}

/// Whether no other pod follows one that failed.
fn final_failure(job: &batch::Job, told: bool) -> bool {
    let limit = job.spec.as_ref().and_then(|spec| spec.backoff_limit).unwrap_or(0);
    told || limit == 0 || condition(job, "Failed").is_some()
}

fn without_pod(job: &batch::Job, told: bool) -> Phase {
    let count = |number: Option<i32>| number.is_some_and(|number| number > 0);
    let status = job.status.as_ref();
    if status.is_some_and(|status| count(status.succeeded)) {
        Phase::Succeeded
    } else if told || (status.is_some_and(|status| count(status.failed)) && final_failure(job, told)) {
        Phase::Failed
    } else {
        Phase::Pending
    }
}

fn pending(job: &batch::Job, pod: Option<&core::Pod>) -> Pending {
    let unknown = |reason: &str, message: &str| Pending {
        reason: reason.to_owned(),
        message: message.to_owned(),
        unschedulable: false,
    };
    let Some(status) = pod.and_then(|pod| pod.status.as_ref()) else {
        return if job.metadata.deletion_timestamp.is_some() {
            unknown("Deleted", "the job is being deleted")
        } else {
            unknown("NoPod", "no pod has been made for the job")
        };
    };
    let scheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|one| one.type_ == "PodScheduled" && one.status == "False");
    if let Some(condition) = scheduled {
        let reason = condition
            .reason
            .clone()
            .unwrap_or_else(|| "NotScheduled".to_owned());
        return Pending {
            unschedulable: reason == "Unschedulable",
            reason,
            message: condition.message.clone().unwrap_or_default(),
        };
    }
    let waiting = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten()
        .find_map(|one| one.state.as_ref().and_then(|state| state.waiting.as_ref()));
    match waiting {
        Some(waiting) => unknown(
            waiting.reason.as_deref().unwrap_or("Waiting"),
            waiting.message.as_deref().unwrap_or_default(),
        ),
        None => unknown(
            status.reason.as_deref().unwrap_or("Pending"),
            status.message.as_deref().unwrap_or_default(),
        ),
    }
}

fn failure(job: &batch::Job, pod: Option<&core::Pod>, told: bool) -> String {
    let with =
        |reason: &str, message: Option<&str>| match message.map(str::trim).filter(|text| !text.is_empty()) {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        };
    let own = match (pod.and_then(terminated), pod.and_then(|pod| pod.status.as_ref())) {
        // The node says why it ended the pod: that comes before how the process ended.
        (_, Some(status)) if status.reason.is_some() => Some(with(
            status.reason.as_deref().unwrap_or_default(),
            status.message.as_deref(),
        )),
        (Some(ended), _) => {
            let status = format!("exit status {}", ended.exit_code);
            let reason = ended.reason.as_deref().filter(|reason| *reason != "Error");
            Some(with(reason.unwrap_or(&status), ended.message.as_deref()))
        }
        _ => None,
    };
    let of_job = condition(job, "Failed")
        // Only that its pod failed: which is known, or was asked for.
        .filter(|one| one.reason.as_deref() != Some("BackoffLimitExceeded") || (own.is_none() && !told))
        .map(|one| with(one.reason.as_deref().unwrap_or("Failed"), one.message.as_deref()));
    match (of_job, own) {
        (Some(reason), _) => reason,
        (None, Some(own)) if told => format!("stopped ({own})"),
        (None, Some(own)) => own,
        (None, None) if told => "stopped".to_owned(),
        (None, None) => "its pod failed and is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests;
