//! An attempt of an action: what it tells of its steps, and how its failures are put. Of an event's data nothing is told.

use std::time::{Duration, SystemTime};

use segno_event::Event;
use segno_routing::PlannedAction;
use segno_sinks::{Delivered, Failure, Trace};
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};
use tokio::time::Instant;

use super::{activities::route_of, story::FailedAttempt};
use crate::telemetry::{
    self, ActionBegun, ActionDone, ActionFailed, ActionRef, ActionTransformed, Attempted, PayloadDelivered,
    TraceContext, Traced,
};

/// One attempt of an action.
pub(super) struct Step {
    told: ActionRef,
    /// What whoever takes its payloads is told of the trace.
    trace: Option<(String, Option<String>)>,
    /// How long its execution had gone on by then, by the engine's clock.
    age: Option<Duration>,
    /// Which attempt it is, from 1.
    pub(super) attempt: u32,
}

impl Step {
    /// `since`: when the execution began, in milliseconds since 1970.
    pub(super) fn begin(
        ctx: &ActivityContext,
        execution: &WorkflowExecution,
        action: &PlannedAction,
        event: &Event,
        since: Option<u64>,
    ) -> Self {
        let attempt = attempt(ctx);
        let started = ctx.info().started_time;
        let age = started
            .map(millis)
            .zip(since)
            .map(|(started, since)| started.saturating_sub(since));
        let traced = Traced::new(event, &execution.workflow_id, &execution.run_id);
        let step = Self {
            trace: passed_on(event, &traced, &action.name, attempt),
            told: ActionRef {
                execution: execution.workflow_id.clone(),
                route: route_of(&execution.workflow_id).to_owned(),
                event: event.id.clone(),
                trace: traced.trace_id(),
                traced,
                started,
                began: Instant::now(),
                action: action.name.clone(),
                sink: action.to.clone(),
                attempt,
            },
            age: age.map(Duration::from_millis),
            attempt,
        };
        telemetry::emit(ActionBegun {
            action: &step.told,
            category: action.category.as_deref(),
            entity: action.entity.as_deref(),
        });
        step
    }

    /// What goes along with its payloads, where the sink has a place for it.
    pub(super) fn trace(&self) -> Option<Trace<'_>> {
        let (parent, state) = self.trace.as_ref()?;
        Some(Trace {
            parent,
            state: state.as_deref(),
        })
    }

    pub(super) fn skipped(&self, reason: &str) {
        telemetry::emit(ActionDone {
            action: &self.told,
            how: Err(reason),
        });
    }

    pub(super) fn transformed(&self, payloads: u64) {
        telemetry::emit(ActionTransformed {
            action: &self.told,
            payloads,
        });
    }

    /// The sink has answered about a payload that it was given at `given`.
    pub(super) fn answered(&self, payload: usize, given: Instant, answer: &Result<Delivered, Failure>) {
        let (outcome, status) = match answer {
            Ok(delivered) => (Attempted::Ok, delivered.status),
            Err(failure) => (
                Attempted::failed(matches!(failure, Failure::Permanent { .. })),
                failure.status(),
            ),
        };
        telemetry::emit(PayloadDelivered {
            action: &self.told,
            payload,
            outcome,
            status,
            took: given.elapsed(),
            since_accepted: self.age.map(|age| age + self.told.began.elapsed()),
        });
    }

    pub(super) fn done(&self, payloads: u64) {
        telemetry::emit(ActionDone {
            action: &self.told,
            how: Ok(payloads),
        });
    }

    /// A failure that another attempt may overcome.
    pub(super) fn retryable(&self, why: String) -> ActivityError {
        self.failed(why, None, false, None)
    }

    /// A failure of this kind that stays. Why is for those who may see the event: it may quote from it, so the log and the
    /// trace are told `what` alone.
    pub(super) fn permanent(&self, kind: &str, what: &str, why: &str) -> ActivityError {
        self.failed_as(what, format!("{what}: {why}"), Some(kind), true, None)
    }

    /// A sink's failure as the engine understands it. The log and the trace are told it in these words.
    pub(super) fn undelivered(&self, failure: &Failure, told: &str) -> ActivityError {
        let (stays, retry_after) = match failure {
            Failure::Retryable { retry_after, .. } => (false, *retry_after),
            Failure::Permanent { .. } => (true, None),
        };
        self.failed_as(told, failure.to_string(), Some("Delivery"), stays, retry_after)
    }

    fn failed(
        &self,
        reason: String,
        kind: Option<&str>,
        stays: bool,
        retry_after: Option<Duration>,
    ) -> ActivityError {
        let told = reason.clone();
        self.failed_as(&told, reason, kind, stays, retry_after)
    }

    fn failed_as(
        &self,
        told: &str,
        reason: String,
        kind: Option<&str>,
        stays: bool,
        retry_after: Option<Duration>,
    ) -> ActivityError {
        telemetry::emit(ActionFailed {
            action: &self.told,
            reason: told,
            stays,
        });
        ActivityError::application(
            ApplicationFailure::builder(reason)
                .maybe_type_name(kind.map(str::to_owned))
                .non_retryable(stays)
                .maybe_next_retry_delay(retry_after)
                .details(FailedAttempt {
                    attempt: self.attempt,
                })
                .build(),
        )
    }
}

/// With spans of ours, the attempt's; without, the event's own trace as it came.
fn passed_on(event: &Event, traced: &Traced, action: &str, attempt: u32) -> Option<(String, Option<String>)> {
    let own = TraceContext::of(event);
    let context = if telemetry::are_exported() && own.sampled {
        traced.attempt(action, attempt)
    } else {
        own.parent.is_some().then_some(own)?
    };
    Some((context.to_string(), context.state))
}

/// Which attempt of an activity this is, from 1.
pub(super) fn attempt(ctx: &ActivityContext) -> u32 {
    ctx.info().attempt
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
