//! The embedded engine's gRPC port: who may call it. Certificates and keys are read here, when the program starts.

use std::net::SocketAddr;

use segno_engine::{ApiKeyError, ApiKeys, Exposure, Grant, Server, ServerLimits, Tls, TlsError};

use super::Allowed;
use crate::{
    config::{ApiKey, Grpc, GrpcLimits, KeySource},
    listen,
};

/// The port cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificates cannot be used.
    #[error("TLS of the gRPC port cannot be set up: {0}")]
    Tls(#[source] TlsError),
    /// An API key cannot be one.
    #[error(transparent)]
    Key(#[from] ApiKeyError),
    /// An environment variable is missing.
    #[error(
        "the environment variable {variable} of the API key {name:?} is not set, or is no text; set it to the key, or \
         take the key out"
    )]
    Variable {
        /// The key's name.
        name: String,
        /// The variable.
        variable: String,
    },
    /// A file cannot be read.
    #[error(
        "the file {} of the API key {name:?} cannot be read: {source}; check the path, and that this user may read the \
         file", path.display()
    )]
    File {
        /// The key's name.
        name: String,
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address is not safe.
    #[error(transparent)]
    Listen(#[from] listen::Error),
}

/// A port as the configuration has it, that may listen on `address`.
///
/// # Errors
/// When certificates or keys cannot be used, or the address is not safe.
pub(crate) fn server(grpc: &Grpc, address: SocketAddr, allowed: Allowed) -> Result<Server, Error> {
    let mut keys = ApiKeys::new();
    for key in &grpc.api_keys {
        let grant = Grant {
            name: key.name.clone(),
            namespaces: key.namespaces.clone(),
            is_admin: key.admin,
        };
        keys.add(&read(key)?, grant)?;
    }
    let mut server = Server::new()
        .with_api_keys(keys)
        .with_limits(limits(&grpc.limits))
        .allow_unauthenticated(allowed.unauthenticated)
        .allow_plaintext(allowed.plaintext);
    if let Some(files) = &grpc.tls {
        let tls = Tls::from_files(&files.certificate, &files.private_key, files.client_ca.clone());
        server = server.with_tls(tls.map_err(Error::Tls)?);
    }
    server.check(address).map_err(|exposure| match exposure {
        Exposure::Unauthenticated { address } => listen::Error::ExposedGrpc { address },
        Exposure::Plaintext { address } => listen::Error::PlaintextKeys { address },
    })?;
    Ok(server)
}

fn read(key: &ApiKey) -> Result<String, Error> {
    match &key.source {
        KeySource::Env(variable) => std::env::var(variable).map_err(|_| Error::Variable {
            name: key.name.clone(),
            variable: variable.clone(),
        }),
        KeySource::File(path) => std::fs::read_to_string(path).map_err(|source| Error::File {
            name: key.name.clone(),
            path: path.clone(),
            source,
        }),
    }
}

fn limits(given: &GrpcLimits) -> ServerLimits {
    let mut limits = ServerLimits::default();
    let set = |limit: &mut usize, given: Option<usize>| *limit = given.unwrap_or(*limit);
    set(&mut limits.connections, given.max_connections);
    set(&mut limits.message_bytes, given.max_message_bytes);
    set(&mut limits.queued_requests, given.max_queued_requests);
    set(&mut limits.connection_polls, given.max_connection_polls);
    set(&mut limits.namespace_polls, given.max_namespace_polls);
    limits.namespace_requests_per_second = given.requests_per_second;
    // What is allowed as one request has to have room.
    limits.connection_bytes = limits.connection_bytes.max(2 * limits.message_bytes);
    limits.total_bytes = limits.total_bytes.max(4 * limits.message_bytes);
    limits
}
