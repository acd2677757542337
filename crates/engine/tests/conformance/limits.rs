//! How much requests and executions may hold.

use segno_engine::Limits;
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, command::Attributes},
    common::v1::{Memo, Payload, Payloads, SearchAttributes},
    enums::v1::{EventType, SuggestContinueAsNewReason, WorkflowTaskFailedCause},
    workflowservice::v1::{
        DescribeNamespaceRequest, PollWorkflowTaskQueueResponse, StartWorkflowExecutionRequest,
    },
};

use crate::{
    bed::{Bed, attributes, both_engines, commands, rpc},
    cli::client_over_grpc,
};

const MIB: usize = 1024 * 1024;

fn large(bytes: usize) -> Payload {
    Payload {
        data: vec![b'x'; bytes],
        ..Default::default()
    }
}

fn marker_of(bytes: usize) -> Command {
    let mut marker = commands::marker("m");
    if let Some(Attributes::RecordMarkerCommandAttributes(attributes)) = &mut marker.attributes {
        let payloads = Payloads {
            payloads: vec![large(bytes)],
        };
        attributes.details.insert("data".to_owned(), payloads);
    }
    marker
}

/// Completes the task so that another one comes at once.
async fn next_task(
    bed: &Bed,
    task: &PollWorkflowTaskQueueResponse,
    commands: Vec<Command>,
) -> PollWorkflowTaskQueueResponse {
    let mut request = bed.completion(task, commands);
    request.force_create_new_workflow_task = true;
    rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
    bed.task().await
}

/// What the worker is told of its history.
fn suggested(task: &PollWorkflowTaskQueueResponse) -> (bool, Vec<SuggestContinueAsNewReason>) {
    let events = task.history.clone().expect("a history").events;
    let Some(started) = events
        .iter()
        .rfind(|event| event.event_type() == EventType::WorkflowTaskStarted)
    else {
        return (false, Vec::new());
    };
    let started = attributes!([started.clone()], WorkflowTaskStartedEventAttributes);
    let reasons = started.suggest_continue_as_new_reasons().collect();
    (started.suggest_continue_as_new, reasons)
}

/// Fails the only task of a new run with these commands, and answers why it failed.
async fn refused(bed: &Bed, workflow_id: &str, commands: Vec<Command>) -> WorkflowTaskFailedCause {
    bed.start(workflow_id).await;
    let task = bed.task().await;
    bed.try_complete(&task, commands).await.expect_err("too many");
    let events = bed.history(workflow_id).await;
    attributes!(events, WorkflowTaskFailedEventAttributes).cause()
}

/// A list of one keyword of so many bytes.
fn keyword(bytes: usize) -> Payload {
    Payload {
        metadata: [
            ("encoding".to_owned(), b"json/plain".to_vec()),
            ("type".to_owned(), b"KeywordList".to_vec()),
        ]
        .into(),
        data: format!("[\"{}\"]", "x".repeat(bytes)).into_bytes(),
        ..Default::default()
    }
}

fn with_attributes(bed: &Bed, values: &[(&str, Payload)]) -> StartWorkflowExecutionRequest {
    let fields = values
        .iter()
        .cloned()
        .map(|(name, value)| (name.to_owned(), value));
    StartWorkflowExecutionRequest {
        search_attributes: Some(SearchAttributes {
            indexed_fields: fields.collect(),
        }),
        ..bed.start_request("w")
    }
}

/// Starts it, which must be refused with this message.
async fn start_refused(bed: &Bed, request: StartWorkflowExecutionRequest, message: &str) {
    let refused = rpc!(bed, start_workflow_execution, request).expect_err("too much");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, message)
    );
}

