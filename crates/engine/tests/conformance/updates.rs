//! Updates: their way from the client to the worker and back, and what the history keeps of them.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, UpdateWorkflowExecutionLifecycleStage as Stage},
    history::v1::history_event::Attributes,
    protocol::v1::message::SequencingId,
};

use crate::{
    bed::{Bed, both_engines, commands, execution, payloads, rpc},
    update_messages::*,
};

const IDLE: [&str; 4] = [
    "WorkflowExecutionStarted",
    "WorkflowTaskScheduled",
    "WorkflowTaskStarted",
    "WorkflowTaskCompleted",
];

/// The idle run's events and those.
fn idle_and(more: &[&'static str]) -> Vec<&'static str> {
    IDLE.iter().chain(more).copied().collect()
}

both_engines! {
    async fn an_update_is_accepted_and_completed_in_one_task(bed: &Bed) {
        let run_id = idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            assert_eq!(message.id, "u/request");
            assert_eq!(message.protocol_instance_id, "u");
            assert_eq!(message.sequencing_id, Some(SequencingId::EventId(task.started_event_id - 1)));
            let request = request_of(&message);
            assert_eq!(request.input.and_then(|input| input.args), Some(payloads("u")));
            assert_eq!((task.started_event_id, task.previous_started_event_id, task.attempt), (6, 3, 1));
            assert_eq!(task.history.as_ref().map(|history| history.events.len()), Some(6));
            let answers = vec![acceptance(&message), response(&message, "changed")];
            let answer = complete(bed, completion(bed, &task, vec![], answers)).await;
            assert_eq!(answer.reset_history_event_id, 0);
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        let updated = updated.expect("an update");
        assert_eq!(updated.stage(), Stage::Completed);
        assert_eq!(updated.outcome, success("changed"));
        let reference = updated.update_ref.expect("a reference");
        assert_eq!(reference.update_id, "u");
        assert_eq!(reference.workflow_execution.map(|execution| execution.run_id), Some(run_id));
        let types = idle_and(&[
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
            "WorkflowTaskCompleted",
            "WorkflowExecutionUpdateAccepted",
            "WorkflowExecutionUpdateCompleted",
        ]);
        let history = bed.history("w").await;
        assert_eq!(bed.event_types("w").await, types);
        let Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) = &history[7].attributes
        else {
            panic!("{:?}", history[7]);
        };
        assert_eq!(accepted.protocol_instance_id, "u");
        assert_eq!(accepted.accepted_request_message_id, "u/request");
        assert_eq!(accepted.accepted_request_sequencing_event_id, 5);
        let args = accepted.accepted_request.clone().and_then(|request| request.input).and_then(|input| input.args);
        assert_eq!(args, Some(payloads("u")));
        let Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) = &history[8].attributes
        else {
            panic!("{:?}", history[8]);
        };
        assert_eq!(completed.accepted_event_id, 8);
        assert_eq!(completed.meta.as_ref().map(|meta| meta.update_id.as_str()), Some("u"));
        assert_eq!(completed.outcome, success("changed"));
    }

    async fn a_rejected_update_leaves_no_trace(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let answer = complete(bed, unplaced(bed, &task, vec![rejection(&message, "not today")])).await;
            assert_eq!(answer.reset_history_event_id, 3, "the worker goes back to its last task");
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        let updated = updated.expect("an answer");
        assert_eq!(updated.stage(), Stage::Completed);
        assert_eq!(failure_of(updated.outcome), "not today");
        assert_eq!(bed.event_types("w").await, IDLE);
        let forgotten = poll(bed, "w", "u", Stage::Completed).await.expect_err("nothing is known of it");
        assert_eq!(forgotten.code(), Code::NotFound);
        assert_eq!(forgotten.message(), "update \"u\" not found");
    }

    async fn the_same_id_can_be_tried_again_after_a_rejection(bed: &Bed) {
        idle(bed, "w").await;
        for attempt in 0..2 {
            let works = async {
                let task = bed.task().await;
                assert_eq!(task.started_event_id, 6, "ids are used again");
                let message = message_of(&task);
                let answers = if attempt == 0 {
                    vec![rejection(&message, "not yet")]
                } else {
                    vec![acceptance(&message), response(&message, "now")]
                };
                complete(bed, unplaced(bed, &task, answers)).await;
            };
            let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
            let updated = updated.expect("an answer");
            assert_eq!(updated.outcome == success("now"), attempt == 1);
        }
    }

    async fn accepted_now_completed_later(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, completion(bed, &task, vec![], vec![acceptance(&message)])).await;
            message
        };
        let (updated, message) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        let updated = updated.expect("an update");
        assert_eq!(updated.stage(), Stage::Accepted);
        assert_eq!(updated.outcome, None);
        let now = poll(bed, "w", "u", Stage::Unspecified).await.expect("a status");
        assert_eq!(now.stage(), Stage::Accepted);
        let works = async {
            bed.signal("w", "go").await;
            let task = bed.task().await;
            assert_eq!(task.messages, [], "it is accepted already");
            complete(bed, completion(bed, &task, vec![], vec![response(&message, "later")])).await;
        };
        let (polled, ()) = tokio::join!(poll(bed, "w", "u", Stage::Completed), works);
        let polled = polled.expect("an outcome");
        assert_eq!((polled.stage(), polled.outcome), (Stage::Completed, success("later")));
        // The same update again is the same outcome.
        let again = update(bed, "w", "u", Stage::Completed).await.expect("the same update");
        assert_eq!((again.stage(), again.outcome), (Stage::Completed, success("later")));
        assert_eq!(bed.event_types("w").await.len(), 13);
    }

    async fn commands_and_messages_keep_their_order(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let (accept, respond) = (acceptance(&message), response(&message, "done"));
            let commands = vec![
                commands::marker("before"),
                place(&accept),
                commands::marker("between"),
                place(&respond),
                commands::marker("after"),
            ];
            let mut request = bed.completion(&task, commands);
            request.messages = vec![respond, accept];
            complete(bed, request).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        updated.expect("an update");
        assert_eq!(
            bed.event_types("w").await[7..],
            [
                "MarkerRecorded",
                "WorkflowExecutionUpdateAccepted",
                "MarkerRecorded",
                "WorkflowExecutionUpdateCompleted",
                "MarkerRecorded",
            ]
        );
    }

    async fn messages_without_a_command_follow_the_commands(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let mut request = bed.completion(&task, vec![commands::marker("first")]);
            request.messages = vec![acceptance(&message), response(&message, "done")];
            complete(bed, request).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        updated.expect("an update");
        assert_eq!(
            bed.event_types("w").await[7..],
            ["MarkerRecorded", "WorkflowExecutionUpdateAccepted", "WorkflowExecutionUpdateCompleted"]
        );
    }

    async fn an_update_that_the_worker_does_not_answer_is_rejected(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let answer = complete(bed, bed.completion(&task, vec![])).await;
            assert_eq!(answer.reset_history_event_id, 3);
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        let message = failure_of(updated.expect("an answer").outcome);
        assert!(message.starts_with("Workflow Update is rejected because it wasn't processed by worker."), "{message}");
        assert_eq!(bed.event_types("w").await, IDLE);
    }

    async fn an_update_rides_along_with_a_due_task(bed: &Bed) {
        bed.start("w").await;
        let works = async {
            let task = bed.eventually("the update is there", || async {
                let task = bed.task().await;
                if task.messages.is_empty() {
                    bed.complete(&task, vec![]).await;
                    bed.signal("w", "again").await;
                    return None;
                }
                Some(task)
            });
            let task = task.await;
            let message = message_of(&task);
            complete(bed, unplaced(bed, &task, vec![rejection(&message, "no")])).await
        };
        let (updated, answer) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        assert_eq!(failure_of(updated.expect("an answer").outcome), "no");
        assert_eq!(answer.reset_history_event_id, 0, "the task was there anyway, and stays");
        assert_eq!(bed.event_types("w").await.last(), Some(&"WorkflowTaskCompleted"));
    }

    async fn unknown_workflows_and_updates_are_not_found(bed: &Bed) {
        let refused = update(bed, "nobody", "u", Stage::Completed).await.expect_err("unknown");
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(refused.message(), "workflow not found for ID: nobody");
        idle(bed, "w").await;
        let refused = poll(bed, "w", "u", Stage::Completed).await.expect_err("unknown");
        assert_eq!(refused.code(), Code::NotFound);
        let mut other_chain = request(bed, "w", "u", Stage::Completed);
        other_chain.first_execution_run_id = uuid::Uuid::new_v4().to_string();
        let refused = rpc!(bed, update_workflow_execution, other_chain).expect_err("another chain");
        assert_eq!(refused.code(), Code::NotFound);
        let task = {
            bed.signal("w", "end").await;
            bed.task().await
        };
        bed.complete(&task, vec![commands::complete("done")]).await;
        let refused = update(bed, "w", "u", Stage::Completed).await.expect_err("closed");
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(refused.message(), "workflow execution already completed");
    }

    async fn requests_must_be_whole(bed: &Bed) {
        idle(bed, "w").await;
        let whole = request(bed, "w", "u", Stage::Completed);
        let mut without_name = whole.clone();
        without_name.request.as_mut().unwrap().input.as_mut().unwrap().name.clear();
        let mut without_input = whole.clone();
        without_input.request.as_mut().unwrap().input = None;
        let mut without_meta = whole.clone();
        without_meta.request.as_mut().unwrap().meta = None;
        let mut long_id = whole.clone();
        long_id.request.as_mut().unwrap().meta.as_mut().unwrap().update_id = "u".repeat(1_001);
        let mut only_admitted = whole.clone();
        only_admitted.wait_policy.as_mut().unwrap().lifecycle_stage = Stage::Admitted as i32;
        for (broken, code, why) in [
            (without_name, Code::InvalidArgument, "Update name is not set on request."),
            (without_input, Code::InvalidArgument, "Update input is not set on request."),
            (without_meta, Code::InvalidArgument, "Update meta is not set on request."),
            (long_id, Code::InvalidArgument, "UpdateId length exceeds limit."),
            (
                only_admitted,
                Code::PermissionDenied,
                "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.",
            ),
        ] {
            let refused = rpc!(bed, update_workflow_execution, broken).expect_err(why);
            assert_eq!((refused.code(), refused.message()), (code, why));
        }
    }

    async fn an_update_without_an_id_gets_one(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, completion(bed, &task, vec![], vec![acceptance(&message)])).await;
            message.protocol_instance_id
        };
        let (updated, id) = tokio::join!(update(bed, "w", "", Stage::Accepted), works);
        assert!(uuid::Uuid::try_parse(&id).is_ok(), "{id}");
        assert_eq!(updated.expect("an update").update_ref.map(|reference| reference.update_id), Some(id));
    }

    async fn the_same_id_is_the_same_update(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            bed.eventually("both wait for it", || async {
                let status = poll(bed, "w", "u", Stage::Unspecified).await.ok()?;
                (status.stage() == Stage::Admitted).then_some(())
            })
            .await;
            let second = update(bed, "w", "u", Stage::Completed);
            let works = async {
                let task = bed.task().await;
                let message = message_of(&task);
                let answers = vec![acceptance(&message), response(&message, "once")];
                complete(bed, completion(bed, &task, vec![], answers)).await;
            };
            tokio::join!(second, works).0
        };
        let (first, second) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        assert_eq!(first.expect("an outcome").outcome, success("once"));
        assert_eq!(second.expect("an outcome").outcome, success("once"));
        let accepted = bed.event_types("w").await;
        assert_eq!(accepted.iter().filter(|name| **name == "WorkflowExecutionUpdateAccepted").count(), 1);
    }

    async fn a_run_takes_ten_updates_at_a_time(bed: &Bed) {
        idle(bed, "w").await;
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..10 {
            let request = request(bed, "w", &number.to_string(), Stage::Accepted);
            let mut service = bed.client.connection().workflow_service();
            waiting.spawn(async move {
                use temporalio_client::tonic::IntoRequest;
                service.update_workflow_execution(request.into_request()).await.map(drop)
            });
        }
        for number in 0..10 {
            bed.eventually("it is admitted", || async {
                poll(bed, "w", &number.to_string(), Stage::Unspecified).await.ok()
            })
            .await;
        }
        let refused = update(bed, "w", "one more", Stage::Accepted).await.expect_err("too many");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(
            refused.message(),
            "limit on number of concurrent in-flight updates has been reached (10)"
        );
        let detail: Option<temporalio_common::protos::temporal::api::errordetails::v1::ResourceExhaustedFailure> =
            detail(&refused);
        let detail = detail.expect("a detail");
        assert_eq!(
            detail.cause(),
            temporalio_common::protos::temporal::api::enums::v1::ResourceExhaustedCause::ConcurrentLimit
        );
        while !waiting.is_empty() {
            let task = bed.task().await;
            let rejections: Vec<_> = task.messages.iter().map(|message| rejection(message, "no")).collect();
            let rejected = rejections.len();
            complete(bed, unplaced(bed, &task, rejections)).await;
            for _ in 0..rejected {
                let done = waiting.join_next().await.expect("one that waits");
                done.expect("no panic").expect("an answer");
            }
        }
    }

    async fn failing_workflow_tasks_refuse_updates(bed: &Bed) {
        use temporalio_common::protos::temporal::api::{
            enums::v1::WorkflowTaskFailedCause, workflowservice::v1::RespondWorkflowTaskFailedRequest,
        };
        bed.start("w").await;
        for _ in 0..2 {
            let task = bed.task().await;
            let request = RespondWorkflowTaskFailedRequest {
                namespace: bed.namespace.clone(),
                task_token: task.task_token,
                cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure as i32,
                ..Default::default()
            };
            rpc!(bed, respond_workflow_task_failed, request).expect("a failure");
        }
        let refused = update(bed, "w", "u", Stage::Completed).await.expect_err("it fails");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(
            refused.message(),
            "Unable to perform workflow execution update due to Workflow Task in failed state."
        );
    }
}

