//! Activities that belong to no workflow. Such an activity is a run without workflow tasks: its one
//! activity is the same machine as a workflow's, with retries, time-outs and heartbeats, and its
//! close is the run's.
//!
//! The history of such a run is one event, `ActivityTaskScheduled`, which nobody is shown: it holds
//! what was asked for (the input, headers, the options as given), so that no later write of the state
//! carries these along. What the activity ended with is in the state.

use temporalio_protos::temporal::api::{
    activity::v1::{ActivityExecutionOutcome, ActivityOptions, activity_execution_outcome::Value},
    common::v1::{ActivityType, Header, Link, Payloads, SearchAttributes},
    enums::v1::{RetryState, WorkflowExecutionStatus},
    failure::v1::{CanceledFailureInfo, Failure, TerminatedFailureInfo, failure::FailureInfo},
    history::v1::{ActivityTaskScheduledEventAttributes, history_event::Attributes},
    sdk::v1::UserMetadata,
};

use super::{
    activity::json_payload,
    activity_options::{apply_options, resolve_options},
    events::Events,
    run::{Run, RunKey},
    state::{Activity, RunState, StandaloneActivity},
};
use crate::{
    clock::{Nanos, nanos},
    rpc::RpcError,
};

/// The scheduled event of a run's only activity.
pub const STANDALONE_EVENT: i64 = 1;

/// A standalone activity to begin. `options` have their time-outs resolved, see [`NewActivity::resolve`].
#[derive(Clone, Debug, Default)]
pub struct NewActivity {
    pub namespace_key: u32,
    pub activity_id: String,
    pub run_id: String,
    pub request_id: String,
    pub activity_type: String,
    pub options: ActivityOptions,
    pub input: Option<Payloads>,
    pub header: Option<Header>,
    pub search_attributes: Option<SearchAttributes>,
    pub user_metadata: Option<UserMetadata>,
    pub links: Vec<Link>,
}

impl NewActivity {
    /// Fills in what the options leave open.
    ///
    /// # Errors
    /// When the options do not go together.
    pub fn resolve(mut self) -> Result<Self, RpcError> {
        if nanos(self.options.start_delay.as_ref()) < 0 {
            return Err(RpcError::InvalidArgument(
                "invalid StartDelay: negative duration".into(),
            ));
        }
        resolve_options(&mut self.options, 0).map_err(|error| {
            RpcError::InvalidArgument(error.refusal(&self.activity_id, &self.activity_type))
        })?;
        Ok(self)
    }
}

/// Who asks for a standalone activity's end, and why.
#[derive(Clone, Debug, Default)]
pub struct EndRequest {
    pub request_id: String,
    pub identity: String,
    pub reason: String,
}

impl RunState {
    /// Where this run's id counts: workflow ids and the ids of standalone activities are apart.
    pub(crate) fn id_space(&self) -> i64 {
        id_space(self.namespace_key, self.standalone.is_some())
    }
}

/// Where ids of a namespace count.
pub(crate) fn id_space(namespace_key: u32, is_activity: bool) -> i64 {
    let key = i64::from(namespace_key);
    if is_activity { -key } else { key }
}

