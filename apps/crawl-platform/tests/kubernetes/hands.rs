//! What controllers and nodes do, by the API, where there are none. Where there are, nothing: then it happens by itself.

use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use segno_crawl_platform::cluster::JobName;
use serde_json::{Value, json};

use crate::place::Place;

impl Place {
    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The job's pod, made now if need be, with this status.
    pub(crate) async fn pod_becomes(&self, job: &JobName, node: Option<&str>, status: Value) {
        if !self.by_hand {
            return;
        }
        let name = format!("{job}-x");
        let pods = self.pods();
        if pods.get_opt(&name).await.unwrap().is_none() {
            let job = self.jobs().get(job.as_str()).await.unwrap();
            let template = serde_json::to_value(job.spec.as_ref().unwrap()).unwrap()["template"].clone();
            let mut pod = json!({ "metadata": template["metadata"], "spec": template["spec"] });
            pod["metadata"]["name"] = json!(name);
            pod["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "batch/v1", "kind": "Job", "name": job.name_any(), "uid": job.uid().unwrap(),
                "controller": true, "blockOwnerDeletion": true,
            }]);
            if let Some(node) = node {
                pod["spec"]["nodeName"] = json!(node);
            }
            let pod = serde_json::from_value(pod).unwrap();
            pods.create(&PostParams::default(), &pod).await.unwrap();
        }
        let patch = Patch::Merge(json!({ "status": status }));
        pods.patch_status(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// The job's pod runs on a node.
    pub(crate) async fn runs(&self, job: &JobName) {
        let state = json!({ "running": { "startedAt": now() } });
        let status =
            json!({ "phase": "Running", "startTime": now(), "containerStatuses": container(&state) });
        self.pod_becomes(job, Some("nowhere"), status).await;
        self.job_becomes(job, json!({ "active": 1, "startTime": now() }))
            .await;
    }

    /// The job's pod ends, and the job is told.
    pub(crate) async fn ends(&self, job: &JobName, code: i32, reason: &str) {
        let state = json!({ "terminated": {
            "exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now(),
        } });
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let status = json!({ "phase": phase, "containerStatuses": container(&state) });
        self.pod_becomes(job, Some("nowhere"), status).await;
        let condition = |kind: &str, reason: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason,
                "lastProbeTime": now(), "lastTransitionTime": now(),
            })
        };
        let status = if code == 0 {
            json!({
                "active": 0, "succeeded": 1, "startTime": now(), "completionTime": now(),
                // Newer versions want the one before the other.
                "conditions": [condition("SuccessCriteriaMet", ""), condition("Complete", "")],
            })
        } else {
            let reason = "BackoffLimitExceeded";
            json!({
                "active": 0, "failed": 1, "startTime": now(),
                "conditions": [condition("FailureTarget", reason), condition("Failed", reason)],
            })
        };
        self.job_becomes(job, status).await;
    }

    /// The node is done with a pod that was told to end.
    pub(crate) async fn node_removes_pod(&self, job: &JobName) {
        if self.by_hand {
            let grace = DeleteParams::default().grace_period(0);
            // It is gone already if nobody had to wait for it.
            let _ = self.pods().delete(&format!("{job}-x"), &grace).await;
            self.job_becomes(job, json!({ "active": 0 })).await;
        }
    }

    async fn job_becomes(&self, job: &JobName, status: Value) {
        if self.by_hand {
            let patch = Patch::Merge(json!({ "status": status }));
            self.jobs()
                .patch_status(job.as_str(), &PatchParams::default(), &patch)
                .await
                .unwrap();
        }
    }

    /// A job of this name that somebody else made.
    pub(crate) async fn foreign_job(&self, name: &JobName) {
        let job = json!({
            "metadata": { "name": name },
            "spec": { "template": { "spec": {
                "restartPolicy": "Never", "containers": [{ "name": "other", "image": "other" }],
            } } },
        });
        let job = serde_json::from_value(job).unwrap();
        self.jobs().create(&PostParams::default(), &job).await.unwrap();
    }
}

fn container(state: &Value) -> Value {
    json!([{
        "name": "crawler", "image": "busybox", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    }])
}

/// To the second, as the server keeps it.
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap().to_string()
}
