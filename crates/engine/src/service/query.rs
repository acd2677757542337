//! `QueryWorkflow`.

use std::time::Duration;

use temporalio_protos::temporal::api::{
    enums::v1::{QueryRejectCondition, WorkflowExecutionStatus as Status},
    query::v1::QueryRejected,
    workflowservice::v1::{QueryWorkflowRequest, QueryWorkflowResponse},
};
use tokio::sync::oneshot;

use super::{Service, poll_time};
use crate::{
    host::{Handle, queries::Answer},
    rpc::{Call, RpcError},
};

/// How long a query waits for a worker where the caller names no deadline.
const LONGEST_QUERY: Duration = Duration::from_secs(30);

/// Forgets the query when nobody waits for it any more.
struct Asking {
    run: i64,
    host: Handle,
    answer: Option<oneshot::Receiver<Answer>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        drop(self.answer.take());
        let run = self.run;
        // Fails only when the engine has stopped, and all queries with it.
        let _ = self.host.tell(move |host| host.forget_query(run));
    }
}

impl Service {
    pub(super) async fn query_workflow(
        &self,
        request: QueryWorkflowRequest,
        call: Call,
    ) -> Result<QueryWorkflowResponse, RpcError> {
        let reject = request.query_reject_condition();
        let query = request.query.unwrap_or_default();
        self.limits.required_id("QueryType", &query.query_type)?;
        self.limits.blob(query.query_args.as_ref())?;
        let execution = request.execution.unwrap_or_default();
        let (reply, answer) = oneshot::channel();
        let asked = self
            .host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&request.namespace)?;
                let key = host.find(namespace, &execution)?;
                let status = host.run(key)?.state.status;
                if is_rejected(reject, status) {
                    return Ok(Err(status));
                }
                let id = host.query(key, query, reply)?;
                Ok(Ok((key, id, host.patience(key)?)))
            })
            .await?;
        let (run, id, patience) = match asked {
            Ok(asked) => asked,
            Err(status) => {
                let query_rejected = Some(QueryRejected { status });
                return Ok(QueryWorkflowResponse {
                    query_rejected,
                    ..Default::default()
                });
            }
        };
        let mut asking = Asking {
            run,
            host: self.host.clone(),
            answer: Some(answer),
        };
        let Some(answer) = &mut asking.answer else {
            return Err(RpcError::Internal("no answer".into()));
        };
        let answered = async {
            loop {
                if let Ok(answered) = tokio::time::timeout(patience, &mut *answer).await {
                    return answered;
                }
                // Where that fails, the answer may still come.
                if let Err(error) = self.host.call(move |host| host.ask_any_worker(run, id)).await {
                    tracing::warn!(%error, "a query could not be given to another worker");
                }
            }
        };
        match tokio::time::timeout(poll_time(&call, LONGEST_QUERY), answered).await {
            Ok(Ok(Ok(query_result))) => Ok(QueryWorkflowResponse {
                query_result,
                ..Default::default()
            }),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(RpcError::Unavailable(
                "the engine stopped before the query was answered".into(),
            )),
            Err(_) => Err(RpcError::DeadlineExceeded(
                "no worker answered the query in time: is one polling the workflow's task queue?".into(),
            )),
        }
    }
}

fn is_rejected(condition: QueryRejectCondition, status: i32) -> bool {
    let is = |other: Status| status == other as i32;
    match condition {
        QueryRejectCondition::NotOpen => !is(Status::Running),
        QueryRejectCondition::NotCompletedCleanly => {
            is(Status::Failed) || is(Status::Canceled) || is(Status::Terminated) || is(Status::TimedOut)
        }
        _ => false,
    }
}
