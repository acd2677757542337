//! Clients that mean no good, each beside one that works: it must get through, whatever the others do.
//!
//! The limits of time are shorter here than by default, so that the tests see them reached.
#![allow(clippy::disallowed_methods, reason = "a client that is slow on purpose")]

use std::time::Duration;

use segno_engine::ServerLimits;
use temporalio_client::tonic::Code;
use tokio::{io::AsyncWriteExt as _, task::JoinSet, time::sleep};

use crate::{
    bed::{DEADLINE, Port, call, eventually, limits, poll},
    frames::{self, CONTINUATION, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, sent, until_closed},
};

/// Limits under which slow clients are found out within seconds.
fn impatient() -> ServerLimits {
    limits(|limits| {
        limits.handshake = Duration::from_secs(1);
        limits.stall = Duration::from_secs(1);
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_say_nothing() {
    let port = Port::with_limits(impatient()).await;
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        silent.push(frames::connect(port.address).await);
    }
    port.raw(None).await.work("beside-them").await;
    for socket in silent {
        until_closed(socket, DEADLINE).await.expect("the port closes it");
    }
    port.raw(None).await.work("after-them").await;
}

/// TLS has a handshake of its own to be silent in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_in_place_of_tls() {
    let authority = segno_test_support::Authority::new("ours");
    let port = Port::open(|server, folder| {
        let tls = crate::bed::tls(folder, &authority, None);
        server.with_tls(tls).with_limits(impatient())
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(frames::connect(port.address).await);
    }
    port.secure(&authority, None, None).await.expect("a connection");
    for socket in silent {
        until_closed(socket, DEADLINE).await.expect("the port closes it");
    }
}

/// With every byte there is a reason to hope for the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preface_byte_by_byte() {
    let port = Port::with_limits(impatient()).await;
    let mut slow = JoinSet::new();
    for _ in 0..50 {
        let mut socket = frames::connect(port.address).await;
        slow.spawn(async move {
            for byte in PREFACE {
                sleep(Duration::from_millis(400)).await;
                if socket.write_all(&[*byte]).await.is_err() {
                    return true;
                }
            }
            // All of it was taken: ten times as long as it may take.
            false
        });
    }
    port.raw(None).await.work("beside-them").await;
    while let Some(was_closed) = slow.join_next().await {
        assert!(was_closed.expect("a client"), "a slow preface is not waited for");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage() {
    let port = Port::with_limits(impatient()).await;
    let http1 = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let zeros = vec![0; 100_000];
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let no_frames = [PREFACE, &noise[..]].concat();
    for bytes in [http1, zeros, noise, no_frames] {
        for _ in 0..20 {
            let mut socket = frames::connect(port.address).await;
            // It may be closed before all of it is sent.
            let _ = socket.write_all(&bytes).await;
            until_closed(socket, DEADLINE).await.expect("the port closes it");
        }
    }
    port.raw(None).await.work("after-them").await;
}

/// Messages that are no protobuf are refused, each by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_garbage_in_them() {
    let port = Port::with_limits(impatient()).await;
    let mut bytes = frames::greeting(false);
    for stream in (1..200).step_by(2) {
        bytes.extend(frame(
            HEADERS,
            frames::END_HEADERS,
            stream,
            &frames::headers_of("StartWorkflowExecution"),
        ));
        bytes.extend(frame(
            frames::DATA,
            frames::END_STREAM,
            stream,
            &[0, 0, 0, 0, 3, 0xff, 0xff, 0xff],
        ));
    }
    // Answered, and it remains a connection like others.
    let _socket = sent(port.address, &bytes).await;
    port.raw(None).await.work("beside-it").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_streams_on_one_connection() {
    let limits = limits(|limits| {
        limits.stall = Duration::from_secs(1);
        limits.streams = 100;
    });
    let port = Port::with_limits(limits).await;
    let mut socket = sent(port.address, &frames::greeting(false)).await;
    for first in (1..20_000).step_by(200) {
        let streams = (first..first + 200).step_by(2);
        let calls: Vec<u8> = streams
            .flat_map(|stream| frames::unfinished_call(stream, "GetSystemInfo"))
            .collect();
        if socket.write_all(&calls).await.is_err() {
            break;
        }
    }
    port.raw(None).await.work("beside-it").await;
    let answers = until_closed(socket, DEADLINE).await.expect("the port closes it");
    let is_refused = answers.iter().any(|kind| [RST_STREAM, GOAWAY].contains(kind));
    // A reset of the connection may take what was said with it.
    assert!(is_refused || answers.is_empty(), "{answers:?}");
}

/// Requests that begin and never end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_stop_in_the_middle() {
    let port = Port::with_limits(impatient()).await;
    let mut bytes = frames::greeting(false);
    for stream in (1..100).step_by(2) {
        bytes.extend(frames::unfinished_call(stream, "StartWorkflowExecution"));
    }
    let socket = sent(port.address, &bytes).await;
    port.raw(None).await.work("beside-it").await;
    until_closed(socket, DEADLINE).await.expect("the port closes it");
}

/// Answers that are asked for and not taken, by the rules of HTTP/2: there is no window for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_never_taken() {
    let port = Port::with_limits(impatient()).await;
    let mut bytes = frames::greeting(true);
    for stream in (1..1_000).step_by(2) {
        bytes.extend(frames::call(stream, "GetSystemInfo"));
    }
    let socket = sent(port.address, &bytes).await;
    port.raw(None).await.work("beside-it").await;
    let answers = until_closed(socket, DEADLINE).await.expect("the port closes it");
    assert!(!answers.contains(&frames::DATA), "no answer was sent");
}

/// The same by the rules of TCP: nothing is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_never_read() {
    let limits = limits(|limits| {
        limits.stall = Duration::from_secs(1);
        limits.keepalive_interval = Duration::from_secs(1);
        limits.keepalive_timeout = Duration::from_secs(1);
    });
    let port = Port::with_limits(limits).await;
    let mut socket = sent(port.address, &frames::greeting(false)).await;
    // Until the port does not take any more, as it cannot answer, or has closed.
    for stream in (1..2_000_000).step_by(2) {
        let call = frames::call(stream, "GetSystemInfo");
        match tokio::time::timeout(Duration::from_secs(1), socket.write_all(&call)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    port.raw(None).await.work("beside-it").await;
    eventually("the port closes it", || async {
        // What is written to a closed connection is answered with a reset, and then fails.
        socket
            .try_write(&frame(SETTINGS, 0, 0, &[]))
            .is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_end() {
    let port = Port::with_limits(impatient()).await;
    let mut socket = sent(port.address, &frames::greeting(false)).await;
    let large = [&[0x00, 1, b'x', 0x7f, 0xe1, 0x7f][..], &[b'x'; 16_000]].concat();
    let _ = socket
        .write_all(&frame(HEADERS, 0, 1, &frames::headers_of("GetSystemInfo")))
        .await;
    for _ in 0..1_000 {
        if socket
            .write_all(&frame(CONTINUATION, 0, 1, &large))
            .await
            .is_err()
        {
            break;
        }
    }
    port.raw(None).await.work("beside-it").await;
    until_closed(socket, DEADLINE).await.expect("the port closes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_header() {
    let port = Port::with_limits(impatient()).await;
    let raw = port.raw(None).await;
    let mut request = raw.request(poll("default", "queue"));
    let value = "x".repeat(100_000).parse().expect("metadata");
    request.metadata_mut().insert("large", value);
    let refused = raw.service.clone().poll_workflow_task_queue(request).await;
    assert!(refused.is_err(), "its headers are too large");
    // That may have cost it its connection. Everybody else's go on.
    port.raw(None).await.work("after-it").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_long_polls() {
    let limits = limits(|limits| {
        limits.connection_polls = 500;
        limits.namespace_polls = 1_200;
    });
    let port = Port::with_limits(limits).await;
    // Another namespace's, so that the limit on the namespace is not everybody's.
    port.register("busy").await;
    let mut polls = JoinSet::new();
    let mut clients = Vec::new();
    for client in 0..4 {
        let raw = port.raw(None).await;
        for n in 0..1_000 {
            let raw = raw.clone();
            let queue = format!("queue-{client}-{n}");
            polls.spawn(async move { call!(raw, poll_workflow_task_queue, poll("busy", &queue)) });
        }
        clients.push(raw);
    }
    // All but those that may wait are refused.
    for _ in 0..4_000 - 1_200 {
        let refused = polls.join_next().await.expect("a poll").expect("an answer");
        let refused = refused.expect_err("there are too many");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    }
    port.raw(None).await.work("beside-them").await;

    // Those that go leave their places to others.
    polls.shutdown().await;
    drop(clients);
    let raw = port.raw(None).await;
    raw.start("busy", "w").await.expect("a start");
    eventually("there is a place again", || async {
        raw.task("busy").await.is_ok()
    })
    .await;
}
