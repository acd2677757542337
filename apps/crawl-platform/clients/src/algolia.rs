//! Records of Algolia's search indices.
//!
//! - records [changed in part](Algolia::partial_update), [saved](Algolia::save), [deleted](Algolia::delete), and [several
//!   of these](Algolia::batch) in one call;
//! - records [read](Algolia::record).
//!
//! The service has several hosts. What one does not answer is asked of the next, with more time, as the vendor's own clients do
//! it: first the host of the application, then three others on another domain, in an order by chance. Everything here can
//! be repeated: a record is known by its id, and a change says what is to be there.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use segno_sinks::Failure;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    Confidential, Endpoint, Error,
    http::{Dialect, Http, Reply, Request},
};

mod hosts;

use hosts::Hosts;

/// How long the first host may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most operations of one call: fewer than the service allows, so that a call stays small.
const BATCH: usize = 1_000;
/// How often a task is asked for until it is done.
const WAITS: u32 = 50;

/// Options of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The application's id.
    pub app_id: String,
    /// A key that may write to the indices.
    pub api_key: Confidential,
    /// In place of the application's own hosts, these, in this order.
    #[serde(default)]
    pub hosts: Vec<Endpoint>,
    /// How long the first host may take, in seconds; the next has twice the time, and so on. Default 10.
    #[serde(default, deserialize_with = "crate::endpoint::seconds")]
    pub timeout: Option<Duration>,
}

/// A client of one application.
#[derive(Clone, Debug)]
pub struct Algolia {
    http: Http,
    hosts: Hosts,
    timeout: Duration,
}

const DIALECT: Dialect = Dialect {
    service: "Algolia",
    explain: |body| body["message"].as_str().map(str::to_owned),
    may_pass: &[],
    asks: |_| None,
};

/// A record: JSON, without its id.
pub type Record = Map<String, Value>;

/// One operation of a [batch](Algolia::batch).
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// The record is this, whatever it was.
    Save(String, Record),
    /// These attributes of it are set, the others stay; it is made if it is not there.
    PartialUpdate(String, Record),
    /// The same, unless it is not there.
    PartialUpdateIfThere(String, Record),
    /// It is not there any more.
    Delete(String),
}

impl Operation {
    fn to_json(&self) -> Value {
        let (action, id, record) = match self {
            Self::Save(id, record) => ("updateObject", id, Some(record)),
            Self::PartialUpdate(id, record) => ("partialUpdateObject", id, Some(record)),
            Self::PartialUpdateIfThere(id, record) => ("partialUpdateObjectNoCreate", id, Some(record)),
            Self::Delete(id) => ("deleteObject", id, None),
        };
        json!({ "action": action, "body": with_id(id, record) })
    }
}

fn with_id(id: &str, record: Option<&Record>) -> Value {
    let mut body = record.cloned().unwrap_or_default();
    body.insert("objectID".to_owned(), json!(id));
    Value::Object(body)
}

/// The number of a change that the service has taken on. It is seen by searches when the task is
/// [done](Algolia::wait_for).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Task {
    /// The number.
    #[serde(rename = "taskID")]
    pub id: i64,
}

