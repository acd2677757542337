//! HubSpot's CRM (objects v3, associations v4), as a private app.
//!
//! - objects [upserted](HubSpot::upsert) and [read](HubSpot::read) by batches;
//! - [associations](HubSpot::associate) between them, [with labels](HubSpot::associate_as) too.
//!
//! The service takes [a hundred](BATCH) objects a call: more go in several calls, one after the other. A call can fail for
//! some of its objects: these are told one by one, as [`Refused`], and the others are done. An upsert can be repeated.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use segno_sinks::Failure;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Confidential, Endpoint, Error,
    http::{Dialect, Http, Reply, Request, TIMEOUT, number, wait},
};

mod associations;
mod objects;

pub use associations::{Associated, AssociationType, Category, LabelledPair, Other, Pair};
pub use objects::{Done, Object, ObjectType, Refused, Upsert};

/// Most objects of one call.
pub const BATCH: usize = 100;

/// Options of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The access token of a private app.
    pub token: Confidential,
    /// Another service. Default `https://api.hubapi.com`.
    pub url: Option<Endpoint>,
    /// How long a call may take, in seconds. Default 30.
    #[serde(default, deserialize_with = "crate::endpoint::seconds")]
    pub timeout: Option<Duration>,
}

/// A client of one account.
#[derive(Clone, Debug)]
pub struct HubSpot {
    http: Http,
    endpoint: Endpoint,
    timeout: Duration,
}

const DIALECT: Dialect = Dialect {
    service: "HubSpot",
    explain,
    // 409: two write one object at once. 423: locked for a while. 477: the account is being moved.
    may_pass: &[409, 423, 477],
    asks,
};

impl HubSpot {
    /// A client with these options. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the machine gives no TLS or no resolver, or the token is of no use.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let wrong = |reason: &str| Error {
            service: DIALECT.service,
            operation: "begin",
            failure: Failure::permanent(reason),
        };
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", options.token.expose()))
            .map_err(|_| wrong("the token cannot stand in a header"))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization)]);
        let endpoint = match &options.url {
            Some(url) => url.clone(),
            None => "https://api.hubapi.com"
                .parse()
                .map_err(|_| wrong("its URL cannot be used"))?,
        };
        Ok(Self {
            http: Http::new(DIALECT, headers, vec![options.token.clone()])?,
            endpoint,
            timeout: options.timeout.unwrap_or(TIMEOUT),
        })
    }

    async fn call(
        &self,
        operation: &'static str,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Reply, Error> {
        let request = Request {
            operation,
            method,
            url: self.endpoint.with(path),
            body,
            timeout: self.timeout,
        };
        self.http.send(request).await
    }

    async fn get<T: DeserializeOwned>(&self, operation: &'static str, path: &[&str]) -> Result<T, Error> {
        self.call(operation, Method::GET, path, None).await?.json()
    }

    /// Says something that has no answer.
    async fn tell(&self, operation: &'static str, path: &[&str], body: Value) -> Result<(), Error> {
        self.call(operation, Method::POST, path, Some(body))
            .await
            .map(drop)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &[&str],
        body: Value,
    ) -> Result<T, Error> {
        self.call(operation, Method::POST, path, Some(body)).await?.json()
    }

    async fn batches<I, T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &[&str],
        inputs: &[I],
        body: impl Fn(&[I]) -> Value,
    ) -> Result<Done<T>, Error> {
        let mut done = Done {
            results: Vec::new(),
            refused: Vec::new(),
        };
        for inputs in inputs.chunks(BATCH) {
            let answer: Answer<T> = self.post(operation, path, body(inputs)).await?;
            done.results.extend(answer.results);
            done.refused.extend(answer.errors.into_iter().map(Refused::from));
        }
        Ok(done)
    }
}

/// The answer to a batch: 200 or 201 if all is done, 207 if some is.
#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default = "Vec::new")]
    results: Vec<T>,
    #[serde(default)]
    errors: Vec<Problem>,
}

/// An error, of a call or of some objects of it.
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    context: Value,
}

/// What an answer says went wrong: a message, and beneath it what was wrong with the parts.
fn explain(body: &Value) -> Option<String> {
    let mut said = body["message"].as_str()?.to_owned();
    for error in body["errors"].as_array().into_iter().flatten() {
        if let Some(text) = error["message"].as_str() {
            said = format!("{said}; {text}");
        }
    }
    Some(said)
}

/// Without `Retry-After`, the time in which only so many calls are allowed.
fn asks(headers: &HeaderMap) -> Option<Duration> {
    let milliseconds = number(headers, "x-hubspot-ratelimit-interval-milliseconds")?;
    wait(Duration::from_millis(milliseconds))
}

/// An object's id as a batch has it.
fn id(id: &str) -> Value {
    json!({ "id": id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_errors_and_limits() {
        let body = json!({
            "status": "error", "message": "Invalid input", "category": "VALIDATION_ERROR",
            "errors": [{ "message": "Property x does not exist" }]
        });
        assert_eq!(
            explain(&body).unwrap(),
            "Invalid input; Property x does not exist"
        );
        assert_eq!(explain(&json!({ "status": "error" })), None);
        let name = "x-hubspot-ratelimit-interval-milliseconds".parse().unwrap();
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("10000"))]);
        assert_eq!(asks(&headers), Some(Duration::from_secs(10)));
        assert_eq!(asks(&HeaderMap::new()), None);
    }

    #[test]
    fn no_secret_is_shown() {
        let options = Options {
            token: Confidential::from("pat-hunter2".to_owned()),
            url: None,
            timeout: None,
        };
        let shown = format!("{options:?} {:?}", HubSpot::new(&options).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
