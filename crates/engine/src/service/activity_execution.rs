//! Standalone activities, as those who start them see them. Workers see them as they see a
//! workflow's activities, see `activity`; `activity_control` has what is done to both kinds.

use temporalio_protos::temporal::api::{
    activity::v1::{ActivityExecutionInfo, ActivityOptions},
    common::v1::{ActivityType, Link, link},
    enums::v1::{ActivityExecutionStatus, WorkflowExecutionStatus},
    workflowservice::v1::{
        DeleteActivityExecutionRequest, DeleteActivityExecutionResponse, DescribeActivityExecutionRequest,
        DescribeActivityExecutionResponse, PollActivityExecutionRequest, PollActivityExecutionResponse,
        RequestCancelActivityExecutionRequest, RequestCancelActivityExecutionResponse,
        StartActivityExecutionRequest, StartActivityExecutionResponse, TerminateActivityExecutionRequest,
        TerminateActivityExecutionResponse,
    },
};
use tokio::sync::oneshot;

use super::{Service, describe::activity_state, poll_time};
use crate::{
    clock::{duration, timestamp, timestamp_opt},
    core::{EndRequest, NewActivity, Run, RunKey, STANDALONE_EVENT, check_priority, new_run_id, options_of},
    host::{Host, activity::ActivityIdPolicy},
    limits::Limits,
    rpc::{Call, RpcError},
    token::{self, ActivityToken},
};

use prost::Message as _;

/// The longest that a client waits for an activity; it asks again.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(20);

/// What a look at an activity gives.
enum Look<R> {
    Answer(R),
    /// Nothing yet; the receiver tells when to look again.
    Wait(oneshot::Receiver<()>),
}

impl Service {
    pub(super) async fn start_activity_execution(
        &self,
        request: StartActivityExecutionRequest,
    ) -> Result<StartActivityExecutionResponse, RpcError> {
        let policy = ActivityIdPolicy {
            reuse: request.id_reuse_policy(),
            conflict: request.id_conflict_policy(),
        };
        let on_conflict = request.on_conflict_options.as_ref();
        let attach = on_conflict.is_some_and(|options| options.attach_request_id);
        let (namespace, new) = new_activity(&self.limits, request)?;
        self.host
            .call(move |host| {
                let namespace_key = host.namespaces.key_of(&namespace)?;
                let mut new = NewActivity { namespace_key, ..new };
                host.accept_attributes(namespace_key, new.search_attributes.as_mut())?;
                let activity_id = new.activity_id.clone();
                let (key, started) = host.start_standalone(new, policy, attach)?;
                let run_id = host.run(key)?.state.run_id.clone();
                let link = link::Activity {
                    namespace,
                    activity_id,
                    run_id: run_id.clone(),
                };
                Ok(StartActivityExecutionResponse {
                    run_id,
                    started,
                    link: Some(Link {
                        variant: Some(link::Variant::Activity(link)),
                    }),
                })
            })
            .await
    }

    pub(super) async fn describe_activity_execution(
        &self,
        request: DescribeActivityExecutionRequest,
        call: Call,
    ) -> Result<DescribeActivityExecutionResponse, RpcError> {
        let seen: Option<ActivityToken> = if request.long_poll_token.is_empty() {
            None
        } else if request.run_id.is_empty() {
            return Err(RpcError::InvalidArgument(
                "run id is required with a long poll token".into(),
            ));
        } else {
            Some(token::parse(&request.long_poll_token, "long poll token")?)
        };
        let namespace = request.namespace.clone();
        let (activity_id, run_id) = (request.activity_id.clone(), request.run_id.clone());
        let key = self.find_activity(namespace, activity_id, run_id).await?;
        let answer = self
            .wait_for(&call, move |host| {
                let run = host.run(key)?;
                let is_news = seen.as_ref().is_none_or(|seen| {
                    seen.run != key || seen.transition_count != run.state.transition_count
                });
                if is_news || !run.is_running() {
                    return Ok(Look::Answer(describe(run, &request)));
                }
                Ok(Look::Wait(host.watch(key)))
            })
            .await?;
        Ok(answer.unwrap_or_default())
    }

    pub(super) async fn poll_activity_execution(
        &self,
        request: PollActivityExecutionRequest,
        call: Call,
    ) -> Result<PollActivityExecutionResponse, RpcError> {
        let key = self
            .find_activity(request.namespace, request.activity_id, request.run_id)
            .await?;
        let answer = self
            .wait_for(&call, move |host| {
                let run = host.run(key)?;
                if run.is_running() {
                    return Ok(Look::Wait(host.watch(key)));
                }
                let standalone = run.state.standalone.as_ref();
                Ok(Look::Answer(PollActivityExecutionResponse {
                    run_id: run.state.run_id.clone(),
                    outcome: standalone.and_then(|own| own.outcome.clone()),
                }))
            })
            .await?;
        Ok(answer.unwrap_or_default())
    }

