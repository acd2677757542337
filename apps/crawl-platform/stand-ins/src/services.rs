//! The platform's own services over gRPC, on one port: [`PlatformService`](platform), the support service's `JsmService` and
//! the projects service's `ReportService`, by the definitions that their clients are generated from.
//!
//! A caller shows the [`TOKEN`]. What a method with an idempotency key has answered, it answers again under the same key, and does
//! nothing. Services that are [linked](Links) to other stand-ins really change them: a ticket is made in Jira, a project is
//! written to the search index.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{Json, Router, routing::get};
use segno_crawl_clients::proto::{
    platform::{Account, Project, Report, Topic, User, platform_service_server::PlatformServiceServer},
    reports::report_service_server::ReportServiceServer,
    support::{Ticket, jsm_service_server::JsmServiceServer},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, metadata::MetadataMap, transport};

use crate::{
    Control, Fault, STATE, algolia::Algolia, control::lock, hubspot::HubSpot, jira::Jira, serve::Server,
};

mod platform;
mod reports;
mod support;

/// The token that is let in.
pub const TOKEN: &str = "services-token";

/// The index that projects are written to.
pub const PROJECTS: &str = "projects";

/// The systems that the services change, those that are there.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Where tickets are read and made.
    pub jira: Option<Jira>,
    /// Where the records of tickets are, by the property `jira_key`.
    pub hubspot: Option<HubSpot>,
    /// Where projects are found.
    pub algolia: Option<Algolia>,
}

/// The services. Clones are the same ones, which end with the last of them.
#[derive(Clone, Debug)]
pub struct Services {
    shared: Shared,
    address: SocketAddr,
    page: Arc<Server>,
    /// Here for its end.
    _serving: Arc<Ended>,
}

