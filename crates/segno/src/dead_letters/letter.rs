//! One dead letter.

use segno_routing::{After, FailedAction};
use serde::{Deserialize, Serialize};
use temporalio_common::search_attributes::SearchAttributeKey;
use utoipa::ToSchema;

use crate::{
    run::{Recorded, Summary, format},
    search_attributes::{EVENT_ID, EVENT_SOURCE, EVENT_SUBJECT, EVENT_TYPE, ROUTE},
};

/// A dead letter: the latest run of an event's execution has failed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct Letter {
    /// Its id: that of the execution.
    pub(crate) id: String,
    /// Id of the run that failed.
    pub(crate) run_id: String,
    /// Name of the route.
    pub(crate) route: String,
    /// The event, without its data.
    pub(crate) event: LetterEvent,
    /// What failed: actions, or a consumer or workflow.
    pub(crate) failed: Vec<Failed>,
    /// The actions that are done; a retry leaves them out.
    pub(crate) done: Vec<String>,
    /// How many runs of the execution have failed.
    pub(crate) failures: u32,
    /// Why it failed, in one text.
    pub(crate) error: String,
    /// When the event was taken in, or the last retry began (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<String>,
    /// When it failed (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed_at: Option<String>,
}

/// What identifies an event.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetterEvent)]
pub(crate) struct LetterEvent {
    pub(crate) id: String,
    pub(crate) source: String,
    #[serde(rename = "type")]
    pub(crate) ty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// When it happened (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<String>,
}

/// Something that failed for good.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetterFailure)]
pub(crate) struct Failed {
    /// Name of the action, or of the consumer or workflow.
    pub(crate) action: String,
    /// How many attempts there were; 0 where it is not known.
    pub(crate) attempts: u32,
    /// The last error.
    pub(crate) error: String,
}

impl Letter {
    /// The dead letter that a failed run is.
    pub(crate) fn of(run: &Recorded) -> Self {
        let event = &run.plan.event;
        Self {
            id: run.summary.workflow_id.clone(),
            run_id: run.summary.run_id.clone(),
            route: run.plan.route.clone(),
            event: LetterEvent {
                id: event.id.clone(),
                source: event.source.clone(),
                ty: event.ty.clone(),
                subject: event.subject.clone(),
                time: event.time.map(format),
            },
            failed: run.failed().into_iter().map(Failed::from).collect(),
            done: run.done(),
            failures: run.failures(),
            error: run
                .failure
                .as_ref()
                .map(|failure| failure.message.clone())
                .unwrap_or_default(),
            started_at: run.summary.started.map(format),
            failed_at: run.failed_at().map(format),
        }
    }
}

impl Letter {
    /// One that cannot be decrypted: what is known of it without.
    pub(crate) fn encrypted(run: &Summary, reason: &str) -> Self {
        let known = |key: &SearchAttributeKey<String>| run.attributes.get(key);
        Self {
            id: run.workflow_id.clone(),
            run_id: run.run_id.clone(),
            route: known(&ROUTE).unwrap_or_default(),
            event: LetterEvent {
                id: known(&EVENT_ID).unwrap_or_default(),
                source: known(&EVENT_SOURCE).unwrap_or_default(),
                ty: known(&EVENT_TYPE).unwrap_or_default(),
                subject: known(&EVENT_SUBJECT),
                time: None,
            },
            failed: Vec::new(),
            done: Vec::new(),
            failures: run.after.as_ref().map_or(1, |after| after.failures + 1),
            error: reason.to_owned(),
            started_at: run.started.map(format),
            failed_at: run.closed.map(format),
        }
    }
}

impl From<FailedAction> for Failed {
    fn from(failed: FailedAction) -> Self {
        Self {
            action: failed.action,
            attempts: failed.attempts,
            error: failed.cause,
        }
    }
}

/// What was decided about a dead letter, as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetterDecision)]
pub(crate) struct Decision {
    /// `retry`, `skip`, `resolve`; or `keep`, where nothing was decided and it was only kept on.
    pub(crate) decision: String,
    /// Id of the run that had failed.
    pub(crate) of: String,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// The bulk operation that it was part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bulk: Option<String>,
}

impl From<&After> for Decision {
    fn from(after: &After) -> Self {
        use segno_routing::Decision;
        let decision = match after.decision {
            Decision::Retry => "retry",
            Decision::Skip => "skip",
            Decision::Resolve => "resolve",
            Decision::Keep { .. } => "keep",
        };
        Self {
            decision: decision.to_owned(),
            of: after.run_id.clone(),
            by: after.by.clone(),
            note: after.note.clone(),
            bulk: after.bulk.clone(),
        }
    }
}
