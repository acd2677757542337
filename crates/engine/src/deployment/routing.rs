//! Which version the tasks of a queue go to.

use super::record::DeploymentRecord;
use crate::{clock::Nanos, core::Version};

/// Where the tasks of one queue go that are not pinned to a version. None as a version: to workers without one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Routing {
    pub(crate) current: Option<Version>,
    /// Number of the configuration that says so.
    pub(crate) revision: i64,
    pub(crate) current_changed_at: Nanos,
    /// A version that gets so many percent.
    pub(crate) ramping: Option<(Option<Version>, f32)>,
    pub(crate) ramping_revision: i64,
    pub(crate) ramping_changed_at: Nanos,
}

impl Routing {
    /// The version for a workflow id, and the revision that says so. An id is always on the same side of a ramp.
    pub(crate) fn target(&self, workflow_id: &str) -> (Option<Version>, i64) {
        match &self.ramping {
            Some((version, percentage)) if share_of(workflow_id) < *percentage => {
                (version.clone(), self.ramping_revision)
            }
            _ => (self.current.clone(), self.revision),
        }
    }

    /// The ramping version whatever the workflow id is, or the current one where there is none.
    pub(crate) fn ramping_target(&self) -> (Option<Version>, i64) {
        match &self.ramping {
            Some((version, _)) => (version.clone(), self.ramping_revision),
            None => (self.current.clone(), self.revision),
        }
    }
}

/// The routing of a queue by the deployments whose workers have polled it. Of several deployments the one counts
/// that was changed last; a version counts only where its workers poll the queue.
pub(crate) fn route<'a>(
    deployments: impl Iterator<Item = &'a DeploymentRecord>,
    kind: i32,
    queue: &str,
) -> Routing {
    let mut routing = Routing::default();
    for deployment in deployments {
        let serves = |build_id: &str| {
            let version = deployment.version(build_id);
            version.is_some_and(|version| version.has_queue(kind, queue))
        };
        let is_newer = deployment.current_changed_at > routing.current_changed_at;
        if is_newer && (deployment.current.is_empty() || serves(&deployment.current)) {
            routing.current = deployment.named(&deployment.current);
            routing.current_changed_at = deployment.current_changed_at;
            routing.revision = deployment.revision;
        }
        if let Some(ramping) = &deployment.ramping
            && deployment.ramping_changed_at > routing.ramping_changed_at
            && (serves(&ramping.build_id) || ramping.build_id.is_empty() && serves(&deployment.current))
        {
            let version = deployment.named(&ramping.build_id);
            routing.ramping = Some((version, ramping.percentage));
            routing.ramping_changed_at = deployment.percentage_changed_at;
            routing.ramping_revision = deployment.revision;
        }
    }
    routing
}

/// Where an id stands between 0 and 100: always the same, and evenly spread (FNV-1a, its bits mixed once more).
fn share_of(workflow_id: &str) -> f32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in workflow_id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let of_ten_thousand = (hash >> 32) % 10_000;
    of_ten_thousand as f32 / 100.0
}
