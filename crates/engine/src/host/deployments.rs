//! Worker deployments: taken note of when their workers poll, changed by people, and asked where tasks go.
//!
//! The tasks of a queue that are not pinned wait where the routing sends them; when the routing changes, all that wait
//! are offered anew. An engine without deployments asks nothing of all this.

use std::collections::{BTreeMap, HashMap};

use temporalio_protos::temporal::api::workflow::v1::VersioningOverride;

use super::{
    Host,
    matching::{QueueId, QueueKind, Waiting},
};
use crate::{
    clock::Nanos,
    core::{ChangedOptions, NewRun, OptionsChange, Queue, RunKey, RunState, Task, Version, pinned_by},
    deployment::{DeploymentRecord, Drained, Routing, SetRoute, VersionQueue, route},
    rpc::RpcError,
};

/// Characters of a deployment's name.
const LONGEST_NAME: usize = 1_000;

/// All worker deployments, in memory as on disk.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    all: BTreeMap<(u32, String), DeploymentRecord>,
    /// The names of the deployments whose workers have polled a queue.
    of_queue: HashMap<(u32, i32, String), Vec<String>>,
}

impl Deployments {
    pub(super) fn new(records: Vec<(u32, DeploymentRecord)>) -> Self {
        let mut deployments = Self::default();
        for (namespace, record) in records {
            deployments.put(namespace, record);
        }
        deployments
    }

    fn put(&mut self, namespace: u32, record: DeploymentRecord) {
        for queue in record.versions.iter().flat_map(|version| &version.queues) {
            let key = (namespace, queue.kind, queue.name.clone());
            let names = self.of_queue.entry(key).or_default();
            if !names.contains(&record.name) {
                names.push(record.name.clone());
            }
        }
        self.all.insert((namespace, record.name.clone()), record);
    }

    fn remove(&mut self, namespace: u32, name: &str) {
        self.all.remove(&(namespace, name.to_owned()));
        self.of_queue.retain(|(of, _, _), names| {
            if *of == namespace {
                names.retain(|known| known != name);
            }
            !names.is_empty()
        });
    }

    /// Forgets a namespace.
    pub(super) fn remove_namespace(&mut self, namespace: u32) {
        self.all.retain(|(of, _), _| *of != namespace);
        self.of_queue.retain(|(of, _, _), _| *of != namespace);
    }

    pub(crate) fn get(&self, namespace: u32, name: &str) -> Option<&DeploymentRecord> {
        self.all.get(&(namespace, name.to_owned()))
    }

    /// All of a namespace, the newest first.
    pub(crate) fn of_namespace(&self, namespace: u32) -> Vec<&DeploymentRecord> {
        let all = self.all.iter().filter(|((of, _), _)| *of == namespace);
        let mut found: Vec<_> = all.map(|(_, record)| record).collect();
        found.sort_by_key(|record| std::cmp::Reverse((record.created_at, &record.name)));
        found
    }

    /// Where the tasks of a queue go that are not pinned.
    pub(crate) fn routing(&self, namespace: u32, kind: QueueKind, queue: &str) -> Routing {
        if self.all.is_empty() {
            return Routing::default();
        }
        let kind = kind.number();
        let Some(names) = self.of_queue.get(&(namespace, kind, queue.to_owned())) else {
            return Routing::default();
        };
        let deployments = names.iter().filter_map(|name| self.get(namespace, name));
        route(deployments, kind, queue)
    }

    /// Whether workers of this version have polled the queue.
    pub(crate) fn serves(&self, namespace: u32, version: &Version, kind: QueueKind, queue: &str) -> bool {
        let deployment = self.get(namespace, &version.deployment);
        let version = deployment.and_then(|deployment| deployment.version(&version.build_id));
        version.is_some_and(|version| version.has_queue(kind.number(), queue))
    }