impl Run {
    /// Begins a standalone activity.
    pub fn begin_activity(key: RunKey, new: NewActivity, now: Nanos) -> Self {
        let options = new.options;
        let delay = nanos(options.start_delay.as_ref());
        let due = now.saturating_add(delay);
        let task_queue = options.task_queue.clone().unwrap_or_default();
        let state = RunState {
            namespace_key: new.namespace_key,
            workflow_id: new.activity_id.clone(),
            run_id: new.run_id.clone(),
            first_run_id: new.run_id,
            workflow_type: new.activity_type.clone(),
            task_queue: task_queue.name.clone(),
            status: WorkflowExecutionStatus::Running as i32,
            next_event_id: STANDALONE_EVENT,
            start_time: now,
            execution_time: due,
            start_request_id: new.request_id,
            search_attributes: new.search_attributes,
            transition_count: 1,
            standalone: Some(StandaloneActivity {
                start_delay: delay,
                links: new.links,
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut run = Run {
            stored: 0,
            ..Run::load(key, state, Events::default())
        };
        let scheduled = ActivityTaskScheduledEventAttributes {
            activity_id: new.activity_id.clone(),
            activity_type: Some(ActivityType {
                name: new.activity_type.clone(),
            }),
            task_queue: Some(task_queue),
            header: new.header,
            input: new.input,
            schedule_to_close_timeout: options.schedule_to_close_timeout,
            schedule_to_start_timeout: options.schedule_to_start_timeout,
            start_to_close_timeout: options.start_to_close_timeout,
            heartbeat_timeout: options.heartbeat_timeout,
            retry_policy: options.retry_policy.clone(),
            priority: options.priority.clone(),
            ..Default::default()
        };
        run.append_with(
            now,
            Attributes::ActivityTaskScheduledEventAttributes(scheduled),
            new.user_metadata,
            Vec::new(),
        );
        let mut activity = Activity {
            scheduled_event_id: STANDALONE_EVENT,
            id: new.activity_id,
            activity_type: new.activity_type,
            attempt: 1,
            scheduled_at: due,
            attempt_at: due,
            backing_off: due > now,
            ..Default::default()
        };
        apply_options(&mut activity, &options);
        run.state.activities.push(activity);
        if due <= now {
            run.offer_activity(STANDALONE_EVENT);
        }
        run
    }

    /// Whether this run is a standalone activity.
    pub fn is_standalone(&self) -> bool {
        self.state.standalone.is_some()
    }

    /// The standalone activity as it is, or as it was when it closed.
    pub fn standalone_activity(&self) -> Option<&Activity> {
        let standalone = self.state.standalone.as_ref()?;
        self.state.activities.first().or(standalone.closed.as_ref())
    }

    /// Whether the standalone activity is paused and no attempt of it runs.
    pub(crate) fn is_paused_activity(&self) -> bool {
        self.is_standalone()
            && self
                .state
                .activities
                .iter()
                .any(|activity| activity.pause.is_some() && activity.started.is_none())
    }

    /// What the activity ended with, which also closes its run. `how` is the event that a workflow's
    /// activity would have closed with.
    pub(super) fn close_standalone(&mut self, now: Nanos, activity: Activity, how: Attributes) {
        use WorkflowExecutionStatus as Status;
        let (status, value, retry_state) = match how {
            Attributes::ActivityTaskCompletedEventAttributes(completed) => (
                Status::Completed,
                Value::Result(completed.result.unwrap_or_default()),
                0,
            ),
            Attributes::ActivityTaskFailedEventAttributes(failed) => (
                Status::Failed,
                Value::Failure(failed.failure.unwrap_or_default()),
                failed.retry_state,
            ),
            Attributes::ActivityTaskTimedOutEventAttributes(timed_out) => {
                // Unlike a workflow's, it does not say that it comes from the server.
                let failure = Failure {
                    source: String::new(),
                    ..timed_out.failure.unwrap_or_default()
                };
                (Status::TimedOut, Value::Failure(failure), timed_out.retry_state)
            }
            Attributes::ActivityTaskCanceledEventAttributes(canceled) => {
                let identity = self
                    .state
                    .standalone
                    .as_ref()
                    .map(|own| own.cancel_identity.clone());
                let info = CanceledFailureInfo {
                    details: canceled.details,
                    identity: identity.unwrap_or_default(),
                };
                let failure = Failure {
                    message: "Activity canceled".into(),
                    failure_info: Some(FailureInfo::CanceledFailureInfo(info)),
                    ..Default::default()
                };
                (Status::Canceled, Value::Failure(failure), 0)
            }
            _ => return,
        };
        self.end_standalone(now, activity, status, value, retry_state);
    }

    fn end_standalone(
        &mut self,
        now: Nanos,
        mut activity: Activity,
        status: WorkflowExecutionStatus,
        value: Value,
        retry_state: i32,
    ) {
        if let Value::Failure(failure) = &value
            && matches!(status, WorkflowExecutionStatus::Failed)
        {
            activity.last_failure = Some(failure.clone());
        }
        if let Some(standalone) = &mut self.state.standalone {
            standalone.closed = Some(activity);
            standalone.outcome = Some(ActivityExecutionOutcome {
                value: Some(value),
                retry_state,
            });
        }
        self.close(now, status);
    }

    /// Asks the standalone activity to end. If no attempt runs, it has ended with that.
    ///
    /// # Errors
    /// When it has closed, or somebody else has asked.
    pub fn request_cancel_standalone(&mut self, now: Nanos, request: EndRequest) -> Result<(), RpcError> {
        let is_running = self.is_running();
        let name = self.activity_status_name();
        let Some(standalone) = &mut self.state.standalone else {
            return Ok(());
        };
        if !request.request_id.is_empty() && standalone.cancel_request_id == request.request_id {
            return Ok(());
        }
        if !is_running {
            return Err(RpcError::FailedPrecondition(format!(
                "activity is in terminal state {name}"
            )));
        }
        let Some(activity) = self.state.activities.first_mut() else {
            return Ok(());
        };
        if activity.cancel_requested_event_id != 0 {
            return Err(RpcError::FailedPrecondition(format!(
                "cancellation already requested with request ID {}",
                standalone.cancel_request_id
            )));
        }
        // There is no such event here: the number says that the request was made.
        activity.cancel_requested_event_id = STANDALONE_EVENT;
        let is_started = activity.started.is_some();
        let details = Payloads {
            payloads: vec![json_payload(&request.reason)],
        };
        standalone.cancel_request_id = request.request_id;
        standalone.cancel_identity.clone_from(&request.identity);
        standalone.cancel_reason = request.reason;
        self.state.transition_count += 1;
        if is_started {
            return Ok(());
        }
        let activity = self.state.activities.remove(0);
        let info = CanceledFailureInfo {
            details: Some(details),
            identity: request.identity,
        };
        let failure = Failure {
            message: "Activity canceled".into(),
            failure_info: Some(FailureInfo::CanceledFailureInfo(info)),
            ..Default::default()
        };
        let status = WorkflowExecutionStatus::Canceled;
        self.end_standalone(now, activity, status, Value::Failure(failure), 0);
        Ok(())
    }

    /// Ends the standalone activity, whatever its worker does.
    ///
    /// # Errors
    /// When it has closed.
    pub fn terminate_standalone(&mut self, now: Nanos, request: EndRequest) -> Result<(), RpcError> {
        let is_running = self.is_running();
        let name = self.activity_status_name();
        let Some(standalone) = &mut self.state.standalone else {
            return Ok(());
        };
        if !request.request_id.is_empty() && standalone.terminate_request_id == request.request_id {
            return Ok(());
        }
        if !is_running || self.state.activities.is_empty() {
            return Err(RpcError::FailedPrecondition(format!(
                "invalid transition from {name}"
            )));
        }
        standalone.terminate_request_id = request.request_id;
        let activity = self.state.activities.remove(0);
        let failure = Failure {
            message: request.reason,
            failure_info: Some(FailureInfo::TerminatedFailureInfo(TerminatedFailureInfo {
                identity: request.identity,
            })),
            ..Default::default()
        };
        let status = WorkflowExecutionStatus::Terminated;
        self.end_standalone(
            now,
            activity,
            status,
            Value::Failure(failure),
            RetryState::Unspecified as i32,
        );
        Ok(())
    }

    /// Whether this request has paused the activity before, if it comes again; else it is noted.
    ///
    /// # Errors
    /// When the activity cannot be paused.
    pub fn note_pause_request(&mut self, request_id: &str) -> Result<bool, RpcError> {
        let is_known = |standalone: &StandaloneActivity| {
            !request_id.is_empty() && standalone.pause_request_id == request_id
        };
        if self.state.standalone.as_ref().is_some_and(is_known) {
            return Ok(true);
        }
        let activity = self.state.activities.first();
        if activity.is_none_or(|activity| activity.pause.is_some() || activity.cancel_requested_event_id != 0)
        {
            return Err(RpcError::FailedPrecondition(format!(
                "activity is in non-pausable state {}",
                self.activity_status_name()
            )));
        }
        if let Some(standalone) = &mut self.state.standalone {
            request_id.clone_into(&mut standalone.pause_request_id);
        }
        Ok(false)
    }

    /// Whether this request has ended a pause before, if it comes again; else it is noted.
    ///
    /// # Errors
    /// When the activity is not paused.
    pub fn note_unpause_request(&mut self, request_id: &str) -> Result<bool, RpcError> {
        let is_known = |standalone: &StandaloneActivity| {
            !request_id.is_empty() && standalone.unpause_request_id == request_id
        };
        if self.state.standalone.as_ref().is_some_and(is_known) {
            return Ok(true);
        }
        if self
            .state
            .activities
            .first()
            .is_none_or(|activity| activity.pause.is_none())
        {
            let name = self.activity_status_name();
            let message = if self.is_running() {
                format!("activity is in non-unpausable state {name}")
            } else {
                format!("activity is in terminal state {name}")
            };
            return Err(RpcError::FailedPrecondition(message));
        }
        if let Some(standalone) = &mut self.state.standalone {
            request_id.clone_into(&mut standalone.unpause_request_id);
        }
        Ok(false)
    }

    /// Fails where the run is a standalone activity that has closed, or whose end is asked for.
    ///
    /// # Errors
    /// Then; `what` says what cannot be done.
    pub fn check_controllable(&self, what: &str) -> Result<(), RpcError> {
        let ends = |activity: &Activity| activity.cancel_requested_event_id != 0;
        if self.is_standalone() && self.state.activities.first().is_none_or(ends) {
            return Err(RpcError::FailedPrecondition(format!(
                "Cannot {what} activity in state {}",
                self.activity_status_name()
            )));
        }
        Ok(())
    }

    /// What the standalone activity is at, as error messages say it.
    pub fn activity_status_name(&self) -> &'static str {
        use WorkflowExecutionStatus as Status;
        match Status::try_from(self.state.status) {
            Ok(Status::Completed) => return "Completed",
            Ok(Status::Failed) => return "Failed",
            Ok(Status::Canceled) => return "Canceled",
            Ok(Status::Terminated) => return "Terminated",
            Ok(Status::TimedOut) => return "TimedOut",
            _ => {}
        }
        match self.state.activities.first() {
            None => "Unspecified",
            Some(activity) if activity.cancel_requested_event_id != 0 => "CancelRequested",
            Some(activity) => match (activity.pause.is_some(), activity.started.is_some()) {
                (true, true) => "PauseRequested",
                (true, false) => "Paused",
                (false, true) if activity.was_reset => "ResetRequested",
                (false, true) => "Started",
                (false, false) => "Scheduled",
            },
        }
    }
}
