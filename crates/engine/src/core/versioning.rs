//! Which version of the workers a run belongs to: what its workers say, and what a person says instead.
//!
//! A *pinned* run stays with one version of a worker deployment. Any other run goes to the version that the
//! deployment of its task queue routes to; when that is not the version it was with, it is in *transition* until a
//! worker of the new version has completed a workflow task. A run without versioning has none of this in its state.

use serde_json::{Value as Json, json};
use temporalio_protos::temporal::api::{
    common::v1::Payload,
    deployment::v1::{InheritedAutoUpgradeInfo, WorkerDeploymentOptions, WorkerDeploymentVersion},
    enums::v1::{
        ContinueAsNewInitiator, ContinueAsNewVersioningBehavior, VersioningBehavior as Behavior,
        WorkerVersioningMode,
    },
    history::v1::{WorkflowExecutionStartedEventAttributes, WorkflowTaskCompletedEventAttributes},
    workflow::v1::{
        DeploymentVersionTransition, VersioningOverride, WorkflowExecutionVersioningInfo,
        versioning_override::{Override, PinnedOverride, PinnedOverrideBehavior},
    },
};

use super::{
    run::Run,
    start::NewRun,
    state::{ChangedOptions, RunState},
    unversioned::UNVERSIONED_WORKERS,
};
use crate::{clock::Nanos, rpc::RpcError};

/// What workers without a version are called.
pub(crate) const UNVERSIONED: &str = "__unversioned__";

/// What a completed workflow task has changed.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) attributes_changed: bool,
    /// The run has come to the version that it was on its way to.
    pub(super) transition_ended: bool,
}

/// A version of a worker deployment: the workers of one build.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ::prost::Message)]
pub struct Version {
    #[prost(string, tag = "1")]
    pub deployment: String,
    #[prost(string, tag = "2")]
    pub build_id: String,
}

impl Version {
    /// As messages have it.
    pub fn new(version: &WorkerDeploymentVersion) -> Self {
        Self {
            deployment: version.deployment_name.clone(),
            build_id: version.build_id.clone(),
        }
    }

    /// The version whose workers say this of themselves; none: they have none.
    pub fn of_worker(options: Option<&WorkerDeploymentOptions>) -> Option<Self> {
        let options =
            options.filter(|options| options.worker_versioning_mode() == WorkerVersioningMode::Versioned)?;
        Some(Self {
            deployment: options.deployment_name.clone(),
            build_id: options.build_id.clone(),
        })
    }

    /// As messages have it.
    pub fn message(&self) -> WorkerDeploymentVersion {
        WorkerDeploymentVersion {
            build_id: self.build_id.clone(),
            deployment_name: self.deployment.clone(),
        }
    }

    /// As older clients, and the fields for them, have it.
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.deployment, self.build_id)
    }

    /// The version of such a name: a deployment's name has no dot in it.
    pub fn from_dotted(name: &str) -> Option<Self> {
        let (deployment, build_id) = name.split_once('.')?;
        Some(Self {
            deployment: deployment.to_owned(),
            build_id: build_id.to_owned(),
        })
    }

    /// As search attributes have it.
    pub fn attribute(&self) -> String {
        format!("{}:{}", self.deployment, self.build_id)
    }
}

/// What a run keeps of its version.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Versioning {
    /// `VersioningBehavior`, as the last worker said, or as inherited.
    #[prost(int32, tag = "1")]
    pub behavior: i32,
    /// The version that completed the last workflow task, or that was inherited; none: unversioned.
    #[prost(message, optional, tag = "2")]
    pub version: Option<Version>,
    /// Deployment of the worker that completed the last task, versioned or not.
    #[prost(string, tag = "3")]
    pub deployment: String,
    /// The run is on its way to another version.
    #[prost(message, optional, tag = "4")]
    pub transition: Option<Transition>,
    /// Number of the routing configuration that last gave the run a version.
    #[prost(int64, tag = "5")]
    pub revision: i64,
    /// All versions that have completed a task, as search attributes name them.
    #[prost(string, repeated, tag = "6")]
    pub used: Vec<String>,
    /// The last task was completed by a worker that gave no behavior.
    #[prost(bool, tag = "7")]
    pub is_unversioned: bool,
    /// Until its first task is completed it goes with the ramping version, whatever its id is.
    #[prost(bool, tag = "8")]
    pub begins_ramping: bool,
}

