//! Putting a program together: configuration, consumers, workflows.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use segno_routing::{Handler, Routes};
use temporalio_client::Client;
use temporalio_common::WorkflowDefinition;
use temporalio_sdk::{
    WorkerOptions, WorkflowRegistrationError, activities::ActivityImplementer,
    workflows::WorkflowImplementation,
};

use crate::{
    Error,
    config::{ApiKey, Config, Mistakes, NoApiKey, TlsFiles},
    console::ConsolePage,
    consumer::{Consumer, DynConsumer},
    consumers::Consumers,
    reload::Read,
    running::Running,
    shutdown,
};

/// Where the HTTP API listens, unless told otherwise.
pub const DEFAULT_HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Where the embedded engine's gRPC API listens, unless told otherwise.
pub const DEFAULT_GRPC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7233);
/// Where the embedded engine keeps its file, unless told otherwise.
pub const DEFAULT_DATA: &str = "data";

/// Makes the routes that a program serves.
type Program = Box<dyn FnOnce(Client) -> axum::Router + Send>;
type Register = Box<dyn FnOnce(&mut WorkerOptions) -> Result<(), WorkflowRegistrationError> + Send>;

/// What a program is made of; [`Segno::builder`](crate::Segno::builder) makes one.
#[must_use]
pub struct Builder {
    pub(crate) config: Config,
    /// Reads it anew.
    pub(crate) read: Option<Read>,
    pub(crate) consumers: HashMap<String, Arc<dyn DynConsumer>>,
    pub(crate) subscriptions: Consumers,
    pub(crate) workflows: BTreeMap<&'static str, Register>,
    pub(crate) activities: Vec<Register>,
    pub(crate) program: Vec<Program>,
    pub(crate) pages: Vec<ConsolePage>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) grpc: Option<SocketAddr>,
    pub(crate) tls: Option<TlsFiles>,
    /// As a flag had it, where it was one.
    pub(crate) api_keys: Vec<Result<ApiKey, NoApiKey>>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) allow_unauthenticated: bool,
    pub(crate) allow_plaintext: bool,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            config: Config::default(),
            read: None,
            consumers: HashMap::new(),
            subscriptions: Consumers::new(),
            workflows: BTreeMap::new(),
            activities: Vec::new(),
            program: Vec::new(),
            pages: Vec::new(),
            http: None,
            grpc: None,
            tls: None,
            api_keys: Vec::new(),
            data: None,
            allow_unauthenticated: false,
            allow_plaintext: false,
        }
    }

    /// Runs this configuration. Without one there is no route: every event is taken in and nothing is done.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Runs the configuration in this file, with what the environment says over it ([`Config::with_environment`]), and takes it on again when the process is told to (SIGHUP,
    /// `POST /config/reload`).
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn config_file(self, path: impl Into<PathBuf>) -> Result<Self, Mistakes> {
        let path = path.into();
        self.config_from(Arc::new(move || Config::load(&path)?.with_environment()))
    }

    pub(crate) fn config_from(mut self, read: Read) -> Result<Self, Mistakes> {
        self.config = read()?;
        self.read = Some(read);
        Ok(self)
    }

    /// Registers a consumer under the name by which routes know it. A later one of the same name replaces it.
    pub fn consumer(mut self, name: impl Into<String>, consumer: impl Consumer) -> Self {
        self.consumers.insert(name.into(), Arc::new(consumer));
        self
    }

    /// Registers consumers with routes of their own, named as they are: nothing has to be configured for them. Later ones
    /// replace earlier ones.
    pub fn consumers(mut self, consumers: Consumers) -> Self {
        self.subscriptions = consumers;
        self
    }

    /// Registers a workflow; routes know it by its type name. It is started with the
    /// [`Event`](crate::Event) as its input.
    pub fn workflow<W>(mut self) -> Self
    where
        W: WorkflowImplementation,
        <W::Run as WorkflowDefinition>::Input: Send,
    {
        self.workflows.insert(
            W::name(),
            Box::new(|options| options.register_workflow::<W>().map(drop)),
        );
        self
    }

    /// Registers activities that the program's workflows use.
    pub fn activities<A: ActivityImplementer + Send + 'static>(mut self, activities: A) -> Self {
        self.activities.push(Box::new(|options| {
            options.register_activities(activities);
            Ok(())
        }));
        self
    }

    /// Serves routes of the program's own beside the HTTP API, below `/app`: `/app/runs` for `/runs`. They are made once the
    /// engine has started, and are given its client. Callers show who they are as everywhere; a `GET` is for viewers, anything
    /// else for operators, and recorded in the audit log. Again it adds more; two of the same path panic at the start.
    pub fn serve(mut self, routes: impl FnOnce(Client) -> axum::Router + Send + 'static) -> Self {
        self.program.push(Box::new(routes));
        self
    }

    /// Adds a page to the console.
    pub fn console_page(mut self, page: ConsolePage) -> Self {
        self.pages.push(page);
        self
    }

    /// Listens here for HTTP, in place of the configuration's address or [`DEFAULT_HTTP`].
    pub fn http(mut self, address: SocketAddr) -> Self {
        self.http = Some(address);
        self
    }

    /// Serves the embedded engine's gRPC API here, in place of the configuration's address or [`DEFAULT_GRPC`].
    pub fn grpc(mut self, address: SocketAddr) -> Self {
        self.grpc = Some(address);
        self
    }

    /// Serves it with this certificate, in place of the configuration's.
    pub fn grpc_tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Takes calls there with this key too, besides those of the configuration. With any key, all need one. The
    /// program itself does not: its worker and clients reach the engine inside the process.
    pub fn grpc_api_key(mut self, key: ApiKey) -> Self {
        self.api_keys.push(Ok(key));
        self
    }

    /// Keeps the embedded engine's file in this directory, in place of the configuration's or [`DEFAULT_DATA`].
    pub fn data(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data = Some(directory.into());
        self
    }

    /// Allows addresses that other machines can reach although nothing here authenticates who calls.
    pub fn allow_unauthenticated(mut self, allow: bool) -> Self {
        self.allow_unauthenticated = allow;
        self
    }

    /// Allows API keys without TLS where other machines can reach the engine's gRPC API.
    pub fn allow_plaintext(mut self, allow: bool) -> Self {
        self.allow_plaintext = allow;
        self
    }

    /// Starts everything and returns once it takes work.
    pub async fn start(mut self) -> Result<Running, Error> {
        self.add_subscriptions()?;
        self.check_handlers()?;
        Running::start(self).await
    }

    /// Starts everything and runs until the process is told to stop (SIGTERM, SIGINT) or cannot go on.
    pub async fn run(self) -> Result<(), Error> {
        let mut signals = shutdown::Signals::new()?;
        let running = self.start().await?;
        running.run_until(&mut signals).await
    }

    fn add_subscriptions(&mut self) -> Result<(), Error> {
        for subscription in self.subscriptions.iter() {
            self.consumers
                .insert(subscription.name.clone(), subscription.consumer.clone());
        }
        let configured = std::mem::take(&mut self.config.routes);
        self.config.routes = with_subscriptions(configured, &self.subscriptions)?;
        Ok(())
    }

    fn check_handlers(&self) -> Result<(), Error> {
        check_handlers(
            &self.config.routes,
            |name| self.consumers.contains_key(name),
            |name| self.workflows.contains_key(name),
        )
    }
}

/// The routes with those that consumers bring.
pub(crate) fn with_subscriptions(routes: Routes, subscriptions: &Consumers) -> Result<Routes, Error> {
    let brought = subscriptions.iter().map(|subscription| subscription.route());
    routes
        .with(brought.collect::<Vec<_>>())
        .map_err(Error::SubscribedRoute)
}

/// What the routes name in Rust has to be there: better told at start than by an execution that waits.
pub(crate) fn check_handlers(
    routes: &Routes,
    consumer: impl Fn(&str) -> bool,
    workflow: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let mut missing = Vec::new();
    for route in routes {
        match &route.handler {
            Handler::Consumer { name, .. } if !consumer(name) => {
                missing.push(format!("route {:?} names the consumer {name:?}", route.name));
            }
            Handler::Workflow(name) if !workflow(name) => {
                missing.push(format!("route {:?} names the workflow {name:?}", route.name));
            }
            _ => {}
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::Unregistered(missing))
    }
}