impl Algolia {
    /// A client with these options. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the machine gives no TLS or no resolver, or id or key are of no use.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| Error {
                service: DIALECT.service,
                operation: "begin",
                failure: Failure::permanent("the application's id or key cannot stand in a header"),
            })
        };
        let mut key = value(options.api_key.expose())?;
        key.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (
                HeaderName::from_static("x-algolia-application-id"),
                value(&options.app_id)?,
            ),
            (HeaderName::from_static("x-algolia-api-key"), key),
        ]);
        let hosts = match options.hosts.is_empty() {
            true => Hosts::of_application(&options.app_id),
            false => Ok(Hosts::these(options.hosts.clone())),
        };
        Ok(Self {
            http: Http::new(DIALECT, headers, vec![options.api_key.clone()])?,
            hosts: hosts.map_err(|_| Error {
                service: DIALECT.service,
                operation: "begin",
                failure: Failure::permanent("the application's id is no part of a host's name"),
            })?,
            timeout: options.timeout.unwrap_or(TIMEOUT),
        })
    }

    /// Sets attributes of a record; the others stay as they are. If it is not there it is made, or nothing is done.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn partial_update(
        &self,
        index: &str,
        id: &str,
        attributes: &Record,
        create_if_not_exists: bool,
    ) -> Result<Task, Error> {
        let query = [(
            "createIfNotExists",
            if create_if_not_exists { "true" } else { "false" },
        )];
        let path = ["1", "indexes", index, id, "partial"];
        let call = Call {
            query: &query,
            body: Some(Value::Object(attributes.clone())),
            ..Call::new("update a record in part", Method::POST, &path)
        };
        self.call(call).await?.json()
    }

    /// Puts a record in the place of what was there.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn save(&self, index: &str, id: &str, record: &Record) -> Result<Task, Error> {
        let path = ["1", "indexes", index, id];
        let call = Call {
            body: Some(with_id(id, Some(record))),
            ..Call::new("save a record", Method::PUT, &path)
        };
        self.call(call).await?.json()
    }

    /// Deletes a record; one that is not there is deleted.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn delete(&self, index: &str, id: &str) -> Result<Task, Error> {
        let path = ["1", "indexes", index, id];
        let call = Call::new("delete a record", Method::DELETE, &path);
        self.call(call).await?.json()
    }

    /// Carries out operations in their order, in calls of up to a thousand. The last call's task; none if there was nothing
    /// to do.
    ///
    /// # Errors
    ///
    /// [`Error`]. Then the calls before the one that failed are done; all of it can be repeated.
    pub async fn batch(&self, index: &str, operations: &[Operation]) -> Result<Option<Task>, Error> {
        let path = ["1", "indexes", index, "batch"];
        let mut task = None;
        for operations in operations.chunks(BATCH) {
            let requests: Vec<_> = operations.iter().map(Operation::to_json).collect();
            let call = Call {
                body: Some(json!({ "requests": requests })),
                ..Call::new("carry out a batch", Method::POST, &path)
            };
            task = Some(self.call(call).await?.json()?);
        }
        Ok(task)
    }

    /// A record with its id, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn record(&self, index: &str, id: &str) -> Result<Option<Record>, Error> {
        let path = ["1", "indexes", index, id];
        let call = Call::new("get a record", Method::GET, &path);
        match self.call(call).await {
            Ok(reply) => reply.json().map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until a change is seen by searches: asks again after pauses that grow to five seconds.
    ///
    /// # Errors
    ///
    /// [`Error`]; retryable if it is not done after minutes.
    pub async fn wait_for(&self, index: &str, task: Task) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct State {
            status: String,
        }
        let operation = "wait for a task";
        let number = task.id.to_string();
        for n in 1..=WAITS {
            let path = ["1", "indexes", index, "task", &number];
            let state: State = self.read(operation, &path).await?;
            if state.status == "published" {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(u64::from(200 * n).min(5_000))).await;
        }
        Err(Error {
            service: DIALECT.service,
            operation,
            failure: Failure::retryable("it is not done yet"),
        })
    }

    async fn read<T: DeserializeOwned>(&self, operation: &'static str, path: &[&str]) -> Result<T, Error> {
        self.call(Call::new(operation, Method::GET, path)).await?.json()
    }

    /// Asks one host after the other, until one answers.
    async fn call(&self, call: Call<'_>) -> Result<Reply, Error> {
        let mut last = None;
        for (n, host) in (1..).zip(self.hosts.in_order(Instant::now())) {
            let mut url = host.with(call.path);
            if !call.query.is_empty() {
                url.query_pairs_mut().extend_pairs(call.query);
            }
            let request = Request {
                operation: call.operation,
                method: call.method.clone(),
                url,
                body: call.body.clone(),
                timeout: self.timeout * n,
            };
            match self.http.send(request).await {
                // An answer of 4xx is the service's, and would be the same on another host.
                Err(error) if error.status().is_none_or(|status| status >= 500) && error.is_retryable() => {
                    self.hosts.is_down(host, Instant::now());
                    last = Some(error);
                }
                other => {
                    self.hosts.is_up(host);
                    return other;
                }
            }
        }
        Err(last.unwrap_or(Error {
            service: DIALECT.service,
            operation: call.operation,
            failure: Failure::permanent("there is no host to ask"),
        }))
    }
}

/// One call, whatever host it goes to.
struct Call<'a> {
    operation: &'static str,
    method: Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<Value>,
}

impl<'a> Call<'a> {
    fn new(operation: &'static str, method: Method, path: &'a [&'a str]) -> Self {
        Self {
            operation,
            method,
            path,
            query: &[],
            body: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let options = Options {
            app_id: "APP".to_owned(),
            api_key: Confidential::from("hunter2".to_owned()),
            hosts: Vec::new(),
            timeout: None,
        };
        let shown = format!("{options:?} {:?}", Algolia::new(&options).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn operations_have_the_services_names() {
        let record = Record::from_iter([("name".to_owned(), json!("a"))]);
        for (operation, action) in [
            (Operation::Save("1".to_owned(), record.clone()), "updateObject"),
            (
                Operation::PartialUpdate("1".to_owned(), record.clone()),
                "partialUpdateObject",
            ),
            (
                Operation::PartialUpdateIfThere("1".to_owned(), record),
                "partialUpdateObjectNoCreate",
            ),
        ] {
            assert_eq!(
                operation.to_json(),
                json!({ "action": action, "body": { "objectID": "1", "name": "a" } })
            );
        }
        assert_eq!(
            Operation::Delete("1".to_owned()).to_json(),
            json!({ "action": "deleteObject", "body": { "objectID": "1" } })
        );
    }
}
