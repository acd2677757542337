//! The search attributes that the engine itself gives a run, beside those of clients: the versions of its workers, what of it
//! is paused, what is wrong with its workflow tasks, how much it keeps outside the history.

use serde_json::json;
use temporalio_protos::temporal::api::{
    common::v1::{Payload, SearchAttributes},
    enums::v1::{TimeoutType, WorkflowTaskFailedCause},
};

use super::{retry::timeout_name, run::Run, state::RunState, versioning::payload};

/// How many attempts of a workflow task must have failed in a row until lists say so, as the real server's default.
const REPORTED_FROM_ATTEMPT: i32 = 5;

/// Why an attempt of a workflow task did not go well.
#[derive(Clone, Copy, Debug)]
pub(super) enum TaskProblem {
    Failed(WorkflowTaskFailedCause),
    TimedOut(TimeoutType),
}

impl RunState {
    /// The search attributes of clients and the engine's own, as a run is described with.
    pub fn all_search_attributes(&self) -> Option<SearchAttributes> {
        self.with_own(self.own_attributes())
    }

    /// The same as lists have them: of closed runs they know too what is kept outside the history.
    pub fn listed_search_attributes(&self) -> Option<SearchAttributes> {
        let mut own = self.own_attributes();
        if self.close_time != 0 && self.external_payload_count > 0 {
            for (name, value) in [
                ("TemporalExternalPayloadCount", self.external_payload_count),
                ("TemporalExternalPayloadSizeBytes", self.external_payload_size),
            ] {
                own.push((name, payload("Int", &json!(value))));
            }
        }
        self.with_own(own)
    }

    fn with_own(&self, own: Vec<(&'static str, Payload)>) -> Option<SearchAttributes> {
        if own.is_empty() {
            return self.search_attributes.clone();
        }
        let mut all = self.search_attributes.clone().unwrap_or_default();
        all.indexed_fields
            .extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Some(all)
    }

    /// Whether there are any that clients did not give, so that most runs need not be asked for them.
    pub(crate) fn has_own_attributes(&self) -> bool {
        self.is_versioned()
            || self.unversioned.is_some()
            || !self.task_problem.is_empty()
            || self.listed_differently_once_closed()
    }

    /// Whether the run's close changes what lists say of it besides.
    pub(super) fn listed_differently_once_closed(&self) -> bool {
        self.external_payload_count > 0 || !self.paused_types().is_empty()
    }

    fn own_attributes(&self) -> Vec<(&'static str, Payload)> {
        let mut own = self.versioning_attributes();
        let paused = self.paused_types();
        if !paused.is_empty() {
            let paused: Vec<String> = paused
                .into_iter()
                .map(|name| format!("property:activityType={name}"))
                .collect();
            own.push(("TemporalPauseInfo", payload("KeywordList", &json!(paused))));
        }
        if !self.task_problem.is_empty() {
            let problem = payload("KeywordList", &json!(self.task_problem));
            own.push(("TemporalReportedProblems", problem));
        }
        own
    }

    /// The types of a workflow's paused activities, each once.
    fn paused_types(&self) -> Vec<&str> {
        if self.standalone.is_some() {
            return Vec::new();
        }
        let paused = self.activities.iter().filter(|activity| activity.pause.is_some());
        let mut types: Vec<&str> = paused.map(|activity| activity.activity_type.as_str()).collect();
        types.sort_unstable();
        types.dedup();
        types
    }
}

impl TaskProblem {
    /// As the real server words it.
    fn reported(self) -> Vec<String> {
        let (category, cause) = match self {
            Self::Failed(cause) => {
                let cause = camel_case(cause.as_str_name(), "WORKFLOW_TASK_FAILED_CAUSE_");
                ("WorkflowTaskFailed", cause)
            }
            Self::TimedOut(timeout) => ("WorkflowTaskTimedOut", timeout_name(timeout).to_owned()),
        };
        vec![
            format!("category={category}"),
            format!("cause={category}Cause{cause}"),
        ]
    }
}

/// `PREFIX_NON_DETERMINISTIC_ERROR` as `NonDeterministicError`.
fn camel_case(name: &str, prefix: &str) -> String {
    let words = name.strip_prefix(prefix).unwrap_or(name).split('_');
    let capitalized = words.map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_ascii_lowercase())
    });
    capitalized.collect()
}

impl Run {
    /// An attempt of a workflow task has not gone well: from the fifth in a row lists tell the first such problem.
    pub(super) fn note_task_problem(&mut self, attempt: i32, problem: TaskProblem) {
        if attempt >= REPORTED_FROM_ATTEMPT && self.state.task_problem.is_empty() {
            self.state.task_problem = problem.reported();
            self.effects.attributes_changed = true;
        }
    }

    /// A workflow task has gone well.
    pub(super) fn forget_task_problem(&mut self) {
        if !self.state.task_problem.is_empty() {
            self.state.task_problem.clear();
            self.effects.attributes_changed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_reported_with_its_category_and_cause() {
        assert_eq!(
            TaskProblem::Failed(WorkflowTaskFailedCause::NonDeterministicError).reported(),
            [
                "category=WorkflowTaskFailed",
                "cause=WorkflowTaskFailedCauseNonDeterministicError"
            ]
        );
        assert_eq!(
            TaskProblem::TimedOut(TimeoutType::StartToClose).reported(),
            [
                "category=WorkflowTaskTimedOut",
                "cause=WorkflowTaskTimedOutCauseStartToClose"
            ]
        );
    }
}
