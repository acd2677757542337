//! The systems that the demonstration's events change: stand-ins, which show what they have.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, Router, body::Bytes, extract::State, routing::get};
use segno_crawl_clients::proto::platform::{Account, Project, Report, Topic, User};
use segno_crawl_stand_ins::{
    STATE,
    algolia::{self, Algolia},
    hubspot::{self, HubSpot},
    jira::{self, Jira, ProjectKind},
    services::{self, Links, Services},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::events::{self, Settings, registry::types, settings};

/// The project that the demonstration's crawlers work for.
pub(super) const PROJECT: &str = "books";
/// Its report.
pub(super) const REPORT: &str = "prices";

/// The stand-ins, which end with this.
pub(super) struct Systems {
    jira: Jira,
    hubspot: HubSpot,
    algolia: Algolia,
    services: Services,
    pusher: String,
    page: JoinHandle<io::Result<()>>,
}

impl Drop for Systems {
    fn drop(&mut self) {
        self.page.abort();
    }
}

/// What the front end was told.
type Told = Arc<Mutex<Vec<Value>>>;

impl Systems {
    /// Starts them, with a customer's project of one report, and those who follow it.
    pub(super) async fn start() -> io::Result<Self> {
        let (jira, hubspot, algolia) = (
            Jira::start().await?,
            HubSpot::start().await?,
            Algolia::start().await?,
        );
        let links = Links {
            jira: Some(jira.clone()),
            hubspot: Some(hubspot.clone()),
            algolia: Some(algolia.clone()),
        };
        let services = Services::start(links).await?;
        jira.add_project("WD", ProjectKind::ServiceDesk);
        for board in ["MC", "OPS"] {
            jira.add_project(board, ProjectKind::Business);
        }
        let ticket = jira.add_issue("WD", "Prices of all books");
        services.add_account(Account {
            id: "bookshop".to_owned(),
            name: "Bookshop".to_owned(),
            manager_email: "max@webdata.example".to_owned(),
            hubspot_company_id: String::new(),
        });
        services.add_project(Project {
            id: PROJECT.to_owned(),
            account_id: "bookshop".to_owned(),
            name: "Books".to_owned(),
            ticket_key: ticket,
            status: "ACTIVE".to_owned(),
            ..Project::default()
        });
        services.add_report(Report {
            id: REPORT.to_owned(),
            project_id: PROJECT.to_owned(),
            name: "Prices of books".to_owned(),
            status: "ACTIVE".to_owned(),
            ..Report::default()
        });
        for (id, name, email, role) in [
            ("carla", "Carla Customer", "carla@shop.example", "owner"),
            ("max", "Max Manager", "max@webdata.example", "manager"),
        ] {
            services.add_user(User {
                id: id.to_owned(),
                email: email.to_owned(),
                name: name.to_owned(),
                account_id: "bookshop".to_owned(),
                active: true,
            });
            services.join(
                PROJECT,
                id,
                role,
                &[Topic::Runs, Topic::Deliveries, Topic::Project],
            );
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let pusher = format!("http://{}", listener.local_addr()?);
        let told = Told::default();
        let router = Router::new()
            .route(STATE, get(show))
            .fallback(push)
            .with_state(told);
        Ok(Self {
            jira,
            hubspot,
            algolia,
            services,
            pusher,
            page: tokio::spawn(async move { axum::serve(listener, router).await }),
        })
    }

    /// The business events on them; mails are files in a folder in this one.
    pub(super) fn events(&self, folder: &Path) -> Result<events::Options, settings::Error> {
        let service = json!({ "url": self.services.url(), "token": services::TOKEN });
        let settings = json!({
            "mail": {
                "from": "The data team <team@mail.webdata.example>",
                "internal_domains": ["webdata.example"],
                "secret": "of the demonstration",
                "folder": "mails",
            },
            "systems": {
                "jira": { "url": self.jira.url(), "email": jira::EMAIL, "token": jira::TOKEN },
                "hubspot": { "url": self.hubspot.url(), "token": hubspot::TOKEN },
                "algolia": { "app_id": algolia::APP_ID, "api_key": algolia::API_KEY, "hosts": [self.algolia.url()] },
                "pusher": { "app_id": "1", "key": "key", "secret": "secret", "url": self.pusher },
                "platform": service,
                "support": service,
                "reports": service,
            },
        });
        let text = toml::to_string(&settings).unwrap_or_default();
        Ok(events::Options {
            settings: Settings::parse(&text, types())?,
            base: folder.to_owned(),
        })
    }

    /// Where each shows what it has.
    pub(super) fn pages(&self) -> [(&'static str, String); 5] {
        [
            ("Jira", format!("{}{STATE}", self.jira.url())),
            ("HubSpot", format!("{}{STATE}", self.hubspot.url())),
            ("Algolia", format!("{}{STATE}", self.algolia.url())),
            ("the platform's services", self.services.page_url()),
            ("what the front end was told", format!("{}{STATE}", self.pusher)),
        ]
    }
}

async fn push(State(told): State<Told>, body: Bytes) -> Json<Value> {
    let event = serde_json::from_slice(&body).unwrap_or_default();
    told.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    Json(json!({}))
}

async fn show(State(told): State<Told>) -> Json<Value> {
    Json(Value::Array(
        told.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    ))
}
