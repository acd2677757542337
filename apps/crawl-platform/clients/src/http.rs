//! One HTTP request to a service and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use segno_sinks::Failure;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{Confidential, Error, error::told};

/// How long a call may take, unless told otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const LARGEST: usize = 16 << 20;
/// The longest wait a service can ask for; more is cut to it.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How one service's answers are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// The service's name, for people.
    pub(crate) service: &'static str,
    /// What an answer with an error says went wrong, for people.
    pub(crate) explain: fn(&Value) -> Option<String>,
    /// Statuses of 4xx, beside 408, 425 and 429, that may pass.
    pub(crate) may_pass: &'static [u16],
    /// How long an answer asks to be left alone, beside `Retry-After`.
    pub(crate) asks: fn(&HeaderMap) -> Option<Duration>,
}

/// Sends requests to one service over one pool of connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    dialect: Dialect,
    /// Sent with each request.
    headers: HeaderMap,
    /// Not to be shown.
    secrets: Vec<Confidential>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What is asked, for people.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Value>,
    pub(crate) timeout: Duration,
}

/// Files that are sent as a form's, `multipart/form-data` (RFC 7578).
#[derive(Clone, Debug)]
pub(crate) struct Form {
    content_type: String,
    body: Bytes,
}

impl Form {
    /// One file, as this field.
    pub(crate) fn file(field: &str, name: &str, content_type: &str, bytes: &[u8]) -> Self {
        let boundary = boundary();
        // As browsers write names (the HTML standard).
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        let content_type: String = content_type.chars().filter(|c| !c.is_control()).collect();
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
            Content-Type: {content_type}\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Self {
            content_type: format!("multipart/form-data; boundary={boundary}"),
            body: body.into(),
        }
    }
}

/// What stands in no file, as nobody knows it before.
fn boundary() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = || RandomState::new().hash_one(0_u8);
    format!("segno-{:016x}{:016x}", random(), random())
}

/// An answer that says yes.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    body: Bytes,
    service: &'static str,
    operation: &'static str,
}

impl Reply {
    /// The answer's bytes.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.body
    }

    /// The answer as what it is.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error {
            service: self.service,
            operation: self.operation,
            // Something between may have answered in its place.
            failure: Failure::Retryable {
                reason: format!("its answer is not what it should be: {error}"),
                status: Some(self.status.as_u16()),
                retry_after: None,
            },
        })
    }
}

impl Http {
    /// `headers` go along with each request; `secrets` are removed from what is told.
    pub(crate) fn new(
        dialect: Dialect,
        headers: HeaderMap,
        secrets: Vec<Confidential>,
    ) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("segno-crawl-platform/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            client: client.map_err(|error| Error {
                service: dialect.service,
                operation: "begin",
                failure: Failure::permanent(format!("HTTP cannot be set up: {}", innermost(&error))),
            })?,
            dialect,
            headers,
            secrets,
        })
    }

    /// Makes one attempt.
    pub(crate) async fn send(&self, mut request: Request) -> Result<Reply, Error> {
        let body = request.body.take();
        self.attempt(request, |sending| match &body {
            Some(body) => sending.json(body),
            None => sending,
        })
        .await
    }

    /// Makes one attempt to send a form, with further headers.
    pub(crate) async fn send_form(
        &self,
        request: Request,
        form: Form,
        headers: HeaderMap,
    ) -> Result<Reply, Error> {
        self.attempt(request, |sending| {
            sending
                .headers(headers)
                .header(header::CONTENT_TYPE, form.content_type)
                .body(form.body)
        })
        .await
    }

    async fn attempt(
        &self,
        request: Request,
        fill: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Reply, Error> {
        let Request {
            operation,
            method,
            url,
            timeout,
            ..
        } = request;
        let failed = |failure| Error {
            service: self.dialect.service,
            operation,
            failure,
        };
        let sending = self
            .client
            .request(method, url)
            .headers(self.headers.clone())
            .timeout(timeout);
        let response = fill(sending)
            .send()
            .await
            .map_err(|error| failed(broken(&error, timeout)))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = read(response).await.map_err(|why| match why {
            // What it says does not matter then.
            _ if !status.is_success() => self.refused(status, &headers, b""),
            Unread::Broken(error) => broken(&error, timeout),
            Unread::TooLarge => Failure::Permanent {
                reason: format!("its answer has more than {LARGEST} bytes"),
                status: Some(status.as_u16()),
            },
        });
        let body = body.map_err(failed)?;
        if !status.is_success() {
            return Err(failed(self.refused(status, &headers, &body)));
        }
        Ok(Reply {
            status,
            body,
            service: self.dialect.service,
            operation,
        })
    }

    /// What an answer other than 2xx means.
    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let said = serde_json::from_slice(body)
            .ok()
            .and_then(|body| (self.dialect.explain)(&body))
            .filter(|said| !said.trim().is_empty());
        let secrets = self.secrets.iter().map(Confidential::expose);
        let reason = match said {
            Some(said) => format!("it answered {status}: {}", told(&said, secrets)),
            None => format!("it answered {status}"),
        };
        let code = status.as_u16();
        let may_pass = [408, 425, 429].contains(&code) || self.dialect.may_pass.contains(&code);
        if status.is_server_error() || may_pass {
            return Failure::Retryable {
                reason,
                status: Some(code),
                retry_after: retry_after(headers).or_else(|| (self.dialect.asks)(headers)),
            };
        }
        Failure::Permanent {
            reason,
            status: Some(code),
        }
    }
}

