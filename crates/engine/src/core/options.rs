//! Options of a running execution that clients change: its priority, and which version its tasks go to.

use temporalio_protos::temporal::api::{
    common::v1::Priority,
    history::v1::{WorkflowExecutionOptionsUpdatedEventAttributes, history_event::Attributes},
    workflow::v1::{
        PostResetOperation, VersioningOverride, WorkflowExecutionOptions, post_reset_operation::Variant,
    },
};

use super::{run::Run, state::ChangedOptions, versioning::checked_override};
use crate::{clock::Nanos, rpc::RpcError};

/// Bytes of a fairness key, as on the real server.
const LONGEST_FAIRNESS_KEY: usize = 64;

/// The options that a change may name, as a field mask names them.
#[derive(Clone, Debug, Default)]
pub struct OptionsChange {
    pub priority_key: Option<i32>,
    pub fairness_key: Option<String>,
    pub fairness_weight: Option<f32>,
    /// All of the priority; none in it: what the start said no longer holds.
    pub priority: Option<Option<Priority>>,
    /// The override; none in it: there is none any more.
    pub versioning_override: Option<Option<VersioningOverride>>,
    pub identity: String,
}

/// Where a task stands among those that wait: by its priority key (0: none is given), and by its fairness key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rank {
    pub priority: i32,
    pub fairness_key: String,
    pub fairness_weight: f32,
}

impl Rank {
    pub(super) fn new(priority: Priority) -> Self {
        Self {
            priority: priority.priority_key,
            fairness_key: priority.fairness_key,
            fairness_weight: priority.fairness_weight,
        }
    }
}

/// Checks a priority.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_priority(given: Option<&Priority>) -> Result<(), RpcError> {
    let Some(given) = given else { return Ok(()) };
    let wrong = if given.priority_key < 0 {
        "priority key can't be negative"
    } else if given.fairness_key.len() > LONGEST_FAIRNESS_KEY {
        "fairness key length exceeds limit"
    } else if given.fairness_weight < 0.0 {
        "must be greater than zero"
    } else {
        return Ok(());
    };
    Err(RpcError::InvalidArgument(wrong.into()))
}

impl OptionsChange {
    /// From the fields that every request for it has.
    ///
    /// # Errors
    /// When a path names no option, or one that this engine does not have.
    pub(crate) fn new(
        paths: &[String],
        options: WorkflowExecutionOptions,
        identity: String,
    ) -> Result<Self, RpcError> {
        let mut change = Self {
            identity,
            ..Default::default()
        };
        check_priority(options.priority.as_ref())?;
        let priority = options.priority.clone().unwrap_or_default();
        for path in paths {
            match path.as_str() {
                "priority" => change.priority = Some(options.priority.clone()),
                "priority.priority_key" => change.priority_key = Some(priority.priority_key),
                "priority.fairness_key" => change.fairness_key = Some(priority.fairness_key.clone()),
                "priority.fairness_weight" => change.fairness_weight = Some(priority.fairness_weight),
                "versioning_override" => {
                    let given = options.versioning_override.clone();
                    let given = given.map(checked_override).transpose()?;
                    change.versioning_override = Some(given);
                }
                unknown => {
                    return Err(RpcError::InvalidArgument(format!(
                        "error parsing UpdateMask: proto: invalid path {unknown:?} for message \"temporal.api.workflow.v1.WorkflowExecutionOptions\""
                    )));
                }
            }
        }
        Ok(change)
    }
}

/// What is done to the new run before it goes on: its options can be changed. A signal is refused, as by the real server.
pub(crate) fn changes_after_reset(
    operations: Vec<PostResetOperation>,
) -> Result<Vec<OptionsChange>, RpcError> {
    let unsupported = |what: &str| {
        Err(RpcError::InvalidArgument(format!(
            "unsupported post reset operation: {what}"
        )))
    };
    operations
        .into_iter()
        .map(|operation| match operation.variant {
            Some(Variant::UpdateWorkflowOptions(update)) => OptionsChange::new(
                &update.update_mask.unwrap_or_default().paths,
                update.workflow_execution_options.unwrap_or_default(),
                String::new(),
            ),
            Some(Variant::SignalWorkflow(_)) => unsupported("*workflow.PostResetOperation_SignalWorkflow_"),
            None => unsupported("<nil>"),
        })
        .collect()
}

impl Run {
    /// The priority as it was given with the start, or as it was changed since.
    pub(super) fn priority(&self) -> Option<&Priority> {
        match &self.state.options {
            Some(changed) => changed.priority.as_ref(),
            None => self.started_attributes().ok()?.priority.as_ref(),
        }
    }

    /// The options as they are now: what the start said, and what was changed since.
    pub fn options(&self) -> ChangedOptions {
        match &self.state.options {
            Some(changed) => changed.clone(),
            None => ChangedOptions {
                priority: self
                    .priority()
                    .cloned()
                    .filter(|priority| *priority != Priority::default()),
                versioning_override: None,
            },
        }
    }

    /// Changes options, and answers all of them. A change that changes nothing leaves no event.
    ///
    /// # Errors
    /// When the run is closed.
    pub fn change_options(&mut self, now: Nanos, change: OptionsChange) -> Result<ChangedOptions, RpcError> {
        self.check_running()?;
        let before = self.options();
        let mut after = before.clone();
        if let Some(priority) = change.priority {
            after.priority = priority;
        }
        let priority = after.priority.get_or_insert_default();
        if let Some(key) = change.priority_key {
            priority.priority_key = key;
        }
        if let Some(key) = change.fairness_key {
            priority.fairness_key = key;
        }
        if let Some(weight) = change.fairness_weight {
            priority.fairness_weight = weight;
        }
        if *priority == Priority::default() {
            after.priority = None;
        }
        if let Some(versioning_override) = change.versioning_override {
            after.versioning_override = versioning_override;
        }
        if after == before {
            return Ok(after);
        }
        let attributes_before = self.state.versioning_attributes();
        self.state.options = Some(after.clone());
        if after.versioning_override != before.versioning_override {
            self.effects.attributes_changed |= self.state.versioning_attributes() != attributes_before;
            // The next task goes to whom the new version says.
            self.sticky = None;
            if self.started_task.is_none() {
                self.offer_workflow_task();
            }
            self.offer_waiting_activities();
        }
        self.append_external(
            now,
            Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(
                WorkflowExecutionOptionsUpdatedEventAttributes {
                    versioning_override: after.versioning_override.clone(),
                    unset_versioning_override: after.versioning_override.is_none(),
                    identity: change.identity,
                    priority: after.priority.clone(),
                    ..Default::default()
                },
            ),
        );
        self.state.transition_count += 1;
        Ok(after)
    }
}
