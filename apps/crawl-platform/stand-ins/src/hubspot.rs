//! HubSpot's CRM: contacts, companies, deals and tickets by batches (objects v3), and associations (v4).
//!
//! One private app is let in ([`TOKEN`]). Objects are found by their ids, and by properties that are unique: `email` of
//! contacts, `domain` of companies, and those that a test adds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::Router;
use http::header;
use serde_json::{Value, json};

use crate::{
    Control,
    control::lock,
    serve::{Manners, Server, with_manners},
};

mod associations;
mod objects;

/// The access token of the app that is let in.
pub const TOKEN: &str = "pat-stand-in";

/// Most objects of one call.
const BATCH: usize = 100;

/// An account. Clones are the same one, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct HubSpot {
    account: Shared,
    control: Control,
    server: Arc<Server>,
}

type Shared = Arc<Mutex<Account>>;
type Properties = BTreeMap<String, String>;

#[derive(Debug)]
struct Account {
    last_id: u64,
    /// By kind, then by id.
    objects: BTreeMap<String, BTreeMap<u64, Object>>,
    /// By kind.
    unique: BTreeMap<String, BTreeSet<String>>,
    /// Both ways: kind and id of the one, kind and id of the other; and the labelled types by which they are.
    associations: BTreeMap<(String, u64, String, u64), BTreeSet<TypeId>>,
    /// The labelled types.
    labels: Vec<Label>,
}

/// A category of types of associations, and a number in it.
type TypeId = (String, u64);

/// A labelled type of associations.
#[derive(Debug)]
struct Label {
    from: String,
    to: String,
    id: TypeId,
    label: String,
    /// What it is from the other side.
    inverse: TypeId,
}

#[derive(Debug)]
struct Object {
    properties: Properties,
    created: String,
    updated: String,
}

impl Default for Account {
    fn default() -> Self {
        let unique = |name: &str| BTreeSet::from([name.to_owned()]);
        let kinds = ["companies", "contacts", "deals", "tickets"];
        Self {
            last_id: 100,
            objects: kinds
                .iter()
                .map(|kind| ((*kind).to_owned(), BTreeMap::new()))
                .collect(),
            unique: BTreeMap::from([
                ("contacts".to_owned(), unique("email")),
                ("companies".to_owned(), unique("domain")),
            ]),
            associations: BTreeMap::new(),
            labels: associations::defined(),
        }
    }
}

impl Account {
    /// The object that has this value of a unique property, or this id.
    fn find(&self, kind: &str, property: Option<&str>, value: &str) -> Option<u64> {
        let objects = self.objects.get(kind)?;
        match property {
            None | Some("hs_object_id") => value.parse().ok().filter(|id| objects.contains_key(id)),
            // Mail addresses differ by more than the case of their letters.
            Some(property) => objects
                .iter()
                .find(|(_, object)| {
                    let own = object.properties.get(property);
                    own.is_some_and(|own| own.eq_ignore_ascii_case(value))
                })
                .map(|(id, _)| *id),
        }
    }

    fn is_unique(&self, kind: &str, property: &str) -> bool {
        property == "hs_object_id"
            || self
                .unique
                .get(kind)
                .is_some_and(|names| names.contains(property))
    }

    /// Sets properties of an object, which is made if there is none. Its id, and whether it was made.
    fn upsert(&mut self, kind: &str, property: &str, value: &str, properties: Properties) -> (u64, bool) {
        let found = self.find(kind, Some(property), value);
        let id = found.unwrap_or_else(|| {
            self.last_id += 1;
            self.last_id
        });
        let at = now();
        let objects = self.objects.entry(kind.to_owned()).or_default();
        let object = objects.entry(id).or_insert_with(|| Object {
            properties: Properties::from([(property.to_owned(), value.to_owned())]),
            created: at.clone(),
            updated: at.clone(),
        });
        object.properties.extend(properties);
        object.properties.retain(|_, value| !value.is_empty());
        object.updated = at;
        (id, found.is_none())
    }

    /// An object with these properties, or with all.
    fn show(&self, kind: &str, id: u64, wanted: Option<&[String]>) -> Value {
        let Some(object) = self.objects.get(kind).and_then(|objects| objects.get(&id)) else {
            return Value::Null;
        };
        let mut properties: serde_json::Map<_, _> = match wanted {
            None => object
                .properties
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect(),
            Some(wanted) => wanted
                .iter()
                .map(|name| (name.clone(), json!(object.properties.get(name))))
                .collect(),
        };
        properties.insert("hs_object_id".to_owned(), json!(id.to_string()));
        properties.insert("createdate".to_owned(), json!(object.created));
        properties.insert("hs_lastmodifieddate".to_owned(), json!(object.updated));
        json!({
            "id": id.to_string(), "properties": properties, "createdAt": object.created,
            "updatedAt": object.updated, "archived": false,
        })
    }

