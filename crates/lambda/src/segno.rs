//! The Segno that events go to.

use std::{fmt, time::Duration};

use reqwest::{
    Client, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use segno_event::Event;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(20);
/// Most events of one request.
const BATCH: usize = 100;

/// Why events are not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// For what is in them.
    Content(String),
    /// They may be taken later.
    Passing(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(reason) => write!(f, "Segno refuses: {reason}"),
            Self::Passing(reason) => write!(f, "Segno takes nothing now: {reason}"),
        }
    }
}

pub(crate) struct Segno {
    http: Client,
    url: Url,
}

impl Segno {
    pub(crate) fn new(url: &str, authorization: Option<&str>) -> Result<Self, String> {
        let base = format!("{}/", url.trim_end_matches('/'));
        let url = base
            .parse::<Url>()
            .and_then(|base| base.join("events"))
            .map_err(|error| format!("SEGNO_URL: {error}"))?;
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            let mut value =
                HeaderValue::from_str(value).map_err(|error| format!("SEGNO_AUTHORIZATION: {error}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = Client::builder()
            .timeout(REQUEST)
            .default_headers(headers)
            .build();
        let http = http.map_err(|error| error.to_string())?;
        Ok(Self { http, url })
    }

    /// Hands events over; they are on disk when this returns.
    pub(crate) async fn take(&self, events: &[Event]) -> Result<(), Refusal> {
        for events in events.chunks(BATCH) {
            let body = serde_json::to_string(events).map_err(|error| Refusal::Content(error.to_string()))?;
            let sent = self
                .http
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/cloudevents-batch+json")
                .body(body)
                .send()
                .await;
            let response = sent.map_err(|error| Refusal::Passing(error.without_url().to_string()))?;
            let status = response.status();
            if status.is_success() {
                continue;
            }
            let text = response.text().await.unwrap_or_default();
            let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let reason = format!("{status} {}", problem["detail"].as_str().unwrap_or_default());
            // What is between here and there may refuse, too: only what Segno says of events is about them.
            let of_events = [
                StatusCode::BAD_REQUEST,
                StatusCode::PAYLOAD_TOO_LARGE,
                StatusCode::UNPROCESSABLE_ENTITY,
            ];
            return Err(match of_events.contains(&status) {
                true => Refusal::Content(reason),
                false => Refusal::Passing(reason),
            });
        }
        Ok(())
    }
}