/// Where a run is on its way to.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Transition {
    /// None: to workers without a version.
    #[prost(message, optional, tag = "1")]
    pub to: Option<Version>,
}

/// What a new run has of the run that starts it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inherited {
    pub versioning_override: Option<VersioningOverride>,
    /// It begins pinned to this version.
    pub pinned: Option<Version>,
    /// It begins with this version and goes wherever the deployment routes to.
    pub auto_upgrade: Option<InheritedAutoUpgradeInfo>,
}

impl NewRun {
    /// What the run is given of its version by whoever starts it.
    pub fn versioning_override(&self) -> Option<&VersioningOverride> {
        self.inherited.as_ref()?.versioning_override.as_ref()
    }
}

impl Inherited {
    /// Nothing but what the start of the run says.
    pub fn of_override(given: VersioningOverride) -> Box<Self> {
        Box::new(Self {
            versioning_override: Some(given),
            ..Self::default()
        })
    }
}

/// An override in the form that is kept, whichever a client uses; none in it says nothing.
///
/// # Errors
/// When it lacks something.
#[allow(deprecated, reason = "older clients say it by the deprecated fields")]
pub(crate) fn checked_override(given: VersioningOverride) -> Result<VersioningOverride, RpcError> {
    let invalid = |message: &str| Err(RpcError::InvalidArgument(message.to_owned()));
    let kept = match given.r#override {
        Some(Override::Pinned(pinned)) => {
            if pinned.behavior() == PinnedOverrideBehavior::Unspecified {
                return invalid("must specify pinned override behavior if override is pinned.");
            }
            if pinned.version.is_none() {
                return invalid("must provide version if override is pinned.");
            }
            Override::Pinned(pinned)
        }
        Some(Override::OneTime(once)) => {
            if once.target_deployment_version.is_none() {
                return invalid("must provide target_deployment_version if override is one_time.");
            }
            Override::OneTime(once)
        }
        Some(Override::AutoUpgrade(_)) => Override::AutoUpgrade(true),
        None => match given.behavior() {
            Behavior::Unspecified => return invalid("override behavior is required"),
            Behavior::AutoUpgrade => Override::AutoUpgrade(true),
            Behavior::Pinned => {
                let deployment = given.deployment.map(|deployment| Version {
                    deployment: deployment.series_name,
                    build_id: deployment.build_id,
                });
                let Some(version) = Version::from_dotted(&given.pinned_version).or(deployment) else {
                    return invalid(
                        "must provide deployment (deprecated) or pinned version if behavior is 'PINNED'",
                    );
                };
                Override::Pinned(PinnedOverride {
                    behavior: PinnedOverrideBehavior::Pinned as i32,
                    version: Some(version.message()),
                })
            }
        },
    };
    Ok(VersioningOverride {
        r#override: Some(kept),
        ..Default::default()
    })
}

/// The version that an override pins to.
pub(crate) fn pinned_by(given: &VersioningOverride) -> Option<Version> {
    match given.r#override.as_ref()? {
        Override::Pinned(pinned) => pinned.version.as_ref().map(Version::new),
        Override::OneTime(once) => once.target_deployment_version.as_ref().map(Version::new),
        Override::AutoUpgrade(_) => None,
    }
}

impl RunState {
    /// What a person says of its version.
    pub fn versioning_override(&self) -> Option<&VersioningOverride> {
        self.options.as_ref()?.versioning_override.as_ref()
    }

    /// Whether anything is known of its version.
    pub fn is_versioned(&self) -> bool {
        self.versioning.is_some() || self.versioning_override().is_some()
    }

