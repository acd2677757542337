//! Jira Cloud (REST API v3) and Jira Service Management, as an account with an API token.
//!
//! - [comments](Jira::latest_comment) with their properties, [added once](Jira::add_comment_once) under a key;
//! - [watchers](Jira::watchers), and the [participants](Jira::participants) of a request;
//! - [issues](Jira::issue): got, searched, created, edited, moved by [transitions](Jira::transitions);
//! - [attachments](Jira::attachments): listed, downloaded, [attached once](Jira::attach_once);
//! - the [properties](Jira::issue_property) of issues and comments, which are JSON under a key that people do not see;
//! - [`adf`]: the format of bodies.
//!
//! Lists are read to their end, page by page. The service limits the rate of calls: then it answers 429 and says how long to
//! wait, which [`Error::retry_after`](crate::Error::retry_after) has.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, header};
use segno_sinks::Failure;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Confidential, Endpoint, Error,
    http::{Dialect, Http, Reply, Request, TIMEOUT},
};

pub mod adf;
mod attachments;
mod comments;
mod issues;
mod people;
mod properties;

pub use attachments::{Attached, Attachment, Upload};
pub use comments::{Added, Comment, NewComment, ONCE, Visibility};
pub use issues::{Created, Edit, Issue, NewIssue, Status, Transition};
pub use people::User;
pub use properties::Properties;

/// Most items that a page is asked for.
const PAGE: usize = 100;

/// Options of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The site, such as `https://example.atlassian.net`.
    pub url: Endpoint,
    /// The address of the account that the client acts as.
    pub email: String,
    /// An API token of that account.
    pub token: Confidential,
    /// How long a call may take, in seconds. Default 30.
    #[serde(default, deserialize_with = "crate::endpoint::seconds")]
    pub timeout: Option<Duration>,
}

/// A client of one site.
#[derive(Clone, Debug)]
pub struct Jira {
    http: Http,
    endpoint: Endpoint,
    timeout: Duration,
}

const DIALECT: Dialect = Dialect {
    service: "Jira",
    explain,
    // 409: another edit of the same issue is under way. 423: the site is being moved.
    may_pass: &[409, 423],
    asks: |_| None,
};

impl Jira {
    /// A client with these options. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the machine gives no TLS or no resolver.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let credentials = format!("{}:{}", options.email, options.token.expose());
        let encoded = STANDARD.encode(credentials);
        let mut authorization = HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|_| Error {
            service: DIALECT.service,
            operation: "begin",
            failure: Failure::permanent("the credentials cannot stand in a header"),
        })?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (header::AUTHORIZATION, authorization),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let secrets = vec![options.token.clone(), Confidential::from(encoded)];
        Ok(Self {
            http: Http::new(DIALECT, headers, secrets)?,
            endpoint: options.url.clone(),
            timeout: options.timeout.unwrap_or(TIMEOUT),
        })
    }

    async fn call(&self, operation: &'static str, call: Call<'_>) -> Result<Reply, Error> {
        self.http.send(self.request(operation, call)).await
    }

    fn request(&self, operation: &'static str, call: Call<'_>) -> Request {
        let mut url = self.endpoint.with(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        Request {
            operation,
            method: call.method,
            url,
            body: call.body,
            timeout: self.timeout,
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let call = Call {
            query,
            ..Call::new(Method::GET, path)
        };
        self.call(operation, call).await?.json()
    }

    /// All items of a list that is asked for by `startAt`.
    async fn list<P: Page>(
        &self,
        operation: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
        at_most: usize,
    ) -> Result<Vec<P::Item>, Error> {
        let mut all = Vec::new();
        while all.len() < at_most {
            let (start, size) = (all.len().to_string(), PAGE.min(at_most - all.len()).to_string());
            let mut query = query.to_vec();
            query.extend([(P::START, start.as_str()), (P::SIZE, size.as_str())]);
            let page: P = self.get(operation, path, &query).await?;
            let (items, more) = page.into_items(all.len());
            // A page with nothing on it ends the list, whatever the service says of more.
            let more = more && !items.is_empty();
            all.extend(items);
            if !more {
                break;
            }
        }
        all.truncate(at_most);
        Ok(all)
    }
}

/// One call, without what it is for.
struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<Value>,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self {
            method,
            path,
            query: &[],
            body: None,
        }
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// A page of a list.
trait Page: DeserializeOwned {
    type Item;
    /// The parameters' names.
    const START: &str;
    const SIZE: &str;

    /// What is on it, and whether there is more after it, when `before` items were on the pages before.
    fn into_items(self, before: usize) -> (Vec<Self::Item>, bool);
}

/// A property as it is sent and got along with what it belongs to.
#[derive(Debug, Deserialize, Serialize)]
struct Property {
    key: String,
    value: Value,
}

/// What an error of either API says: `errorMessages` and `errors` by field, or `errorMessage`.
fn explain(body: &Value) -> Option<String> {
    let texts = body["errorMessages"].as_array().into_iter().flatten();
    let mut said: Vec<_> = texts.filter_map(Value::as_str).map(str::to_owned).collect();
    let fields = body["errors"].as_object().into_iter().flatten();
    said.extend(fields.filter_map(|(field, text)| Some(format!("{field}: {}", text.as_str()?))));
    said.extend(body["errorMessage"].as_str().map(str::to_owned));
    said.extend(body["message"].as_str().map(str::to_owned));
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_errors_of_both_apis() {
        let platform = json!({
            "errorMessages": ["Issue does not exist"], "errors": { "project": "project is required" }
        });
        assert_eq!(
            explain(&platform).unwrap(),
            "Issue does not exist; project: project is required"
        );
        let desk = json!({ "errorMessage": "No such request", "i18nErrorMessage": { "i18nKey": "x" } });
        assert_eq!(explain(&desk).unwrap(), "No such request");
        assert_eq!(explain(&json!({ "errorMessages": [], "errors": {} })), None);
    }

    #[test]
    fn no_secret_is_shown() {
        let options = Options {
            url: "https://example.atlassian.net".parse().unwrap(),
            email: "bot@example.com".to_owned(),
            token: Confidential::from("hunter2".to_owned()),
            timeout: None,
        };
        let shown = format!("{options:?} {:?}", Jira::new(&options).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            !shown.contains(&STANDARD.encode("bot@example.com:hunter2")),
            "{shown}"
        );
    }
}
