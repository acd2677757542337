//! Restate's HTTP ingress, as a client of it.

use anyhow::{Context, Result};

/// Calls the service `OneStep`. Cheap to clone; its connections are kept alive.
#[derive(Clone, Debug)]
pub(super) struct Ingress {
    http: reqwest::Client,
    url: String,
}

impl Ingress {
    pub(super) fn new(http: reqwest::Client, url: String) -> Self {
        Self { http, url }
    }

    /// Calls the handler, and waits for its result.
    pub(super) async fn call(&self, name: &str) -> Result<String> {
        let request = self.http.post(format!("{}/OneStep/run", self.url)).json(name);
        let answer = request.send().await?.error_for_status()?;
        answer.json().await.context("the answer is no string")
    }

    /// Where a one-way call of a handler is handed over.
    pub(super) fn send_url(&self, handler: &str) -> String {
        format!("{}/{handler}/send", self.url)
    }

    /// Hands a call over that is due in an hour; it is durable when this returns.
    pub(super) async fn send_later(&self, name: &str) -> Result<()> {
        let url = format!("{}/OneStep/run/send?delay=1h", self.url);
        let answer = self.http.post(url).json(name).send().await?.error_for_status()?;
        // The body is read so that the connection can be used again.
        answer.bytes().await?;
        Ok(())
    }
}
