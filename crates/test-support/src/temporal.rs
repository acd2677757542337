//! A real Temporal server for tests, or the shared one that the environment names.

use std::{path::PathBuf, time::Duration};

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, DnsLoadBalancingOptions, GrpcCompression,
    tonic::{Code, IntoRequest},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType,
    operatorservice::v1::AddSearchAttributesRequest,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, DescribeNamespaceRequest, RegisterNamespaceRequest,
    },
};
use url::Url;

use crate::{free_port, process::Process};

/// `host:port` of a server that the tests share in place of starting one each.
const SHARED: &str = "SEGNO_TEST_TEMPORAL";
/// The `temporal` program; without it the one on `PATH`.
const PROGRAM: &str = "SEGNO_TEMPORAL_BIN";
/// How long a server, a namespace or an attribute may take to be usable.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether something outside this process is ready.
const POLL: Duration = Duration::from_millis(50);

/// How to start a server; [`Options::default`] is one in memory on a free port.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// File that keeps its state between two starts. Never the shared server then.
    pub db: Option<PathBuf>,
    /// Port on 127.0.0.1, to start a server again where the one before was. Never the shared server then.
    pub port: Option<u16>,
    /// `key=value` of its dynamic configuration, the value in JSON. Never the shared server then.
    pub dynamic: Vec<String>,
}

/// A real Temporal server, started for the test or shared by several.
///
/// A started one ends when this is dropped, and also when the test process ends in any other way: a small
/// watchdog shell kills it as soon as the pipe to this process closes.
pub struct TemporalServer {
    address: String,
    process: Option<Process>,
}