    /// What it does when the deployment routes to another version.
    pub fn versioning_behavior(&self) -> Behavior {
        match self.versioning_override() {
            Some(given) if pinned_by(given).is_some() => Behavior::Pinned,
            Some(_) => Behavior::AutoUpgrade,
            None => self
                .versioning
                .as_ref()
                .map_or(Behavior::Unspecified, |known| known.known_behavior()),
        }
    }

    /// The version that it stays with.
    pub fn pinned_to(&self) -> Option<Version> {
        match self.versioning_override() {
            Some(given) => pinned_by(given),
            None => {
                let known = self.versioning.as_ref()?;
                known
                    .version
                    .clone()
                    .filter(|_| known.known_behavior() == Behavior::Pinned)
            }
        }
    }

    /// The version that it is with now, or on its way to.
    pub fn version(&self) -> Option<Version> {
        if let Some(pinned) = self.versioning_override().and_then(pinned_by) {
            return Some(pinned);
        }
        let known = self.versioning.as_ref()?;
        match &known.transition {
            Some(transition) => transition.to.clone(),
            None => known.version.clone().filter(|_| !known.is_unversioned),
        }
    }

    /// Takes up what a start says: as the events tell it.
    pub(super) fn begin_versioning(&mut self, started: &WorkflowExecutionStartedEventAttributes) {
        if let Some(given) = &started.versioning_override {
            self.options = Some(ChangedOptions {
                priority: started.priority.clone(),
                versioning_override: Some(given.clone()),
            });
        }
        let inherited = started.inherited_auto_upgrade_info.as_ref();
        let begins_ramping = inherited.is_some_and(|info| {
            info.continue_as_new_initial_versioning_behavior()
                == ContinueAsNewVersioningBehavior::UseRampingVersion
        });
        let (behavior, version, revision) = match (&started.inherited_pinned_version, inherited) {
            (Some(version), _) => (Behavior::Pinned, Version::new(version), 0),
            (None, Some(info)) => {
                let version = info.source_deployment_version.clone().unwrap_or_default();
                let revision = info.source_deployment_revision_number;
                (Behavior::AutoUpgrade, Version::new(&version), revision)
            }
            (None, None) => return,
        };
        self.versioning = Some(Versioning {
            behavior: behavior as i32,
            deployment: version.deployment.clone(),
            version: Some(version),
            revision,
            begins_ramping,
            ..Default::default()
        });
    }

