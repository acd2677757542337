//! Pauses of routes and sinks: people hold them up, and let them go on.
//!
//! ```text
//! POST /sinks/x/pause ── signal ──▶ SegnoPauses "@pauses": its memo says what is paused
//!                                        ▲ each process reads it once a second, without a worker
//! SegnoEvent ── deliver: "x is paused" ──┘    the activity has done nothing; the execution waits and runs it anew
//!      ▲                                         (found by SegnoPaused)
//!      └── signal "resumed" ◀── activity wake ◀── SegnoPauses ◀── update ── POST /sinks/x/resume
//! ```
//!
//! What is not paused pays nothing: an activity looks into a set in memory that is empty. One that finds a pause has made no
//! attempt. An execution that is not told of the end of a pause looks by itself after some time.

mod held;
mod workflow;

pub(crate) use held::{Holds, failure, is_of_pause, is_pause, unless_paused, until_not_paused};
pub(crate) use workflow::{PauseActivities, PausesWorkflow};

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use parking_lot::RwLock;
use segno_routing::flow::Millis;
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient, WorkflowExecuteUpdateOptions, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowStartOptions,
    errors::{WorkflowStartError, WorkflowUpdateError},
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, enums::v1::WorkflowExecutionStatus,
    workflowservice::v1::DescribeWorkflowExecutionRequest,
};
use tokio_util::sync::CancellationToken;

use crate::{
    encryption::{open, unreadable},
    flow::{Error, raw},
    worker::TASK_QUEUE,
};

/// Workflow id of the one that knows.
const ID: &str = "@pauses";
/// The entry of its memo.
const MEMO: &str = "paused";
/// How often a process reads it.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a pause may take to be known on the engine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What can be paused: written as `route/<name>` or `sink/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub(crate) enum What {
    Route(String),
    Sink(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(name) => write!(f, "route/{name}"),
            Self::Sink(name) => write!(f, "sink/{name}"),
        }
    }
}

impl From<What> for String {
    fn from(what: What) -> Self {
        what.to_string()
    }
}

impl From<String> for What {
    fn from(text: String) -> Self {
        match text.strip_prefix("sink/") {
            Some(name) => Self::Sink(name.to_owned()),
            None => Self::Route(text.strip_prefix("route/").unwrap_or(&text).to_owned()),
        }
    }
}

impl What {
    /// As people are told of it.
    pub(crate) fn named(&self) -> String {
        match self {
            Self::Route(name) => format!("the route {name:?}"),
            Self::Sink(name) => format!("the sink {name:?}"),
        }
    }
}

/// What is paused, and since when.
pub(crate) type Paused = BTreeMap<What, Millis>;

/// What this process knows of pauses. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pauses(Arc<RwLock<Paused>>);

impl Pauses {
    /// The pause of this route, if it is paused.
    pub(crate) fn of_route(&self, route: &str) -> Option<What> {
        self.find(|| What::Route(route.to_owned()))
    }

    /// The pause of this sink, if it is paused.
    pub(crate) fn of_sink(&self, sink: &str) -> Option<What> {
        self.find(|| What::Sink(sink.to_owned()))
    }

    /// Everything that is paused.
    pub(crate) fn all(&self) -> Vec<What> {
        self.0.read().keys().cloned().collect()
    }

    fn find(&self, what: impl FnOnce() -> What) -> Option<What> {
        let paused = self.0.read();
        if paused.is_empty() {
            return None;
        }
        let what = what();
        paused.contains_key(&what).then_some(what)
    }

    /// Reads the engine, and again once a second until it is stopped. Returns once it was read for the first time: a process
    /// that has just started is to run nothing that is paused.
    pub(crate) async fn watch(&self, client: Client, stop: CancellationToken) -> Result<(), Status> {
        *self.0.write() = paused(&client).await?;
        let pauses = self.clone();
        tokio::spawn(async move {
            while stop
                .run_until_cancelled(tokio::time::sleep(PERIOD))
                .await
                .is_some()
            {
                pauses.look(&client).await;
            }
        });
        Ok(())
    }

