//! Events on channels of [Pusher Channels], or of what speaks its protocol.
//!
//! A call is signed with the app's secret. The service has no way to leave out an event that it gets twice: after an answer that
//! was lost, who repeats the call may show it twice.
//!
//! [Pusher Channels]: https://pusher.com/docs/channels/library_auth_reference/rest-api/

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method};
use segno_sinks::{Failure, pusher::sign};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Confidential, Endpoint, Error,
    error::told,
    http::{Dialect, Http, Reply, Request, TIMEOUT},
};

/// Most events of one call.
const BATCH: usize = 10;
/// Most channels of one event.
const CHANNELS: usize = 100;
/// Longest data of an event, in bytes.
const LONGEST_DATA: usize = 10 * 1024;
/// Longest name of an event or a channel, in bytes.
const LONGEST_NAME: usize = 200;

/// Options of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The app's id.
    pub app_id: String,
    /// The app's key.
    pub key: String,
    /// The app's secret.
    pub secret: Confidential,
    /// The service's cluster. Default `mt1`.
    pub cluster: Option<String>,
    /// In place of a cluster, another service.
    pub url: Option<Endpoint>,
    /// How long a call may take, in seconds. Default 30.
    #[serde(default, deserialize_with = "crate::endpoint::seconds")]
    pub timeout: Option<Duration>,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where it goes, to at most 100 channels, such as `private-project-7`.
    pub channels: Vec<String>,
    /// What it is called, such as `report-stopped`.
    pub name: String,
    /// What it says, at most 10 KiB. A text is itself, all else is JSON.
    pub data: Value,
    /// The connection that does not get it, as it is whose doing it was.
    pub socket_id: Option<String>,
}

impl Event {
    /// An event on one channel.
    pub fn new(channel: &str, name: &str, data: Value) -> Self {
        Self {
            channels: vec![channel.to_owned()],
            name: name.to_owned(),
            data,
            socket_id: None,
        }
    }

    fn text(&self) -> String {
        match &self.data {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// What the service would refuse.
    fn check(&self) -> Result<(), String> {
        if self.channels.is_empty() || self.channels.len() > CHANNELS {
            return Err(format!("an event goes to 1 to {CHANNELS} channels"));
        }
        if let Some(wrong) = self.channels.iter().find(|channel| !is_channel(channel)) {
            return Err(format!(
                "{wrong:?} is no channel: letters, digits and _-=@,.; and at most {LONGEST_NAME} of them"
            ));
        }
        if self.name.is_empty() || self.name.len() > LONGEST_NAME {
            return Err(format!("an event's name is of 1 to {LONGEST_NAME} bytes"));
        }
        let length = self.text().len();
        if length > LONGEST_DATA {
            return Err(format!(
                "the event's data has {length} bytes, and the service takes {LONGEST_DATA} at most"
            ));
        }
        Ok(())
    }

    fn to_json(&self, channels: Value) -> Value {
        let mut event = json!({ "name": self.name, "data": self.text() });
        let name = if channels.is_array() {
            "channels"
        } else {
            "channel"
        };
        event[name] = channels;
        if let Some(id) = &self.socket_id {
            event["socket_id"] = json!(id);
        }
        event
    }
}

/// `#server-to-user-…` is one too.
fn is_channel(text: &str) -> bool {
    let name = text.strip_prefix('#').unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte);
    !name.is_empty() && text.len() <= LONGEST_NAME && name.bytes().all(fits)
}

/// A client of one app.
#[derive(Clone, Debug)]
pub struct Pusher {
    http: Http,
    endpoint: Endpoint,
    app_id: String,
    key: String,
    secret: Confidential,
    timeout: Duration,
}

const DIALECT: Dialect = Dialect {
    service: "Pusher",
    explain: |body| body["error"].as_str().map(str::to_owned),
    may_pass: &[],
    asks: |_| None,
};

fn failed(operation: &'static str, failure: Failure) -> Error {
    Error {
        service: DIALECT.service,
        operation,
        failure,
    }
}

impl Pusher {
    /// A client with these options. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the machine gives no TLS or no resolver, or there is a cluster and a URL.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let wrong = |reason: String| failed("begin", Failure::permanent(reason));
        let endpoint = match (&options.url, options.cluster.as_deref()) {
            (Some(_), Some(_)) => {
                return Err(wrong("it has a `cluster` or a `url`, and not both".to_owned()));
            }
            (Some(url), None) => url.clone(),
            (None, cluster) => {
                let cluster = cluster.unwrap_or("mt1");
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                let url = format!("https://api-{cluster}.pusher.com").parse();
                match url {
                    Ok(url) if !cluster.is_empty() && cluster.bytes().all(fits) => url,
                    _ => return Err(wrong(format!("{cluster:?} is no name of a cluster"))),
                }
            }
        };
        Ok(Self {
            http: Http::new(DIALECT, HeaderMap::new(), vec![options.secret.clone()])?,
            endpoint,
            app_id: options.app_id.clone(),
            key: options.key.clone(),
            secret: options.secret.clone(),
            timeout: options.timeout.unwrap_or(TIMEOUT),
        })
    }

