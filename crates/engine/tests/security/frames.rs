//! HTTP/2 by hand, for clients that do what no library would.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{error::Elapsed, timeout},
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The setting of how much of a stream's answer may be sent without being asked for more.
const INITIAL_WINDOW_SIZE: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface and settings. With `no_window`, no answer's message may be sent.
pub(crate) fn greeting(no_window: bool) -> Vec<u8> {
    let settings: &[u8] = if no_window {
        &[0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0]
    } else {
        &[]
    };
    [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()
}

/// A header in HPACK, as it is; `name`: its bytes, or its index in the static table.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a short value");
    [name, &[length], value].concat()
}

/// The headers of a call of this method of the workflow service.
pub(crate) fn headers_of(method: &str) -> Vec<u8> {
    let path = format!("/temporal.api.workflowservice.v1.WorkflowService/{method}");
    // `:method: POST` and `:scheme: http` by their indices, then the path, the host, and what gRPC asks for.
    [
        vec![0x83, 0x86],
        literal(&[0x04], path.as_bytes()),
        literal(&[0x01], b"localhost"),
        literal(&[0x0f, 0x10], b"application/grpc"),
        literal(&[&[0x00, 2][..], b"te"].concat(), b"trailers"),
    ]
    .concat()
}

/// A whole call whose message has no bytes.
pub(crate) fn call(stream: u32, method: &str) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, stream, &headers_of(method)),
        frame(DATA, END_STREAM, stream, &[0; 5]),
    ]
    .concat()
}

/// The beginning of a call that says that there is more to come.
pub(crate) fn unfinished_call(stream: u32, method: &str) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, stream, &headers_of(method)),
        frame(DATA, 0, stream, &[0, 0, 0, 1]),
    ]
    .concat()
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// A connection on which this was sent.
pub(crate) async fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut socket = connect(address).await;
    socket.write_all(bytes).await.expect("bytes are sent");
    socket
}

/// The kinds of the frames that come until the other side closes.
pub(crate) async fn until_closed(mut socket: TcpStream, most: Duration) -> Result<Vec<u8>, Elapsed> {
    let mut bytes = Vec::new();
    timeout(most, async {
        // It may also be reset.
        let _ = socket.read_to_end(&mut bytes).await;
    })
    .await?;
    let (mut kinds, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((head, after)) = rest.split_at_checked(9) {
        kinds.push(head[3]);
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        rest = after.get(length..).unwrap_or_default();
    }
    Ok(kinds)
}
