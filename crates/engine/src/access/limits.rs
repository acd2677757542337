//! How much clients may ask of the gRPC port.

use std::time::Duration;

/// What clients may hold of the gRPC port, so that one of them cannot starve the others. What is over a limit is
/// refused with `RESOURCE_EXHAUSTED` and the time after which to try again; a connection that is in nobody's
/// interest is closed. Calls from the engine's own process are not under these limits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Connections at the same time; at most half of the files that the process may open. When there are as many,
    /// one that has not made a call yet gives way to a new one, and if all have, the new one is closed. 4,096.
    pub connections: usize,
    /// How long a new connection may take until TLS and HTTP/2 are agreed on. 10 seconds.
    pub handshake: Duration,
    /// How long a connection may neither send the rest of its requests nor take its answers. 60 seconds.
    pub stall: Duration,
    /// After so much silence the client is asked whether it is still there. 60 seconds.
    pub keepalive_interval: Duration,
    /// A client that does not answer that within this time is gone. 20 seconds.
    pub keepalive_timeout: Duration,
    /// Calls at the same time on one connection; a client holds back what is more. 4,096.
    pub streams: u32,
    /// Bytes of a call's headers. 16 KiB.
    pub header_bytes: u32,
    /// Bytes of one request. 4 MiB, as on the real server; the SDKs rely on how more is refused.
    pub message_bytes: usize,
    /// Bytes of large requests and answers that one connection may have under way. 64 MiB.
    pub connection_bytes: usize,
    /// The same of all connections together. 512 MiB.
    pub total_bytes: usize,
    /// Requests that wait for the engine. 16,384.
    pub queued_requests: usize,
    /// Calls of one connection that wait for something to happen: polls for tasks, for news of a history, for an
    /// update or a query. 2,048.
    pub connection_polls: usize,
    /// The same of one namespace on all connections. 16,384.
    pub namespace_polls: usize,
    /// Calls a second on one namespace, and as many at once after a quiet second; none: without limit, which is the
    /// default, as one machine has no neighbours to be fair to but the namespaces that share it.
    pub namespace_requests_per_second: Option<u32>,
}

impl Default for ServerLimits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connections: 4_096,
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            streams: 4_096,
            header_bytes: 16 * 1024,
            message_bytes: 4 * MIB,
            connection_bytes: 64 * MIB,
            total_bytes: 512 * MIB,
            queued_requests: 16_384,
            connection_polls: 2_048,
            namespace_polls: 16_384,
            namespace_requests_per_second: None,
        }
    }
}
