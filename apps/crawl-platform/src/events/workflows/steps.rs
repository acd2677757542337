//! The steps of an event's workflow.

use std::{cell::RefCell, time::Duration};

use segno::{Data, Event};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use temporalio_client::RetryPolicy;
use temporalio_common::{ActivityDefinition, data_converters::TemporalDeserializable};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, ApplicationFailure, LocalActivityOptions, WorkflowContext,
    WorkflowTermination,
};

use crate::events::{
    activities::{BusinessActivities, Terms},
    payloads::Payload,
    settings::Retry,
    thread::hex,
};

/// How long a worker may be silent while it carries out an activity.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long the terms, which are in the worker's memory, may take.
const TERMS: Duration = Duration::from_secs(10);
/// Longest text of one cause in a failure, in bytes.
const MAX_CAUSE: usize = 500;

/// The result of a workflow: what it has done, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// One line a step.
    pub done: Vec<String>,
}

/// The steps of one event's workflow, and on which terms they are carried out.
pub(crate) struct Steps<W> {
    ctx: WorkflowContext<W>,
    /// What the event is known by to the systems that it changes.
    event: String,
    terms: Terms,
    done: RefCell<Vec<String>>,
}

impl<W: 'static> Steps<W> {
    /// Asks for the terms. They are the first thing in the execution's history: what the settings say later changes nothing
    /// for it.
    pub(crate) async fn begin(ctx: &WorkflowContext<W>, event: &Event) -> Result<Self, WorkflowTermination> {
        let options = LocalActivityOptions::builder()
            .schedule_to_close_timeout(TERMS * 6)
            .start_to_close_timeout(TERMS)
            .summary("terms".to_owned())
            .build();
        let terms = ctx
            .execute_local_activity(BusinessActivities::terms, event.ty.clone(), options)
            .await
            .map_err(|error| failed("terms", &error))?;
        Ok(Self {
            ctx: ctx.clone(),
            event: format!("{}\n{}\n{}", event.ty, event.source, event.id),
            terms,
            done: RefCell::default(),
        })
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The key under which a step of this event changes something once, however often it is tried, in whichever run.
    pub(super) fn key(&self, step: &str) -> String {
        let digest = Sha256::digest(format!("{}\n{step}", self.event));
        format!("{step}-{}", hex(&digest[..16]))
    }

    /// Notes what was done.
    pub(super) fn note(&self, what: impl Into<String>) {
        self.done.borrow_mut().push(what.into());
    }

    /// Carries out a step; the event fails if it does for good.
    pub(super) async fn run<A>(&self, activity: A, input: A::Input) -> Result<A::Output, WorkflowTermination>
    where
        A: ActivityDefinition,
        A::Output: TemporalDeserializable,
    {
        let name = activity.name().to_owned();
        self.attempt(activity, input).await.map_err(|error| {
            if self.is_cancelled() {
                return WorkflowTermination::cancelled();
            }
            failed(&name, &error)
        })
    }

    /// Carries out a step whose failure does not keep the others from being carried out.
    pub(super) async fn attempt<A>(
        &self,
        activity: A,
        input: A::Input,
    ) -> Result<A::Output, ActivityExecutionError>
    where
        A: ActivityDefinition,
        A::Output: TemporalDeserializable,
    {
        let options = options(activity.name(), &self.terms.retry);
        self.ctx.execute_activity(activity, input, options).await
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.ctx.cancellation_token().is_cancelled()
    }

    /// What all steps did.
    pub(crate) fn outcome(self) -> Outcome {
        Outcome {
            done: self.done.into_inner(),
        }
    }
}

/// The event's data as its type has them. Intake has held them against the type's schema, but for events of a time when there
/// was another one.
pub(crate) fn payload<P: Payload>(event: &Event) -> Result<P, WorkflowTermination> {
    let data = match &event.data {
        Some(Data::Json(data)) => serde_json::from_value(data.clone()).map_err(|error| error.to_string()),
        _ => Err("there is no JSON in it".to_owned()),
    };
    data.map_err(|error| {
        let message = format!("the data of this {} cannot be read: {error}", P::TYPE);
        ApplicationFailure::non_retryable(message).into()
    })
}

fn options(name: &str, retry: &Retry) -> ActivityOptions {
    let policy = RetryPolicy::builder()
        .initial_interval(retry.initial)
        .backoff_coefficient(retry.backoff)
        .maximum_interval(retry.max_interval)
        .maximum_attempts(retry.max_attempts)
        .build();
    ActivityOptions::with_start_to_close_timeout(retry.attempt)
        .heartbeat_timeout(HEARTBEAT.min(retry.attempt))
        .summary(name.to_owned())
        .retry_policy(policy)
        .build()
}

/// The words of a step's failure.
pub(super) fn cause(error: &ActivityExecutionError) -> String {
    let mut text = error
        .reason()
        .map_or_else(|| error.to_string(), |reason| reason.failure().message.clone());
    text.truncate(text.floor_char_boundary(MAX_CAUSE));
    text
}

fn failed(step: &str, error: &ActivityExecutionError) -> WorkflowTermination {
    failure(format!("{step}: {}", cause(error)))
}

/// The failure that makes the execution a dead letter.
pub(super) fn failure(message: String) -> WorkflowTermination {
    ApplicationFailure::builder(message)
        .type_name("BusinessEventFailed".to_owned())
        .non_retryable(true)
        .build()
        .into()
}
