//! The other end of a connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{extract::ConnectInfo, http::Extensions};

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether what is said is encrypted.
    pub(crate) is_encrypted: bool,
}

impl Peer {
    /// The peer of a request.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<ConnectInfo<Self>>().map(|info| &info.0)
    }

    /// The address that a request comes from. One that comes from nowhere is a test's.
    pub(crate) fn ip(extensions: &Extensions) -> IpAddr {
        Self::of(extensions).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip())
    }
}
