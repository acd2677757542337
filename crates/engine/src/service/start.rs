//! `StartWorkflowExecution` and `SignalWithStartWorkflowExecution`.

use temporalio_protos::temporal::api::{
    common::v1::{Memo, Payloads, RetryPolicy, SearchAttributes, WorkflowType},
    enums::v1::WorkflowIdConflictPolicy,
    taskqueue::v1::TaskQueue,
    workflow::v1::{OnConflictOptions, VersioningOverride},
    workflowservice::v1::{
        SignalWithStartWorkflowExecutionRequest, SignalWithStartWorkflowExecutionResponse,
        StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
    },
};

use super::{Service, links};
use crate::{
    clock::{Nanos, nanos},
    core::{
        Inherited, NewRun, Signal, Version, check_priority, check_retry_policy, checked_override, new_run_id,
        retry_policy_with_defaults,
    },
    cron,
    host::{
        Host,
        matching::{QueueId, QueueKind},
        start::IdPolicy,
    },
    limits::Limits,
    rpc::RpcError,
};

impl Service {
    pub(super) async fn start_workflow(
        &self,
        request: StartWorkflowExecutionRequest,
    ) -> Result<StartWorkflowExecutionResponse, RpcError> {
        let namespace = request.namespace.clone();
        let asks_for_task = request.request_eager_execution;
        let (new, policy) = read(&self.limits, request)?;
        // A task that is due later cannot be handed out now.
        let eager = asks_for_task && new.first_task_delay == 0;
        let new = NewRun { eager, ..new };
        self.host
            .call(move |host| start(host, &namespace, new, policy))
            .await
    }

    pub(super) async fn signal_with_start(
        &self,
        request: SignalWithStartWorkflowExecutionRequest,
    ) -> Result<SignalWithStartWorkflowExecutionResponse, RpcError> {
        self.limits.required_id("SignalName", &request.signal_name)?;
        self.limits.blob(request.signal_input.as_ref())?;
        let (reuse, conflict) = (
            request.workflow_id_reuse_policy(),
            request.workflow_id_conflict_policy(),
        );
        if conflict == WorkflowIdConflictPolicy::Fail {
            return Err(RpcError::InvalidArgument(
                "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for this operation.".into(),
            ));
        }
        let conflict = match (reuse as i32, conflict) {
            // The deprecated "terminate if running" says itself what is to be done.
            (4, given) => given,
            (_, WorkflowIdConflictPolicy::Unspecified) => WorkflowIdConflictPolicy::UseExisting,
            (_, given) => given,
        };
        let policy = IdPolicy::resolve(reuse, conflict)?;
        links::check(&request.links)?;
        check_priority(request.priority.as_ref())?;
        let signal = Signal {
            name: request.signal_name,
            input: request.signal_input,
            header: request.header.clone(),
            identity: request.identity.clone(),
            request_id: request.request_id.clone(),
            sender: None,
            links: request.links.clone(),
        };
        let new = NewRun {
            header: request.header,
            identity: request.identity,
            user_metadata: request.user_metadata,
            priority: request.priority,
            first_signal: Some(signal.clone()),
            inherited: with_override(request.versioning_override)?,
            links: request.links,
            ..Fields {
                workflow_id: request.workflow_id,
                workflow_type: request.workflow_type,
                task_queue: request.task_queue,
                input: request.input,
                memo: request.memo,
                search_attributes: request.search_attributes,
                execution_timeout: request.workflow_execution_timeout,
                run_timeout: request.workflow_run_timeout,
                task_timeout: request.workflow_task_timeout,
                retry_policy: request.retry_policy,
                cron_schedule: request.cron_schedule,
                start_delay: request.workflow_start_delay,
                request_id: request.request_id,
            }
            .check(&self.limits)?
        };
        let namespace = request.namespace;
        self.host
            .call(move |host| signal_with_start(host, &namespace, new, policy, signal))
            .await
    }
}

