//! Requests on their way in and answers on their way out, under the limits of their connection.
//!
//! Small messages are bounded by how many calls a connection may have under way. Large ones are counted in bytes, for
//! their connection and for all: a request by the size that it announces, before a byte of it is kept.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use temporalio_protos::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use tonic::{Status, body::Body};

use super::connection::Connection;
use crate::rpc::RpcError;

/// Messages up to this size are not counted.
const SMALL: usize = 16 * 1024;
/// The head of a message in gRPC: whether it is compressed, and its size.
const HEAD: usize = 5;
/// A message that is too large is read up to this size, and none of it kept, so that whoever sends it gets the error
/// that it knows: a worker fails its task then, and would else try it again and again. A larger one is cut off.
const READ: usize = 64 * 1024 * 1024;
/// When to try again a request that there is no room for.
const RETRY: Duration = Duration::from_secs(1);

/// Whether a message of this size is counted.
pub(super) fn is_large(bytes: usize) -> bool {
    bytes > SMALL
}

/// Bytes that are counted as under way, until this is dropped.
pub(super) struct Room {
    connection: Arc<Connection>,
    bytes: usize,
}

impl Room {
    /// Room for a message of this size; none for a small one.
    ///
    /// # Errors
    /// When there is none left.
    pub(super) fn take(connection: &Arc<Connection>, bytes: usize) -> Result<Option<Self>, Status> {
        let room = Self::take_always(connection, bytes);
        let Some(taken) = &room else { return Ok(None) };
        let (all, limits) = (&taken.connection.all, taken.connection.all.limits());
        let of_connection = taken.connection.bytes.load(Ordering::Relaxed);
        if of_connection > limits.connection_bytes {
            return Err(no_room(
                "too much of this connection is under way",
                ResourceExhaustedScope::Namespace,
            ));
        }
        if all.bytes.load(Ordering::Relaxed) > limits.total_bytes {
            return Err(no_room(
                "too much is under way to the engine",
                ResourceExhaustedScope::System,
            ));
        }
        Ok(room)
    }

    /// The same of an answer, which is there already: it is counted, so that requests wait for it.
    fn take_always(connection: &Arc<Connection>, bytes: usize) -> Option<Self> {
        if !is_large(bytes) {
            return None;
        }
        connection.bytes.fetch_add(bytes, Ordering::Relaxed);
        connection.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        Some(Self {
            connection: connection.clone(),
            bytes,
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.connection.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.connection.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn no_room(message: &str, scope: ResourceExhaustedScope) -> Status {
    RpcError::Throttled {
        message: message.to_owned(),
        cause: ResourceExhaustedCause::SystemOverloaded,
        scope,
        retry_after: RETRY,
    }
    .into()
}

/// What is refused for its size. The SDKs know these words: they do not send it again, and fail what it was for.
fn too_large(bytes: usize, most: usize) -> Status {
    Status::resource_exhausted(format!(
        "grpc: received message larger than max ({bytes} vs. {most})"
    ))
}

/// A request on its way in.
pub(super) struct Receiving {
    inner: Body,
    connection: Arc<Connection>,
    /// As much of the message's head as has come.
    head: [u8; HEAD],
    came: usize,
    room: Option<Room>,
    /// Why it is refused once it has come to its end.
    refused: Option<Status>,
    /// It did not come whole at once, and so its connection is watched.
    is_waiting: bool,
}

impl Receiving {
    pub(super) fn new(inner: Body, connection: Arc<Connection>) -> Self {
        Self {
            inner,
            connection,
            head: [0; HEAD],
            came: 0,
            room: None,
            refused: None,
            is_waiting: false,
        }
    }

    /// Looks at the head of the message.
    fn look(&mut self, data: &[u8]) -> Result<(), Status> {
        if self.came >= HEAD {
            return Ok(());
        }
        for byte in data.iter().take(HEAD - self.came) {
            self.head[self.came] = *byte;
            self.came += 1;
        }
        if self.came < HEAD {
            return Ok(());
        }
        let [_, size @ ..] = self.head;
        let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
        let most = self.connection.all.limits().message_bytes;
        if size > READ {
            return Err(too_large(size, most));
        }
        if size > most {
            self.refused = Some(too_large(size, most));
            return Ok(());
        }
        self.room = Room::take(&self.connection, size)?;
        Ok(())
    }
}

impl http_body::Body for Receiving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let polled = Pin::new(&mut self.inner).poll_frame(context);
            match &polled {
                Poll::Pending if !self.is_waiting => {
                    self.is_waiting = true;
                    self.connection.receiving.begin(&self.connection.all.now);
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref()
                        && let Err(status) = self.look(data)
                    {
                        return Poll::Ready(Some(Err(status)));
                    }
                    if self.refused.is_some() {
                        continue;
                    }
                }
                Poll::Ready(None) => {
                    if let Some(status) = self.refused.take() {
                        return Poll::Ready(Some(Err(status)));
                    }
                }
                _ => {}
            }
            return polled;
        }
    }

    fn is_end_stream(&self) -> bool {
        self.refused.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if self.is_waiting {
            self.connection.receiving.end(&self.connection.all.now);
        }
    }
}

/// An answer on its way out.
pub(super) struct Sending {
    inner: Body,
    connection: Arc<Connection>,
    _room: Option<Room>,
}

impl Sending {
    /// An answer whose message has so many bytes.
    pub(super) fn new(inner: Body, connection: Arc<Connection>, bytes: usize) -> Self {
        connection.sending.begin(&connection.all.now);
        Self {
            inner,
            _room: Room::take_always(&connection, bytes),
            connection,
        }
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.connection.sending.end(&self.connection.all.now);
    }
}
