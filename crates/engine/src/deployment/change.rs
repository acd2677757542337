//! What polls and people change of a deployment.

use std::collections::HashMap;

use temporalio_protos::temporal::api::{common::v1::Payload, deployment::v1::VersionMetadata};

use super::record::{DeploymentRecord, Drainage, Ramping, VersionQueue, VersionRecord};
use crate::{
    clock::Nanos,
    core::{UNVERSIONED, Version},
    rpc::RpcError,
};

/// Versions that a deployment has at most, as on the real server; the oldest one that nobody needs makes room.
const MOST_VERSIONS: usize = 100;

/// A version that is to become current or ramping; empty: workers without a version.
#[derive(Clone, Debug, Default)]
pub(crate) struct SetRoute {
    pub(crate) build_id: String,
    pub(crate) identity: String,
    pub(crate) conflict_token: Vec<u8>,
    /// Although it lacks task queues of the current version that still have tasks.
    pub(crate) ignore_missing_task_queues: bool,
    /// Although no worker of it has ever polled: it is created.
    pub(crate) allow_no_pollers: bool,
}

/// Whether a version still has open runs, as somebody has looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    pub(crate) has_open_runs: bool,
}

fn refused(message: impl Into<String>) -> RpcError {
    RpcError::FailedPrecondition(message.into())
}

impl DeploymentRecord {
    /// A deployment without versions. `request_id`: of the client that creates it; empty: a worker polls.
    pub(crate) fn new(name: &str, request_id: String, now: Nanos) -> Self {
        Self {
            name: name.to_owned(),
            created_at: now,
            changed_at: now,
            request_id,
            ..Default::default()
        }
    }

    /// Takes note of a poll by a worker of this version. Answers whether that is news.
    ///
    /// # Errors
    /// When there are too many versions.
    pub(crate) fn note_poll(
        &mut self,
        build_id: &str,
        queue: VersionQueue,
        now: Nanos,
    ) -> Result<bool, RpcError> {
        if let Some(version) = self.version(build_id)
            && version.has_queue(queue.kind, &queue.name)
        {
            return Ok(false);
        }
        self.version_or_new(build_id, String::new(), now)?
            .queues
            .push(queue);
        Ok(true)
    }

    /// Adds a version that no worker has polled for yet. The same request again adds nothing.
    ///
    /// # Errors
    /// When there is one of this build id, or too many.
    pub(crate) fn create_version(
        &mut self,
        build_id: &str,
        identity: String,
        request_id: String,
        now: Nanos,
    ) -> Result<(), RpcError> {
        if let Some(version) = self.version(build_id) {
            if version.request_id == request_id {
                return Ok(());
            }
            return Err(RpcError::AlreadyExists(format!(
                "Worker Deployment Version \"{}.{build_id}\" already exists",
                self.name
            )));
        }
        self.version_or_new(build_id, request_id, now)?.last_modifier = identity;
        Ok(())
    }

    fn version_or_new(
        &mut self,
        build_id: &str,
        request_id: String,
        now: Nanos,
    ) -> Result<&mut VersionRecord, RpcError> {
        let known = self
            .versions
            .iter()
            .position(|version| version.build_id == build_id);
        let index = match known {
            Some(index) => index,
            None => {
                self.make_room()?;
                self.versions.push(VersionRecord {
                    build_id: build_id.to_owned(),
                    created_at: now,
                    request_id,
                    ..Default::default()
                });
                self.versions.len() - 1
            }
        };
        Ok(&mut self.versions[index])
    }

    fn make_room(&mut self) -> Result<(), RpcError> {
        if self.versions.len() < MOST_VERSIONS {
            return Ok(());
        }
        let is_needed = |version: &VersionRecord| {
            let is_draining = version
                .drainage
                .as_ref()
                .is_some_and(|drainage| !drainage.is_drained);
            self.is_active(&version.build_id) || is_draining
        };
        let oldest = self.versions.iter().position(|version| !is_needed(version));
        let oldest = oldest.ok_or_else(|| {
            RpcError::ResourceExhausted(format!(
                "cannot add version, maximum number of versions ({MOST_VERSIONS}) has been reached in the deployment"
            ))
        })?;
        self.versions.remove(oldest);
        Ok(())
    }

    pub(crate) fn conflict_token(&self) -> Vec<u8> {
        self.changed_at.to_be_bytes().to_vec()
    }