    fn shown(&self) -> Value {
        let kinds = self.objects.iter().map(|(kind, objects)| {
            let objects: Vec<_> = objects.keys().map(|id| self.show(kind, *id, None)).collect();
            (kind.clone(), json!(objects))
        });
        let associations: Vec<_> = self
            .associations
            .keys()
            .map(|(kind, id, to_kind, to)| format!("{kind}/{id} - {to_kind}/{to}"))
            .collect();
        json!({ "objects": kinds.collect::<serde_json::Map<_, _>>(), "associations": associations })
    }
}

impl HubSpot {
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
        let account = Shared::default();
        let control = Control::default();
        let routes = Router::new()
            .merge(objects::routes())
            .merge(associations::routes())
            .with_state(Arc::clone(&account));
        let shown = Arc::clone(&account);
        let expected = format!("Bearer {TOKEN}");
        let manners = Manners {
            control: control.clone(),
            knows: Arc::new(move |headers| {
                let given = headers.get(header::AUTHORIZATION);
                given.is_some_and(|given| given.as_bytes() == expected.as_bytes())
            }),
            stranger: (
                401,
                json!({
                    "status": "error", "category": "INVALID_AUTHENTICATION", "correlationId": correlation(),
                    "message": "Authentication credentials not found. This API supports OAuth 2.0 authentication and \
                        you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
                }),
            ),
            error,
            state: Arc::new(move || lock(&shown).shown()),
        };
        let server = Server::start(address, with_manners(routes, manners)).await?;
        Ok(Self {
            account,
            control,
            server: Arc::new(server),
        })
    }

    /// The service's URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// For failures on command and counts of calls.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Makes a property of a kind of object unique, so that objects are found by it.
    pub fn add_unique(&self, kind: &str, property: &str) {
        let mut account = lock(&self.account);
        account
            .unique
            .entry(kind.to_owned())
            .or_default()
            .insert(property.to_owned());
    }

    /// Sets properties of an object, known by a unique property, as another app. It is made if it is not there. Its id.
    pub fn put(&self, kind: &str, property: &str, value: &str, properties: &[(&str, &str)]) -> String {
        let properties = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut account = lock(&self.account);
        account
            .upsert(kind, property, value, properties.collect())
            .0
            .to_string()
    }

    /// All objects of a kind as the API shows them, with all their properties, the oldest first.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let account = lock(&self.account);
        let ids = account.objects.get(kind).into_iter().flatten();
        ids.map(|(id, _)| account.show(kind, *id, None)).collect()
    }

    /// Defines a label of associations, as somebody in the account's settings. Its type's number.
    pub fn add_label(&self, from: &str, to: &str, label: &str) -> u64 {
        associations::define(&mut lock(&self.account), from, to, label, label)
    }

    /// The ids of the objects of a kind that an object is associated with.
    pub fn associated(&self, from: &str, id: &str, to: &str) -> Vec<String> {
        let account = lock(&self.account);
        let of_this = account
            .associations
            .keys()
            .filter(|(kind, one, other_kind, _)| kind == from && one.to_string() == id && other_kind == to);
        of_this.map(|(_, _, _, other)| other.to_string()).collect()
    }
}

/// The body of an error.
fn error(status: u16, text: &str) -> Value {
    match status {
        429 => json!({
            "status": "error", "message": "You have reached your ten_secondly_rolling limit.",
            "errorType": "RATE_LIMIT", "category": "RATE_LIMITS", "policyName": "TEN_SECONDLY_ROLLING",
            "correlationId": correlation(),
        }),
        404 => problem("OBJECT_NOT_FOUND", text),
        500.. => problem("INTERNAL_ERROR", text),
        _ => problem("VALIDATION_ERROR", text),
    }
}

fn problem(category: &str, text: &str) -> Value {
    json!({ "status": "error", "message": text, "category": category, "correlationId": correlation() })
}

fn correlation() -> String {
    uuid::Uuid::new_v4().to_string()
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

/// An error, as a handler gives it.
struct Refused(u16, Value);

impl Refused {
    fn invalid(text: &str) -> Self {
        Self(400, error(400, text))
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        crate::serve::answer(self.0, self.1)
    }
}

/// The inputs of a batch.
fn inputs(bytes: &[u8]) -> Result<(Value, Vec<Value>), Refused> {
    let body: Value = serde_json::from_slice(bytes)
        .map_err(|error| Refused::invalid(&format!("Invalid input JSON: {error}")))?;
    let inputs = body["inputs"].as_array().cloned();
    let inputs = inputs.ok_or_else(|| Refused::invalid("Some required fields were not set: [inputs]"))?;
    if inputs.is_empty() {
        return Err(Refused::invalid("inputs: size must be between 1 and 100"));
    }
    if inputs.len() > BATCH {
        return Err(Refused::invalid(&format!(
            "The maximum number of inputs supported in a batch request is {BATCH}, {} were given",
            inputs.len()
        )));
    }
    Ok((body, inputs))
}

/// The answer to a batch: 207 if something was not done.
fn batch(results: &[Value], errors: &[Value], all_done: u16) -> axum::response::Response {
    let at = now();
    let mut body = json!({ "status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at });
    if errors.is_empty() {
        return crate::serve::answer(all_done, body);
    }
    body["numErrors"] = json!(errors.len());
    body["errors"] = json!(errors);
    crate::serve::answer(207, body)
}
