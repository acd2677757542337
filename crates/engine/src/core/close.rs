//! The end of a run, and the run that goes on after it: by continue-as-new, by the retry policy, or by
//! the cron schedule.

use sha2::{Digest as _, Sha256};
use temporalio_protos::temporal::api::{
    common::v1::Payloads,
    enums::v1::{ContinueAsNewInitiator, RetryState, TimeoutType, WorkflowExecutionStatus},
    failure::v1::{Failure, TimeoutFailureInfo, failure::FailureInfo},
    history::v1::{WorkflowExecutionTimedOutEventAttributes, history_event::Attributes},
};

use super::{
    retry,
    run::Run,
    start::{Continued, NewRun, ParentOf},
};
use crate::{
    clock::{Nanos, SECOND},
    cron,
    rpc::RpcError,
};

/// The least time from the beginning of one run to the beginning of the next one of its chain.
const LEAST_INTERVAL: Nanos = SECOND;

impl Run {
    /// Marks the run closed and drops what was pending. The closing event is appended already.
    pub(super) fn close(&mut self, now: Nanos, status: WorkflowExecutionStatus) {
        self.tell_relatives();
        // A pause ends with the run, and what is kept outside the history is listed once that is complete.
        self.effects.attributes_changed |= self.state.listed_differently_once_closed();
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
        self.effects.tells_schedule = state.scheduled_by != 0 && state.successor_run_id.is_empty();
        self.started_task = None;
        self.sticky = None;
        self.abort_updates();
    }

    /// The run's or the whole chain's time is over.
    pub(super) fn time_out(&mut self, now: Nanos) {
        self.force_fail_workflow_task(now);
        self.flush_buffered();
        let chain_is_over = self.state.execution_expiration != 0 && self.state.execution_expiration <= now;
        let (retry_state, new_execution_run_id) = if chain_is_over {
            (RetryState::Timeout, String::new())
        } else {
            self.go_on_after_failure(now, workflow_timed_out())
        };
        self.append(
            now,
            Attributes::WorkflowExecutionTimedOutEventAttributes(WorkflowExecutionTimedOutEventAttributes {
                retry_state: retry_state as i32,
                new_execution_run_id,
            }),
        );
        self.close(now, WorkflowExecutionStatus::TimedOut);
    }

    /// Asks for the run that goes on after `failure`: the next attempt if the retry policy allows one,
    /// else the next one by the cron schedule. Answers the state of retries, and the run id or none.
    pub(super) fn go_on_after_failure(&mut self, now: Nanos, failure: Failure) -> (RetryState, String) {
        let state = &self.state;
        let policy = state.retry_policy.as_ref();
        match retry::next_attempt(policy, state.attempt, now, state.execution_expiration, &failure) {
            Ok(at) => {
                let next = self.successor(now, ContinueAsNewInitiator::Retry, at.saturating_sub(now));
                let run_id = next.map(|next| {
                    self.continue_with(NewRun {
                        continued_failure: Some(failure),
                        ..next
                    })
                });
                run_id.map_or((RetryState::InternalServerError, String::new()), |run_id| {
                    (RetryState::InProgress, run_id)
                })
            }
            Err(why) => (why, self.go_on_by_cron(now, Err(failure))),
        }
    }

    /// Asks for the next run by the cron schedule, and answers its run id; empty where there is none.
    /// It gets the result of this run, or its failure and the last result before.
    pub(super) fn go_on_by_cron(&mut self, now: Nanos, end: Result<Option<Payloads>, Failure>) -> String {
        let state = &self.state;
        if state.cron_schedule.is_empty() {
            return String::new();
        }
        let Some(delay) = cron::backoff(&state.cron_schedule, state.execution_time, now) else {
            return String::new();
        };
        let Ok(mut next) = self.successor(now, ContinueAsNewInitiator::CronSchedule, delay) else {
            return String::new();
        };
        match end {
            Ok(result) => next.last_completion_result = result,
            Err(failure) => next.continued_failure = Some(failure),
        }
        self.continue_with(next)
    }

    /// How long the first task of the next run waits, which is to wait for `delay`: with this run's
    /// life it must be the least interval, so that a chain of short runs is not a busy loop.
    fn next_run_delay(&self, now: Nanos, delay: Nanos) -> Nanos {
        let lived = now.saturating_sub(self.state.execution_time).max(0);
        delay.max(LEAST_INTERVAL - lived)
    }

    /// What the next run of the chain begins with: the same as this one began with.
    pub(super) fn successor(
        &self,
        now: Nanos,
        initiator: ContinueAsNewInitiator,
        delay: Nanos,
    ) -> Result<NewRun, RpcError> {
        let state = &self.state;
        let attempt = if initiator == ContinueAsNewInitiator::Retry {
            state.attempt + 1
        } else {
            1
        };
        let started = self.started_attributes()?;
        let first = self.history.first().unwrap_or_default();
        Ok(NewRun {
            namespace_key: state.namespace_key,
            workflow_id: state.workflow_id.clone(),
            // Derived, not random: the core has no randomness of its own.
            run_id: next_run_id(&state.run_id),
            workflow_type: state.workflow_type.clone(),
            task_queue: state.task_queue.clone(),
            input: started.input.clone(),
            header: started.header.clone(),
            memo: started.memo.clone(),
            search_attributes: started.search_attributes.clone(),
            execution_timeout: state.execution_timeout,
            run_timeout: state.run_timeout,
            task_timeout: state.task_timeout,
            retry_policy: state.retry_policy.clone(),
            cron_schedule: state.cron_schedule.clone(),
            links: first.links,
            first_task_delay: self.next_run_delay(now, delay),
            priority: started.priority.clone(),
            last_completion_result: started.last_completion_result.clone(),
            parent: state.parent.as_ref().map(|parent| {
                Box::new(ParentOf {
                    parent: parent.clone(),
                    root: state.root.clone(),
                })
            }),
            scheduled_by: state.scheduled_by,
            reset_points: Some(self.reset_points()),
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

/// The failure of a run whose time was over, as the run that follows it is told.
pub(crate) fn workflow_timed_out() -> Failure {
    Failure {
        message: "workflow timeout".into(),
        source: "Server".into(),
        failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
            timeout_type: TimeoutType::StartToClose as i32,
            last_heartbeat_details: None,
        })),
        ..Default::default()
    }
}
