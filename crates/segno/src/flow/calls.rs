//! What the program and people say to flows, and ask them.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use segno_routing::{
    Plan,
    flow::{Arrival, KeyView, PlannedFlow, Standing, State, flow_id},
};
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient, UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecuteUpdateOptions,
    WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowQueryOptions,
    WorkflowStartOptions,
    errors::{WorkflowInteractionError, WorkflowQueryError, WorkflowStartError, WorkflowUpdateError},
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::{
    Priority,
    protos::temporal::api::{
        common::v1::{Payloads, WorkflowExecution, WorkflowType},
        enums::v1::{WorkflowIdConflictPolicy as ConflictPolicy, WorkflowIdReusePolicy as ReusePolicy},
        history::v1::history_event::Attributes,
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{
            DeleteWorkflowExecutionRequest, GetWorkflowExecutionHistoryRequest,
            ListWorkflowExecutionsRequest, SignalWithStartWorkflowExecutionRequest,
        },
    },
};
use uuid::Uuid;

use super::{FlowWorkflow, WORKFLOW_TYPE, Word, raw};
use crate::{
    encryption::{open, seal, unreadable},
    search_attributes::{self, PARKED, ROUTE},
    worker::TASK_QUEUE,
};

/// Flows that are spoken to at once.
const AT_ONCE: usize = 32;
/// The priority of flows, where 3 is usual and 1 the highest: many events wait for each.
const URGENT: u32 = 2;
/// Flows whose keys are asked for on one page.
const PAGE: i32 = 100;

/// Workflow type and task queue of what is started in the place of an execution that is gone: nobody runs it.
const NOBODY: &str = "SegnoNobody";

/// A flow could not be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refuses or does not answer.
    #[error("the engine does not answer for a flow")]
    Engine(#[source] Status),
    /// The flow does not answer: no worker runs it, or it does not take what it is given.
    #[error("the flow does not answer: {0}")]
    Flow(String),
    /// There is no such execution, or none that belongs to a flow.
    #[error("{0}")]
    NoSuchExecution(String),
}

/// An execution that is to ask its flow whether it may run.
#[derive(Clone, Debug)]
pub(crate) struct Enrolment {
    pub(crate) route: String,
    pub(crate) flow: PlannedFlow,
    pub(crate) workflow_id: String,
    /// Size of its event.
    pub(crate) bytes: u64,
}

/// Asks a flow whether an execution may run, and starts the flow if it does not run.
pub(super) async fn enroll(client: &Client, enrolment: &Enrolment) -> Result<(), WorkflowStartError> {
    let Enrolment {
        route,
        flow,
        workflow_id,
        bytes,
    } = enrolment;
    let arrival = Arrival {
        id: workflow_id.clone(),
        key: flow.key.clone(),
        bytes: *bytes,
        policy: flow.policy.clone(),
    };
    client
        .signal_with_start_workflow(
            FlowWorkflow::run,
            State::new(route.as_str()),
            FlowWorkflow::arrive,
            raw(&arrival),
            start_options(route, &flow.id, &flow.key),
        )
        .await
        .map(drop)
}

/// Says a flow's word to an event's execution. False: it is not there any more.
///
/// A signal alone would be heard only when an execution that is held [begins](super::HELD): one with a start does not wait
/// for that. It is looked for first, as one that is gone would be started: whatever stands under its id makes its event, sent
/// again, a duplicate, which a crash must not leave behind. Where somebody deletes it between the look and the word, something
/// is started that nobody runs, and is deleted again.
pub(super) async fn say(client: &Client, workflow_id: &str, word: &Word) -> Result<bool, Status> {
    if !runs(client, workflow_id).await? {
        return Ok(false);
    }
    let request = SignalWithStartWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_id: workflow_id.to_owned(),
        workflow_type: Some(WorkflowType {
            name: NOBODY.to_owned(),
        }),
        task_queue: Some(TaskQueue {
            name: NOBODY.to_owned(),
            ..Default::default()
        }),
        // Should it not be deleted, it ends.
        workflow_execution_timeout: Duration::from_secs(60).try_into().ok(),
        identity: client.identity(),
        request_id: Uuid::new_v4().to_string(),
        workflow_id_reuse_policy: ReusePolicy::RejectDuplicate.into(),
        workflow_id_conflict_policy: ConflictPolicy::UseExisting.into(),
        signal_name: "word".to_owned(),
        signal_input: Some(Payloads {
            payloads: raw(word).payloads,
        }),
        ..Default::default()
    };
    let request = seal(client, request).await?;
    let mut service = client.connection().workflow_service();
    match service
        .signal_with_start_workflow_execution(request.into_request())
        .await
    {
        Ok(reply) => {
            let reply = reply.into_inner();
            if reply.started {
                forget(client, workflow_id, reply.run_id).await;
            }
            Ok(!reply.started)
        }
        Err(status) if status.code() == Code::AlreadyExists => Ok(false),
        Err(status) => Err(status),
    }
}