#[derive(Clone, Debug)]
struct Shared {
    state: Arc<Mutex<State>>,
    control: Control,
    links: Links,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<String, Account>,
    projects: BTreeMap<String, Project>,
    reports: BTreeMap<String, Report>,
    users: BTreeMap<String, User>,
    /// By project: user, role, subscriptions.
    members: BTreeMap<String, Vec<(String, String, Vec<Topic>)>>,
    tickets: BTreeMap<String, Ticket>,
    schemas: BTreeMap<String, (u64, Value)>,
    last_ticket: u64,
    /// What was answered, by method and key.
    answers: HashMap<(&'static str, String), Box<dyn Any + Send>>,
}

/// A task that ends with this.
#[derive(Debug)]
struct Ended(JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Services {
    /// Starts them on a free loopback port.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start(links: Links) -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), links).await
    }

    /// Starts them on this address.
    ///
    /// # Errors
    ///
    /// When somebody else has it.
    pub async fn start_on(address: SocketAddr, links: Links) -> io::Result<Self> {
        if let Some(hubspot) = &links.hubspot {
            hubspot.add_unique("tickets", "jira_key");
        }
        let shared = Shared {
            state: Arc::default(),
            control: Control::default(),
            links,
        };
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let serving = transport::Server::builder()
            .add_service(PlatformServiceServer::new(shared.clone()))
            .add_service(JsmServiceServer::new(shared.clone()))
            .add_service(ReportServiceServer::new(shared.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move {
            // It ends only with the task.
            let _ = serving.await;
        });
        let shown = shared.clone();
        let page = get(move || {
            let page = json!({ "calls": shown.control.all_calls(), "state": shown.shown() });
            async move { Json(page) }
        });
        let page = Server::start((address.ip(), 0).into(), Router::new().route(STATE, page)).await?;
        Ok(Self {
            shared,
            address,
            page: Arc::new(page),
            _serving: Arc::new(Ended(task)),
        })
    }

    /// Where they are called.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where their state is shown, which is another port.
    pub fn page_url(&self) -> String {
        format!("{}{STATE}", self.page.url())
    }

    /// For failures on command and counts of calls.
    pub fn control(&self) -> &Control {
        &self.shared.control
    }

    /// Puts an account in the place of one of the same id.
    pub fn add_account(&self, account: Account) {
        lock(&self.shared.state)
            .accounts
            .insert(account.id.clone(), account);
    }

    /// Puts a project in the place of one of the same id.
    pub fn add_project(&self, project: Project) {
        lock(&self.shared.state)
            .projects
            .insert(project.id.clone(), project);
    }

    /// Puts a report in the place of one of the same id.
    pub fn add_report(&self, report: Report) {
        lock(&self.shared.state).reports.insert(report.id.clone(), report);
    }

    /// Puts a user in the place of one of the same id.
    pub fn add_user(&self, user: User) {
        lock(&self.shared.state).users.insert(user.id.clone(), user);
    }

    /// Makes a user a member of a project, in this role, subscribed to these topics.
    pub fn join(&self, project_id: &str, user_id: &str, role: &str, topics: &[Topic]) {
        let mut state = lock(&self.shared.state);
        let members = state.members.entry(project_id.to_owned()).or_default();
        members.retain(|(user, _, _)| user != user_id);
        members.push((user_id.to_owned(), role.to_owned(), topics.to_vec()));
    }

    /// A report, if it is there.
    pub fn report(&self, id: &str) -> Option<Report> {
        lock(&self.shared.state).reports.get(id).cloned()
    }

    /// The schema of a report and its version, if it has been synced.
    pub fn schema(&self, report_id: &str) -> Option<(u64, Value)> {
        lock(&self.shared.state).schemas.get(report_id).cloned()
    }

    /// A ticket as the support service keeps it, if it has been synced or made.
    pub fn ticket(&self, key: &str) -> Option<Ticket> {
        lock(&self.shared.state).tickets.get(key).cloned()
    }

    /// All tickets that the support service keeps.
    pub fn tickets(&self) -> Vec<Ticket> {
        lock(&self.shared.state).tickets.values().cloned().collect()
    }
}

impl Shared {
    /// One call: counted, made to fail if that was commanded, done once under its key.
    async fn call<T, R: Clone + Send + 'static>(
        &self,
        method: &'static str,
        request: Request<T>,
        work: impl FnOnce(&Self, &mut State, T) -> Result<R, Status>,
    ) -> Result<Response<R>, Status> {
        let fault = self.control.called(method);
        match fault {
            Some(Fault::RateLimited { .. }) => return Err(Status::resource_exhausted("too many calls")),
            Some(Fault::Status(status)) => return Err(status_of(status)),
            Some(Fault::Silence) => return std::future::pending().await,
            // What a client is told when its connection ends.
            Some(Fault::DroppedBefore) => return Err(Status::unavailable("connection closed")),
            _ => {}
        }
        let (metadata, _, message) = request.into_parts();
        let expected = format!("Bearer {TOKEN}");
        if text(&metadata, "authorization") != Some(expected.as_str()) {
            return Err(Status::unauthenticated("the token is missing or not known"));
        }
        let key = text(&metadata, "idempotency-key").map(|key| (method, key.to_owned()));
        let done = {
            let mut state = lock(&self.state);
            let before = key
                .as_ref()
                .and_then(|key| state.answers.get(key)?.downcast_ref::<R>().cloned());
            match before {
                Some(answer) => Ok(answer),
                None => work(self, &mut state, message).inspect(|answer| {
                    if let Some(key) = key {
                        state.answers.insert(key, Box::new(answer.clone()));
                    }
                }),
            }
        };
        match fault {
            Some(Fault::DroppedAfter) => Err(Status::unavailable("connection closed")),
            Some(Fault::ErrorAfter) => Err(Status::internal("as commanded")),
            Some(Fault::SilenceAfter) => std::future::pending().await,
            _ => done.map(Response::new),
        }
    }

    fn shown(&self) -> Value {
        let state = lock(&self.state);
        let runs = state.reports.values().map(|report| {
            let run = report.latest_run.as_ref();
            json!({
                "id": report.id, "project": report.project_id, "name": report.name, "status": report.status,
                "latestRun": run.map(|run| json!({
                    "id": run.run_id, "status": run.status, "reason": run.reason, "records": run.records
                })),
                "schemaVersion": state.schemas.get(&report.id).map(|(version, _)| version),
            })
        });
        let tickets = state.tickets.values().map(|ticket| {
            json!({
                "key": ticket.key, "summary": ticket.summary, "status": ticket.status, "project": ticket.project_id,
                "hubspotTicket": ticket.hubspot_ticket_id,
            })
        });
        json!({
            "accounts": state.accounts.values().map(|account| &account.name).collect::<Vec<_>>(),
            "projects": state.projects.values()
                .map(|project| json!({ "id": project.id, "name": project.name, "ticket": project.ticket_key }))
                .collect::<Vec<_>>(),
            "users": state.users.values().map(|user| &user.email).collect::<Vec<_>>(),
            "reports": runs.collect::<Vec<_>>(),
            "tickets": tickets.collect::<Vec<_>>(),
        })
    }
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name)?.to_str().ok()
}

/// The code that stands for an HTTP status.
fn status_of(status: u16) -> Status {
    match status {
        400 => Status::invalid_argument("as commanded"),
        401 => Status::unauthenticated("as commanded"),
        403 => Status::permission_denied("as commanded"),
        404 => Status::not_found("as commanded"),
        503 => Status::unavailable("as commanded"),
        504 => Status::deadline_exceeded("as commanded"),
        _ => Status::internal("as commanded"),
    }
}

/// A field that has to be there.
fn required<'a>(name: &str, value: &'a str) -> Result<&'a str, Status> {
    if value.trim().is_empty() {
        return Err(Status::invalid_argument(format!("{name} is required")));
    }
    Ok(value)
}