    /// Takes up what the worker says that completed a task.
    pub(super) fn note_completed_by(&mut self, completed: &WorkflowTaskCompletedEventAttributes) -> Noted {
        let mut is_new = false;
        if completed.versioning_behavior() == Behavior::Unspecified {
            // The first is told of whatever it says.
            is_new = self.unversioned.is_none();
            is_new |= self.unversioned.get_or_insert_default().note(completed);
        }
        let version = completed.deployment_version.as_ref().map(Version::new);
        if version.is_none() && completed.worker_deployment_name.is_empty() && !self.is_versioned() {
            return Noted {
                attributes_changed: is_new,
                transition_ended: false,
            };
        }
        let attributes_before = self.versioning_attributes();
        let known = self.versioning.get_or_insert_default();
        let behavior = completed.versioning_behavior();
        known.behavior = behavior as i32;
        known.begins_ramping = false;
        known.is_unversioned = behavior == Behavior::Unspecified;
        known.deployment.clone_from(&completed.worker_deployment_name);
        let ended = known.transition.take().is_some();
        if let Some(version) = &version
            && !known.used.contains(&version.attribute())
        {
            known.used.push(version.attribute());
        }
        known.version.clone_from(&version);
        let is_carried_out = |given: &VersioningOverride| {
            matches!(given.r#override, Some(Override::OneTime(_))) && pinned_by(given) == version
        };
        if let Some(options) = &mut self.options
            && options.versioning_override.as_ref().is_some_and(is_carried_out)
        {
            options.versioning_override = None;
        }
        Noted {
            attributes_changed: is_new || self.versioning_attributes() != attributes_before,
            transition_ended: ended,
        }
    }

    /// The search attributes that say all this.
    pub fn versioning_attributes(&self) -> Vec<(&'static str, Payload)> {
        if !self.is_versioned() && self.unversioned.is_none() {
            return Vec::new();
        }
        let known = self.versioning.clone().unwrap_or_default();
        let behavior = self.versioning_behavior();
        let pinned = self.versioning_override().and_then(pinned_by);
        // Where it is on its way to is not said before it is there.
        let version = pinned.or(known.version.clone().filter(|_| !known.is_unversioned));
        let deployment = match &version {
            Some(version) => version.deployment.clone(),
            None => known.deployment.clone(),
        };
        let (named, first_build) = match (behavior, &version) {
            (Behavior::Pinned, Some(version)) => ("Pinned", format!("pinned:{}", version.attribute())),
            (Behavior::AutoUpgrade, _) => ("AutoUpgrade", String::new()),
            _ => ("", UNVERSIONED_WORKERS.to_owned()),
        };
        let mut attributes = Vec::new();
        let mut add = |name, kind: &str, value: Json| attributes.push((name, payload(kind, &value)));
        let unversioned = self.unversioned.clone().unwrap_or_default();
        if let Some(checksums) = unversioned.checksums() {
            add("BinaryChecksums", "KeywordList", json!(checksums));
        }
        let build_ids = unversioned.build_ids(&first_build);
        if !build_ids.is_empty() {
            add("BuildIds", "KeywordList", json!(build_ids));
        }
        if !named.is_empty() {
            add("TemporalWorkflowVersioningBehavior", "Keyword", json!(named));
        }
        if !deployment.is_empty() {
            add("TemporalWorkerDeployment", "Keyword", json!(deployment));
        }
        if let Some(version) = &version {
            add(
                "TemporalWorkerDeploymentVersion",
                "Keyword",
                json!(version.attribute()),
            );
        }
        if !known.used.is_empty() {
            add(
                "TemporalUsedWorkerDeploymentVersions",
                "KeywordList",
                json!(known.used),
            );
        }
        attributes
    }

    /// As clients are told.
    #[allow(deprecated, reason = "older clients read the deprecated fields")]
    pub fn versioning_info(&self) -> Option<WorkflowExecutionVersioningInfo> {
        if !self.is_versioned() {
            return None;
        }
        let known = self.versioning.clone().unwrap_or_default();
        let version = known.version.filter(|_| !known.is_unversioned);
        let info = WorkflowExecutionVersioningInfo {
            behavior: known.behavior,
            version: version.as_ref().map(Version::dotted).unwrap_or_default(),
            deployment_version: version.as_ref().map(Version::message),
            versioning_override: self.versioning_override().cloned().map(for_older_clients),
            version_transition: known.transition.map(|transition| DeploymentVersionTransition {
                version: transition
                    .to
                    .as_ref()
                    .map_or_else(|| UNVERSIONED.to_owned(), Version::dotted),
                deployment_version: transition.to.as_ref().map(Version::message),
            }),
            revision_number: known.revision,
            ..Default::default()
        };
        (info != WorkflowExecutionVersioningInfo::default()).then_some(info)
    }
}

impl Versioning {
    fn known_behavior(&self) -> Behavior {
        Behavior::try_from(self.behavior).unwrap_or_default()
    }
}

/// An override with the fields that older clients read.
#[allow(deprecated, reason = "they are the deprecated ones")]
fn for_older_clients(kept: VersioningOverride) -> VersioningOverride {
    let (behavior, pinned_version) = match &kept.r#override {
        Some(Override::Pinned(pinned)) => {
            let version = pinned.version.as_ref().map(Version::new);
            (Behavior::Pinned, version.map(|version| version.dotted()))
        }
        Some(Override::AutoUpgrade(_)) => (Behavior::AutoUpgrade, None),
        Some(Override::OneTime(_)) | None => (Behavior::Unspecified, None),
    };
    VersioningOverride {
        behavior: behavior as i32,
        pinned_version: pinned_version.unwrap_or_default(),
        ..kept
    }
}