    async fn look(&self, client: &Client) {
        match paused(client).await {
            Ok(paused) => *self.0.write() = paused,
            // What was known holds on.
            Err(status) => tracing::debug!(%status, "what is paused cannot be read"),
        }
    }
}

/// What is paused, as the engine has it.
pub(crate) async fn paused(client: &Client) -> Result<Paused, Status> {
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.namespace(),
        execution: Some(WorkflowExecution {
            workflow_id: ID.to_owned(),
            run_id: String::new(),
        }),
    };
    let mut service = client.connection().workflow_service();
    let info = match service.describe_workflow_execution(request.into_request()).await {
        Ok(reply) => open(client, reply.into_inner())
            .await
            .workflow_execution_info
            .unwrap_or_default(),
        Err(status) if status.code() == Code::NotFound => return Ok(Paused::new()),
        Err(status) => return Err(status),
    };
    if info.status != WorkflowExecutionStatus::Running as i32 {
        return Ok(Paused::new());
    }
    let memo = info.memo.unwrap_or_default();
    let list = memo.fields.get(MEMO);
    if let Some(reason) = list.and_then(unreadable) {
        return Err(Status::internal(format!("what is paused is {reason}")));
    }
    let list = list.and_then(|payload| serde_json::from_slice(&payload.data).ok());
    Ok(list.unwrap_or_default())
}

/// Pauses a route or a sink. False: it was paused. When it returns, this process knows, and every other within a second.
pub(crate) async fn pause(client: &Client, pauses: &Pauses, what: &What) -> Result<bool, Error> {
    if paused(client).await.map_err(Error::Engine)?.contains_key(what) {
        return Ok(false);
    }
    let options = WorkflowStartOptions::new(TASK_QUEUE, ID)
        .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
        .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
        .build();
    client
        .signal_with_start_workflow(
            PausesWorkflow::run,
            Paused::new(),
            PausesWorkflow::pause,
            raw(what),
            options,
        )
        .await
        .map_err(|error| match error {
            WorkflowStartError::Rpc(status) => Error::Engine(status),
            other => Error::Engine(Status::internal(other.to_string())),
        })?;
    let known = async {
        while !paused(client).await.map_err(Error::Engine)?.contains_key(what) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pauses.look(client).await;
        Ok(true)
    };
    let late = || {
        Error::Flow(format!(
            "the pause is stored, but no worker has taken it within {PATIENCE:?}"
        ))
    };
    tokio::time::timeout(PATIENCE, known)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// Lets a paused route or sink go on. False: it was not paused.
pub(crate) async fn resume(client: &Client, pauses: &Pauses, what: &What) -> Result<bool, Error> {
    let handle = client.get_workflow_handle::<PausesWorkflow>(ID);
    let options = WorkflowExecuteUpdateOptions::default();
    let resumed = match handle
        .execute_update(PausesWorkflow::resume, what.to_string(), options)
        .await
    {
        Ok(resumed) => resumed,
        Err(WorkflowUpdateError::NotFound(_)) => false,
        Err(WorkflowUpdateError::Rpc(status)) => return Err(Error::Engine(status)),
        Err(other) => return Err(Error::Flow(other.to_string())),
    };
    pauses.look(client).await;
    Ok(resumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paused_is_written_with_its_kind() {
        let paused = Paused::from([(What::Route("a".into()), 1), (What::Sink("route/b".into()), 2)]);
        let written = serde_json::to_string(&paused).unwrap();
        assert_eq!(written, r#"{"route/a":1,"sink/route/b":2}"#);
        assert_eq!(serde_json::from_str::<Paused>(&written).unwrap(), paused);
    }

    #[test]
    fn a_route_and_a_sink_of_one_name_are_two() {
        let pauses = Pauses::default();
        assert_eq!(pauses.of_sink("a"), None);
        pauses.0.write().insert(What::Sink("a".into()), 1);
        assert_eq!(pauses.of_sink("a"), Some(What::Sink("a".into())));
        assert_eq!(pauses.of_route("a"), None);
    }
}