/// The detail that an error carries.
fn detail<M: prost::Message + Default>(status: &temporalio_client::tonic::Status) -> Option<M> {
    use prost::Message as _;
    let status = temporalio_common::protos::google::rpc::Status::decode(status.details()).ok()?;
    M::decode(status.details.first()?.value.as_slice()).ok()
}

both_engines! {
    async fn what_waits_when_the_workflow_closes_is_aborted(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            bed.complete(&task, vec![commands::complete("done")]).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        let aborted = updated.expect_err("no worker answered it");
        assert_eq!(aborted.code(), Code::NotFound);
        assert_eq!(aborted.message(), "workflow update was aborted by closing workflow");
        assert_eq!(bed.close_event("w").await.event_type(), EventType::WorkflowExecutionCompleted);
    }

    async fn what_is_accepted_when_the_workflow_closes_fails(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            complete(bed, completion(bed, &task, vec![], vec![acceptance(&message)])).await;
            bed.signal("w", "end").await;
            let task = bed.task().await;
            bed.complete(&task, vec![commands::complete("done")]).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        let why = "Workflow Update failed because the Workflow completed before the Update completed.";
        assert_eq!(failure_of(updated.expect("an outcome").outcome), why);
        let polled = poll(bed, "w", "u", Stage::Completed).await.expect("an outcome");
        assert_eq!(failure_of(polled.outcome), why);
        let again = update(bed, "w", "u", Stage::Accepted).await.expect("an outcome");
        assert_eq!(failure_of(again.outcome), why);
    }

    async fn a_closed_workflow_still_tells_outcomes(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "kept")];
            let mut request = completion(bed, &task, vec![], answers);
            request.commands.push(commands::complete("done"));
            complete(bed, request).await;
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        assert_eq!(updated.expect("an outcome").outcome, success("kept"));
        assert_eq!(update(bed, "w", "u", Stage::Completed).await.expect("an outcome").outcome, success("kept"));
        assert_eq!(poll(bed, "w", "u", Stage::Completed).await.expect("an outcome").outcome, success("kept"));
    }

    async fn a_terminated_workflow_aborts_too(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            bed.eventually("it waits", || async { poll(bed, "w", "u", Stage::Unspecified).await.ok() }).await;
            let request = temporalio_common::protos::temporal::api::workflowservice::v1::TerminateWorkflowExecutionRequest {
                namespace: bed.namespace.clone(),
                workflow_execution: Some(execution("w")),
                ..Default::default()
            };
            rpc!(bed, terminate_workflow_execution, request).expect("an end");
        };
        let (updated, ()) = tokio::join!(update(bed, "w", "u", Stage::Accepted), works);
        let aborted = updated.expect_err("no worker answered it");
        assert_eq!((aborted.code(), aborted.message()), (Code::NotFound, "workflow update was aborted by closing workflow"));
        assert_eq!(bed.event_types("w").await, idle_and(&["WorkflowExecutionTerminated"]));
    }

    async fn an_update_goes_on_to_the_next_run_of_its_chain(bed: &Bed) {
        let first = idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            assert_eq!(task.messages.len(), 1);
            bed.complete(&task, vec![commands::continue_as_new("next")]).await;
            let task = bed.eventually("the next run has it", || async {
                let task = bed.task().await;
                if task.messages.is_empty() {
                    bed.complete(&task, vec![]).await;
                    return None;
                }
                Some(task)
            });
            let task = task.await;
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "by the next")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let updates = async {
            loop {
                match update(bed, "w", "u", Stage::Completed).await {
                    // The real server may leave trying again to the client.
                    Err(busy) if busy.code() == Code::ResourceExhausted && bed.server.is_some() => {}
                    updated => return updated.expect("an outcome"),
                }
            }
        };
        let (updated, ()) = tokio::join!(updates, works);
        assert_eq!(updated.outcome, success("by the next"));
        let run = updated.update_ref.and_then(|reference| reference.workflow_execution).expect("a run").run_id;
        assert_ne!(run, first);
    }

    async fn the_server_waits_twenty_seconds_at_most(bed: &Bed) {
        idle(bed, "w").await;
        let began = tokio::time::Instant::now();
        let updated = update(bed, "w", "u", Stage::Accepted).await.expect("as far as it is");
        let waited = began.elapsed().as_secs_f64();
        assert!((19.0..25.0).contains(&waited), "{waited}");
        assert_eq!((updated.stage(), updated.outcome), (Stage::Admitted, None));
        // The speculative task has waited for a worker in vain: a written one took its place.
        let more = ["WorkflowTaskScheduled", "WorkflowTaskTimedOut", "WorkflowTaskScheduled"];
        assert_eq!(bed.event_types("w").await, idle_and(&more));
    }

    async fn the_callers_own_deadline_counts_too(bed: &Bed) {
        idle(bed, "w").await;
        let mut request = temporalio_client::tonic::Request::new(request(bed, "w", "u", Stage::Accepted));
        request.set_timeout(std::time::Duration::from_secs(3));
        let refused = bed.client.connection().workflow_service().update_workflow_execution(request).await;
        let refused = refused.expect_err("the time is over");
        // The client's own clock may be the first to notice.
        assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled), "{refused:?}");
    }

    async fn an_update_that_a_reset_brought_along_is_answered(bed: &Bed) {
        idle(bed, "w").await;
        let works = async {
            let task = bed.task().await;
            let message = message_of(&task);
            let answers = vec![acceptance(&message), response(&message, "before")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
            message
        };
        let (updated, message) = tokio::join!(update(bed, "w", "u", Stage::Completed), works);
        updated.expect("an update");
        let reset = temporalio_common::protos::temporal::api::workflowservice::v1::ResetWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            workflow_task_finish_event_id: 4,
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let run_id = rpc!(bed, reset_workflow_execution, reset).expect("a reset").run_id;
        let status = poll(bed, "w", "u", Stage::Unspecified).await.expect("a status");
        assert_eq!((status.stage(), status.outcome), (Stage::Admitted, None));
        let works = async {
            let task = bed.task().await;
            assert_eq!(task.workflow_execution.as_ref().map(|execution| execution.run_id.clone()), Some(run_id));
            assert_eq!(task.messages, [], "the worker has it from the history");
            let answers = vec![acceptance(&message), response(&message, "after")];
            complete(bed, completion(bed, &task, vec![], answers)).await;
        };
        let (polled, ()) = tokio::join!(poll(bed, "w", "u", Stage::Completed), works);
        assert_eq!(polled.expect("an outcome").outcome, success("after"));
        let again = update(bed, "w", "u", Stage::Completed).await.expect("the same update");
        assert_eq!(again.outcome, success("after"));
        let history = bed.history("w").await;
        let accepted = history.iter().find_map(|event| match &event.attributes {
            Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => Some(accepted),
            _ => None,
        });
        assert_eq!(accepted.expect("it is accepted").accepted_request, None, "the event before has it");
    }
}