/// The run that a request describes, and what may be done where its id is taken.
///
/// # Errors
/// When the request breaks a rule, or asks for what this engine does not have.
pub(super) fn read(
    limits: &Limits,
    request: StartWorkflowExecutionRequest,
) -> Result<(NewRun, IdPolicy), RpcError> {
    let policy = IdPolicy::resolve(
        request.workflow_id_reuse_policy(),
        request.workflow_id_conflict_policy(),
    )?;
    refuse_unknown(&[("time skipping", request.time_skipping_config.is_some())])?;
    links::check_callbacks(&request.completion_callbacks)?;
    links::check(&request.links)?;
    check_priority(request.priority.as_ref())?;
    let on_conflict = request
        .on_conflict_options
        .filter(|options| *options != OnConflictOptions::default());
    if on_conflict.is_some_and(|options| options.attach_completion_callbacks && !options.attach_request_id) {
        return Err(RpcError::InvalidArgument(
            "attaching request ID is required for attaching completion callbacks".into(),
        ));
    }
    let new = NewRun {
        header: request.header,
        identity: request.identity,
        user_metadata: request.user_metadata,
        priority: request.priority,
        last_completion_result: request.last_completion_result,
        continued_failure: request.continued_failure,
        links: request.links,
        on_conflict,
        inherited: with_override(request.versioning_override)?,
        eager_version: Version::of_worker(request.eager_worker_deployment_options.as_ref()),
        ..Fields {
            workflow_id: request.workflow_id,
            workflow_type: request.workflow_type,
            task_queue: request.task_queue,
            input: request.input,
            memo: request.memo,
            search_attributes: request.search_attributes,
            execution_timeout: request.workflow_execution_timeout,
            run_timeout: request.workflow_run_timeout,
            task_timeout: request.workflow_task_timeout,
            retry_policy: request.retry_policy,
            cron_schedule: request.cron_schedule,
            start_delay: request.workflow_start_delay,
            request_id: request.request_id,
        }
        .check(limits)?
    };
    Ok((new, policy))
}

/// What a client says of the version of a new run.
fn with_override(given: Option<VersioningOverride>) -> Result<Option<Box<Inherited>>, RpcError> {
    let Some(given) = given else { return Ok(None) };
    Ok(Some(Inherited::of_override(checked_override(given)?)))
}

/// Checks what of a new run the namespace must know, and notes the types of search attributes.
pub(super) fn check_in_namespace(host: &Host, new: &mut NewRun) -> Result<(), RpcError> {
    host.accept_attributes(new.namespace_key, new.search_attributes.as_mut())?;
    host.check_override(new.namespace_key, &new.task_queue, new.versioning_override())
}

fn start(
    host: &mut Host,
    namespace: &str,
    mut new: NewRun,
    policy: IdPolicy,
) -> Result<StartWorkflowExecutionResponse, RpcError> {
    new.namespace_key = host.namespaces.key_of(namespace)?;
    check_in_namespace(host, &mut new)?;
    wait_for_cron(&mut new, host.now())?;
    let identity = new.identity.clone();
    // The worker that starts it must be of the version that it is for.
    let version = new.eager_version.take();
    new.eager = new.eager && host.deployments.target_of_start(&new) == version;
    let queue =
        QueueId::new(new.namespace_key, QueueKind::Workflow, new.task_queue.clone()).of_version(version);
    let (run_id, eager) = (new.run_id.clone(), new.eager);
    let request_id = new.request_id.clone();
    let started = host.start(new, policy)?;
    let eager_workflow_task = if eager && started.is_new {
        host.start_workflow_task(&queue, started.key, None, &identity)?
            .map(|(task, _)| task.whole())
    } else {
        None
    };
    let run = host.run(started.key)?;
    let is_first_answer = run.state.run_id == run_id;
    let link = Some(links::to_start(namespace, run, started.is_new, &request_id));
    Ok(StartWorkflowExecutionResponse {
        run_id: run.state.run_id.clone(),
        first_execution_run_id: run.state.first_run_id.clone(),
        started: started.is_new,
        status: run.state.status,
        eager_workflow_task: eager_workflow_task.filter(|_| is_first_answer),
        link,
    })
}

