//! Algolia's search indices: records saved, changed in part, deleted, read, by themselves and by batches, and a search for
//! words.
//!
//! One application with one key is let in ([`APP_ID`], [`API_KEY`]). A task is published when it has been asked for twice.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use serde_json::{Map, Value, json};

use crate::{
    Control,
    control::lock,
    serve::{Manners, Server, with_manners},
};

mod records;
mod routes;

/// The application that is let in.
pub const APP_ID: &str = "STANDIN";
/// Its key.
pub const API_KEY: &str = "algolia-key";

type Record = Map<String, Value>;

/// An application. Clones are the same one, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Algolia {
    application: Shared,
    control: Control,
    server: Arc<Server>,
}

type Shared = Arc<Mutex<Application>>;

#[derive(Debug, Default)]
struct Application {
    indices: BTreeMap<String, BTreeMap<String, Record>>,
    last_task: i64,
    /// Tasks that have been asked for, so often.
    asked: BTreeMap<i64, u32>,
}

impl Application {
    fn next_task(&mut self) -> i64 {
        self.last_task += 1;
        self.last_task
    }
}

impl Algolia {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts one on this address.
    ///
    /// # Errors
    ///
    /// When somebody else has it.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        let application = Shared::default();
        let control = Control::default();
        let shown = Arc::clone(&application);
        let manners = Manners {
            control: control.clone(),
            knows: Arc::new(|headers| {
                let is = |name, expected: &str| {
                    let given: Option<&http::HeaderValue> = headers.get(name);
                    given.is_some_and(|given| given.as_bytes() == expected.as_bytes())
                };
                is("x-algolia-application-id", APP_ID) && is("x-algolia-api-key", API_KEY)
            }),
            stranger: (403, error(403, "Invalid Application-ID or API key")),
            error,
            state: Arc::new(move || json!({ "indices": lock(&shown).indices })),
        };
        let routes = routes::routes().with_state(Arc::clone(&application));
        let server = Server::start(address, with_manners(routes, manners)).await?;
        Ok(Self {
            application,
            control,
            server: Arc::new(server),
        })
    }

    /// A host's URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// For failures on command and counts of calls.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// A record, if it is there.
    pub fn record(&self, index: &str, id: &str) -> Option<Value> {
        let application = lock(&self.application);
        let record = application.indices.get(index)?.get(id)?;
        Some(Value::Object(record.clone()))
    }

    /// All records of an index, by their ids.
    pub fn records(&self, index: &str) -> BTreeMap<String, Value> {
        let application = lock(&self.application);
        let records = application.indices.get(index).into_iter().flatten();
        records
            .map(|(id, record)| (id.clone(), Value::Object(record.clone())))
            .collect()
    }

    /// Puts a record in the place of what was there, as somebody else.
    pub fn put(&self, index: &str, id: &str, record: &Value) {
        let mut record = record.as_object().cloned().unwrap_or_default();
        record.insert("objectID".to_owned(), json!(id));
        let mut application = lock(&self.application);
        let records = application.indices.entry(index.to_owned()).or_default();
        records.insert(id.to_owned(), record);
    }

    /// Sets attributes of a record, as somebody else; it is made if it is not there.
    pub(crate) fn set(&self, index: &str, id: &str, attributes: Record) {
        let mut application = lock(&self.application);
        let records = application.indices.entry(index.to_owned()).or_default();
        let record = records.entry(id.to_owned()).or_default();
        record.extend(attributes);
        record.insert("objectID".to_owned(), json!(id));
    }
}

/// The body of an error.
fn error(status: u16, text: &str) -> Value {
    json!({ "message": text, "status": status })
}

/// An error, as a handler gives it.
struct Refused(u16, String);

impl Refused {
    fn invalid(text: impl Into<String>) -> Self {
        Self(400, text.into())
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        crate::serve::answer(self.0, error(self.0, &self.1))
    }
}

/// As the API writes times.
fn now() -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    // This format fails for no time.
    time::OffsetDateTime::now_utc()
        .format(&format)
        .unwrap_or_default()
}