/// A search attribute's value of a type.
pub(super) fn payload(kind: &str, value: &Json) -> Payload {
    Payload {
        metadata: [
            ("encoding".to_owned(), b"json/plain".to_vec()),
            ("type".to_owned(), kind.as_bytes().to_vec()),
        ]
        .into(),
        data: value.to_string().into_bytes(),
        ..Default::default()
    }
}

impl Run {
    /// A worker of this version (none: one without a version) takes its next task by the routing of this revision.
    /// Answers whether the run is on its way to another version than it was with.
    pub fn go_with(&mut self, version: Option<Version>, revision: i64) -> bool {
        if self.state.pinned_to().is_some() || self.state.version() == version {
            return false;
        }
        let known = self.state.versioning.get_or_insert_default();
        known.revision = revision;
        let from = known.version.as_ref().filter(|_| !known.is_unversioned);
        let is_back = from == version.as_ref();
        known.transition = (!is_back).then_some(Transition { to: version });
        // The worker that has the run in its cache has another version.
        self.leave_its_worker();
        if is_back {
            self.offer_waiting_activities();
        }
        true
    }

    /// The same because an activity of the run would go there: its workflow goes first.
    pub fn go_with_before_activities(&mut self, now: Nanos, version: Option<Version>, revision: i64) {
        if self.go_with(version, revision) {
            self.state.transition_count += 1;
            self.schedule_workflow_task(now);
        }
    }

    /// Whether activities wait until a worker of another version has completed a workflow task.
    pub fn is_in_transition(&self) -> bool {
        self.state
            .versioning
            .as_ref()
            .is_some_and(|known| known.transition.is_some())
    }

    /// Offers the activities that waited for the end of a transition.
    pub(super) fn offer_waiting_activities(&mut self) {
        let waiting: Vec<i64> = self
            .state
            .activities
            .iter()
            .filter(|activity| {
                activity.started.is_none() && !activity.backing_off && activity.pause.is_none()
            })
            .map(|activity| activity.scheduled_event_id)
            .collect();
        for id in waiting {
            self.offer_activity(id);
        }
    }

    /// What a run has of this one that this one starts: `belongs` says which versions have workers for its queue.
    pub fn passes_on(&self, new: &NewRun, belongs: impl Fn(&Version) -> bool) -> Inherited {
        let state = &self.state;
        let mut inherited = Inherited::default();
        if let Some(given) = state.versioning_override()
            && matches!(given.r#override, Some(Override::Pinned(_)))
            && pinned_by(given).is_some_and(|version| belongs(&version))
        {
            inherited.versioning_override = Some(given.clone());
        }
        let Some(known) = &state.versioning else {
            return inherited;
        };
        let initiator = new.continued.as_ref().map(|continued| continued.initiator);
        if matches!(
            initiator,
            Some(ContinueAsNewInitiator::Retry | ContinueAsNewInitiator::CronSchedule)
        ) {
            // It begins as this run began.
            if let Ok(started) = self.started_attributes() {
                let version = started.inherited_pinned_version.as_ref().map(Version::new);
                inherited.pinned = version.filter(|version| belongs(version));
                inherited
                    .auto_upgrade
                    .clone_from(&started.inherited_auto_upgrade_info);
            }
            return inherited;
        }
        let Some(version) = known.version.clone().filter(|version| belongs(version)) else {
            return inherited;
        };
        let upgrades = [
            ContinueAsNewVersioningBehavior::AutoUpgrade as i32,
            ContinueAsNewVersioningBehavior::UseRampingVersion as i32,
        ]
        .contains(&new.first_behavior);
        match known.known_behavior() {
            Behavior::Pinned if !upgrades => inherited.pinned = Some(version),
            Behavior::Pinned | Behavior::AutoUpgrade if known.revision > 0 => {
                inherited.auto_upgrade = Some(InheritedAutoUpgradeInfo {
                    source_deployment_version: Some(version.message()),
                    source_deployment_revision_number: known.revision,
                    continue_as_new_initial_versioning_behavior: new.first_behavior,
                });
            }
            _ => {}
        }
        inherited
    }
}