impl TemporalServer {
    /// The shared server if `SEGNO_TEST_TEMPORAL` names one, else a fresh one; ready to be used. The
    /// program is `SEGNO_TEMPORAL_BIN`, else `temporal` on `PATH`.
    ///
    /// # Panics
    ///
    /// When it cannot be started or does not answer within half a minute.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// The same with options.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(options: Options) -> Self {
        let own = options.db.is_some() || options.port.is_some() || !options.dynamic.is_empty();
        if let Some(address) = std::env::var(SHARED)
            .ok()
            .filter(|address| !address.is_empty() && !own)
        {
            let mut server = Self {
                address,
                process: None,
            };
            server
                .wait_until_ready()
                .await
                .unwrap_or_else(|why| panic!("{SHARED}: {why}"));
            return server;
        }
        let program = std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from("temporal"), PathBuf::from);
        let mut failures = Vec::new();
        // The server picks further ports itself, by asking for free ones before it listens on them: now and
        // then another process is quicker.
        for _ in 0..3 {
            let port = options.port.unwrap_or_else(free_port);
            let process = Process::start(&program, &arguments(port, &options));
            let mut server = Self {
                address: format!("127.0.0.1:{port}"),
                process: Some(process),
            };
            match server.wait_until_ready().await {
                Ok(()) => return server,
                Err(why) => {
                    let log = server.process.take().map(Process::into_log).unwrap_or_default();
                    failures.push(format!("{why}\n{log}"));
                }
            }
        }
        panic!(
            "{} does not start (is {PROGRAM} right?):\n{}",
            program.display(),
            failures.join("\n")
        );
    }

    /// `host:port` of its gRPC service.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A fresh namespace without custom search attributes, usable at once: tests that run side by side on
    /// one server do not meet.
    ///
    /// # Panics
    ///
    /// When the server refuses it or it is not usable within half a minute.
    pub async fn namespace(&self) -> String {
        self.namespace_with(&[]).await
    }

    /// A fresh namespace with these custom search attributes.
    ///
    /// # Panics
    ///
    /// As [`namespace`](Self::namespace).
    pub async fn namespace_with(&self, attributes: &[(&str, IndexedValueType)]) -> String {
        let namespace = format!("test-{}", uuid::Uuid::new_v4().simple());
        let connection = connect(&self.address).await.expect("the server can be reached");
        let request = RegisterNamespaceRequest {
            namespace: namespace.clone(),
            description: "one test's".to_owned(),
            workflow_execution_retention_period: Some(
                Duration::from_secs(24 * 3600)
                    .try_into()
                    .expect("a day is a duration"),
            ),
            ..Default::default()
        };
        connection
            .workflow_service()
            .register_namespace(request.into_request())
            .await
            .expect("the namespace is registered");
        if !attributes.is_empty() {
            add_search_attributes(&connection, &namespace, attributes).await;
        }
        let query = attributes
            .iter()
            .map(|(name, _)| format!("{name} IS NULL"))
            .collect::<Vec<_>>();
        // Counting with the attributes in the query is refused until namespace and attributes are known.
        poll("the namespace", || {
            let request = CountWorkflowExecutionsRequest {
                namespace: namespace.clone(),
                query: query.join(" AND "),
            };
            let mut service = connection.workflow_service();
            async move {
                service
                    .count_workflow_executions(request.into_request())
                    .await
                    .map(drop)
            }
        })
        .await;
        namespace
    }

    /// A client of this server, bound to `namespace`, on a connection of its own.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub async fn client(&self, namespace: &str) -> Client {
        client(&self.address, namespace).await
    }

    /// Waits until the namespace `default` is there: it comes last.
    async fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let last = match self.ask().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if let Some(status) = self.process.as_mut().and_then(Process::ended) {
                return Err(format!("the server ended ({status})"));
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("not ready within {PATIENCE:?}: {last}"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ask(&self) -> Result<(), String> {
        let connection = connect(&self.address).await.map_err(|error| error.to_string())?;
        let request = DescribeNamespaceRequest {
            namespace: "default".to_owned(),
            ..Default::default()
        };
        connection
            .workflow_service()
            .describe_namespace(request.into_request())
            .await
            .map(drop)
            .map_err(|status| status.to_string())
    }
}

/// A client of the server at `address` (`host:port`), bound to `namespace`, on a connection of its own.
///
/// # Panics
///
/// When the server cannot be reached.
pub async fn client(address: &str, namespace: &str) -> Client {
    let connection = connect(address).await.expect("the server can be reached");
    Client::new(connection, ClientOptions::new(namespace).build()).expect("a client")
}

fn arguments(port: u16, options: &Options) -> Vec<String> {
    // The ports of metrics and HTTP API are free ones by the program's own default.
    let mut arguments = [
        "server",
        "start-dev",
        "--headless",
        "--ip",
        "127.0.0.1",
        "--log-level",
        "error",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(["--port".to_owned(), port.to_string()]);
    if let Some(db) = &options.db {
        arguments.extend(["--db-filename".to_owned(), db.display().to_string()]);
    }
    for setting in &options.dynamic {
        arguments.extend(["--dynamic-config-value".to_owned(), setting.clone()]);
    }
    arguments
}

async fn connect(address: &str) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    let options = ConnectionOptions::new(Url::parse(&format!("http://{address}"))?)
        .identity("segno-test")
        .dns_load_balancing(None::<DnsLoadBalancingOptions>)
        .grpc_compression(GrpcCompression::None)
        .connect_timeout(Duration::from_secs(5))
        .build();
    Ok(Connection::connect(options).await?)
}

async fn add_search_attributes(
    connection: &Connection,
    namespace: &str,
    attributes: &[(&str, IndexedValueType)],
) {
    poll("the search attributes", || {
        let request = AddSearchAttributesRequest {
            namespace: namespace.to_owned(),
            search_attributes: attributes
                .iter()
                .map(|(name, ty)| ((*name).to_owned(), *ty as i32))
                .collect(),
        };
        let mut service = connection.operator_service();
        async move {
            match service.add_search_attributes(request.into_request()).await {
                Err(status) if status.code() != Code::AlreadyExists => Err(status),
                _ => Ok(()),
            }
        }
    })
    .await;
}

/// Asks until the server says yes.
async fn poll<F>(what: &str, mut ask: impl FnMut() -> F)
where
    F: Future<Output = Result<(), temporalio_client::tonic::Status>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(status) = ask().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what}: not usable within {PATIENCE:?}: {status}"
        );
        tokio::time::sleep(POLL).await;
    }
}
