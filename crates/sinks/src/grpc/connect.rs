//! The method by its descriptor, and the way to its server.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use prost_reflect::{DescriptorError, DescriptorPool, MethodDescriptor};
use tonic::transport::{self, Certificate, Channel, ClientTlsConfig};

use super::options::{MethodName, Options};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a connection without calls is tried: a server that is gone without a word is noticed by it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Why a gRPC sink cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds no descriptors.
    #[error(
        "{path} is no set of descriptors: `protoc --include_imports --descriptor_set_out` makes one: {source}"
    )]
    Descriptors {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: DescriptorError,
    },
    /// The descriptors have no such method.
    #[error("the descriptors in {path} have no method {method}; they have {known}")]
    Method {
        /// Where.
        path: PathBuf,
        /// As it was asked for.
        method: Box<MethodName>,
        /// Those that they have.
        known: String,
    },
    /// A stream is more than one message.
    #[error("the method {0} takes or gives streams, and a payload is one message")]
    Stream(Box<MethodName>),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up for the endpoint")]
    Tls(#[source] transport::Error),
}

fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(path).map_err(|source| ConnectError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The method of this name in the file of descriptors.
pub(super) fn method(path: &Path, name: &MethodName) -> Result<MethodDescriptor, ConnectError> {
    let pool =
        DescriptorPool::decode(read(path)?.as_slice()).map_err(|source| ConnectError::Descriptors {
            path: path.to_owned(),
            source,
        })?;
    let named = |method: &MethodDescriptor| {
        method.parent_service().full_name() == name.service() && method.name() == name.method()
    };
    let mut methods = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    let Some(method) = methods.find(named) else {
        let known = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let known: Vec<_> = known
            .take(20)
            .map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()))
            .collect();
        return Err(ConnectError::Method {
            path: path.to_owned(),
            method: Box::new(name.clone()),
            known: if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            },
        });
    };
    if method.is_client_streaming() || method.is_server_streaming() {
        return Err(ConnectError::Stream(Box::new(name.clone())));
    }
    Ok(method)
}

/// A channel that connects when it is first used, and again whenever it has to.
pub(super) fn channel(options: &Options, base: &Path) -> Result<Channel, ConnectError> {
    let mut endpoint = transport::Endpoint::from(options.endpoint.uri().clone())
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    if options.endpoint.is_tls() {
        let tls = match &options.ca {
            Some(path) => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&base.join(path))?))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        endpoint = endpoint.tls_config(tls).map_err(ConnectError::Tls)?;
    }
    Ok(endpoint.connect_lazy())
}