    fn check_token(&self, token: &[u8]) -> Result<(), RpcError> {
        if token.is_empty() || token == self.conflict_token() {
            return Ok(());
        }
        Err(refused("conflict token mismatch"))
    }

    fn check_manager(&self, identity: &str) -> Result<(), RpcError> {
        if self.manager.is_empty() || self.manager == identity {
            return Ok(());
        }
        Err(refused(format!(
            "ManagerIdentity '{}' is set and does not match user identity '{identity}'; to proceed, set your own identity as the ManagerIdentity, remove the ManagerIdentity, or wait for the other client to do so",
            self.manager
        )))
    }

    /// What is checked before a version becomes current or ramping. `missing`: a task queue of the current version that
    /// this one lacks and that still has tasks.
    fn check_route(
        &mut self,
        set: &SetRoute,
        what: &str,
        missing: impl FnOnce(&Self, &str) -> bool,
        now: Nanos,
    ) -> Result<(), RpcError> {
        if set.build_id.is_empty() {
            return Ok(());
        }
        if self.version(&set.build_id).is_none() {
            if !set.allow_no_pollers {
                return Err(RpcError::NotFound(format!(
                    "build ID '{}' not found in Worker Deployment '{}'",
                    set.build_id, self.name
                )));
            }
            // A client has named it, so it counts as created by one.
            self.version_or_new(&set.build_id, set.identity.clone(), now)?;
        }
        if !set.ignore_missing_task_queues && missing(self, &set.build_id) {
            return Err(refused(format!(
                "proposed {what} version '{}:{}' is missing active task queues from the current version; these would become unversioned if it is set as the {what} version",
                self.name, set.build_id
            )));
        }
        Ok(())
    }

    /// Makes a version the current one, and answers the one before.
    ///
    /// # Errors
    /// When the request does not fit what is.
    pub(crate) fn set_current(
        &mut self,
        set: SetRoute,
        missing: impl FnOnce(&Self, &str) -> bool,
        now: Nanos,
    ) -> Result<Option<Version>, RpcError> {
        self.check_manager(&set.identity)?;
        self.check_token(&set.conflict_token)?;
        let before = self.named(&self.current);
        if self.current == set.build_id && self.current_changed_at != 0 {
            return Ok(before);
        }
        self.check_route(&set, "current", missing, now)?;
        if self
            .ramping
            .as_ref()
            .is_some_and(|ramp| ramp.build_id == set.build_id)
        {
            self.ramping = None;
            self.ramping_changed_at = now;
            self.percentage_changed_at = now;
        }
        let old = std::mem::replace(&mut self.current, set.build_id);
        self.current_changed_at = now;
        self.deactivate(&old, now);
        let current = self.current.clone();
        if let Some(version) = self.activate(&current, now) {
            version.current_since = now;
            version.last_current = now;
            version.ramping_since = 0;
        }
        self.note_change(set.identity, now);
        Ok(before)
    }

    /// Lets a version have part of the new work, and answers what had it before. No percent for no version ends it.
    ///
    /// # Errors
    /// When the request does not fit what is.
    pub(crate) fn set_ramping(
        &mut self,
        set: SetRoute,
        percentage: f32,
        missing: impl FnOnce(&Self, &str) -> bool,
        now: Nanos,
    ) -> Result<Option<(Option<Version>, f32)>, RpcError> {
        if !(0.0..=100.0).contains(&percentage) {
            return Err(RpcError::InvalidArgument(
                "Percentage must be between 0 and 100 (inclusive)".into(),
            ));
        }
        self.check_manager(&set.identity)?;
        self.check_token(&set.conflict_token)?;
        let old = self.ramping.clone();
        let before = old
            .as_ref()
            .map(|ramp| (self.named(&ramp.build_id), ramp.percentage));
        let new = (!set.build_id.is_empty() || percentage > 0.0).then(|| Ramping {
            build_id: set.build_id.clone(),
            percentage,
        });
        if new == old {
            return Ok(before);
        }
        if new.is_some() && self.current == set.build_id {
            let named = self.named(&set.build_id);
            return Err(refused(format!(
                "requested ramping version {} is already current",
                named
                    .as_ref()
                    .map_or_else(|| UNVERSIONED.to_owned(), Version::dotted)
            )));
        }
        let is_same = match (&old, &new) {
            (Some(old), Some(new)) => old.build_id == new.build_id,
            _ => false,
        };
        if !is_same {
            self.check_route(&set, "ramping", missing, now)?;
            self.ramping_changed_at = now;
        }
        self.ramping = new;
        self.percentage_changed_at = now;
        if let Some(old) = old.filter(|_| !is_same) {
            self.deactivate(&old.build_id, now);
        }
        if self.ramping.is_some()
            && let Some(version) = self.activate(&set.build_id, now)
            && version.ramping_since == 0
        {
            version.ramping_since = now;
        }
        self.note_change(set.identity, now);
        Ok(before)
    }

