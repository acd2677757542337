//! Repetitions: events of the same key within a route's window.
//!
//! What has been seen is, as all else, an execution: the first event of a key starts one, named after the key, whose first
//! step the engine puts off until the window is over; then it ends. While it is open another start under its name is
//! refused, by any process. Its input says which event it was.

use std::{collections::HashMap, time::Duration};

use segno_routing::dedupe_id;
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::WorkflowIdReusePolicy,
    history::v1::history_event::Attributes,
    workflowservice::v1::{DescribeWorkflowExecutionRequest, GetWorkflowExecutionHistoryRequest},
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};
use uuid::Uuid;

use crate::{
    encryption::open,
    run::{Start, json_payload, value},
};

/// Type of the workflow that remembers a key.
const WORKFLOW_TYPE: &str = "SegnoDedupe";

/// Remembers one key for as long as it is open: the engine starts it when that time is over.
#[workflow]
#[derive(Default)]
pub(crate) struct DedupeWorkflow;

#[workflow_methods]
impl DedupeWorkflow {
    #[run(name = WORKFLOW_TYPE)]
    pub(crate) async fn run(_ctx: &mut WorkflowContext<Self>, _first: First) -> WorkflowResult<()> {
        Ok(())
    }
}

/// The first event of a key, by its execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct First {
    /// Id of its execution.
    workflow_id: String,
}

/// The execution of an earlier event that this one repeats.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
}

/// An event's key on a route.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) route: String,
    pub(crate) key: String,
    pub(crate) window: Duration,
}

/// Remembers the key, for the execution `workflow_id`; or finds that of which it is a repetition.
///
/// That one has to be there: where the process ended between the two starts, the event that comes now is handled, or none
/// of the two would be.
pub(crate) async fn remember(
    client: &Client,
    dedupe: &Key,
    workflow_id: &str,
) -> Result<Option<Earlier>, Status> {
    let marker = dedupe_id(&dedupe.route, &dedupe.key);
    let first = First {
        workflow_id: workflow_id.to_owned(),
    };
    let start = Start {
        workflow_id: marker.clone(),
        ty: WORKFLOW_TYPE.to_owned(),
        input: json_payload(&first).map_err(|error| Status::internal(error.to_string()))?,
        request_id: Uuid::new_v4().to_string(),
        // A key may come again once its window is over.
        reuse: WorkflowIdReusePolicy::AllowDuplicate,
        attributes: None,
        memo: HashMap::new(),
        delay: Some(dedupe.window),
    };
    if start.send(client).await?.is_some() {
        return Ok(None);
    }
    let Some(earlier) = read(client, &marker).await?.filter(|earlier| *earlier != first) else {
        return Ok(None);
    };
    let run_id = run_id(client, &earlier.workflow_id).await?;
    Ok(run_id.map(|run_id| Earlier {
        workflow_id: earlier.workflow_id,
        run_id,
    }))
}

/// What the marker was started with. None where it is gone.
async fn read(client: &Client, marker: &str) -> Result<Option<First>, Status> {
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: client.namespace(),
        execution: Some(execution(marker)),
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
        Err(status) => return Err(status),
    };
    let started = reply.history.unwrap_or_default().events.into_iter().next();
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        started.and_then(|event| event.attributes)
    else {
        return Ok(None);
    };
    Ok(serde_json::from_value(value(started.input)).ok())
}

/// The run id of the latest run of an execution. None where there is none.
pub(crate) async fn run_id(client: &Client, workflow_id: &str) -> Result<Option<String>, Status> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.namespace(),
        execution: Some(execution(workflow_id)),
    };
    let mut service = client.connection().workflow_service();
    match service.describe_workflow_execution(request.into_request()).await {
        Ok(reply) => {
            let info = reply.into_inner().workflow_execution_info;
            Ok(info
                .and_then(|info| info.execution)
                .map(|execution| execution.run_id))
        }
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

fn execution(workflow_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: String::new(),
    }
}