    /// Sends an event to its channels.
    ///
    /// # Errors
    ///
    /// [`Error`]; permanent, without a call, for what the service never takes.
    pub async fn trigger(&self, event: &Event) -> Result<(), Error> {
        let operation = "trigger an event";
        event
            .check()
            .map_err(|reason| failed(operation, Failure::permanent(reason)))?;
        let body = event.to_json(json!(event.channels));
        self.post(operation, "events", body).await
    }

    /// Sends events, each to all of its channels, ten a call.
    ///
    /// # Errors
    ///
    /// [`Error`]; permanent, before any call, if one of them is never taken. Else the calls before the one that failed are
    /// done.
    pub async fn trigger_batch(&self, events: &[Event]) -> Result<(), Error> {
        let operation = "trigger a batch of events";
        for (n, event) in events.iter().enumerate() {
            let wrong = |reason| failed(operation, Failure::permanent(format!("event {n}: {reason}")));
            event.check().map_err(wrong)?;
        }
        // In a batch an event has one channel.
        let single: Vec<_> = events
            .iter()
            .flat_map(|event| event.channels.iter().map(|channel| event.to_json(json!(channel))))
            .collect();
        for batch in single.chunks(BATCH) {
            self.post(operation, "batch_events", json!({ "batch": batch }))
                .await?;
        }
        Ok(())
    }

    async fn post(&self, operation: &'static str, what: &str, body: Value) -> Result<(), Error> {
        let mut url = self.endpoint.with(&["apps", &self.app_id, what]);
        // The HTTP library writes the same bytes.
        let signed = body.to_string();
        let query = sign::query(
            &self.key,
            self.secret.expose(),
            url.path(),
            signed.as_bytes(),
            now(),
        );
        url.query_pairs_mut().extend_pairs(query);
        let request = Request {
            operation,
            method: Method::POST,
            url,
            body: Some(body),
            timeout: self.timeout,
        };
        self.judge(operation, &self.http.send(request).await?)
    }

    /// Some servers of the protocol answer 200 to everything, with `error` and `code` in the body.
    fn judge(&self, operation: &'static str, reply: &Reply) -> Result<(), Error> {
        let Ok(body) = reply.json::<Value>() else {
            return Ok(());
        };
        let code = body["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let (Some(code), Some(said)) = (code, body.get("error")) else {
            return Ok(());
        };
        if (200..300).contains(&code) {
            return Ok(());
        }
        let said = told(said.as_str().unwrap_or_default(), [self.secret.expose()]);
        let (reason, status) = (format!("it answered {code}: {said}"), Some(code));
        Err(failed(
            operation,
            if code >= 500 || [408, 429].contains(&code) {
                Failure::Retryable {
                    reason,
                    status,
                    retry_after: None,
                }
            } else {
                Failure::Permanent { reason, status }
            },
        ))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the service compares it with its own clock"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            app_id: "app".to_owned(),
            key: "key".to_owned(),
            secret: Confidential::from("hunter2".to_owned()),
            cluster: None,
            url: None,
            timeout: None,
        }
    }

    #[test]
    fn a_cluster_is_a_part_of_a_host() {
        assert_eq!(
            Pusher::new(&options()).unwrap().endpoint.to_string(),
            "https://api-mt1.pusher.com/"
        );
        for (cluster, url) in [
            (Some("eu/x"), None),
            (Some(""), None),
            (Some("eu"), Some("http://127.0.0.1")),
        ] {
            let wrong = Options {
                cluster: cluster.map(str::to_owned),
                url: url.map(|url| url.parse().unwrap()),
                ..options()
            };
            assert!(!Pusher::new(&wrong).unwrap_err().is_retryable());
        }
    }

    #[test]
    fn what_is_never_taken_is_not_sent() {
        let event = Event::new("orders", "placed", json!({ "a": 1 }));
        assert_eq!(event.check(), Ok(()));
        let with = |change: fn(&mut Event)| {
            let mut event = event.clone();
            change(&mut event);
            event.check().is_err()
        };
        assert!(with(|event| event.channels.clear()));
        assert!(with(|event| event.channels = vec!["a".to_owned(); 101]));
        assert!(with(|event| event.channels[0] = "no spaces".to_owned()));
        assert!(with(|event| event.name = String::new()));
        assert!(with(|event| event.data = json!("x".repeat(LONGEST_DATA + 1))));
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?} {:?}", options(), Pusher::new(&options()).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
