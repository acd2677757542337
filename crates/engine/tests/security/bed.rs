//! An engine on a port, and clients of it.

use std::{net::SocketAddr, path::Path, time::Duration};

use segno_engine::{ApiKeys, Engine, Grant, Handle, Options, Server, ServerLimits, Tls};
use segno_test_support::{Authority, Pair, write_file};
use tempfile::TempDir;
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, TlsOptions,
    tonic::{Request, Response, Status, transport::Channel},
};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, CompleteWorkflowExecutionCommandAttributes, command::Attributes},
    common::v1::{WorkflowExecution, WorkflowType},
    enums::v1::CommandType,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{workflow_service_client::WorkflowServiceClient, *},
};

/// The longest that anything may take here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// An engine on a port of this machine.
pub(crate) struct Port {
    engine: Engine,
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    _server: Served,
}

struct Served(tokio::task::JoinHandle<()>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The limits, with changes.
pub(crate) fn limits(change: impl FnOnce(&mut ServerLimits)) -> ServerLimits {
    let mut limits = ServerLimits::default();
    change(&mut limits);
    limits
}

/// These keys: name, key, namespaces (empty: all), whether an admin's.
pub(crate) fn keys(keys: &[(&str, &str, &[&str], bool)]) -> ApiKeys {
    let mut all = ApiKeys::new();
    for (name, key, namespaces, is_admin) in keys {
        let named = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let grant = Grant {
            name: (*name).to_owned(),
            namespaces: Some(named).filter(|_| !namespaces.is_empty()),
            is_admin: *is_admin,
        };
        all.add(key, grant).expect("a key");
    }
    all
}

/// TLS with this authority's certificate; clients show one of `clients`, if there is one.
pub(crate) fn tls(folder: &Path, authority: &Authority, clients: Option<&Authority>) -> Tls {
    let (certificate, key) = authority.server().write(folder, "server");
    let clients = clients.map(|clients| write_file(folder, "clients.pem", &clients.pem()));
    Tls::from_files(certificate, key, clients).expect("certificates")
}

impl Port {
    pub(crate) async fn open(set_up: impl FnOnce(Server, &Path) -> Server) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let engine = Engine::open(Options::new(folder.path().join("engine.db")))
            .await
            .expect("an engine");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = set_up(Server::new(), folder.path());
        let handle = engine.handle();
        let served = tokio::spawn(async move {
            let served = server.serve(&handle, listener, std::future::pending()).await;
            served.expect("the port serves");
        });
        Self {
            engine,
            folder,
            address,
            _server: Served(served),
        }
    }

    pub(crate) async fn with_limits(limits: ServerLimits) -> Self {
        Self::open(|server, _| server.with_limits(limits)).await
    }

    pub(crate) fn handle(&self) -> Handle {
        self.engine.handle()
    }

    /// A client in the engine's process, which nothing here concerns.
    pub(crate) async fn inside(&self) -> Client {
        let connection = Connection::connect(self.handle().connection_options()).await;
        client(connection.expect("a connection in process"), "default")
    }

    pub(crate) async fn register(&self, namespace: &str) {
        let request = RegisterNamespaceRequest {
            namespace: namespace.to_owned(),
            workflow_execution_retention_period: Some(prost_types::Duration {
                seconds: 86_400,
                nanos: 0,
            }),
            ..Default::default()
        };
        let mut service = self.inside().await.connection().workflow_service();
        service
            .register_namespace(Request::new(request))
            .await
            .expect("a namespace");
    }

    pub(crate) fn url(&self, scheme: &str) -> url::Url {
        let url = format!("{scheme}://localhost:{}", self.address.port());
        url.parse().expect("a URL")
    }

    /// The SDK's client without TLS, with this key.
    pub(crate) async fn plain(&self, key: Option<&str>) -> Result<Connection, String> {
        let options = ConnectionOptions::new(self.url("http"))
            .maybe_api_key(key.map(str::to_owned))
            .build();
        connect(options).await
    }

    /// The SDK's client that trusts this authority, and shows a certificate and a key if it has them.
    pub(crate) async fn secure(
        &self,
        authority: &Authority,
        identity: Option<&Pair>,
        key: Option<&str>,
    ) -> Result<Connection, String> {
        let identity = identity.map(|pair| {
            ClientTlsOptions::builder()
                .client_cert(pair.certificate.clone().into_bytes())
                .client_private_key(pair.key.clone().into_bytes())
                .build()
        });
        let tls = TlsOptions::builder()
            .server_root_ca_cert(authority.pem().into_bytes())
            .maybe_client_tls_options(identity)
            .build();
        let options = ConnectionOptions::new(self.url("https"))
            .tls_options(tls)
            .maybe_api_key(key.map(str::to_owned))
            .build();
        connect(options).await
    }

    /// A client without retries, and with this key.
    pub(crate) async fn raw(&self, key: Option<&str>) -> Raw {
        let channel = Channel::from_shared(format!("http://{}", self.address))
            .expect("an address")
            .connect()
            .await
            .expect("a channel");
        Raw {
            service: WorkflowServiceClient::new(channel).max_decoding_message_size(usize::MAX),
            key: key.map(str::to_owned),
        }
    }
}

