//! The platform's systems, each a stand-in, and the events' workflows on them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::StatusCode;
use segno::{Running, Segno, config::Config};
use segno_crawl_clients::proto::platform::{Account, Project, Report, Topic, User};
use segno_crawl_platform::{
    archive::Archive,
    events::{
        self, BusinessActivities, Settings, Systems, inbound::Inbound, mail_files::MailFiles,
        payloads::Payload, registry::types, thread::Threads,
    },
    store::Store,
};
use segno_crawl_stand_ins::{
    algolia::{self, Algolia},
    hubspot::{self, HubSpot},
    jira::{self, Jira, ProjectKind},
    services::{self, Links, Services},
};
use segno_test_support::{Answer, Receiver, SmtpStandIn, TemporalServer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long anything may take that a test waits for.
const DEADLINE: Duration = Duration::from_secs(60);
/// A port that the system chooses.
const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Which attempts fail after their effect: the activity's type, or a place in it.
pub(crate) type Faults = Arc<Mutex<Option<&'static str>>>;

/// Whose engine the events run on.
pub(crate) enum Engine {
    Embedded,
    Temporal,
}

/// Project p-1 with the reports rep-1 and rep-2, handled by a ticket in the service desk `WD`. Its people:
///
/// | address | in Jira | on the platform |
/// |---|---|---|
/// | wanda@webdata.example | watcher | |
/// | carla@shop.example | participant | member, subscribed to all |
/// | kim@shop.example | | member, subscribed to all |
/// | una@shop.example | watcher | member, unsubscribed |
/// | max@webdata.example | | manager, subscribed to all |
pub(crate) struct StandIns {
    pub(crate) jira: Jira,
    pub(crate) hubspot: HubSpot,
    pub(crate) algolia: Algolia,
    pub(crate) services: Services,
    pub(crate) pusher: Receiver,
    pub(crate) smtp: SmtpStandIn,
    /// What the mail server says at the end of a mail; none: it takes it.
    pub(crate) refusal: Arc<Mutex<Option<String>>>,
}

/// The stand-ins, and the events' workflows on them.
pub(crate) struct World {
    stand_ins: StandIns,
    pub(crate) threads: Threads,
    pub(crate) faults: Faults,
    running: Running,
    http: reqwest::Client,
    inbound: SocketAddr,
    inbound_server: tokio::task::JoinHandle<()>,
    _temporal: Option<TemporalServer>,
    _folder: TempDir,
}

impl std::ops::Deref for World {
    type Target = StandIns;

    fn deref(&self) -> &StandIns {
        &self.stand_ins
    }
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::with(engine, "", "").await
    }

    /// With more settings of the events, and more of Segno's configuration.
    pub(crate) async fn with(engine: Engine, more_settings: &str, more_config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stand_ins, settings) = StandIns::start(more_settings).await;
        let settings = Settings::parse(&settings, types()).unwrap_or_else(|error| panic!("{error}"));
        let systems = Systems::new(&settings, folder.path()).unwrap();
        let threads = systems.threads(&settings);
        let database = format!("sqlite:{}", folder.path().join("platform.db").display());
        let store = Arc::new(Store::open(&database).await.unwrap());
        let archive = Archive::at(&folder.path().join("archives").to_string_lossy()).unwrap();
        let files = MailFiles::new(archive);
        let faults = Faults::default();
        let failing = Arc::clone(&faults);
        let activities = BusinessActivities::new(systems, settings, store, files.clone()).with_fault(
            Arc::new(move |place, attempt| {
                // The first attempt at the place is done again.
                attempt == 1
                    && failing
                        .lock()
                        .unwrap()
                        .is_some_and(|wanted| wanted == place || wanted == "*")
            }),
        );

        let temporal = match engine {
            Engine::Embedded => None,
            Engine::Temporal => Some(TemporalServer::start().await),
        };
        let mut config = String::new();
        if let Some(server) = &temporal {
            let (address, namespace) = (server.address(), server.namespace().await);
            config =
                format!("engine = {{ temporal = {{ address = {address:?}, namespace = {namespace:?} }} }}\n");
        }
        let base = Path::new(env!("CARGO_MANIFEST_DIR"));
        config.push_str(&std::fs::read_to_string(base.join("segno.toml")).unwrap());
        config.push_str(more_config);
        let config =
            Config::parse("segno.toml", &config, base).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let builder = Segno::builder()
            .config(config)
            .data(folder.path().join("data"))
            .http(FREE)
            .grpc(FREE);
        let running = events::register(builder, activities).start().await.unwrap();

        let token = Some("gateway".to_owned().into());
        let router = Inbound::new(running.intake().clone(), threads.clone(), files, token).router();
        let listener = tokio::net::TcpListener::bind(FREE).await.unwrap();
        let inbound = listener.local_addr().unwrap();
        let inbound_server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            stand_ins,
            threads,
            faults,
            running,
            http: reqwest::Client::new(),
            inbound,
            inbound_server,
            _temporal: temporal,
            _folder: folder,
        }
    }

    /// Makes the first attempt at a place fail after its effect; none: no attempt any more.
    pub(crate) fn fail(&self, place: Option<&'static str>) {
        *self.faults.lock().unwrap() = place;
    }

    /// Sends an event and waits until it is handled. Its execution as the API shows it.
    pub(crate) async fn handle<P: Payload>(&self, id: &str, payload: &P) -> Value {
        let event = payload.event(id).unwrap();
        self.handle_json(&serde_json::to_value(&event).unwrap()).await
    }

    pub(crate) async fn handle_json(&self, event: &Value) -> Value {
        let accepted = self.send(event).await;
        let executions = accepted["executions"].as_array().unwrap();
        assert_eq!(executions.len(), 1, "{accepted:#}");
        self.closed(executions[0]["workflow_id"].as_str().unwrap()).await
    }

    /// Sends an event; what became of it.
    pub(crate) async fn send(&self, event: &Value) -> Value {
        let response = self
            .http
            .post(self.url("/events"))
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string())
            .send()
            .await
            .unwrap();
        let mut reply = json_of(response, StatusCode::ACCEPTED).await;
        reply["events"][0].take()
    }

    /// Sends an event that does not fit the schema of its type.
    pub(crate) async fn is_refused(&self, event: &Value) {
        let request = self.http.post(self.url("/events"));
        let request = request.header("content-type", "application/cloudevents+json");
        let response = request.body(event.to_string()).send().await.unwrap();
        let problem = json_of(response, StatusCode::BAD_REQUEST).await;
        assert_eq!(problem["code"], "schema-mismatch", "{event}: {problem}");
    }

    pub(crate) fn client(&self) -> &temporalio_client::Client {
        self.running.client()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_address())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        json_of(response, StatusCode::OK).await
    }

    /// Waits until an execution is closed.
    pub(crate) async fn closed(&self, workflow_id: &str) -> Value {
        let mut url = reqwest::Url::parse(&self.url("/executions")).unwrap();
        url.path_segments_mut().unwrap().push(workflow_id);
        let deadline = Instant::now() + DEADLINE;
        loop {
            let execution = json_of(self.http.get(url.clone()).send().await.unwrap(), StatusCode::OK).await;
            if execution["status"] != "Running" {
                return execution;
            }
            assert!(
                Instant::now() < deadline,
                "not within {DEADLINE:?}: {execution:#}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Hands a mail in as a gateway does.
    pub(crate) async fn mail_in(&self, raw: &str) -> (StatusCode, Value) {
        let request = self
            .http
            .post(self.inbound_url())
            .bearer_auth("gateway")
            .body(raw.to_owned());
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Where mails come in.
    pub(crate) fn inbound_url(&self) -> String {
        format!("http://{}/mail/inbound", self.inbound)
    }

    /// Has a dead letter tried again.
    pub(crate) async fn retry(&self, workflow_id: &str) {
        let mut url = reqwest::Url::parse(&self.url("/dead-letters")).unwrap();
        url.path_segments_mut().unwrap().extend([workflow_id, "retry"]);
        let response = self.http.post(url).send().await.unwrap();
        json_of(response, StatusCode::ACCEPTED).await;
    }

    /// The execution of the event that a mail became.
    pub(crate) async fn reply(&self, raw: &str) -> Value {
        let (status, reply) = self.mail_in(raw).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{reply}");
        let id = reply["event"].as_str().unwrap();
        self.closed(&format!("ContactMessageReplied/phoenix-webhooks/{id}"))
            .await
    }

    pub(crate) async fn stop(self) {
        self.inbound_server.abort();
        self.running.shutdown().await.unwrap();
    }
}

impl StandIns {
    /// Starts them, with the people and the project, and the file of settings by which they are reached.
    pub(crate) async fn start(more_settings: &str) -> (Self, String) {
        let (jira, hubspot, algolia) = tokio::join!(Jira::start(), HubSpot::start(), Algolia::start());
        let (jira, hubspot, algolia) = (jira.unwrap(), hubspot.unwrap(), algolia.unwrap());
        let links = Links {
            jira: Some(jira.clone()),
            hubspot: Some(hubspot.clone()),
            algolia: Some(algolia.clone()),
        };
        let services = Services::start(links).await.unwrap();
        let pusher = Receiver::answering(|_| Answer::status(200).body("{}")).await;
        let refusal: Arc<Mutex<Option<String>>> = Arc::default();
        let said = Arc::clone(&refusal);
        let smtp = SmtpStandIn::start(None, move |command| match command {
            "." => said.lock().unwrap().clone(),
            _ => None,
        })
        .await;

        let settings = format!(
            r#"
            [mail]
            from = "The data team <team@mail.webdata.example>"
            internal_domains = ["webdata.example"]
            secret = "hush"
            smtp = {{ host = "127.0.0.1", port = {smtp} }}
            [systems]
            jira = {{ url = "{jira}", email = "{jira_email}", token = "{jira_token}" }}
            hubspot = {{ url = "{hubspot}", token = "{hubspot_token}" }}
            algolia = {{ app_id = "{app_id}", api_key = "{api_key}", hosts = ["{algolia}"] }}
            pusher = {{ app_id = "1", key = "k", secret = "s", url = "{pusher}" }}
            platform = {{ url = "{services}", token = "{token}" }}
            support = {{ url = "{services}", token = "{token}" }}
            reports = {{ url = "{services}", token = "{token}" }}
            [retry]
            initial = "20ms"
            max_attempts = 5
            {more_settings}
            "#,
            smtp = smtp.port(),
            jira = jira.url(),
            jira_email = jira::EMAIL,
            jira_token = jira::TOKEN,
            hubspot = hubspot.url(),
            hubspot_token = hubspot::TOKEN,
            app_id = algolia::APP_ID,
            api_key = algolia::API_KEY,
            algolia = algolia.url(),
            pusher = pusher.url(""),
            services = services.url(),
            token = services::TOKEN,
        );
        let stand_ins = Self {
            jira,
            hubspot,
            algolia,
            services,
            pusher,
            smtp,
            refusal,
        };
        stand_ins.fill();
        (stand_ins, settings)
    }

    fn fill(&self) {
        self.jira.add_project("WD", ProjectKind::ServiceDesk);
        self.jira.add_project("MC", ProjectKind::Business);
        self.jira.add_project("OPS", ProjectKind::Business);
        for (id, name, email) in [
            ("wanda", "Wanda Watcher", "wanda@webdata.example"),
            ("carla", "Carla Customer", "carla@shop.example"),
            ("una", "Una Unsubscribed", "una@shop.example"),
            ("aron", "Aron Agent", "aron@webdata.example"),
        ] {
            self.jira.add_user(jira::User::new(id, name, email));
        }
        self.services.add_account(Account {
            id: "a-1".to_owned(),
            name: "Shop".to_owned(),
            manager_email: "max@webdata.example".to_owned(),
            hubspot_company_id: String::new(),
        });
        for (id, name) in [("rep-1", "Prices"), ("rep-2", "Reviews")] {
            self.services.add_report(Report {
                id: id.to_owned(),
                project_id: "p-1".to_owned(),
                name: name.to_owned(),
                status: "ACTIVE".to_owned(),
                ..Report::default()
            });
        }
        let all = [Topic::Tickets, Topic::Runs, Topic::Deliveries, Topic::Project];
        for (id, name, email, role, topics) in [
            ("u-31", "Carla Customer", "carla@shop.example", "owner", &all[..]),
            ("u-32", "Kim Colleague", "kim@shop.example", "member", &all),
            ("u-33", "Una Unsubscribed", "una@shop.example", "member", &[]),
            ("u-90", "Max Manager", "max@webdata.example", "manager", &all),
        ] {
            self.services.add_user(User {
                id: id.to_owned(),
                email: email.to_owned(),
                name: name.to_owned(),
                account_id: "a-1".to_owned(),
                active: true,
            });
            self.services.join("p-1", id, role, topics);
        }
        self.project("");
    }

    fn project(&self, ticket: &str) {
        self.services.add_project(Project {
            id: "p-1".to_owned(),
            account_id: "a-1".to_owned(),
            name: "Shop prices".to_owned(),
            ticket_key: ticket.to_owned(),
            status: "ACTIVE".to_owned(),
            metadata: [("industry".to_owned(), "retail".to_owned())].into(),
        });
    }

    /// A ticket of the project, with its watchers and participants.
    pub(crate) fn ticket(&self, summary: &str) -> String {
        let ticket = self.jira.add_issue("WD", summary);
        self.jira.add_watcher(&ticket, "wanda");
        self.jira.add_watcher(&ticket, "una");
        self.jira.add_participant(&ticket, "carla");
        self.project(&ticket);
        ticket
    }

    /// The mails whose subject has this in it.
    pub(crate) fn mails(&self, about: &str) -> Vec<Sent> {
        let mails = self.smtp.mails().into_iter().map(Sent::of);
        mails.filter(|mail| mail.subject.contains(about)).collect()
    }

    /// Whom these mails went to, in order.
    pub(crate) fn told(&self, about: &str) -> Vec<String> {
        let mut told: Vec<_> = self.mails(about).into_iter().map(|mail| mail.to).collect();
        told.sort_unstable();
        told
    }

    /// What the front end was told on a channel: the events' names.
    pub(crate) fn pushed(&self, channel: &str) -> Vec<String> {
        let requests = self.pusher.requests();
        let bodies = requests.iter().map(segno_test_support::Received::json);
        let on = bodies.filter(|body| body["channels"] == json!([channel]));
        on.map(|body| body["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// A mail that the server took.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) id: String,
    pub(crate) references: Vec<String>,
    pub(crate) in_reply_to: Option<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) text: String,
    /// The files that came along, by name.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Sent {
    fn of(raw: String) -> Self {
        let raw = raw.trim_end_matches("\r\n.\r\n");
        let mail = mail_parser::MessageParser::default()
            .parse(raw.as_bytes())
            .unwrap();
        let address = |address: Option<&mail_parser::Address<'_>>| {
            address.and_then(|list| list.first()?.address().map(str::to_owned))
        };
        let ids = |header: &mail_parser::HeaderValue<'_>| {
            let list = header.as_text_list().unwrap_or_default();
            list.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        Self {
            to: address(mail.to()).unwrap(),
            subject: mail.subject().unwrap().to_owned(),
            id: mail.message_id().unwrap().to_owned(),
            references: ids(mail.references()),
            in_reply_to: ids(mail.in_reply_to()).pop(),
            reply_to: address(mail.reply_to()),
            text: mail.body_text(0).unwrap().into_owned(),
            files: mail
                .attachments()
                .map(|part| {
                    let name = mail_parser::MimeHeaders::attachment_name(part).unwrap();
                    (name.to_owned(), part.contents().to_vec())
                })
                .collect(),
        }
    }
}

async fn json_of(response: reqwest::Response, status: StatusCode) -> Value {
    let got = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}