enum Unread {
    Broken(reqwest::Error),
    TooLarge,
}

async fn read(mut response: reqwest::Response) -> Result<Bytes, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(body))
}

/// What a request without a whole answer failed of. The URL is not told.
fn broken(error: &reqwest::Error, timeout: Duration) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::retryable(format!("no answer within {timeout:?}"));
    }
    let what = if error.is_connect() {
        "cannot connect to it"
    } else {
        "the connection broke"
    };
    Failure::retryable(format!("{what}: {}", innermost(error)))
}

/// The plainest cause, which names no URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) {
        return "the request failed".to_owned();
    }
    cause.to_string()
}

/// How long an answer asks to be left alone, in `Retry-After`'s form of seconds, which is what these services use.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    wait(Duration::try_from_secs_f64(seconds).ok()?)
}

/// A wait that means one.
pub(crate) fn wait(wait: Duration) -> Option<Duration> {
    (!wait.is_zero()).then_some(wait.min(LONGEST_WAIT))
}

/// Of a header that has a number.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn judges_every_status() {
        let dialect = Dialect {
            service: "It",
            explain: |body| body["message"].as_str().map(str::to_owned),
            may_pass: &[423],
            asks: |_| None,
        };
        let secrets = vec![Confidential::from("hunter2".to_owned())];
        let http = Http::new(dialect, HeaderMap::new(), secrets).unwrap();
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        for code in (300..600).filter(|code| StatusCode::from_u16(*code).is_ok()) {
            let status = StatusCode::from_u16(code).unwrap();
            let failure = http.refused(status, &headers, br#"{"message": "no hunter2"}"#);
            assert_eq!(failure.status(), Some(code));
            assert!(failure.to_string().ends_with(": no ***"), "{failure}");
            let passes = matches!(failure, Failure::Retryable { retry_after: Some(wait), .. }
                if wait == Duration::from_secs(7));
            assert_eq!(passes, matches!(code, 408 | 423 | 425 | 429 | 500..), "{code}");
        }
    }

    #[test]
    fn reads_waits() {
        let asks = |value: &'static str| {
            retry_after(&HeaderMap::from_iter([(
                header::RETRY_AFTER,
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(asks("3"), Some(Duration::from_secs(3)));
        assert_eq!(asks("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(asks("9999999"), Some(LONGEST_WAIT));
        for none in ["0", "-1", "soon", "", "inf", "NaN"] {
            assert_eq!(asks(none), None, "{none}");
        }
    }
}