    /// The version whose workers get the tasks of a run on this queue, and the revision of the routing that says so.
    pub(super) fn target(&self, state: &RunState, kind: QueueKind, queue: &str) -> (Option<Version>, i64) {
        if self.all.is_empty() && !state.is_versioned() {
            return (None, 0);
        }
        // An activity whose queue has no workers of the version goes its own way.
        if let Some(pinned) = state.pinned_to()
            && (kind == QueueKind::Workflow || self.serves(state.namespace_key, &pinned, kind, queue))
        {
            return (Some(pinned), 0);
        }
        let routing = self.routing(state.namespace_key, kind, queue);
        match &state.versioning {
            Some(known) if known.begins_ramping => routing.ramping_target(),
            _ => routing.target(&state.workflow_id),
        }
    }

    /// The same for a run that a client is about to start.
    pub(crate) fn target_of_start(&self, new: &NewRun) -> Option<Version> {
        new.versioning_override().and_then(pinned_by).or_else(|| {
            let routing = self.routing(new.namespace_key, QueueKind::Workflow, &new.task_queue);
            routing.target(&new.workflow_id).0
        })
    }

    /// Whether a run stays with its version although a new one would go to another.
    pub(super) fn has_moved_on(&self, state: &RunState) -> bool {
        if self.all.is_empty() || state.versioning_override().is_some() {
            return false;
        }
        let Some(pinned) = state.pinned_to() else {
            return false;
        };
        let routing = self.routing(state.namespace_key, QueueKind::Workflow, &state.task_queue);
        let (target, _) = routing.target(&state.workflow_id);
        target.is_some_and(|target| target != pinned)
    }
}

impl Host {
    /// The version whose workers get the tasks of a run on this queue, and the revision of the routing that says so.
    pub(crate) fn target(
        &mut self,
        key: RunKey,
        kind: QueueKind,
        queue: &str,
    ) -> Result<(Option<Version>, i64), RpcError> {
        self.slot(key)?;
        let slot = self.cache.get(key);
        let target = slot.map(|slot| self.deployments.target(&slot.run.state, kind, queue));
        Ok(target.unwrap_or_default())
    }

