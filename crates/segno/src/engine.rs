//! What runs the executions: the engine in this process, or a Temporal cluster.
//!
//! A cluster is chosen by Temporal's own variables (`TEMPORAL_ADDRESS` and the others that the SDK reads), or
//! by `engine = { temporal = … }` in the configuration; a variable wins over the file. Otherwise executions
//! run in this process, on one file below the data directory. Nothing above this module knows which it is:
//! both are a [`Client`].

#[cfg(feature = "embedded")]
pub(crate) mod embedded;
#[cfg(feature = "embedded")]
pub(crate) mod port;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, GrpcCompression, RetryOptions,
    envconfig::{ConfigError, DataSource, LoadClientConfigProfileOptions},
    errors::ClientConnectError,
};
use url::Host;

use crate::{
    config::Grpc,
    encryption::{self, Keyring},
    search_attributes,
};

/// Variables that name a cluster, or a file or profile that does.
const CLUSTER_VARIABLES: [&str; 3] = ["TEMPORAL_ADDRESS", "TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"];

/// Namespace of the embedded engine.
#[cfg(feature = "embedded")]
const NAMESPACE: &str = "default";

/// How long a connection to a cluster may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The engine cannot be reached or started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings of the cluster cannot be used.
    #[error("the connection to the Temporal cluster is not configured right: {0}")]
    Settings(String),
    /// The cluster does not answer.
    #[error("the Temporal cluster at {address} cannot be reached")]
    Connect {
        /// Address that was tried.
        address: String,
        /// What went wrong.
        #[source]
        source: Box<ClientConnectError>,
    },
    /// The search attributes are missing and cannot be registered.
    #[error(transparent)]
    SearchAttributes(#[from] Box<search_attributes::Error>),
    /// The keys are not those that its data is encrypted with.
    #[error(transparent)]
    Encryption(#[from] Box<encryption::Error>),
    /// The embedded engine cannot be opened.
    #[error("the engine cannot open {file}")]
    Open {
        /// The engine's file.
        file: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine's port cannot be set up.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Port(#[from] Box<port::Error>),
    /// The address for the engine's gRPC API cannot be listened on.
    #[error(transparent)]
    Listen(#[from] crate::listen::Error),
    /// This build has no embedded engine.
    #[error(
        "this build of segno has no embedded engine: name a Temporal cluster by TEMPORAL_ADDRESS, or build with \
         the feature `embedded`"
    )]
    NotBuiltIn,
}

/// Which engine to run on.
pub enum Options {
    /// The engine in this process.
    Embedded {
        /// Directory of the engine's file; made if it is missing.
        data: PathBuf,
        /// Address that the Temporal API is served on.
        grpc: SocketAddr,
        /// Who may call it there.
        #[cfg(feature = "embedded")]
        port: Box<segno_engine::Server>,
    },
    /// A Temporal cluster. Segno's process then keeps no state.
    Cluster(Box<(ConnectionOptions, ClientOptions)>),
}

/// The embedded engine as a program sets it up.
#[derive(Clone, Debug)]
pub struct Embedding<'a> {
    /// Directory of its file.
    pub data: &'a Path,
    /// Address of its port.
    pub address: SocketAddr,
    /// Who may call it there.
    pub grpc: &'a Grpc,
    /// What is allowed although it is not safe by itself.
    pub allowed: Allowed,
}

/// What is allowed although it is not safe by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// An address that other machines can reach, although nothing here authenticates who calls.
    pub unauthenticated: bool,
    /// API keys without TLS on such an address.
    pub plaintext: bool,
}

impl Options {
    /// Chooses by environment and configuration. `temporal` is the configuration's `engine.temporal` as a
    /// profile of `temporal.toml` (`address`, `namespace`, `api_key`, `tls`, …). For the embedded engine this reads
    /// certificates and keys.
    pub fn choose(temporal: Option<&toml::Table>, embedding: &Embedding<'_>) -> Result<Self, Error> {
        let named = CLUSTER_VARIABLES
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
        if !named && temporal.is_none() {
            return Self::embedded(embedding);
        }
        Self::cluster(temporal)
    }

    #[cfg(feature = "embedded")]
    fn embedded(embedding: &Embedding<'_>) -> Result<Self, Error> {
        let port = port::server(embedding.grpc, embedding.address, embedding.allowed);
        Ok(Self::Embedded {
            data: embedding.data.to_owned(),
            grpc: embedding.address,
            port: Box::new(port.map_err(Box::new)?),
        })
    }

    #[cfg(not(feature = "embedded"))]
    fn embedded(_embedding: &Embedding<'_>) -> Result<Self, Error> {
        Err(Error::NotBuiltIn)
    }

