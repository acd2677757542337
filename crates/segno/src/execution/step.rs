//! The steps of an action as they are logged, one structured line each, and how its failures are put. Of an event's data
//! nothing is logged.

use std::time::Duration;

use segno_routing::PlannedAction;
use segno_sinks::Failure;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};

use super::story::FailedAttempt;

/// One attempt of an action.
pub(super) struct Step {
    execution: String,
    action: String,
    sink: String,
    /// Which attempt it is, from 1.
    pub(super) attempt: u32,
}

impl Step {
    pub(super) fn begin(ctx: &ActivityContext, execution: &str, action: &PlannedAction) -> Self {
        let step = Self {
            execution: execution.to_owned(),
            action: action.name.clone(),
            sink: action.to.clone(),
            attempt: attempt(ctx),
        };
        tracing::info!(
            execution = step.execution,
            action = step.action,
            sink = step.sink,
            attempt = step.attempt,
            category = action.category,
            entity = action.entity,
            "action begins"
        );
        step
    }

    pub(super) fn skipped(&self, reason: &str) {
        let Self {
            execution, action, ..
        } = self;
        tracing::info!(execution, action, reason, "action skipped");
    }

    pub(super) fn transformed(&self, payloads: u64) {
        let Self {
            execution, action, ..
        } = self;
        tracing::info!(execution, action, payloads, "action transformed the event");
    }

    pub(super) fn delivered(&self, payload: usize, status: Option<u16>) {
        let Self {
            execution,
            action,
            sink,
            attempt,
        } = self;
        tracing::info!(
            execution,
            action,
            sink,
            attempt,
            payload,
            status,
            "action delivered a payload"
        );
    }

    pub(super) fn done(&self, payloads: u64) {
        let Self {
            execution,
            action,
            attempt,
            ..
        } = self;
        tracing::info!(execution, action, attempt, payloads, "action done");
    }

    /// A failure that another attempt may overcome.
    pub(super) fn retryable(&self, why: String) -> ActivityError {
        self.failed(why, None, false, None)
    }

    /// A failure of this kind that stays.
    pub(super) fn permanent(&self, kind: &str, why: String) -> ActivityError {
        self.failed(why, Some(kind), true, None)
    }

    /// A sink's failure as the engine understands it.
    pub(super) fn undelivered(&self, failure: &Failure) -> ActivityError {
        let (stays, retry_after) = match failure {
            Failure::Retryable { retry_after, .. } => (false, *retry_after),
            Failure::Permanent { .. } => (true, None),
        };
        self.failed(failure.to_string(), Some("Delivery"), stays, retry_after)
    }

    fn failed(
        &self,
        reason: String,
        kind: Option<&str>,
        stays: bool,
        retry_after: Option<Duration>,
    ) -> ActivityError {
        let Self {
            execution,
            action,
            sink,
            attempt,
        } = self;
        tracing::warn!(
            execution,
            action,
            sink,
            attempt,
            reason,
            stays,
            "action's attempt failed"
        );
        ActivityError::application(
            ApplicationFailure::builder(reason)
                .maybe_type_name(kind.map(str::to_owned))
                .non_retryable(stays)
                .maybe_next_retry_delay(retry_after)
                .details(FailedAttempt { attempt: *attempt })
                .build(),
        )
    }
}

/// Which attempt of an activity this is, from 1.
pub(super) fn attempt(ctx: &ActivityContext) -> u32 {
    ctx.info().attempt
}
