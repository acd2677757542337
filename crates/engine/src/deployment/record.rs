//! A worker deployment, as it is kept: on disk each struct is a protobuf message.

use temporalio_protos::temporal::api::{
    deployment::v1::VersionMetadata, enums::v1::WorkerDeploymentVersionStatus as Status,
};

use crate::{clock::Nanos, core::Version};

/// A worker deployment: the versions of one program's workers. Times are nanoseconds since 1970, 0 is "never".
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct DeploymentRecord {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "2")]
    pub created_at: Nanos,
    #[prost(message, repeated, tag = "3")]
    pub versions: Vec<VersionRecord>,
    /// Build id of the current version; empty: workers without a version.
    #[prost(string, tag = "4")]
    pub current: String,
    #[prost(int64, tag = "5")]
    pub current_changed_at: Nanos,
    /// The version that gets part of what is new.
    #[prost(message, optional, tag = "6")]
    pub ramping: Option<Ramping>,
    #[prost(int64, tag = "7")]
    pub ramping_changed_at: Nanos,
    #[prost(int64, tag = "8")]
    pub percentage_changed_at: Nanos,
    /// Counts the changes of the routing.
    #[prost(int64, tag = "9")]
    pub revision: i64,
    #[prost(string, tag = "10")]
    pub last_modifier: String,
    /// The only client that may change the routing; empty: all may.
    #[prost(string, tag = "11")]
    pub manager: String,
    /// The last change by a client: what conflict tokens are made of.
    #[prost(int64, tag = "12")]
    pub changed_at: Nanos,
    /// The request that created it; empty: a poll did.
    #[prost(string, tag = "13")]
    pub request_id: String,
}

/// What part of the new work goes to another version than the current one.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct Ramping {
    /// Empty: workers without a version.
    #[prost(string, tag = "1")]
    pub build_id: String,
    /// From 0 to 100.
    #[prost(float, tag = "2")]
    pub percentage: f32,
}

/// One version of a deployment.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct VersionRecord {
    #[prost(string, tag = "1")]
    pub build_id: String,
    #[prost(int64, tag = "2")]
    pub created_at: Nanos,
    #[prost(int64, tag = "3")]
    pub routing_changed_at: Nanos,
    #[prost(int64, tag = "4")]
    pub current_since: Nanos,
    #[prost(int64, tag = "5")]
    pub ramping_since: Nanos,
    #[prost(int64, tag = "6")]
    pub first_activation: Nanos,
    #[prost(int64, tag = "7")]
    pub last_current: Nanos,
    #[prost(int64, tag = "8")]
    pub last_deactivation: Nanos,
    /// Since it gets nothing new any more; none while it does, or never did.
    #[prost(message, optional, tag = "9")]
    pub drainage: Option<Drainage>,
    #[prost(message, optional, tag = "10")]
    pub metadata: Option<VersionMetadata>,
    #[prost(string, tag = "11")]
    pub last_modifier: String,
    /// The task queues that its workers have polled.
    #[prost(message, repeated, tag = "12")]
    pub queues: Vec<VersionQueue>,
    /// The request that created it; empty: a poll did.
    #[prost(string, tag = "13")]
    pub request_id: String,
}

/// Whether a version that gets nothing new still has open runs pinned to it.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct Drainage {
    #[prost(bool, tag = "1")]
    pub is_drained: bool,
    #[prost(int64, tag = "2")]
    pub changed_at: Nanos,
    #[prost(int64, tag = "3")]
    pub checked_at: Nanos,
}

/// A task queue that workers of a version have polled.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct VersionQueue {
    #[prost(string, tag = "1")]
    pub name: String,
    /// `TaskQueueType`.
    #[prost(int32, tag = "2")]
    pub kind: i32,
}

impl DeploymentRecord {
    pub(crate) fn version(&self, build_id: &str) -> Option<&VersionRecord> {
        self.versions.iter().find(|version| version.build_id == build_id)
    }

    pub(super) fn version_mut(&mut self, build_id: &str) -> Option<&mut VersionRecord> {
        self.versions
            .iter_mut()
            .find(|version| version.build_id == build_id)
    }

    /// The version of this build id; empty: none.
    pub(super) fn named(&self, build_id: &str) -> Option<Version> {
        (!build_id.is_empty()).then(|| Version {
            deployment: self.name.clone(),
            build_id: build_id.to_owned(),
        })
    }

    /// Whether new work goes to this version.
    pub(crate) fn is_active(&self, build_id: &str) -> bool {
        self.current == build_id
            || self
                .ramping
                .as_ref()
                .is_some_and(|ramp| ramp.build_id == build_id)
    }

    /// The versions of which it is not known that they have no open runs any more.
    pub(crate) fn draining(&self) -> Vec<Version> {
        let is_draining = |version: &&VersionRecord| {
            let drainage = version.drainage.as_ref();
            drainage.is_some_and(|drainage| !drainage.is_drained)
        };
        let draining = self.versions.iter().filter(is_draining);
        draining
            .filter_map(|version| self.named(&version.build_id))
            .collect()
    }

    pub(crate) fn status(&self, version: &VersionRecord) -> Status {
        if self.current == version.build_id {
            return Status::Current;
        }
        if self.is_active(&version.build_id) {
            return Status::Ramping;
        }
        match &version.drainage {
            Some(drainage) if drainage.is_drained => Status::Drained,
            Some(_) => Status::Draining,
            None if version.queues.is_empty() && !version.request_id.is_empty() => Status::Created,
            None => Status::Inactive,
        }
    }
}

impl VersionRecord {
    /// Whether its workers have polled this task queue.
    pub(crate) fn has_queue(&self, kind: i32, name: &str) -> bool {
        self.queues
            .iter()
            .any(|queue| queue.kind == kind && queue.name == name)
    }
}