/// Deletes what was started in the place of an execution that is gone.
async fn forget(client: &Client, workflow_id: &str, run_id: String) {
    let request = DeleteWorkflowExecutionRequest {
        namespace: client.namespace(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            run_id,
        }),
    };
    let mut service = client.connection().workflow_service();
    if let Err(status) = service.delete_workflow_execution(request.into_request()).await {
        tracing::warn!(%status, execution = workflow_id, "what stands for a deleted execution stays until it is no longer kept");
    }
}

fn start_options(route: &str, id: &str, key: &str) -> WorkflowStartOptions {
    WorkflowStartOptions::new(TASK_QUEUE, id)
        .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
        .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
        .priority(Priority::builder().priority_key(URGENT).build())
        .search_attributes(search_attributes::of_flow(route, id, key))
        .build()
}

/// Asks the flows of these executions whether they may run: of each flow in the order given here, one after the other.
/// Those that were there before (true beside them) only if they have not closed.
pub(crate) async fn enroll_all(client: &Client, all: Vec<(Enrolment, bool)>) -> Result<(), Status> {
    let mut flows: BTreeMap<String, Vec<(Enrolment, bool)>> = BTreeMap::new();
    for one in all {
        flows.entry(one.0.flow.id.clone()).or_default().push(one);
    }
    stream::iter(flows.into_values().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |of_one| async move {
            for (enrolment, duplicate) in of_one {
                if duplicate && !runs(client, &enrolment.workflow_id).await? {
                    continue;
                }
                enroll(client, &enrolment).await.map_err(|error| match error {
                    WorkflowStartError::Rpc(status) => status,
                    other => Status::internal(other.to_string()),
                })?;
            }
            Ok(())
        })
        .await
}

async fn runs(client: &Client, workflow_id: &str) -> Result<bool, Status> {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(workflow_id);
    match handle.describe(WorkflowDescribeOptions::default()).await {
        Ok(description) => Ok(description.status() == WorkflowExecutionStatus::Running),
        Err(WorkflowInteractionError::NotFound(_)) => Ok(false),
        Err(WorkflowInteractionError::Rpc(status)) => Err(status),
        Err(other) => Err(Status::internal(other.to_string())),
    }
}

/// The plan that an execution was started with. None: there is no such execution.
pub(super) async fn plan_of(client: &Client, workflow_id: &str) -> Result<Option<Plan>, Error> {
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: client.namespace(),
        execution: Some(WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            run_id: String::new(),
        }),
        maximum_page_size: 1,
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = match service
        .get_workflow_execution_history(request.into_request())
        .await
    {
        Ok(reply) => open(client, reply.into_inner()).await,
        Err(status) if status.code() == Code::NotFound => return Ok(None),
        Err(status) => return Err(Error::Engine(status)),
    };
    let first = reply.history.unwrap_or_default().events.into_iter().next();
    let input = match first.and_then(|event| event.attributes) {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
            started.input.unwrap_or_default()
        }
        _ => Default::default(),
    };
    let input = input.payloads.first();
    if let Some(reason) = input.and_then(unreadable) {
        let reason = format!("the plan of {workflow_id:?} is {reason}");
        return Err(Error::Engine(Status::internal(reason)));
    }
    let input = input.map(|payload| payload.data.as_slice());
    serde_json::from_slice(input.unwrap_or_default())
        .map(Some)
        .map_err(|error| Error::NoSuchExecution(format!("{workflow_id:?} has no plan: {error}")))
}

/// Pauses a key of a route: its events are taken in and wait. False: it was paused.
///
/// # Errors
/// When the engine or the flow does not answer.
pub async fn pause(client: &Client, route: &str, flow: &str, key: &str) -> Result<bool, Error> {
    let is_paused = |of: KeyView| of.key == key && of.paused.is_some();
    if keys_of(client, flow).await?.into_iter().any(is_paused) {
        return Ok(false);
    }
    let paused = client.signal_with_start_workflow(
        FlowWorkflow::run,
        State::new(route),
        FlowWorkflow::pause,
        raw(&key),
        start_options(route, flow, key),
    );
    paused.await.map(|_| true).map_err(|error| match error {
        WorkflowStartError::Rpc(status) => Error::Engine(status),
        other => Error::Engine(Status::internal(other.to_string())),
    })
}

/// Lets a paused key of a route go on. False: it was not paused.
///
/// # Errors
/// When the engine or the flow does not answer.
pub async fn resume(client: &Client, route: &str, key: &str) -> Result<bool, Error> {
    let mut resumed = false;
    for flow in [flow_id(route, None), flow_id(route, Some(key))] {
        resumed |= ask(client, &flow, FlowWorkflow::resume, key).await?;
    }
    Ok(resumed)
}