    /// Takes note of a poll by a worker of a version.
    pub(super) fn note_version(&mut self, id: &QueueId) -> Result<(), RpcError> {
        let Some(version) = id.version.as_deref() else {
            return Ok(());
        };
        if check_name(&version.deployment).is_err() || version.build_id.is_empty() {
            // It gets no tasks, as no task is for it.
            return Ok(());
        }
        if self.deployments.serves(id.namespace, version, id.kind, &id.name) {
            return Ok(());
        }
        let now = self.now();
        let known = self.deployments.get(id.namespace, &version.deployment).cloned();
        let mut record =
            known.unwrap_or_else(|| DeploymentRecord::new(&version.deployment, String::new(), now));
        let queue = VersionQueue {
            name: id.name.clone(),
            kind: id.kind.number(),
        };
        match record.note_poll(&version.build_id, queue, now) {
            Ok(true) => self.put_deployment(id.namespace, record),
            Ok(false) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, deployment = version.deployment, "a worker's version is not known");
                Ok(())
            }
        }
    }

    /// Changes a deployment, and offers what waits in its queues anew.
    ///
    /// # Errors
    /// When there is none of this name, or the change is refused; then nothing has changed.
    pub(crate) fn change_deployment<R>(
        &mut self,
        namespace: u32,
        name: &str,
        change: impl FnOnce(&mut DeploymentRecord, Nanos) -> Result<R, RpcError>,
    ) -> Result<R, RpcError> {
        let now = self.now();
        let before = self.deployments.get(namespace, name);
        let mut record = before.cloned().ok_or_else(|| no_deployment(name))?;
        let result = change(&mut record, now)?;
        if self.deployments.get(namespace, name) != Some(&record) {
            self.put_deployment(namespace, record)?;
        }
        Ok(result)
    }

    /// Adds a deployment.
    pub(crate) fn put_deployment(
        &mut self,
        namespace: u32,
        record: DeploymentRecord,
    ) -> Result<(), RpcError> {
        self.store
            .put_deployment(namespace, &record)
            .map_err(super::unwritable)?;
        let queues: Vec<VersionQueue> = record
            .versions
            .iter()
            .flat_map(|version| version.queues.clone())
            .collect();
        self.deployments.put(namespace, record);
        for queue in queues {
            if let Some(kind) = QueueKind::from_number(queue.kind) {
                self.offer_anew(&QueueId::new(namespace, kind, queue.name), None)?;
            }
        }
        Ok(())
    }

    /// Removes a deployment without versions.
    ///
    /// # Errors
    /// When it has versions.
    pub(crate) fn delete_deployment(&mut self, namespace: u32, name: &str) -> Result<(), RpcError> {
        let Some(record) = self.deployments.get(namespace, name) else {
            return Ok(());
        };
        if !record.versions.is_empty() {
            return Err(RpcError::FailedPrecondition(
                "deployment has versions, can't be deleted".into(),
            ));
        }
        self.store
            .delete_deployment(namespace, name)
            .map_err(super::unwritable)?;
        self.deployments.remove(namespace, name);
        Ok(())
    }

    /// Makes a version current, and answers the one before and a conflict token.
    pub(crate) fn set_current_version(
        &mut self,
        namespace: u32,
        name: &str,
        set: SetRoute,
    ) -> Result<(Option<Version>, Vec<u8>), RpcError> {
        let busy = self.busy_queues(namespace, name);
        self.change_deployment(namespace, name, |deployment, now| {
            let before = deployment.set_current(set, |record, new| lacks(record, new, &busy), now)?;
            Ok((before, deployment.conflict_token()))
        })
    }

    /// Lets a version have part of what is new, and answers what had it before and a conflict token.
    #[allow(clippy::type_complexity, reason = "it is used once")]
    pub(crate) fn set_ramping_version(
        &mut self,
        namespace: u32,
        name: &str,
        set: SetRoute,
        percentage: f32,
    ) -> Result<(Option<(Option<Version>, f32)>, Vec<u8>), RpcError> {
        let busy = self.busy_queues(namespace, name);
        self.change_deployment(namespace, name, |deployment, now| {
            let missing = |record: &DeploymentRecord, new: &str| lacks(record, new, &busy);
            let before = deployment.set_ramping(set, percentage, missing, now)?;
            Ok((before, deployment.conflict_token()))
        })
    }

    /// The queues of the current version that have tasks, or had some of late.
    fn busy_queues(&self, namespace: u32, name: &str) -> Vec<VersionQueue> {
        let Some(record) = self.deployments.get(namespace, name) else {
            return Vec::new();
        };
        let Some(current) = record.version(&record.current) else {
            return Vec::new();
        };
        let now = self.now;
        let is_busy = |queue: &&VersionQueue| {
            let Some(kind) = QueueKind::from_number(queue.kind) else {
                return false;
            };
            let version = Version {
                deployment: name.to_owned(),
                build_id: record.current.clone(),
            };
            let id = QueueId::new(namespace, kind, queue.name.clone()).of_version(Some(version));
            let queue = self.queues.get(&id);
            queue.is_some_and(|queue| queue.backlog() > 0 || queue.added.per_second(now) > 0.0)
        };
        current.queues.iter().filter(is_busy).cloned().collect()
    }

    /// Whether a worker of this version has polled of late.
    pub(crate) fn has_pollers(&mut self, namespace: u32, version: &Version) -> bool {
        let now = self.now();
        let record = self.deployments.get(namespace, &version.deployment);
        let Some(known) = record.and_then(|record| record.version(&version.build_id)) else {
            return false;
        };
        known.queues.iter().any(|queue| {
            let Some(kind) = QueueKind::from_number(queue.kind) else {
                return false;
            };
            let id = QueueId::new(namespace, kind, queue.name.clone()).of_version(Some(version.clone()));
            self.queues
                .get(&id)
                .is_some_and(|queue| queue.seen_pollers(now).next().is_some())
        })
    }

    /// Takes note of whether versions that get nothing new have open runs.
    pub(crate) fn note_drainage(
        &mut self,
        namespace: u32,
        name: &str,
        found: &[(String, Drained)],
    ) -> Result<(), RpcError> {
        let now = self.now();
        let Some(record) = self.deployments.all.get_mut(&(namespace, name.to_owned())) else {
            return Ok(());
        };
        let mut has_changed = false;
        for (build_id, drained) in found {
            has_changed |= record.note_drainage(build_id, *drained, now);
        }
        // When it was looked at last is in memory alone.
        if has_changed {
            let record = record.clone();
            self.store
                .put_deployment(namespace, &record)
                .map_err(super::unwritable)?;
        }
        Ok(())
    }

    /// Offers what waits in the queues of all versions of this name anew: of this run, or (none) all.
    fn offer_anew(&mut self, id: &QueueId, run: Option<RunKey>) -> Result<(), RpcError> {
        for task in self.queues.take_waiting(id, run) {
            let offered = match task {
                Waiting::Workflow { key, scheduled_at } => {
                    let queue = Queue::Normal(id.name.clone());
                    self.offer(key, Task::Workflow { queue, scheduled_at })
                }
                Waiting::Activity {
                    key,
                    scheduled_event_id,
                    attempt,
                } => {
                    let queue = id.name.clone();
                    self.offer(
                        key,
                        Task::Activity {
                            queue,
                            scheduled_event_id,
                            attempt,
                        },
                    )
                }
                Waiting::Query { query, .. } => self.reoffer_query(query.id),
            };
            match offered {
                // Deleted meanwhile.
                Ok(()) | Err(RpcError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether an activity may start with a worker of this queue. If not, it is offered where it may, or waits until
    /// its workflow has come to the version that it would go to.
    pub(super) fn is_for_version(
        &mut self,
        id: &QueueId,
        key: RunKey,
        scheduled_event_id: i64,
        attempt: i32,
    ) -> Result<bool, RpcError> {
        let run = match self.run(key) {
            Ok(run) => run,
            Err(RpcError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if !run.can_start_activity(scheduled_event_id, attempt, &id.name) {
            return Ok(false);
        }
        let is_versioned = run.state.is_versioned();
        if self.deployments.all.is_empty() && !is_versioned {
            return Ok(true);
        }
        let run = self.run(key)?;
        let (is_pinned, version) = (run.state.pinned_to().is_some(), run.state.version());
        let (is_in_transition, is_standalone) = (run.is_in_transition(), run.is_standalone());
        let workflow_queue = run.state.task_queue.clone();
        let (target, revision) = self.target(key, QueueKind::Activity, &id.name)?;
        if target.as_ref() != id.version.as_deref() {
            let task = Task::Activity {
                queue: id.name.clone(),
                scheduled_event_id,
                attempt,
            };
            self.offer(key, task)?;
            return Ok(false);
        }
        if is_pinned || is_standalone {
            return Ok(true);
        }
        let (of_workflow, _) = self.target(key, QueueKind::Workflow, &workflow_queue)?;
        if target != version && target == of_workflow {
            self.change(key, |run, now| {
                run.go_with_before_activities(now, target, revision);
                Ok(())
            })?;
            return Ok(false);
        }
        Ok(!is_in_transition)
    }

    /// Gives a new run what it has of the version of the run that starts it. What the start itself says is before that.
    pub(super) fn inherit_version(&mut self, from: RunKey, new: &mut NewRun) -> Result<(), RpcError> {
        if !self.run(from)?.state.is_versioned() {
            return Ok(());
        }
        let Some(slot) = self.cache.get(from) else {
            return Ok(());
        };
        let belongs = |version: &Version| {
            self.deployments
                .serves(new.namespace_key, version, QueueKind::Workflow, &new.task_queue)
        };
        let mut inherited = slot.run.passes_on(new, belongs);
        let given = new.inherited.take();
        if let Some(given) = given.and_then(|given| given.versioning_override) {
            inherited.versioning_override = Some(given);
        }
        if inherited != crate::core::Inherited::default() {
            new.inherited = Some(Box::new(inherited));
        }
        Ok(())
    }

    /// Changes options of a run, and answers all of them.
    ///
    /// # Errors
    /// When the run is closed, or the version that it is to be pinned to has no workers for its queue.
    pub(crate) fn change_options(
        &mut self,
        key: RunKey,
        change: OptionsChange,
    ) -> Result<ChangedOptions, RpcError> {
        let state = &self.run(key)?.state;
        let (namespace, queue) = (state.namespace_key, state.task_queue.clone());
        let given = change.versioning_override.as_ref().and_then(Option::as_ref);
        self.check_override(namespace, &queue, given)?;
        let before = self.run(key)?.options().priority;
        let after = self.change(key, |run, now| run.change_options(now, change))?;
        if after.priority != before {
            self.rank_anew(key)?;
        }
        Ok(after)
    }

    /// Gives the tasks of a run that wait for workers the places that its priority now says.
    fn rank_anew(&mut self, key: RunKey) -> Result<(), RpcError> {
        let state = &self.run(key)?.state;
        let namespace = state.namespace_key;
        let mut queues: Vec<_> = state
            .activities
            .iter()
            .map(|activity| QueueId::new(namespace, QueueKind::Activity, activity.task_queue.clone()))
            .collect();
        queues.sort();
        queues.dedup();
        queues.push(QueueId::new(
            namespace,
            QueueKind::Workflow,
            state.task_queue.clone(),
        ));
        for id in queues {
            self.offer_anew(&id, Some(key))?;
        }
        Ok(())
    }

    /// Checks an override that a client gives a run of this task queue.
    ///
    /// # Errors
    /// When no worker of the version that it pins to has polled the queue.
    pub(crate) fn check_override(
        &self,
        namespace: u32,
        queue: &str,
        given: Option<&VersioningOverride>,
    ) -> Result<(), RpcError> {
        let Some(version) = given.and_then(pinned_by) else {
            return Ok(());
        };
        if self
            .deployments
            .serves(namespace, &version, QueueKind::Workflow, queue)
        {
            return Ok(());
        }
        Err(RpcError::FailedPrecondition(format!(
            "Pinned version '{}' is not present in task queue '{queue}' of type 'Workflow'",
            version.attribute()
        )))
    }
}

/// Whether a version lacks one of these queues.
fn lacks(record: &DeploymentRecord, build_id: &str, busy: &[VersionQueue]) -> bool {
    record.version(build_id).is_some_and(|version| {
        busy.iter()
            .any(|queue| !version.has_queue(queue.kind, &queue.name))
    })
}

/// The error for a name that no deployment has.
pub(crate) fn no_deployment(name: &str) -> RpcError {
    RpcError::NotFound(format!(
        "no Worker Deployment found with name '{name}'; does your Worker Deployment have pollers?"
    ))
}

/// Checks the name of a deployment.
///
/// # Errors
/// When it is empty, too long, or has a character that parts it from a build id.
pub(crate) fn check_name(name: &str) -> Result<(), RpcError> {
    let invalid = |message: String| Err(RpcError::InvalidArgument(message));
    if name.is_empty() {
        return invalid("WorkerDeploymentName cannot be empty".into());
    }
    if name.len() > LONGEST_NAME {
        return invalid("size of WorkerDeploymentName larger than the maximum allowed".into());
    }
    if name.starts_with("__") {
        return invalid("WorkerDeploymentName cannot start with '__'".into());
    }
    for parting in ['.', ':'] {
        if name.contains(parting) {
            return invalid(format!("worker deployment name cannot contain '{parting}'"));
        }
    }
    Ok(())
}