    /// A cluster, by the SDK's own loader: variables over the given profile over `temporal.toml`.
    pub fn cluster(temporal: Option<&toml::Table>) -> Result<Self, Error> {
        let source = temporal.map(|profile| {
            let profiles = toml::Table::from_iter([("default".to_owned(), profile.clone().into())]);
            let file = toml::Table::from_iter([("profile".to_owned(), profiles.into())]);
            DataSource::Data(file.to_string().into_bytes())
        });
        let load = LoadClientConfigProfileOptions::builder()
            .maybe_config_source(source)
            .build();
        let (mut connection, client) =
            ClientOptions::load_from_config(load).map_err(|error| Error::Settings(explain(&error)))?;
        if connection.connect_timeout.is_none() {
            connection.connect_timeout = Some(CONNECT_TIMEOUT);
        }
        // Compressing costs more than it saves where no network lies between.
        if is_loopback(&connection) {
            connection.grpc_compression = GrpcCompression::None;
        }
        Ok(Self::Cluster(Box::new((connection, client))))
    }
}

/// What of an error may be shown: the loader's texts name settings, and not their values.
fn explain(error: &ConfigError) -> String {
    error.to_string()
}

fn is_loopback(connection: &ConnectionOptions) -> bool {
    match connection.target.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A running engine.
pub struct Engine {
    client: Client,
    address: String,
    #[cfg(feature = "embedded")]
    embedded: Option<embedded::Embedded>,
}

impl Engine {
    /// Opens or connects to the engine, registers the search attributes and checks the keys that payloads are encrypted
    /// with.
    pub async fn start(options: Options, keyring: &Keyring) -> Result<Self, Error> {
        let engine = match options {
            Options::Cluster(options) => Self::connect(options.0, options.1, keyring).await?,
            #[cfg(feature = "embedded")]
            Options::Embedded { data, grpc, port } => Self::open(&data, grpc, *port, keyring).await?,
            #[cfg(not(feature = "embedded"))]
            Options::Embedded { .. } => return Err(Error::NotBuiltIn),
        };
        match engine.prepare(keyring).await {
            Ok(()) => Ok(engine),
            Err(error) => {
                engine.shutdown().await;
                Err(error)
            }
        }
    }

    async fn prepare(&self, keyring: &Keyring) -> Result<(), Error> {
        search_attributes::register(&self.client, &self.address)
            .await
            .map_err(Box::new)?;
        encryption::check(&self.client, keyring).await.map_err(Box::new)?;
        Ok(())
    }

    async fn connect(
        connection: ConnectionOptions,
        mut client: ClientOptions,
        keyring: &Keyring,
    ) -> Result<Self, Error> {
        client.data_converter = encryption::data_converter(keyring);
        let address = match (
            connection.target.host(),
            connection.target.port_or_known_default(),
        ) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_string(),
            (None, _) => connection.target.to_string(),
        };
        Ok(Self {
            client: client_of(connection, client, &address).await?,
            address,
            #[cfg(feature = "embedded")]
            embedded: None,
        })
    }

    #[cfg(feature = "embedded")]
    async fn open(
        data: &Path,
        grpc: SocketAddr,
        port: segno_engine::Server,
        keyring: &Keyring,
    ) -> Result<Self, Error> {
        let embedded = embedded::Embedded::open(data, grpc, port).await?;
        let address = embedded.address().to_string();
        let options = ClientOptions::new(NAMESPACE)
            .data_converter(encryption::data_converter(keyring))
            .build();
        let client = client_of(embedded.connection_options(), options, &address).await?;
        Ok(Self {
            client,
            address,
            embedded: Some(embedded),
        })
    }

    /// The client that everything above uses.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Address of the Temporal API: the cluster's, or the one this process serves it on.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the engine runs in this process.
    pub fn is_embedded(&self) -> bool {
        #[cfg(feature = "embedded")]
        return self.embedded.is_some();
        #[cfg(not(feature = "embedded"))]
        false
    }

    /// The embedded engine's file.
    pub fn file(&self) -> Option<&Path> {
        #[cfg(feature = "embedded")]
        return self.embedded.as_ref().map(embedded::Embedded::file);
        #[cfg(not(feature = "embedded"))]
        None
    }

    /// The embedded engine.
    #[cfg(feature = "embedded")]
    pub(crate) fn embedded(&self) -> Option<&segno_engine::Handle> {
        self.embedded.as_ref().map(embedded::Embedded::handle)
    }

    /// Closes the engine after its last answer. A cluster is only left alone.
    pub async fn shutdown(self) {
        #[cfg(feature = "embedded")]
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await;
        }
    }
}

async fn client_of(
    mut connection: ConnectionOptions,
    client: ClientOptions,
    address: &str,
) -> Result<Client, Error> {
    // A caller over HTTP is better told to come back than kept waiting.
    connection.retry_options = RetryOptions::builder()
        .initial_interval(Duration::from_millis(50))
        .max_interval(Duration::from_secs(1))
        .max_elapsed_time(Some(Duration::from_secs(3)))
        .max_retries(5)
        .build();
    let at = |source: ClientConnectError| Error::Connect {
        address: address.to_owned(),
        source: Box::new(source),
    };
    let connection = Connection::connect(connection).await.map_err(at)?;
    Client::new(connection, client).map_err(|error| at(error.into()))
}
