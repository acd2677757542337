//! Speculative workflow tasks: there for updates alone, and not in the history unless they change something.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::{QueryResultType, UpdateWorkflowExecutionLifecycleStage as Stage},
    query::v1::WorkflowQueryResult,
    workflowservice::v1::{
        GetWorkflowExecutionHistoryRequest, RespondWorkflowTaskCompletedRequest,
        TerminateWorkflowExecutionRequest, respond_workflow_task_completed_request::Capabilities,
    },
};

use crate::{
    bed::{Bed, both_engines, commands, execution, payloads, rpc, seconds, sticky_queue},
    sticky::be_seen,
    update_messages::*,
};

/// What the history has after the idle run's four events.
async fn news(bed: &Bed) -> Vec<&'static str> {
    bed.event_types("w").await.split_off(4)
}

/// How many events the `temporal` command line gets.
async fn seen_by_people(bed: &Bed) -> usize {
    let mut request = temporalio_client::tonic::Request::new(GetWorkflowExecutionHistoryRequest {
        namespace: bed.namespace.clone(),
        execution: Some(execution("w")),
        ..Default::default()
    });
    request
        .metadata_mut()
        .insert("client-name", "temporal-cli".parse().expect("a value"));
    request
        .metadata_mut()
        .insert("client-version", "1.0.0".parse().expect("a value"));
    let mut service = bed.client.connection().workflow_service();
    let page = service
        .get_workflow_execution_history(request)
        .await
        .expect("a history")
        .into_inner();
    page.history.unwrap_or_default().events.len()
}

/// The update waits for a worker.
async fn admitted(bed: &Bed, id: &str) {
    bed.eventually("it is admitted", || async {
        poll(bed, "w", id, Stage::Unspecified).await.ok()
    })
    .await;
}

fn discards_events(mut request: RespondWorkflowTaskCompletedRequest) -> RespondWorkflowTaskCompletedRequest {
    request.capabilities = Some(Capabilities {
        discard_speculative_workflow_task_with_events: true,
    });
    request
}

