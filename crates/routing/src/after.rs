//! What a run of a plan follows, where it is not the first.

use serde::{Deserialize, Serialize};

/// What was decided about a dead letter, and so why the execution has another run: it travels in that run's plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct After {
    /// Id of the run that failed.
    pub run_id: String,
    /// What was decided.
    #[serde(flatten)]
    pub decision: Decision,
    /// Who decided, as they call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How many runs of the execution have failed by now.
    #[serde(default)]
    pub failures: u32,
    /// The names of the actions that earlier runs have done; they are not run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// Sets the idempotency keys of this run's deliveries apart from those of earlier runs. None: they are the same, so
    /// that a target which took a delivery although it failed takes it only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// The id of the bulk operation that it was part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<String>,
}

/// What is done with a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It is run again.
    Retry,
    /// It is given up: nothing more is run.
    Skip,
    /// It was dealt with elsewhere: nothing more is run.
    Resolve,
    /// Nothing was decided, and the engine would soon delete it: this run fails with the same causes in its place.
    Keep {
        /// What failed, and why.
        failed: Vec<FailedAction>,
        /// When it failed, RFC 3339.
        since: String,
    },
}

/// An action, or a consumer or workflow, that failed for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAction {
    /// Its name.
    pub action: String,
    /// Why it failed.
    pub cause: String,
    /// How many attempts there were; 0 where it is not known.
    #[serde(default)]
    pub attempts: u32,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_written_flat_and_short() {
        let after = After {
            run_id: "r1".into(),
            decision: Decision::Skip,
            by: Some("ada".into()),
            note: None,
            failures: 2,
            done: Vec::new(),
            edition: None,
            bulk: None,
        };
        let written = serde_json::to_value(&after).unwrap();
        assert_eq!(
            written,
            json!({"run_id": "r1", "decision": "skip", "by": "ada", "failures": 2})
        );
        assert_eq!(serde_json::from_value::<After>(written).unwrap(), after);
    }

    #[test]
    fn what_is_kept_on_carries_its_causes() {
        let text = json!({"run_id": "r1", "decision": "keep", "since": "2026-01-01T00:00:00Z",
                          "failed": [{"action": "tell", "cause": "410"}]});
        let after: After = serde_json::from_value(text).unwrap();
        let Decision::Keep { failed, .. } = after.decision else {
            panic!("{after:?}")
        };
        assert_eq!((failed[0].action.as_str(), failed[0].attempts), ("tell", 0));
    }
}
