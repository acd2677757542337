//! Queries: on an idle run, along with a workflow task, on a closed one, failed, rejected, unanswered.

use std::sync::atomic::{AtomicUsize, Ordering};

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::{QueryRejectCondition, QueryResultType, WorkflowExecutionStatus},
    query::v1::{WorkflowQuery, WorkflowQueryResult},
    workflowservice::v1::{QueryWorkflowRequest, RespondQueryTaskCompletedRequest},
};

use crate::bed::{Bed, both_engines, commands, execution, payloads, rpc, sticky_queue};

/// A worker that answers the one query it gets.
async fn answer(bed: &Bed, completed_type: QueryResultType) {
    let task = bed.task().await;
    let query = task.query.expect("a query by itself");
    assert!(
        !task.history.expect("a history").events.is_empty(),
        "the whole history, as it is not sticky"
    );
    let request = RespondQueryTaskCompletedRequest {
        namespace: bed.namespace.clone(),
        task_token: task.task_token,
        completed_type: completed_type as i32,
        query_result: Some(payloads(&query.query_type)),
        error_message: "no such query".to_owned(),
        ..Default::default()
    };
    rpc!(bed, respond_query_task_completed, request).expect("an answer");
}

both_engines! {
    async fn an_idle_run_is_asked_by_itself(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let (answered, ()) = tokio::join!(bed.query("w", "state"), answer(bed, QueryResultType::Answered));
        assert_eq!(answered.expect("an answer").query_result, Some(payloads("state")));
        assert_eq!(bed.event_types("w").await.len(), 4, "a query leaves no trace");
    }

    async fn a_query_rides_along_with_a_due_task(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        bed.signal("w", "s").await;
        let works = async {
            let asked = bed.eventually("the query rides along", || async {
                let task = bed.task().await;
                match task.queries.keys().next().cloned() {
                    Some(id) => Some((task, id)),
                    None => {
                        bed.complete(&task, vec![]).await;
                        bed.signal("w", "again").await;
                        None
                    }
                }
            });
            let (task, id) = asked.await;
            let mut completion = bed.completion(&task, vec![]);
            let result = WorkflowQueryResult {
                result_type: QueryResultType::Answered as i32,
                answer: Some(payloads("rode along")),
                ..Default::default()
            };
            completion.query_results.insert(id, result);
            rpc!(bed, respond_workflow_task_completed, completion).expect("a completion");
        };
        let (answered, ()) = tokio::join!(bed.query("w", "state"), works);
        assert_eq!(answered.expect("an answer").query_result, Some(payloads("rode along")));
    }

    async fn a_closed_run_answers_too(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let (answered, ()) = tokio::join!(bed.query("w", "state"), answer(bed, QueryResultType::Answered));
        assert_eq!(answered.expect("an answer").query_result, Some(payloads("state")));
    }

    async fn a_query_that_its_worker_loses_goes_to_any_worker(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![], "own").await;
        crate::sticky::be_seen(bed).await;
        let lost = AtomicUsize::new(0);
        let loses = async {
            loop {
                let task = bed.poll(sticky_queue("own", &bed.queue)).await;
                if task.query.is_some() {
                    assert!(task.history.is_none_or(|history| history.events.is_empty()), "it has the run at hand");
                    lost.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let answers = async {
            loop {
                answer(bed, QueryResultType::Answered).await;
            }
        };
        // One for which its worker does not wait at the moment goes to any at once.
        let asks = bed.eventually("a query is lost and answered", || async {
            let answered = bed.query("w", "state").await.expect("an answer");
            assert_eq!(answered.query_result, Some(payloads("state")));
            (lost.load(Ordering::SeqCst) > 0).then_some(())
        });
        tokio::select! {
            () = loses => unreachable!(),
            () = answers => unreachable!(),
            () = asks => {}
        }
    }

    async fn a_failed_query_says_so(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let (answered, ()) = tokio::join!(bed.query("w", "state"), answer(bed, QueryResultType::Failed));
        let failed = answered.expect_err("it failed");
        assert_eq!(failed.code(), Code::InvalidArgument);
        assert!(failed.message().contains("no such query"), "{}", failed.message());
    }

    async fn a_query_can_be_rejected_by_status(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        let request = QueryWorkflowRequest {
            namespace: bed.namespace.clone(),
            execution: Some(execution("w")),
            query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
            query_reject_condition: QueryRejectCondition::NotOpen as i32,
        };
        let rejected = rpc!(bed, query_workflow, request).expect("an answer").query_rejected.expect("rejected");
        assert_eq!(rejected.status(), WorkflowExecutionStatus::Completed);
    }

    async fn an_unknown_run_cannot_be_asked(bed: &Bed) {
        let refused = bed.query("nobody", "state").await.expect_err("unknown");
        assert_eq!(refused.code(), Code::NotFound);
    }
}