    /// Looks until there is an answer; none where the caller's time is over.
    async fn wait_for<R: Send + 'static>(
        &self,
        call: &Call,
        look: impl Fn(&mut Host) -> Result<Look<R>, RpcError> + Clone + Send + 'static,
    ) -> Result<Option<R>, RpcError> {
        let deadline = tokio::time::Instant::now() + poll_time(call, LONGEST_WAIT);
        loop {
            let look = look.clone();
            match self.host.call(move |host| look(host)).await? {
                Look::Answer(answer) => return Ok(Some(answer)),
                Look::Wait(news) => {
                    if tokio::time::timeout_at(deadline, news).await.is_err() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    async fn find_activity(
        &self,
        namespace: String,
        activity_id: String,
        run_id: String,
    ) -> Result<RunKey, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&namespace)?;
                host.find_activity(namespace, &activity_id, &run_id)
            })
            .await
    }

    pub(super) async fn cancel_activity_execution(
        &self,
        request: RequestCancelActivityExecutionRequest,
    ) -> Result<RequestCancelActivityExecutionResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find_activity(namespace, &request.activity_id, &request.run_id)?;
                let end = EndRequest {
                    request_id: request.request_id,
                    identity: request.identity,
                    reason: request.reason,
                };
                host.change(key, |run, now| run.request_cancel_standalone(now, end))
            })
            .await?;
        Ok(RequestCancelActivityExecutionResponse {})
    }

    pub(super) async fn terminate_activity_execution(
        &self,
        request: TerminateActivityExecutionRequest,
    ) -> Result<TerminateActivityExecutionResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find_activity(namespace, &request.activity_id, &request.run_id)?;
                let end = EndRequest {
                    request_id: request.request_id,
                    identity: request.identity,
                    reason: request.reason,
                };
                host.change(key, |run, now| run.terminate_standalone(now, end))
            })
            .await?;
        Ok(TerminateActivityExecutionResponse {})
    }

    pub(super) async fn delete_activity_execution(
        &self,
        request: DeleteActivityExecutionRequest,
    ) -> Result<DeleteActivityExecutionResponse, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find_activity(namespace, &request.activity_id, &request.run_id)?;
                host.delete_standalone(key)
            })
            .await?;
        Ok(DeleteActivityExecutionResponse {})
    }
}

/// The activity that a request asks for, without its namespace's key.
fn new_activity(
    limits: &Limits,
    request: StartActivityExecutionRequest,
) -> Result<(String, NewActivity), RpcError> {
    let activity_type = request.activity_type.unwrap_or_default().name;
    for (name, value) in [
        ("activityId", &request.activity_id),
        ("activityType", &activity_type),
    ] {
        if value.is_empty() {
            return Err(RpcError::InvalidArgument(format!("{name} is not set")));
        }
        limits.id(name, value)?;
    }
    let task_queue = limits.task_queue(request.task_queue)?;
    limits.blob(request.input.as_ref())?;
    check_priority(request.priority.as_ref())
        .map_err(|error| RpcError::InvalidArgument(format!("invalid priorities: {error}")))?;
    if !request.completion_callbacks.is_empty() {
        return Err(RpcError::Unimplemented(
            "this engine does not implement completion callbacks of activities".into(),
        ));
    }
    let request_id = if request.request_id.is_empty() {
        uuid::Uuid::new_v4().to_string()
    } else {
        request.request_id
    };
    let new = NewActivity {
        namespace_key: 0,
        activity_id: request.activity_id,
        run_id: new_run_id(),
        request_id,
        activity_type,
        options: ActivityOptions {
            task_queue: Some(crate::core::normal_queue(&task_queue)),
            schedule_to_close_timeout: request.schedule_to_close_timeout,
            schedule_to_start_timeout: request.schedule_to_start_timeout,
            start_to_close_timeout: request.start_to_close_timeout,
            heartbeat_timeout: request.heartbeat_timeout,
            retry_policy: request.retry_policy,
            priority: request.priority,
            start_delay: request.start_delay,
        },
        input: request.input,
        header: request.header,
        search_attributes: request.search_attributes,
        user_metadata: request.user_metadata,
        links: request.links,
    };
    Ok((request.namespace, new.resolve()?))
}