both_engines! {
    async fn search_attributes_that_are_too_large_are_refused(bed: &Bed) {
        let request = with_attributes(bed, &[("TemporalChangeVersion", keyword(3_000))]);
        start_refused(bed, request, "search attribute TemporalChangeVersion value size 3004 exceeds size limit 2048").await;
        let request = with_attributes(bed, &[("TemporalChangeVersion", keyword(2_000))]);
        rpc!(bed, start_workflow_execution, request).expect("a start");
    }

    async fn clients_are_told_the_limits_of_payloads(bed: &Bed) {
        let request = DescribeNamespaceRequest { namespace: bed.namespace.clone(), ..Default::default() };
        let info = rpc!(bed, describe_namespace, request).expect("a description").namespace_info.expect("info");
        let limits = info.limits.expect("limits");
        assert_eq!((limits.blob_size_limit_error, limits.memo_size_limit_error), (2 * MIB as i64, 2 * MIB as i64));
    }

    async fn a_memo_may_be_larger_than_what_is_warned_of(bed: &Bed) {
        let mut request = bed.start_request("w");
        request.memo = Some(Memo { fields: [("m".to_owned(), large(3_000))].into() });
        rpc!(bed, start_workflow_execution, request).expect("a start");
    }

    /// Not what a payload may hold, but what gRPC lets in. The SDKs know these words and do not try again.
    async fn a_message_that_is_too_large(bed: &Bed) {
        let client = client_over_grpc(&bed.address().await).await;
        let mut request = bed.start_request("w");
        request.input = Some(Payloads { payloads: vec![large(4 * MIB)] });
        let request = temporalio_client::tonic::IntoRequest::into_request(request);
        let refused = client.connection().workflow_service().start_workflow_execution(request).await;
        let refused = refused.expect_err("it is too large");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        // The SDK's client compresses, unless it is told not to as it is on our side.
        let words = match &bed.server {
            Some(_) => "grpc: received message after decompression larger than max 4194304",
            None => "grpc: received message larger than max (",
        };
        assert!(refused.message().starts_with(words), "{refused:?}");
    }

    async fn what_is_too_large_is_refused(bed: &Bed) {
        let mut input = bed.start_request("w");
        input.input = Some(Payloads { payloads: vec![large(2 * MIB + 1)] });
        let mut memo = bed.start_request("w");
        memo.memo = Some(Memo { fields: [("m".to_owned(), large(2 * MIB + 1))].into() });
        let mut id = bed.start_request("w");
        id.workflow_id = "x".repeat(1_001);
        let mut request_id = bed.start_request("w");
        request_id.request_id = "x".repeat(1_001);
        for (request, message) in [
            (input, "Blob data size exceeds limit."),
            (memo, "Memo size exceeds limit."),
            (id, "WorkflowId exceeds maximum allowed length (1001/1000)"),
            (request_id, "length exceeds limit"),
        ] {
            let refused = rpc!(bed, start_workflow_execution, request).expect_err("too large");
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains(message), "{}", refused.message());
        }
    }

    async fn a_result_that_is_too_large_ends_the_run(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let mut command = commands::complete("result");
        if let Some(Attributes::CompleteWorkflowExecutionCommandAttributes(attributes)) = &mut command.attributes {
            attributes.result = Some(Payloads { payloads: vec![large(2 * MIB + 1)] });
        }
        bed.try_complete(&task, vec![command]).await.expect_err("too large");
        assert_eq!(
            bed.event_types("w").await[2..],
            ["WorkflowTaskStarted", "WorkflowTaskFailed", "WorkflowExecutionTerminated"]
        );
        let terminated = attributes!(bed.history("w").await, WorkflowExecutionTerminatedEventAttributes);
        let reason = "CompleteWorkflowExecutionCommandAttributes.Result exceeds size limit.";
        assert!(terminated.reason.ends_with(reason), "{}", terminated.reason);
        assert_eq!(terminated.identity, "history-service");
    }

    async fn two_thousand_of_a_kind_may_be_pending(bed: &Bed) {
        let many = |make: &dyn Fn(String) -> Command| (0..2_001).map(|n| make(format!("n{n}"))).collect::<Vec<_>>();
        let activities = many(&|id| commands::schedule(commands::activity(&id, "elsewhere")));
        let children = many(&|id| commands::start_child(commands::child(&id)));
        let signals = many(&|id| commands::signal_external(commands::external_signal(&id)));
        let cancels = many(&|id| commands::cancel_external(commands::external_cancel(&id)));
        for (id, commands, cause) in [
            ("a", activities, WorkflowTaskFailedCause::PendingActivitiesLimitExceeded),
            ("c", children, WorkflowTaskFailedCause::PendingChildWorkflowsLimitExceeded),
            ("s", signals, WorkflowTaskFailedCause::PendingSignalsLimitExceeded),
            ("r", cancels, WorkflowTaskFailedCause::PendingRequestCancelLimitExceeded),
        ] {
            assert_eq!(refused(bed, id, commands).await, cause);
            let task = bed.task().await;
            bed.complete(&task, vec![commands::complete("done")]).await;
        }
    }

    async fn a_long_history_should_continue_as_new(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        let task = next_task(bed, &task, (0..3_000).map(|_| commands::marker("m")).collect()).await;
        let mut request = bed.completion(&task, (0..2_000).map(|_| commands::marker("m")).collect());
        request.force_create_new_workflow_task = true;
        request.return_new_workflow_task = true;
        request.sticky_attributes = Some(temporalio_common::protos::temporal::api::taskqueue::v1::StickyExecutionAttributes {
            worker_task_queue: Some(crate::bed::sticky_queue("sticky", &bed.queue)),
            schedule_to_start_timeout: Some(crate::bed::seconds(10)),
        });
        let answer = rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
        let task = answer.workflow_task.expect("the next task");
        assert!(task.started_event_id > 4_096);
        let started = bed.eventually("the task is in the history", || async {
            let mut request = bed.completion(&task, vec![]);
            request.return_new_workflow_task = false;
            rpc!(bed, respond_workflow_task_completed, request).ok();
            let events = bed.history("w").await;
            events.into_iter().find(|event| event.event_id == task.started_event_id)
        })
        .await;
        let started = attributes!([started], WorkflowTaskStartedEventAttributes);
        assert!(started.suggest_continue_as_new);
        let reasons: Vec<_> = started.suggest_continue_as_new_reasons().collect();
        assert_eq!(reasons, [SuggestContinueAsNewReason::TooManyHistoryEvents]);
    }

    async fn a_large_history_should_continue_as_new(bed: &Bed) {
        bed.start("w").await;
        let mut task = bed.task().await;
        assert_eq!(suggested(&task), (false, vec![]));
        for _ in 0..3 {
            task = next_task(bed, &task, vec![marker_of(3 * MIB / 2)]).await;
        }
        bed.complete(&task, vec![]).await;
        let events = bed.history("w").await;
        let last = events.iter().rfind(|event| event.event_type() == EventType::WorkflowTaskStarted);
        let started = attributes!([last.expect("a task").clone()], WorkflowTaskStartedEventAttributes);
        assert!(started.suggest_continue_as_new);
        let reasons: Vec<_> = started.suggest_continue_as_new_reasons().collect();
        assert_eq!(reasons, [SuggestContinueAsNewReason::HistorySizeTooLarge]);
        assert!(started.history_size_bytes > 4 * MIB as i64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_too_many_events_is_terminated() {
    let bed = Bed::embedded_with(Limits {
        history_events: 20,
        ..Limits::default()
    })
    .await;
    bed.start("w").await;
    let task = bed.task().await;
    let markers = (0..15).map(|_| commands::marker("m")).collect();
    bed.complete(&task, markers).await;
    bed.signal("w", "the twentieth event").await;
    let terminated = attributes!(
        [bed.close_event("w").await],
        WorkflowExecutionTerminatedEventAttributes
    );
    assert_eq!(terminated.reason, "Workflow history count exceeds limit.");
    let types = bed.event_types("w").await;
    assert!(
        types.contains(&"WorkflowExecutionSignaled"),
        "what was taken is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_too_large_a_history_is_terminated() {
    let bed = Bed::embedded_with(Limits {
        history_size: 100_000,
        ..Limits::default()
    })
    .await;
    bed.start("w").await;
    let task = bed.task().await;
    bed.complete(&task, vec![marker_of(100_000)]).await;
    let terminated = attributes!(
        [bed.close_event("w").await],
        WorkflowExecutionTerminatedEventAttributes
    );
    assert_eq!(terminated.reason, "Workflow history size exceeds limit.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_takes_only_so_many_signals() {
    let bed = Bed::embedded_with(Limits {
        signals: 3,
        ..Limits::default()
    })
    .await;
    bed.start("w").await;
    for name in ["one", "two", "three"] {
        bed.signal("w", name).await;
    }
    let refused = bed.try_signal("w", "four").await.expect_err("too many");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        refused.message(),
        "exceeded workflow execution limit for signal events"
    );
    let mut request = bed.start_request("s");
    request.task_queue = Some(crate::bed::queue("senders"));
    rpc!(bed, start_workflow_execution, request).expect("a start");
    let task = bed.poll(crate::bed::queue("senders")).await;
    bed.complete(
        &task,
        vec![commands::signal_external(commands::external_signal("w"))],
    )
    .await;
    bed.poll(crate::bed::queue("senders")).await;
    let failed = attributes!(
        bed.history("s").await,
        SignalExternalWorkflowExecutionFailedEventAttributes
    );
    use temporalio_common::protos::temporal::api::enums::v1::SignalExternalWorkflowExecutionFailedCause;
    assert_eq!(
        failed.cause(),
        SignalExternalWorkflowExecutionFailedCause::SignalCountLimitExceeded
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_may_hold_is_configured() {
    let bed = Bed::embedded_with(Limits {
        blob_size: 1_000,
        memo_size: 500,
        id_length: 40,
        search_attributes: 1,
        search_attribute_size: 50,
        search_attributes_size: 60,
        ..Limits::default()
    })
    .await;
    let mut request = bed.start_request("w");
    request.input = Some(Payloads {
        payloads: vec![large(1_000)],
    });
    start_refused(&bed, request, "Blob data size exceeds limit.").await;
    let mut request = bed.start_request("w");
    request.memo = Some(Memo {
        fields: [("m".to_owned(), large(500))].into(),
    });
    start_refused(&bed, request, "Memo size exceeds limit.").await;
    let request = bed.start_request(&"x".repeat(41));
    let message = "WorkflowId exceeds maximum allowed length (41/40)";
    start_refused(&bed, request, message).await;
    let request = with_attributes(&bed, &[("BuildIds", keyword(1)), ("BinaryChecksums", keyword(1))]);
    start_refused(&bed, request, "number of search attributes 2 exceeds limit 1").await;
    let request = with_attributes(&bed, &[("BuildIds", keyword(50))]);
    let message = "search attribute BuildIds value size 54 exceeds size limit 50";
    start_refused(&bed, request, message).await;
    let request = with_attributes(&bed, &[("BuildIds", keyword(30))]);
    let refused = rpc!(bed, start_workflow_execution, request).expect_err("too much");
    assert!(
        refused.message().ends_with("exceeds size limit 60"),
        "{}",
        refused.message()
    );
    let request = DescribeNamespaceRequest {
        namespace: bed.namespace.clone(),
        ..Default::default()
    };
    let described = rpc!(bed, describe_namespace, request).expect("a description");
    let limits = described
        .namespace_info
        .and_then(|info| info.limits)
        .expect("limits");
    assert_eq!(
        (limits.blob_size_limit_error, limits.memo_size_limit_error),
        (1_000, 500)
    );
    // What a command holds ends the run.
    rpc!(bed, start_workflow_execution, bed.start_request("w")).expect("a start");
    let task = bed.task().await;
    let completed = bed.try_complete(&task, vec![marker_of(1_000)]).await;
    completed.expect_err("too large");
    let types = bed.event_types("w").await;
    assert_eq!(types.last(), Some(&"WorkflowExecutionTerminated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_updates_a_run_takes_is_configured() {
    use crate::update_messages::{acceptance, completion, message_of, response, update};
    use temporalio_common::protos::temporal::api::enums::v1::UpdateWorkflowExecutionLifecycleStage as Stage;
    let bed = Bed::embedded_with(Limits {
        updates: 1,
        ..Limits::default()
    })
    .await;
    bed.start("w").await;
    let task = bed.task().await;
    bed.complete(&task, vec![]).await;
    let worker = async {
        let task = bed.task().await;
        let message = message_of(&task);
        let answers = vec![acceptance(&message), response(&message, "done")];
        let completed = rpc!(
            bed,
            respond_workflow_task_completed,
            completion(&bed, &task, vec![], answers)
        );
        completed.expect("a completion");
    };
    let (first, ()) = tokio::join!(update(&bed, "w", "one", Stage::Completed), worker);
    first.expect("an outcome");
    let refused = update(&bed, "w", "two", Stage::Completed)
        .await
        .expect_err("one too many");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(
        refused.message(),
        "limit on number of total updates has been reached (1)"
    );
}
