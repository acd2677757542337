//! The end of a run, and the run that goes on after it: by continue-as-new, or by the retry policy.

use sha2::{Digest as _, Sha256};
use temporalio_protos::temporal::api::{
    enums::v1::{ContinueAsNewInitiator, RetryState, TimeoutType, WorkflowExecutionStatus},
    failure::v1::{Failure, TimeoutFailureInfo, failure::FailureInfo},
    history::v1::{WorkflowExecutionTimedOutEventAttributes, history_event::Attributes},
};

use super::{
    retry,
    run::Run,
    start::{Continued, NewRun, ParentOf},
};
use crate::{clock::Nanos, rpc::RpcError};

impl Run {
    /// Marks the run closed and drops what was pending. The closing event is appended already.
    pub(super) fn close(&mut self, now: Nanos, status: WorkflowExecutionStatus) {
        self.tell_relatives(status);
        let state = &mut self.state;
        state.outgoing_signals.clear();
        state.outgoing_cancels.clear();
        state.status = status as i32;
        state.close_time = now.max(state.start_time);
        state.workflow_task = None;
        state.activities.clear();
        state.timers.clear();
        state.buffered.clear();
        state.first_task_at = 0;
        state.transition_count += 1;
        self.started_task = None;
        self.sticky = None;
    }

    /// The run's or the whole chain's time is over.
    pub(super) fn time_out(&mut self, now: Nanos) {
        let failure = Failure {
            message: "workflow timeout".into(),
            source: "Server".into(),
            failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
                timeout_type: TimeoutType::StartToClose as i32,
                last_heartbeat_details: None,
            })),
            ..Default::default()
        };
        self.force_fail_workflow_task(now);
        self.flush_buffered();
        let chain_is_over = self.state.execution_expiration != 0 && self.state.execution_expiration <= now;
        let retry = if chain_is_over {
            Err(RetryState::Timeout)
        } else {
            self.retry_run(now, failure)
        };
        self.append(
            now,
            Attributes::WorkflowExecutionTimedOutEventAttributes(WorkflowExecutionTimedOutEventAttributes {
                retry_state: retry
                    .as_ref()
                    .err()
                    .map_or(RetryState::InProgress, |state| *state) as i32,
                new_execution_run_id: retry.unwrap_or_default(),
            }),
        );
        self.close(now, WorkflowExecutionStatus::TimedOut);
    }

    /// Asks for the run that tries again after `failure`, and answers its run id; or why there is none.
    pub(super) fn retry_run(&mut self, now: Nanos, failure: Failure) -> Result<String, RetryState> {
        let state = &self.state;
        let policy = state.retry_policy.as_ref();
        let at = retry::next_attempt(policy, state.attempt, now, state.execution_expiration, &failure)?;
        let attempt = state.attempt + 1;
        let delay = at.saturating_sub(now);
        let mut next = self
            .successor(ContinueAsNewInitiator::Retry, attempt)
            .map_err(|_| RetryState::InternalServerError)?;
        next.first_task_delay = delay;
        next.continued_failure = Some(failure);
        Ok(self.continue_with(next))
    }

    /// What the next run of the chain begins with: the same as this one.
    pub(super) fn successor(
        &self,
        initiator: ContinueAsNewInitiator,
        attempt: i32,
    ) -> Result<NewRun, RpcError> {
        let state = &self.state;
        let started = self.started_attributes()?;
        Ok(NewRun {
            namespace_key: state.namespace_key,
            workflow_id: state.workflow_id.clone(),
            // Derived, not random: the core has no randomness of its own.
            run_id: next_run_id(&state.run_id),
            workflow_type: state.workflow_type.clone(),
            task_queue: state.task_queue.clone(),
            input: started.input.clone(),
            header: started.header.clone(),
            memo: state.memo.clone(),
            search_attributes: state.search_attributes.clone(),
            execution_timeout: state.execution_timeout,
            run_timeout: state.run_timeout,
            task_timeout: state.task_timeout,
            retry_policy: state.retry_policy.clone(),
            identity: started.identity.clone(),
            priority: started.priority.clone(),
            user_metadata: self.history.first().and_then(|event| event.user_metadata.clone()),
            last_completion_result: started.last_completion_result.clone(),
            parent: state.parent.as_ref().map(|parent| {
                Box::new(ParentOf {
                    parent: parent.clone(),
                    root: state.root.clone(),
                })
            }),
            continued: Some(Continued {
                run_id: state.run_id.clone(),
                first_run_id: state.first_run_id.clone(),
                initiator,
                attempt,
                execution_expiration: state.execution_expiration,
            }),
            ..Default::default()
        })
    }

    /// Leaves the successor for the host to create, and answers its run id.
    pub(super) fn continue_with(&mut self, next: NewRun) -> String {
        let run_id = next.run_id.clone();
        self.state.successor_run_id.clone_from(&run_id);
        self.effects.successor = Some(Box::new(next));
        run_id
    }
}

/// The run id after this one: a UUID made from it, so that the same inputs give the same history.
fn next_run_id(run_id: &str) -> String {
    let digest = Sha256::digest(run_id.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