/// A connection, or what there is instead, within the deadline.
async fn connect(options: ConnectionOptions) -> Result<Connection, String> {
    let connected = tokio::time::timeout(DEADLINE, Connection::connect(options)).await;
    let connected = connected.expect("an answer within the deadline");
    connected.map_err(|error| format!("{error:?}"))
}

pub(crate) fn client(connection: Connection, namespace: &str) -> Client {
    Client::new(connection, ClientOptions::new(namespace).build()).expect("a client")
}

/// Single RPCs, as they are answered.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) service: WorkflowServiceClient<Channel>,
    key: Option<String>,
}

/// Calls one RPC.
macro_rules! call {
    ($raw:expr, $method:ident, $request:expr) => {{
        let request = $raw.request($request);
        let mut service = $raw.service.clone();
        $crate::bed::answered(service.$method(request).await)
    }};
}
pub(crate) use call;

pub(crate) fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T, Status> {
    answer.map(Response::into_inner)
}

impl Raw {
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(key) = &self.key {
            let value = format!("Bearer {key}").parse().expect("metadata");
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    pub(crate) async fn start(&self, namespace: &str, id: &str) -> Result<String, Status> {
        let started = call!(self, start_workflow_execution, start(namespace, id));
        started.map(|started| started.run_id)
    }

    pub(crate) async fn task(&self, namespace: &str) -> Result<PollWorkflowTaskQueueResponse, Status> {
        call!(self, poll_workflow_task_queue, poll(namespace, "queue"))
    }

    pub(crate) async fn complete(
        &self,
        namespace: &str,
        task_token: Vec<u8>,
        commands: Vec<Command>,
    ) -> Result<(), Status> {
        let request = RespondWorkflowTaskCompletedRequest {
            namespace: namespace.to_owned(),
            task_token,
            commands,
            ..Default::default()
        };
        call!(self, respond_workflow_task_completed, request).map(drop)
    }

    /// Starts a workflow and brings it to its end: what everybody else must still be able to do.
    pub(crate) async fn work(&self, id: &str) {
        let worked = async {
            self.start("default", id).await?;
            let task = self.task("default").await?;
            assert_eq!(task.workflow_execution.unwrap_or_default().workflow_id, id);
            let commands = vec![complete_workflow()];
            self.complete("default", task.task_token, commands).await
        };
        let worked = tokio::time::timeout(DEADLINE, worked).await;
        worked.expect("it gets through").expect("it works");
    }
}

pub(crate) fn start(namespace: &str, id: &str) -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        namespace: namespace.to_owned(),
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType {
            name: "Test".to_owned(),
        }),
        task_queue: Some(queue("queue")),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

pub(crate) fn poll(namespace: &str, name: &str) -> PollWorkflowTaskQueueRequest {
    PollWorkflowTaskQueueRequest {
        namespace: namespace.to_owned(),
        task_queue: Some(queue(name)),
        identity: "worker".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn queue(name: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn execution(id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: id.to_owned(),
        run_id: String::new(),
    }
}

pub(crate) fn complete_workflow() -> Command {
    let attributes = CompleteWorkflowExecutionCommandAttributes::default();
    Command {
        command_type: CommandType::CompleteWorkflowExecution as i32,
        attributes: Some(Attributes::CompleteWorkflowExecutionCommandAttributes(attributes)),
        ..Default::default()
    }
}

/// Looks again and again until it holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