/// An activity's status from that of its run.
pub(super) fn status_of(status: i32, is_paused: bool) -> ActivityExecutionStatus {
    use ActivityExecutionStatus as Activity;
    use WorkflowExecutionStatus as Run;
    match Run::try_from(status) {
        Ok(Run::Running) if is_paused => Activity::Paused,
        Ok(Run::Running) => Activity::Running,
        Ok(Run::Paused) => Activity::Paused,
        Ok(Run::Completed) => Activity::Completed,
        Ok(Run::Failed) => Activity::Failed,
        Ok(Run::Canceled) => Activity::Canceled,
        Ok(Run::Terminated) => Activity::Terminated,
        Ok(Run::TimedOut) => Activity::TimedOut,
        _ => Activity::Unspecified,
    }
}

fn describe(run: &Run, request: &DescribeActivityExecutionRequest) -> DescribeActivityExecutionResponse {
    let state = &run.state;
    let standalone = state.standalone.clone().unwrap_or_default();
    let scheduled = run.activity_scheduled(STANDALONE_EVENT).unwrap_or_default();
    let is_running = run.is_running();
    let token = ActivityToken {
        run: run.key,
        transition_count: state.transition_count,
    };
    DescribeActivityExecutionResponse {
        run_id: state.run_id.clone(),
        info: Some(info(run, request)),
        input: request.include_input.then_some(scheduled.input).flatten(),
        outcome: standalone.outcome.filter(|_| request.include_outcome),
        long_poll_token: if is_running {
            token.encode_to_vec()
        } else {
            Vec::new()
        },
        ..Default::default()
    }
}

fn info(run: &Run, request: &DescribeActivityExecutionRequest) -> ActivityExecutionInfo {
    let state = &run.state;
    let standalone = state.standalone.clone().unwrap_or_default();
    let activity = run.standalone_activity().cloned().unwrap_or_default();
    let options = options_of(&activity);
    let is_running = run.is_running();
    let is_backing_off = is_running && activity.backing_off && activity.pause.is_none();
    let interval = (is_backing_off && activity.attempt > 1)
        .then(|| duration((activity.attempt_at - activity.last_attempt_ended_at).max(0)));
    let event = run.event(STANDALONE_EVENT);
    let header = run
        .activity_scheduled(STANDALONE_EVENT)
        .and_then(|scheduled| scheduled.header.clone());
    ActivityExecutionInfo {
        activity_id: state.workflow_id.clone(),
        run_id: state.run_id.clone(),
        activity_type: Some(ActivityType {
            name: state.workflow_type.clone(),
        }),
        status: status_of(state.status, run.is_paused_activity()) as i32,
        run_state: if is_running {
            activity_state(&activity) as i32
        } else {
            0
        },
        task_queue: activity.task_queue.clone(),
        schedule_to_close_timeout: options.schedule_to_close_timeout,
        schedule_to_start_timeout: options.schedule_to_start_timeout,
        start_to_close_timeout: options.start_to_close_timeout,
        heartbeat_timeout: options.heartbeat_timeout,
        retry_policy: options.retry_policy,
        heartbeat_details: activity
            .heartbeat_details
            .filter(|_| request.include_heartbeat_details),
        last_heartbeat_time: timestamp_opt(activity.last_heartbeat_at),
        last_started_time: timestamp_opt(activity.last_started_at),
        attempt: activity.attempt,
        execution_duration: (state.close_time != 0)
            .then(|| duration((state.close_time - state.start_time).max(0))),
        schedule_time: Some(timestamp(state.start_time)),
        expiration_time: timestamp_opt(expiration(run)),
        close_time: timestamp_opt(state.close_time),
        last_failure: activity.last_failure.filter(|_| request.include_last_failure),
        last_worker_identity: activity.last_identity,
        current_retry_interval: interval,
        last_attempt_complete_time: timestamp_opt(activity.last_attempt_ended_at),
        next_attempt_schedule_time: is_backing_off.then(|| timestamp(activity.attempt_at)),
        priority: options.priority,
        state_transition_count: state.transition_count,
        state_size_bytes: state.history_size,
        search_attributes: Some(state.search_attributes.clone().unwrap_or_default()),
        header,
        user_metadata: event.and_then(|event| event.user_metadata.clone()),
        canceled_reason: standalone.cancel_reason,
        links: standalone.links,
        total_heartbeat_count: standalone.heartbeat_count,
        start_delay: (standalone.start_delay != 0).then(|| duration(standalone.start_delay)),
        execution_time: Some(timestamp(state.execution_time)),
        ..Default::default()
    }
}

/// When the activity must have ended; 0: never.
fn expiration(run: &Run) -> i64 {
    run.standalone_activity()
        .map_or(0, |activity| activity.expiration())
}