    fn activate(&mut self, build_id: &str, now: Nanos) -> Option<&mut VersionRecord> {
        let version = self.version_mut(build_id)?;
        version.routing_changed_at = now;
        if version.first_activation == 0 {
            version.first_activation = now;
        }
        version.last_deactivation = 0;
        version.drainage = None;
        Some(version)
    }

    fn deactivate(&mut self, build_id: &str, now: Nanos) {
        if self.is_active(build_id) {
            return;
        }
        if let Some(version) = self.version_mut(build_id) {
            version.routing_changed_at = now;
            version.current_since = 0;
            version.ramping_since = 0;
            version.last_deactivation = now;
            version.drainage = Some(Drainage {
                is_drained: false,
                changed_at: now,
                checked_at: now,
            });
        }
    }

    fn note_change(&mut self, identity: String, now: Nanos) {
        self.revision += 1;
        self.last_modifier = identity;
        self.changed_at = now.max(self.changed_at + 1);
    }

    /// Gives one client alone the right to change the routing (empty: all), and answers who had it.
    ///
    /// # Errors
    /// When the token is of an older state.
    pub(crate) fn set_manager(
        &mut self,
        manager: String,
        identity: String,
        conflict_token: &[u8],
        now: Nanos,
    ) -> Result<String, RpcError> {
        self.check_token(conflict_token)?;
        let before = std::mem::replace(&mut self.manager, manager);
        if before != self.manager {
            self.last_modifier = identity;
            self.changed_at = now.max(self.changed_at + 1);
        }
        Ok(before)
    }

    /// Changes what people keep of a version.
    ///
    /// # Errors
    /// When there is no such version.
    pub(crate) fn change_metadata(
        &mut self,
        build_id: &str,
        upsert: HashMap<String, Payload>,
        remove: &[String],
        identity: String,
    ) -> Result<VersionMetadata, RpcError> {
        let Some(version) = self.version_mut(build_id) else {
            return Err(RpcError::NotFound("Worker Deployment Version not found".into()));
        };
        let metadata = version.metadata.get_or_insert_default();
        metadata.entries.extend(upsert);
        metadata.entries.retain(|name, _| !remove.contains(name));
        version.last_modifier = identity;
        Ok(metadata.clone())
    }

    /// Removes a version that nothing needs any more; one that is not there is removed already.
    ///
    /// # Errors
    /// When something needs it.
    pub(crate) fn delete_version(
        &mut self,
        build_id: &str,
        skip_drainage: bool,
        has_pollers: bool,
        identity: String,
    ) -> Result<bool, RpcError> {
        let Some(version) = self.version(build_id) else {
            return Ok(false);
        };
        let why = if self.is_active(build_id) {
            Some("is current or ramping")
        } else if !skip_drainage
            && version
                .drainage
                .as_ref()
                .is_some_and(|drainage| !drainage.is_drained)
        {
            Some("is draining")
        } else if has_pollers {
            Some("has active pollers")
        } else {
            None
        };
        if let Some(why) = why {
            return Err(refused(format!(
                "version '{}:{build_id}' cannot be deleted since it {why}",
                self.name
            )));
        }
        self.versions.retain(|version| version.build_id != build_id);
        self.last_modifier = identity;
        Ok(true)
    }

    /// Takes note of whether a version that gets nothing new still has open runs pinned to it. Answers whether it is
    /// drained with that.
    pub(crate) fn note_drainage(&mut self, build_id: &str, found: Drained, now: Nanos) -> bool {
        let drainage = self
            .version_mut(build_id)
            .and_then(|version| version.drainage.as_mut());
        let Some(drainage) = drainage.filter(|drainage| !drainage.is_drained) else {
            return false;
        };
        drainage.checked_at = now;
        if !found.has_open_runs {
            drainage.is_drained = true;
            drainage.changed_at = now;
        }
        !found.has_open_runs
    }
}
