//! Jobs on Kubernetes: each is a Job of `batch/v1` with one Pod, which is never started again.
//!
//! It keeps to what version 1.20 has: pods are found by the label `job-name`, and a job is kept from making pods by its
//! `parallelism`, not by `suspend`.
//!
//! A job that is to end is not deleted: the record of what became of it stays until [`Cluster::remove`]. It is marked with
//! an annotation and gets a parallelism of 0, so no pod follows; then its pod is deleted with the grace that was asked for.
//!
//! Every call has a deadline, and none is tried again here: that is for the activity that makes it.

mod changes;
mod error;
mod object;
mod options;
mod state;

use std::{collections::HashMap, fmt::Debug, future::Future, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use k8s_openapi::api::{batch::v1 as batch, core::v1 as core};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

pub use options::{Options, OutputVolume};

use super::{
    Change, Cluster, ClusterError, Deployed, Job, JobName, JobState, MANAGED_BY, MANAGED_BY_LABEL, RUN_LABEL,
};
use error::{failed, is_not_found, timed_out};

/// What Kubernetes puts on the pods of a job, with the job's name.
const JOB_NAME_LABEL: &str = "job-name";
/// When a job was told to end.
const STOPPED_ANNOTATION: &str = "crawl-platform.segno.dev/stopped-at";
/// Most of a log that is read: what a line is nobody limits.
const LONGEST_LOG: i64 = 1 << 20;

/// A namespace of a Kubernetes cluster.
#[derive(Clone)]
pub struct Kubernetes {
    jobs: Api<batch::Job>,
    pods: Api<core::Pod>,
    namespace: String,
    options: Options,
}

impl Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Reads the configuration of the client and checks what can be checked without a call. The cluster need not be there
    /// yet.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Permanent`] says what in the options, or in the files that they name, is wrong.
    pub async fn connect(options: Options) -> Result<Self, ClusterError> {
        options.check()?;
        let mut config = options.client().await?;
        if let Some(namespace) = &options.namespace {
            config.default_namespace.clone_from(namespace);
        }
        if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
            let message =
                "Kubernetes: the configuration's `certificate-authority` has no certificate in PEM form";
            return Err(ClusterError::permanent(message));
        }
        let namespace = config.default_namespace.clone();
        // What fails is told: whoever called knows best when to try again.
        config.default_retry = false;
        config.connect_timeout = Some(options.call_timeout());
        let client = Client::try_from(config).map_err(|error| {
            ClusterError::permanent(format!("Kubernetes: no client can be made: {error}"))
        })?;
        Ok(Self {
            jobs: Api::namespaced(client.clone(), &namespace),
            pods: Api::namespaced(client, &namespace),
            namespace,
            options,
        })
    }

    /// The namespace that jobs are in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Makes a call with a deadline.
    async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        match tokio::time::timeout(self.options.call_timeout(), call).await {
            Ok(result) => result.map_err(|error| failed(what, &error)),
            Err(_) => Err(timed_out(what, self.options.call_timeout())),
        }
    }

    /// Makes a call about an object that need not be there.
    async fn call_for<T>(
        &self,
        what: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<Option<T>, ClusterError> {
        let found = async {
            match call.await {
                Ok(found) => Ok(Some(found)),
                Err(error) if is_not_found(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.call(what, found).await
    }

    /// All objects with these labels, a page after the other.
    async fn list<K>(&self, what: &str, api: &Api<K>, labels: &str) -> Result<Vec<K>, ClusterError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let mut all = Vec::new();
        let mut parameters = ListParams::default().labels(labels).limit(self.options.page_size);
        loop {
            let page = self.call(what, api.list(&parameters)).await?;
            let next = page.metadata.continue_.filter(|token| !token.is_empty());
            all.extend(page.items);
            match next {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    async fn job(&self, name: &JobName) -> Result<Option<batch::Job>, ClusterError> {
        self.call("get the job", self.jobs.get_opt(name.as_str())).await
    }

    /// The pods of a job, without those of another job that had its name before.
    async fn pods_of(&self, job: &batch::Job) -> Result<Vec<core::Pod>, ClusterError> {
        let labels = format!("{JOB_NAME_LABEL}={}", job.name_any());
        let mut pods = self.list("list the job's pods", &self.pods, &labels).await?;
        pods.retain(|pod| state::belongs(pod, job));
        Ok(pods)
    }

    async fn states_of(&self, labels: &str) -> Result<Vec<JobState>, ClusterError> {
        // Jobs first: the pod of a job that is made between the two is without a job, and left out.
        let jobs = self.list("list the jobs", &self.jobs, labels).await?;
        let mut pods = HashMap::<String, Vec<core::Pod>>::new();
        for pod in self.list("list the pods", &self.pods, labels).await? {
            if let Some(name) = pod.labels().get(JOB_NAME_LABEL) {
                pods.entry(name.clone()).or_default().push(pod);
            }
        }
        let none = Vec::new();
        Ok(jobs
            .iter()
            .filter_map(|job| state::of(job, pods.get(&job.name_any()).unwrap_or(&none)))
            .collect())
    }

    /// Marks a job as told to end, and keeps it from making pods.
    async fn mark_stopped(&self, job: &batch::Job) -> Result<bool, ClusterError> {
        let now = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .map_err(|error| ClusterError::permanent(error.to_string()))?;
        // The first time counts, when it is told again.
        let at = job.annotations().get(STOPPED_ANNOTATION).unwrap_or(&now);
        let patch = Patch::Merge(json!({
            "metadata": { "uid": job.uid(), "annotations": { STOPPED_ANNOTATION: at } },
            "spec": { "parallelism": 0 },
        }));
        let (name, parameters) = (job.name_any(), PatchParams::default());
        let patched = self.jobs.patch(&name, &parameters, &patch);
        Ok(self.call_for("mark the job as stopped", patched).await?.is_some())
    }

    /// Deletes a pod, and no other one of its name. False if it is gone.
    async fn delete(&self, pod: &core::Pod, grace: u32) -> Result<bool, ClusterError> {
        let parameters = DeleteParams::default()
            .grace_period(grace)
            .preconditions(Preconditions {
                uid: pod.uid(),
                resource_version: None,
            });
        let name = pod.name_any();
        let deleted = self.pods.delete(&name, &parameters);
        Ok(self.call_for("delete the pod", deleted).await?.is_some())
    }
}

#[async_trait]
impl Cluster for Kubernetes {
    async fn deploy(&self, job: &Job) -> Result<Deployed, ClusterError> {
        let object = object::of(job, &self.options)?;
        let create = async {
            match self.jobs.create(&PostParams::default(), &object).await {
                Ok(made) => Ok(Some(made)),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
                Err(error) => Err(error),
            }
        };
        if let Some(made) = self.call("create the job", create).await? {
            return Ok(Deployed {
                id: made.uid().unwrap_or_default(),
                created: true,
            });
        }
        let Some(there) = self.job(&job.name).await? else {
            let message = format!("Kubernetes: the job {} was there and is gone again", job.name);
            return Err(ClusterError::retryable(message));
        };
        let labels = there.labels();
        let ours = labels.get(MANAGED_BY_LABEL).is_some_and(|by| by == MANAGED_BY)
            && labels
                .get(RUN_LABEL)
                .is_some_and(|run| *run == job.run.to_string());
        if !ours {
            return Err(ClusterError::permanent(format!(
                "Kubernetes: there is a job {} in the namespace {} already, which does not belong to run {}",
                job.name, self.namespace, job.run
            )));
        }
        Ok(Deployed {
            id: there.uid().unwrap_or_default(),
            created: false,
        })
    }

    async fn state(&self, name: &JobName) -> Result<Option<JobState>, ClusterError> {
        let Some(job) = self.job(name).await? else {
            return Ok(None);
        };
        let pods = self.pods_of(&job).await?;
        Ok(state::of(&job, &pods))
    }

    async fn states(&self, run: Uuid) -> Result<Vec<JobState>, ClusterError> {
        self.states_of(&format!("{MANAGED_BY_LABEL}={MANAGED_BY},{RUN_LABEL}={run}"))
            .await
    }

    async fn stop(&self, name: &JobName, grace: Duration) -> Result<bool, ClusterError> {
        let Some(job) = self.job(name).await? else {
            return Ok(false);
        };
        let pods = self.pods_of(&job).await?;
        let told = job.annotations().contains_key(STOPPED_ANNOTATION);
        // One that was told before is told again: the process may have died between the mark and the pod.
        if !told && state::of(&job, &pods).is_some_and(|state| state.phase.has_ended()) {
            return Ok(false);
        }
        if !self.mark_stopped(&job).await? {
            return Ok(false);
        }
        let grace = u32::try_from(grace.as_secs()).unwrap_or(u32::MAX);
        // Looked at again: until the mark, the job could make one.
        let mut stopping = false;
        for pod in self.pods_of(&job).await? {
            if !state::has_ended(&pod) {
                stopping |= self.delete(&pod, grace).await?;
            }
        }
        Ok(stopping || !told)
    }

    async fn delete_pod(&self, name: &JobName) -> Result<bool, ClusterError> {
        let Some(job) = self.job(name).await? else {
            return Ok(false);
        };
        // The mark makes the cluster delete it, too: one that was there is deleted, by whom it may be.
        let mut deleted = !self.pods_of(&job).await?.is_empty();
        if !self.mark_stopped(&job).await? {
            return Ok(false);
        }
        for pod in self.pods_of(&job).await? {
            deleted |= self.delete(&pod, 0).await?;
        }
        Ok(deleted)
    }

    async fn remove(&self, name: &JobName) -> Result<bool, ClusterError> {
        let Some(job) = self.job(name).await? else {
            return Ok(false);
        };
        let pods = self.pods_of(&job).await?;
        let parameters = DeleteParams::background().preconditions(Preconditions {
            uid: job.uid(),
            resource_version: None,
        });
        let deleted = self.jobs.delete(name.as_str(), &parameters);
        let removed = self.call_for("delete the job", deleted).await?.is_some();
        // The cluster's garbage collector does it too, in its time. This way it is asked for when this returns.
        for pod in pods {
            let grace = if state::has_ended(&pod) {
                0
            } else {
                self.options.termination_grace_seconds
            };
            self.delete(&pod, grace).await?;
        }
        Ok(removed)
    }

    async fn log_tail(&self, name: &JobName, lines: usize) -> Result<String, ClusterError> {
        let Some(job) = self.job(name).await? else {
            return Ok(String::new());
        };
        let pods = self.pods_of(&job).await?;
        let Some(pod) = state::newest(&job, &pods) else {
            return Ok(String::new());
        };
        let parameters = LogParams {
            container: Some(object::CONTAINER.to_owned()),
            tail_lines: Some(i64::try_from(lines).unwrap_or(i64::MAX)),
            limit_bytes: Some(LONGEST_LOG),
            ..LogParams::default()
        };
        let name = pod.name_any();
        let text = async {
            match self.pods.logs(&name, &parameters).await {
                Ok(text) => Ok(text),
                // It is gone, is on no node yet, or its container has not started: so it has written nothing.
                Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => Ok(String::new()),
                Err(error) => Err(error),
            }
        };
        self.call("read the log", text).await
    }

    async fn all(&self) -> Result<Vec<JobState>, ClusterError> {
        self.states_of(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}")).await
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        changes::stream(self.clone())
    }
}