/// Lets a parked key of a route go on without the execution that it is parked behind. False: it was not parked.
///
/// # Errors
/// When the engine or the flow does not answer.
pub async fn release(client: &Client, route: &str, key: &str) -> Result<bool, Error> {
    let mut released = false;
    for flow in [flow_id(route, None), flow_id(route, Some(key))] {
        released |= ask(client, &flow, FlowWorkflow::release, key).await?;
    }
    Ok(released)
}

/// Sends an update that takes a key and says whether it changed something. A flow that is not there changes nothing.
async fn ask<U>(client: &Client, flow: &str, update: U, key: &str) -> Result<bool, Error>
where
    U: temporalio_common::UpdateDefinition<
            Workflow = <FlowWorkflow as temporalio_sdk::workflows::WorkflowImplementation>::Run,
            Input = String,
            Output = bool,
        >,
{
    let handle = client.get_workflow_handle::<FlowWorkflow>(flow);
    let options = WorkflowExecuteUpdateOptions::default();
    match handle.execute_update(update, key.to_owned(), options).await {
        Ok(changed) => Ok(changed),
        Err(WorkflowUpdateError::NotFound(_)) => Ok(false),
        Err(WorkflowUpdateError::Rpc(status)) => Err(Error::Engine(status)),
        Err(other) => Err(Error::Flow(other.to_string())),
    }
}

/// Where an execution stands in its flow, and why.
///
/// # Errors
/// When the engine or the flow does not answer.
pub async fn standing(client: &Client, flow: &str, workflow_id: &str) -> Result<Standing, Error> {
    let handle = client.get_workflow_handle::<FlowWorkflow>(flow);
    let options = WorkflowQueryOptions::default();
    match handle
        .query(FlowWorkflow::standing, workflow_id.to_owned(), options)
        .await
    {
        Ok(standing) => Ok(standing),
        Err(WorkflowQueryError::NotFound(_)) => Ok(Standing::Unknown),
        Err(WorkflowQueryError::Rpc(status)) => Err(Error::Engine(status)),
        Err(other) => Err(Error::Flow(other.to_string())),
    }
}

/// A key of a route, as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedKey {
    /// The route.
    pub route: String,
    /// Workflow id of the flow that it is in.
    pub flow: String,
    /// The key.
    #[serde(flatten)]
    pub view: KeyView,
}

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Those of this route.
    pub route: Option<String>,
    /// Those that are parked, or that are not.
    pub parked: Option<bool>,
    /// Those of a page before, by its token.
    pub page_token: Vec<u8>,
}

/// A page of the keys of which there is something to know: events wait or run, or it is parked or paused. Beside it what
/// names the next page.
///
/// # Errors
/// When the engine or a flow does not answer.
pub async fn keys(client: &Client, which: &Keys) -> Result<(Vec<ListedKey>, Vec<u8>), Error> {
    let mut query = format!("WorkflowType = '{WORKFLOW_TYPE}' AND ExecutionStatus = 'Running'");
    if let Some(route) = &which.route {
        query.push_str(&format!(
            " AND {} = '{}'",
            ROUTE.name(),
            route.replace('\'', "''")
        ));
    }
    if which.parked == Some(true) {
        query.push_str(&format!(" AND {} > 0", PARKED.name()));
    }
    let request = ListWorkflowExecutionsRequest {
        namespace: client.namespace(),
        page_size: PAGE,
        next_page_token: which.page_token.clone(),
        query,
    };
    let mut service = client.connection().workflow_service();
    let reply = service.list_workflow_executions(request.into_request()).await;
    let reply = reply.map_err(Error::Engine)?.into_inner();
    let flows = reply
        .executions
        .into_iter()
        .filter_map(|info| Some(info.execution?.workflow_id));
    let listed: Vec<Vec<ListedKey>> = stream::iter(flows)
        .map(|flow| async move {
            let route = flow.strip_prefix("flow:").unwrap_or(&flow);
            let route = route.split_once('/').map_or(route, |(route, _)| route).to_owned();
            let keys = keys_of(client, &flow).await?;
            let listed = |view| ListedKey {
                route: route.clone(),
                flow: flow.clone(),
                view,
            };
            Ok::<_, Error>(keys.into_iter().map(listed).collect())
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut keys: Vec<_> = listed.into_iter().flatten().collect();
    if let Some(parked) = which.parked {
        keys.retain(|key| key.view.parked.is_some() == parked);
    }
    Ok((keys, reply.next_page_token))
}

async fn keys_of(client: &Client, flow: &str) -> Result<Vec<KeyView>, Error> {
    let handle = client.get_workflow_handle::<FlowWorkflow>(flow);
    match handle
        .query(FlowWorkflow::keys, (), WorkflowQueryOptions::default())
        .await
    {
        Ok(keys) => Ok(keys),
        Err(WorkflowQueryError::NotFound(_)) => Ok(Vec::new()),
        Err(WorkflowQueryError::Rpc(status)) => Err(Error::Engine(status)),
        Err(other) => Err(Error::Flow(other.to_string())),
    }
}
