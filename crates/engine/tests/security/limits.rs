//! What is over a limit is refused in the words that the SDKs know, with the time after which to try again.

use std::time::Duration;

use prost::Message as _;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::{
    google::rpc,
    temporal::api::{
        common::v1::{Payload, Payloads},
        enums::v1::{ResourceExhaustedCause as Cause, ResourceExhaustedScope as Scope},
        errordetails::v1::ResourceExhaustedFailure,
        workflowservice::v1::*,
    },
};
use tokio::task::JoinSet;

use crate::{
    bed::{DEADLINE, Port, call, eventually, limits, poll, start},
    frames::{self, until_closed},
};

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, ::prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// Cause and scope of the status of a limit, and when to try again.
fn exhausted(status: &Status) -> (Cause, Scope, Duration) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = rpc::Status::decode(status.details()).expect("details");
    assert_eq!((details.code, details.message.as_str()), (8, status.message()));
    let [failure, retry] = details.details.as_slice() else {
        panic!("{details:?}")
    };
    let of_temporal = "type.googleapis.com/temporal.api.errordetails.v1.ResourceExhaustedFailure";
    assert_eq!(failure.type_url, of_temporal);
    assert_eq!(retry.type_url, "type.googleapis.com/google.rpc.RetryInfo");
    let failure = ResourceExhaustedFailure::decode(failure.value.as_slice()).expect("a failure");
    let retry = RetryInfo::decode(retry.value.as_slice()).expect("a time");
    let delay = Duration::try_from(retry.retry_delay.expect("a time")).expect("a duration");
    assert!(!delay.is_zero(), "{delay:?}");
    let pushback = status.metadata().get("grpc-retry-pushback-ms").expect("metadata");
    let pushback: u128 = pushback.to_str().expect("text").parse().expect("a number");
    assert_eq!(pushback, delay.as_millis().max(1));
    (failure.cause(), failure.scope(), delay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_polls_of_a_connection_and_of_a_namespace() {
    let limits = limits(|limits| {
        limits.connection_polls = 2;
        limits.namespace_polls = 3;
    });
    let port = Port::with_limits(limits).await;
    let (one, other) = (port.raw(None).await, port.raw(None).await);
    let mut polls = JoinSet::new();
    for (raw, name) in [(&one, "a"), (&one, "b"), (&other, "c")] {
        let raw = raw.clone();
        // Again, if it comes upon one of those below that were let in for a moment.
        polls.spawn(async move {
            while call!(raw, poll_workflow_task_queue, poll("default", name)).is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let refused = |raw: &crate::bed::Raw| {
        let raw = raw.clone();
        async move {
            // Short, in case that it is let in: then the others are not there yet.
            let mut request = raw.request(poll("default", "d"));
            request.set_timeout(Duration::from_secs(1));
            raw.service.clone().poll_workflow_task_queue(request).await.err()
        }
    };
    for (raw, whose) in [(&one, "connection"), (&other, "namespace")] {
        eventually("there are too many", || async {
            refused(raw)
                .await
                .is_some_and(|status| status.message().starts_with(whose))
        })
        .await;
        let status = refused(raw).await.expect("it is refused");
        assert_eq!(
            status.message(),
            format!("{whose} concurrent poller limit exceeded")
        );
        let (cause, scope, _) = exhausted(&status);
        assert_eq!((cause, scope), (Cause::ConcurrentLimit, Scope::Namespace));
    }
    // Other calls are not long polls.
    one.start("default", "w").await.expect("a start");
    call!(
        one,
        list_workflow_executions,
        ListWorkflowExecutionsRequest {
            namespace: "default".into(),
            ..Default::default()
        }
    )
    .expect("a list");
    // Nor is a read of a history that does not wait.
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: "default".into(),
        execution: Some(crate::bed::execution("w")),
        ..Default::default()
    };
    call!(one, get_workflow_execution_history, request.clone()).expect("a history");
    let waiting = GetWorkflowExecutionHistoryRequest {
        wait_new_event: true,
        ..request
    };
    exhausted(&call!(one, get_workflow_execution_history, waiting).expect_err("it waits"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_a_second_on_a_namespace() {
    let limits = limits(|limits| limits.namespace_requests_per_second = Some(10));
    let port = Port::with_limits(limits).await;
    port.register("other").await;
    let raw = port.raw(None).await;
    let mut status = None;
    for n in 0..1_000 {
        if let Err(refused) = raw.start("default", &n.to_string()).await {
            status = Some(refused);
            break;
        }
    }
    let status = status.expect("there are too many");
    assert_eq!(status.message(), "namespace rate limit exceeded");
    let (cause, scope, retry_after) = exhausted(&status);
    assert_eq!((cause, scope), (Cause::RpsLimit, Scope::Namespace));
    assert!(retry_after <= Duration::from_millis(100), "{retry_after:?}");
    // Another namespace has its own, and what is about none has no limit.
    raw.start("other", "w").await.expect("a start");
    for _ in 0..50 {
        call!(raw, get_system_info, GetSystemInfoRequest {}).expect("an answer");
    }
    eventually("it may call again", || async {
        raw.start("default", "again").await.is_ok()
    })
    .await;
}

/// A queue that takes nothing stands for one that is full; calls from inside are not under its limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue() {
    let port = Port::with_limits(limits(|limits| limits.queued_requests = 0)).await;
    let raw = port.raw(None).await;
    for _ in 0..3 {
        let (cause, scope, _) = exhausted(&raw.start("default", "w").await.expect_err("it is full"));
        assert_eq!((cause, scope), (Cause::SystemOverloaded, Scope::System));
    }
    let mut inside = port.inside().await.connection().workflow_service();
    let request = temporalio_client::tonic::Request::new(start("default", "w"));
    inside.start_workflow_execution(request).await.expect("a start");
}

fn start_with(bytes: usize, id: &str) -> StartWorkflowExecutionRequest {
    let payload = Payload {
        data: vec![b'x'; bytes],
        ..Default::default()
    };
    StartWorkflowExecutionRequest {
        input: Some(Payloads {
            payloads: vec![payload],
        }),
        ..start("default", id)
    }
}

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_too_large() {
    use temporalio_client::tonic::codec::CompressionEncoding;
    let port = Port::open(|server, _| server).await;
    let raw = port.raw(None).await;
    let status = call!(raw, start_workflow_execution, start_with(5 * MIB, "w")).expect_err("it is too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status
            .message()
            .starts_with("grpc: received message larger than max ("),
        "{status:?}"
    );
    assert!(status.message().ends_with(" vs. 4194304)"), "{status:?}");

    // What is small on its way is not, once it is unpacked.
    let mut packed = raw.service.clone().send_compressed(CompressionEncoding::Gzip);
    let status = packed.start_workflow_execution(start_with(50 * MIB, "w")).await;
    let status = status.expect_err("it is too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status
            .message()
            .starts_with("grpc: received message after decompression larger than max")
    );

    // What is only too large for a payload is the engine's to refuse.
    let status = call!(raw, start_workflow_execution, start_with(3 * MIB, "w")).expect_err("it is too large");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    raw.work("after-them").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_for_large_messages() {
    for (of_connection, of_all, scope) in [
        (MIB, 100 * MIB, Scope::Namespace),
        (100 * MIB, MIB, Scope::System),
    ] {
        let limits = limits(|limits| {
            limits.connection_bytes = of_connection;
            limits.total_bytes = of_all;
        });
        let port = Port::with_limits(limits).await;
        let raw = port.raw(None).await;
        let refused = call!(raw, start_workflow_execution, start_with(3 * MIB / 2, "w"));
        let (cause, given, _) = exhausted(&refused.expect_err("there is no room"));
        assert_eq!((cause, given), (Cause::SystemOverloaded, scope));
        // Room is given back: many times as much goes through, one after the other.
        for n in 0..20 {
            let started = call!(raw, start_workflow_execution, start_with(MIB / 2, &n.to_string()));
            started.expect("a start");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_only_hold_a_place_give_way() {
    let port = Port::with_limits(limits(|limits| limits.connections = 3)).await;
    let working = port.raw(None).await;
    working.start("default", "w").await.expect("a start");
    // Two more are let in, and then the older ones make room.
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(frames::sent(port.address, &frames::greeting(false)).await);
    }
    let newer = idle.split_off(2);
    for socket in idle {
        until_closed(socket, DEADLINE).await.expect("it gave way");
    }
    // Whoever works stays, and takes the places of the others.
    let (second, third) = (port.raw(None).await, port.raw(None).await);
    for (raw, id) in [(&second, "second"), (&third, "third"), (&working, "again")] {
        raw.start("default", id).await.expect("a start");
    }
    for socket in newer {
        until_closed(socket, DEADLINE).await.expect("it gave way");
    }
    // Now all places are taken by connections that work: the next one is closed.
    let late = frames::sent(port.address, &frames::greeting(false)).await;
    assert!(
        until_closed(late, DEADLINE)
            .await
            .expect("it is closed")
            .is_empty()
    );
    drop(third);
    eventually("there is a place again", || async {
        let raw =
            temporalio_client::tonic::transport::Channel::from_shared(format!("http://{}", port.address));
        let Ok(channel) = raw.expect("an address").connect().await else {
            return false;
        };
        let mut service = workflow_service_client::WorkflowServiceClient::new(channel);
        service.get_system_info(GetSystemInfoRequest {}).await.is_ok()
    })
    .await;
    working.start("default", "still").await.expect("a start");
}
