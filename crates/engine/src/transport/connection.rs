//! The connections of the gRPC port: how many there are, and which are closed because they hold on to what others
//! need.
//!
//! A client may connect and say nothing, send its first bytes one by one, never send the rest of a request, or never
//! take an answer. None of this costs a timer a call: one look a second at all connections is enough.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::access::ServerLimits;

/// Bytes from which on a client is known to speak HTTP/2: the preface, and the head of the settings after it.
const GREETING: usize = 24 + 9;

/// All connections of a port.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ServerLimits,
    most: usize,
    opened: Instant,
    /// Seconds since `opened`, as of the last look.
    pub(super) now: AtomicU64,
    /// Bytes of large messages under way.
    pub(super) bytes: AtomicUsize,
    /// By their numbers, so the oldest is first.
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    next: u64,
    open: BTreeMap<u64, Arc<Connection>>,
    refused: u64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    peer: Option<SocketAddr>,
    since: u64,
    /// It speaks HTTP/2.
    is_greeted: AtomicBool,
    /// It has made a call that was let in.
    is_proven: AtomicBool,
    is_closed: AtomicBool,
    waker: AtomicWaker,
    /// Calls that wait for something to happen.
    pub(crate) polls: Arc<AtomicUsize>,
    /// Bytes of large messages under way.
    pub(super) bytes: AtomicUsize,
    /// Requests that have not come whole.
    pub(super) receiving: Progress,
    /// Answers that the client has not taken.
    pub(super) sending: Progress,
    pub(super) all: Arc<Connections>,
}

/// Things under way that ought to move.
#[derive(Debug, Default)]
pub(super) struct Progress {
    count: AtomicUsize,
    /// When the first of them began, or the last one ended.
    moved: AtomicU64,
}

impl Progress {
    pub(super) fn begin(&self, now: &AtomicU64) {
        // Before it counts: else a look in between would see it wait since the last one ended.
        if self.count.load(Ordering::Relaxed) == 0 {
            self.moved.store(now.load(Ordering::Relaxed), Ordering::Release);
        }
        self.count.fetch_add(1, Ordering::Release);
    }

    pub(super) fn end(&self, now: &AtomicU64) {
        self.moved.store(now.load(Ordering::Relaxed), Ordering::Relaxed);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_stalled(&self, now: u64, most: u64) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && now.saturating_sub(self.moved.load(Ordering::Relaxed)) > most
    }
}

impl Connections {
    pub(super) fn new(limits: ServerLimits) -> Arc<Self> {
        let most = match open_files() {
            Some(files) => limits.connections.min(files / 2),
            None => limits.connections,
        };
        Arc::new(Self {
            limits,
            most: most.max(1),
            opened: Instant::now(),
            now: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            all: Mutex::default(),
        })
    }

    pub(super) fn limits(&self) -> &ServerLimits {
        &self.limits
    }

    /// Lets a new connection in, if there is room or one that has not made a call gives way.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<SocketAddr>) -> Option<Arc<Connection>> {
        let mut all = self.all.lock();
        if all.open.len() >= self.most {
            let idle = all
                .open
                .values()
                .find(|open| !open.is_proven.load(Ordering::Relaxed));
            if let Some(idle) = idle.cloned() {
                all.open.remove(&idle.number);
                idle.close();
            } else {
                all.refused += 1;
                if all.refused.is_power_of_two() {
                    let (most, refused) = (self.most, all.refused);
                    tracing::warn!(most, refused, "connections are refused: there are too many");
                }
                return None;
            }
        }
        let connection = Arc::new(Connection {
            number: all.next,
            peer,
            since: self.now.load(Ordering::Relaxed),
            is_greeted: AtomicBool::new(false),
            is_proven: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            polls: Arc::default(),
            bytes: AtomicUsize::new(0),
            receiving: Progress::default(),
            sending: Progress::default(),
            all: self.clone(),
        });
        all.next += 1;
        all.open.insert(connection.number, connection.clone());
        Some(connection)
    }

    /// Closes the connections that hold on to something and do not move, once a second for as long as there is a
    /// port.
    pub(super) async fn watch(connections: Weak<Self>) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            let Some(connections) = connections.upgrade() else {
                return;
            };
            connections.look();
        }
    }

    fn look(&self) {
        let now = self.opened.elapsed().as_secs();
        self.now.store(now, Ordering::Relaxed);
        let (handshake, stall) = (self.limits.handshake.as_secs(), self.limits.stall.as_secs());
        for connection in self.all.lock().open.values() {
            let is_silent = !connection.is_greeted.load(Ordering::Relaxed)
                && now.saturating_sub(connection.since) > handshake;
            let is_stalled =
                connection.receiving.is_stalled(now, stall) || connection.sending.is_stalled(now, stall);
            if is_silent || is_stalled {
                let peer = connection.peer;
                tracing::debug!(?peer, is_silent, is_stalled, "a connection is closed");
                connection.close();
            }
        }
    }
}

impl Connection {
    /// Where the client is.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The client has made a call that was let in: it does not give way to others any more.
    pub(super) fn prove(&self) {
        // Looked at first: this is on the way of every call, and a store would fetch the line for each of them.
        if !self.is_proven.load(Ordering::Relaxed) {
            self.is_proven.store(true, Ordering::Relaxed);
        }
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it is to be closed; if not, the task is woken when it is.
    fn poll_closed(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_closed.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Waits until it is to be closed.
    pub(super) async fn closed(&self) {
        std::future::poll_fn(|context| self.poll_closed(context)).await;
    }
}

/// The bytes of a connection.
pub(super) enum Stream {
    /// As they are.
    Plain(TcpStream),
    /// Inside TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection and its bytes, until it ends.
pub(super) struct Io {
    stream: Stream,
    /// Bytes that came, until it is known to speak HTTP/2.
    came: usize,
    _listed: Listed,
    connection: Arc<Connection>,
}

/// What takes a connection off the list when it is dropped.
pub(super) struct Listed(pub(super) Arc<Connection>);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.all.all.lock().open.remove(&self.0.number);
    }
}

impl Io {
    pub(super) fn new(stream: Stream, listed: Listed) -> Self {
        Self {
            stream,
            came: 0,
            connection: listed.0.clone(),
            _listed: listed,
        }
    }

    /// Fails if it is to be closed. Writing may wait for the client while nothing is read, so both ask.
    fn check_open(&self) -> io::Result<()> {
        if self.connection.is_closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

/// What a call knows of its connection.
#[derive(Clone)]
pub(super) struct Peer(pub(super) Arc<Connection>);

impl Connected for Io {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.connection.clone())
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.connection.poll_closed(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        };
        if self.came < GREETING {
            self.came += buffer.filled().len() - before;
            if self.came >= GREETING {
                self.connection.is_greeted.store(true, Ordering::Relaxed);
            }
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is to be closed is closed now, and not when the client has agreed to it.
        if self.check_open().is_err() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// How many files the process may have open, where the system says so in a file.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