both_engines! {
    async fn it_is_in_the_history_for_workers_alone(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            assert_eq!(news(bed).await, ["WorkflowTaskScheduled", "WorkflowTaskStarted"], "a worker replays them");
            assert_eq!(seen_by_people(bed).await, 4);
            assert!(bed.describe("w").await.pending_workflow_task.is_some(), "but it is pending");
            let message = message_of(&task);
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
            assert!(bed.describe("w").await.pending_workflow_task.is_none());
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
    }

    async fn a_signal_makes_a_normal_task_of_a_started_one(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            bed.signal("w", "s").await;
            let message = message_of(&task);
            let answer = complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
            assert_eq!(answer.reset_history_event_id, 0);
            let next = bed.task().await;
            assert_eq!(next.messages, []);
            bed.complete(&next, vec![]).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(
            news(bed).await,
            [
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionSignaled",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
            ]
        );
    }

    async fn a_signal_makes_a_normal_task_of_a_waiting_one(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            admitted(bed, "u").await;
            bed.signal("w", "s").await;
            let task = bed.task().await;
            let message = message_of(&task);
            let answer = complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
            assert_eq!(answer.reset_history_event_id, 0);
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(
            news(bed).await,
            ["WorkflowTaskScheduled", "WorkflowExecutionSignaled", "WorkflowTaskStarted", "WorkflowTaskCompleted"]
        );
    }

    async fn a_failed_one_is_written_and_its_update_goes_again(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            bed.fail_task(bed.task().await).await;
            let task = bed.task().await;
            assert_eq!(task.attempt, 2);
            let message = message_of(&task);
            assert_eq!(message.id, "u/request");
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        assert_eq!(failure_of(updated.expect("an answer").outcome), "no");
        assert_eq!(
            news(bed).await,
            [
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskFailed",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
            ]
        );
    }

    async fn one_that_nobody_completes_is_written_and_its_update_goes_again(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.workflow_task_timeout = Some(seconds(1));
        rpc!(bed, start_workflow_execution, request).expect("a start");
        let task = bed.task().await;
        bed.complete(&task, vec![]).await;
        let works = async {
            let lost = bed.task().await;
            let task = bed.task().await;
            assert_eq!(task.attempt, 2);
            let stale = bed.try_complete(&lost, vec![]).await.expect_err("stale");
            assert_eq!(stale.code(), Code::NotFound);
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "late")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        assert_eq!(updated.expect("an outcome").outcome, success("late"));
        assert_eq!(
            news(bed).await,
            [
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskTimedOut",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionUpdateAccepted",
                "WorkflowExecutionUpdateCompleted",
            ]
        );
    }

    async fn a_bad_answer_fails_it_and_whoever_waits(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            // Completed, but never accepted.
            let bad = completion(bed, &task, vec![], vec![response(&message, "too soon")]);
            let refused = rpc!(bed, respond_workflow_task_completed, bad).expect_err("refused");
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().starts_with("BadUpdateWorkflowExecutionMessage: "), "{}", refused.message());
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        let failed = updated.expect_err("it cannot be done");
        assert_eq!(failed.code(), Code::FailedPrecondition);
        assert_eq!(
            failed.message(),
            "Unable to perform workflow execution update due to unexpected workflow task failure."
        );
        assert_eq!(news(bed).await[..3], ["WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed"]);
        let task = bed.task().await;
        assert_eq!(task.messages, [], "the next attempt is without it");
    }

    async fn a_command_for_an_absent_message_fails_the_task(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let absent = temporalio_common::protos::temporal::api::protocol::v1::Message {
            id: "absent".to_owned(),
            ..Default::default()
        };
        let refused = bed.try_complete(&task, vec![place(&absent)]).await.expect_err("refused");
        assert_eq!(
            (refused.code(), refused.message()),
            (
                Code::InvalidArgument,
                "BadUpdateWorkflowExecutionMessage: ProtocolMessageCommand referenced absent message ID absent"
            )
        );
    }

    async fn an_answer_brings_its_update_back_to_life(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        // The server has lost it, or this worker made it up.
        let message = temporalio_common::protos::temporal::api::protocol::v1::Message {
            id: "u/request".to_owned(),
            protocol_instance_id: "u".to_owned(),
            body: Some(prost_types::Any {
                type_url: "type.googleapis.com/temporal.api.update.v1.Request".to_owned(),
                value: prost::Message::encode_to_vec(&request(bed, "w", "u", Stage::Accepted).request.unwrap()),
            }),
            sequencing_id: Some(temporalio_common::protos::temporal::api::protocol::v1::message::SequencingId::EventId(2)),
        };
        let answers = vec![acceptance(&message), response(&message, "alive")];
        complete(bed, completion(bed, &task, vec![], answers)).await;
        let polled = poll(bed, "w", "u", Stage::Completed).await.expect("an outcome");
        assert_eq!(polled.outcome, success("alive"));
    }

    async fn an_unknown_update_cannot_be_completed(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let message = temporalio_common::protos::temporal::api::protocol::v1::Message {
            id: "u/request".to_owned(),
            protocol_instance_id: "u".to_owned(),
            ..Default::default()
        };
        let bad = completion(bed, &task, vec![], vec![response(&message, "of nothing")]);
        let refused = rpc!(bed, respond_workflow_task_completed, bad).expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(
            refused.message().starts_with("BadUpdateWorkflowExecutionMessage: update u wasn't found on the server."),
            "{}",
            refused.message()
        );
    }

    async fn a_sticky_worker_gets_it_with_what_is_new(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![commands::marker("m")], "own").await;
        be_seen(bed).await;
        let works = async {
            let task = bed.poll(sticky_queue("own", &bed.queue)).await;
            let events = task.history.clone().expect("a history").events;
            let ids: Vec<_> = events.iter().map(|event| event.event_id).collect();
            assert_eq!(ids, [4, 5, 6, 7], "the marker, and the task's own two");
            assert_eq!(task.started_event_id, 7);
            let message = message_of(&task);
            let rejected = unplaced(bed, &task, vec![rejection(&message, "no")]);
            // Its events would have to be taken back, which not every worker can.
            complete(bed, rejected).await.reset_history_event_id
        };
        let (updated, reset) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(reset, 0);
        assert_eq!(
            news(bed).await,
            ["MarkerRecorded", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted"]
        );
    }

    async fn events_are_taken_back_by_a_worker_that_can(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete_sticky(&task, vec![commands::marker("m")], "own").await;
        be_seen(bed).await;
        for _ in 0..2 {
            let works = async {
                let task = bed.poll(sticky_queue("own", &bed.queue)).await;
                let events = task.history.clone().expect("a history").events;
                assert_eq!(events.len(), 4, "the marker comes each time");
                let message = message_of(&task);
                let rejected = unplaced(bed, &task, vec![rejection(&message, "no")]);
                complete(bed, discards_events(bed.wanting_next(rejected))).await.reset_history_event_id
            };
            let (updated, reset) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
            updated.expect("an answer");
            assert_eq!(reset, 3);
            assert_eq!(news(bed).await, ["MarkerRecorded"]);
        }
    }

    async fn many_events_are_kept(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, (0..11).map(|number| commands::marker(&number.to_string())).collect()).await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let rejected = unplaced(bed, &task, vec![rejection(&message, "no")]);
            complete(bed, discards_events(rejected)).await.reset_history_event_id
        };
        let (updated, reset) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(reset, 0);
        assert_eq!(news(bed).await.last(), Some(&"WorkflowTaskCompleted"));
    }

    async fn the_next_update_comes_with_the_answer(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            assert_eq!(message.protocol_instance_id, "first");
            let second = update(bed, "w", "second", Stage::Completed);
            let works = async {
                admitted(bed, "second").await;
                let rejected = unplaced(bed, &task, vec![rejection(&message, "no")]);
                let answer = complete(bed, bed.wanting_next(rejected)).await;
                assert_eq!(answer.reset_history_event_id, 3);
                let next = answer.workflow_task.expect("the next task");
                let ids: Vec<_> =
                    next.history.clone().expect("a history").events.iter().map(|event| event.event_id).collect();
                assert_eq!(ids, [4, 5, 6]);
                assert_eq!((next.previous_started_event_id, next.started_event_id), (3, 6));
                let message = message_of(&next);
                assert_eq!(message.protocol_instance_id, "second");
                let answers = vec![acceptance(&message), response(&message, "done")];
                complete(bed, completion(bed, &next, vec![], answers)).await;
            };
            tokio::join!(second, works).0
        };
        let (first, second) = tokio::join!(update(bed, "w", "first", Stage::Completed), works);
        assert_eq!(failure_of(first.expect("an answer").outcome), "no");
        assert_eq!(second.expect("an answer").outcome, success("done"));
        assert_eq!(
            news(bed).await,
            [
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionUpdateAccepted",
                "WorkflowExecutionUpdateCompleted",
            ]
        );
    }

    async fn what_comes_during_a_task_is_due_after_it(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let works = async {
            admitted(bed, "u").await;
            // Without being asked for the next task, the server writes it down.
            bed.complete(&task, vec![]).await;
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await.reset_history_event_id
        };
        let (updated, reset) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(reset, 0);
        assert_eq!(
            news(bed).await,
            ["WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted"]
        );
    }

    async fn a_heartbeat_keeps_it_and_its_update(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let mut heartbeat = bed.wanting_next(bed.completion(&task, vec![]));
            heartbeat.force_create_new_workflow_task = true;
            let answer = complete(bed, heartbeat).await;
            assert_eq!(answer.reset_history_event_id, 0);
            let next = answer.workflow_task.expect("the next task");
            assert_eq!(next.messages, [], "the worker has it already");
            let answers = vec![acceptance(&message), response(&message, "at last")];
            complete(bed, completion(bed, &next, vec![], answers)).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        assert_eq!(updated.expect("an answer").outcome, success("at last"));
        assert_eq!(
            news(bed).await,
            [
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionUpdateAccepted",
                "WorkflowExecutionUpdateCompleted",
            ]
        );
    }

    async fn a_query_rides_along_with_it(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            admitted(bed, "u").await;
            let asks = bed.query("w", "state");
            let works = async {
                // The query may be a moment later than the task.
                let mut task = bed.task().await;
                let mut results = std::collections::HashMap::new();
                if let Some(id) = task.queries.keys().next() {
                    results.insert(id.clone(), answered("along"));
                }
                let message = message_of(&task);
                let mut request = unplaced(bed, &task, vec![rejection(&message, "no")]);
                request.query_results = results.clone();
                complete(bed, request).await;
                if results.is_empty() {
                    task = bed.task().await;
                    let request = temporalio_common::protos::temporal::api::workflowservice::v1::RespondQueryTaskCompletedRequest {
                        namespace: bed.namespace.clone(),
                        task_token: task.task_token,
                        completed_type: QueryResultType::Answered as i32,
                        query_result: Some(payloads("along")),
                        ..Default::default()
                    };
                    rpc!(bed, respond_query_task_completed, request).expect("an answer");
                }
            };
            tokio::join!(asks, works).0
        };
        let (updated, asked) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(asked.expect("an answer").query_result, Some(payloads("along")));
        assert_eq!(news(bed).await, Vec::<&str>::new());
    }

    async fn a_termination_writes_a_started_one(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let request = TerminateWorkflowExecutionRequest {
                namespace: bed.namespace.clone(),
                workflow_execution: Some(execution("w")),
                ..Default::default()
            };
            rpc!(bed, terminate_workflow_execution, request).expect("an end");
            let late = bed.try_complete(&task, vec![]).await.expect_err("too late");
            assert_eq!(late.code(), Code::NotFound);
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        assert_eq!(updated.expect_err("aborted").message(), "workflow update was aborted by closing workflow");
        assert_eq!(
            news(bed).await,
            ["WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed", "WorkflowExecutionTerminated"]
        );
    }

    async fn a_discarded_ones_token_is_stale(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
            task
        };
        let (updated, old) = tokio::join!(update(bed, "w", "first", Stage::Accepted), works);
        updated.expect("an answer");
        let works = async {
            let task = bed.task().await;
            assert_eq!(task.started_event_id, old.started_event_id);
            let stale = bed.try_complete(&old, vec![]).await.expect_err("it is another task");
            assert_eq!(stale.code(), Code::NotFound);
            let message = message_of(&task);
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "second", Stage::Accepted), works);
        updated.expect("an answer");
    }

    async fn a_timer_fires_beside_it(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::start_timer("t", seconds(1))]).await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            bed.eventually("the timer fires", || async {
                let info = bed.describe("w").await;
                (info.workflow_execution_info?.history_length > 5).then_some(())
            })
            .await;
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await;
            bed.complete(&bed.task().await, vec![commands::complete("done")]).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        updated.expect("an answer");
        assert_eq!(
            news(bed).await,
            [
                "TimerStarted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "TimerFired",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted",
            ]
        );
    }
}

fn answered(text: &str) -> WorkflowQueryResult {
    WorkflowQueryResult {
        result_type: QueryResultType::Answered as i32,
        answer: Some(payloads(text)),
        ..Default::default()
    }
}
