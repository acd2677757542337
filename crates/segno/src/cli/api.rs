//! Calls of a running Segno's HTTP API, for commands that ask it for something.

use std::time::Duration;

use miette::{IntoDiagnostic, WrapErr, miette};
use reqwest::Method;
use serde_json::Value;

use super::Credentials;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the running Segno is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Api {
    /// Address of the running Segno's HTTP API.
    #[arg(
        long = "api",
        value_name = "URL",
        env = "SEGNO_API",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    url: url::Url,
    #[command(flatten)]
    credentials: Credentials,
}

impl Api {
    /// The API at this address, or where it is unless told otherwise.
    pub(super) fn at(url: Option<url::Url>, credentials: Credentials) -> miette::Result<Self> {
        let url = match url {
            Some(url) => url,
            None => "http://127.0.0.1:8080".parse().into_diagnostic()?,
        };
        Ok(Self { url, credentials })
    }

    /// Calls the API: the path's segments are encoded, and its answer is JSON.
    ///
    /// # Errors
    /// When it cannot be reached, and what it answers if that is a problem.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> miette::Result<Value> {
        self.send(method, path, query, body, None).await
    }

    /// Has something made, once for each key where one is given.
    ///
    /// # Errors
    /// As [`Api::call`].
    pub(super) async fn make(&self, path: &[&str], body: &Value, key: Option<&str>) -> miette::Result<Value> {
        self.send(Method::POST, path, &[], Some(body), key).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
        key: Option<&str>,
    ) -> miette::Result<Value> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| miette!("--api {} is not the address of an HTTP API", self.url))?
            .pop_if_empty()
            .extend(path);
        let client = self.credentials.client(TIMEOUT)?;
        let mut request = client.request(method, url.clone()).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.into_diagnostic().wrap_err_with(|| {
            format!(
                "no Segno answers at {}: start one with `segno up`, or say where it is with --api",
                self.url
            )
        })?;
        let status = response.status();
        let text = response.text().await.into_diagnostic()?;
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        match answer["detail"].as_str() {
            Some(detail) if status == reqwest::StatusCode::UNAUTHORIZED => Err(miette!(
                help = "put a token into the variable SEGNO_TOKEN, or name the file that it is in by --token-file",
                "{detail}"
            )),
            Some(detail) => Err(miette!("{detail}")),
            None => Err(miette!("{url} answers {status}")),
        }
    }
}