fn signal_with_start(
    host: &mut Host,
    namespace: &str,
    mut new: NewRun,
    policy: IdPolicy,
    signal: Signal,
) -> Result<SignalWithStartWorkflowExecutionResponse, RpcError> {
    new.namespace_key = host.namespaces.key_of(namespace)?;
    check_in_namespace(host, &mut new)?;
    wait_for_cron(&mut new, host.now())?;
    let request_id = signal.request_id.clone();
    let started = host.start(new, policy)?;
    let run = host.run(started.key)?;
    let has_signal = run.state.request_ids.contains(&request_id) && !request_id.is_empty();
    if !started.is_new && !has_signal {
        host.change(started.key, |run, now| {
            run.signal(now, signal)?;
            run.end_start_delay(now);
            Ok(())
        })?;
    }
    let run = host.run(started.key)?;
    Ok(SignalWithStartWorkflowExecutionResponse {
        run_id: run.state.run_id.clone(),
        first_execution_run_id: run.state.first_run_id.clone(),
        started: started.is_new,
        signal_link: Some(links::to_signal(namespace, run, &request_id)),
    })
}

/// Lets the first run wait for the first time of its cron schedule, if it has one.
fn wait_for_cron(new: &mut NewRun, now: Nanos) -> Result<(), RpcError> {
    if !new.cron_schedule.is_empty() {
        cron::check(&new.cron_schedule, now).map_err(RpcError::InvalidArgument)?;
        new.first_task_delay = cron::backoff(&new.cron_schedule, now, now).unwrap_or_default();
    }
    Ok(())
}

/// What both requests say of the run, not yet checked.
struct Fields {
    workflow_id: String,
    workflow_type: Option<WorkflowType>,
    task_queue: Option<TaskQueue>,
    input: Option<Payloads>,
    memo: Option<Memo>,
    search_attributes: Option<SearchAttributes>,
    execution_timeout: Option<prost_types::Duration>,
    run_timeout: Option<prost_types::Duration>,
    task_timeout: Option<prost_types::Duration>,
    retry_policy: Option<RetryPolicy>,
    cron_schedule: String,
    start_delay: Option<prost_types::Duration>,
    request_id: String,
}

impl Fields {
    fn check(self, limits: &Limits) -> Result<NewRun, RpcError> {
        limits.required_id("WorkflowId", &self.workflow_id)?;
        limits.id("RequestId", &self.request_id)?;
        limits.blob(self.input.as_ref())?;
        limits.memo(self.memo.as_ref())?;
        if let Some(policy) = &self.retry_policy {
            check_retry_policy(policy).map_err(RpcError::InvalidArgument)?;
        }
        let task_queue = limits.task_queue(self.task_queue)?;
        if task_queue.starts_with("/_sys/") {
            return Err(RpcError::InvalidArgument(
                "task queue name cannot start with reserved prefix /_sys/".into(),
            ));
        }
        let first_task_delay = not_negative("WorkflowStartDelay", self.start_delay.as_ref())?;
        if first_task_delay > 0 && !self.cron_schedule.is_empty() {
            return Err(RpcError::InvalidArgument(
                "CronSchedule and WorkflowStartDelay may not be used together.".into(),
            ));
        }
        Ok(NewRun {
            cron_schedule: self.cron_schedule,
            first_task_delay,
            workflow_id: self.workflow_id,
            run_id: new_run_id(),
            workflow_type: limits.workflow_type(self.workflow_type)?,
            task_queue,
            input: self.input,
            memo: self.memo,
            search_attributes: self.search_attributes,
            execution_timeout: not_negative("WorkflowExecutionTimeout", self.execution_timeout.as_ref())?,
            run_timeout: not_negative("WorkflowRunTimeout", self.run_timeout.as_ref())?,
            task_timeout: not_negative("WorkflowTaskTimeout", self.task_timeout.as_ref())?,
            retry_policy: self
                .retry_policy
                .map(|policy| retry_policy_with_defaults(Some(policy))),
            request_id: self.request_id,
            ..Default::default()
        })
    }
}

fn not_negative(what: &str, given: Option<&prost_types::Duration>) -> Result<Nanos, RpcError> {
    match nanos(given) {
        negative if negative < 0 => Err(RpcError::InvalidArgument(format!(
            "An invalid {what}Seconds is set on request. cause: negative duration"
        ))),
        length => Ok(length),
    }
}

/// Refuses what a request asks for and this engine does not have.
pub(super) fn refuse_unknown(features: &[(&str, bool)]) -> Result<(), RpcError> {
    match features.iter().find(|(_, is_asked_for)| *is_asked_for) {
        Some((name, _)) => Err(RpcError::Unimplemented(format!(
            "this engine does not implement {name}"
        ))),
        None => Ok(()),
    }
}
