//! The bodies of requests and answers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The id of a new timer.
#[derive(Serialize, ToSchema)]
#[schema(as = TimerCreated)]
pub(super) struct Created {
    #[schema(format = Uuid)]
    pub(super) id: String,
}

/// How long it is until a timer fires.
#[derive(Serialize, ToSchema)]
#[schema(as = TimerLeft)]
pub(super) struct Left {
    #[schema(format = Uuid)]
    pub(super) id: String,
    /// Whole seconds, rounded up; 0 for a timer that fired or was cancelled.
    pub(super) time_left: u64,
}

/// When a timer is to fire, in one of the ways.
#[derive(ToSchema)]
#[schema(as = TimerDeadline, example = json!({"in": "PT1H30M"}))]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is there for the document: `request` reads the body itself"
)]
pub(super) struct Rearm {
    /// Hours from now. Default 0.
    #[schema(minimum = 0, nullable = false)]
    hours: Option<u64>,
    /// Minutes more. Default 0.
    #[schema(minimum = 0, maximum = 59, nullable = false)]
    minutes: Option<u64>,
    /// Seconds more. Default 0.
    #[schema(minimum = 0, maximum = 59, nullable = false)]
    seconds: Option<u64>,
    /// In place of these: a duration in ISO 8601 without years and months, or like `90s`.
    #[schema(rename = "in", example = "PT1H30M", nullable = false)]
    wait: Option<String>,
    /// In place of these: a moment in RFC 3339. One that is past is now.
    #[schema(format = DateTime, nullable = false)]
    at: Option<String>,
}

/// A timer to make. Without any word on when, it fires at once.
#[derive(ToSchema)]
#[schema(as = TimerRequest, example = json!({"minutes": 30, "url": "https://example.com/hook"}))]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is there for the document: `request` reads the body itself"
)]
pub(super) struct TimerRequest {
    /// Hours from now. Default 0.
    #[schema(minimum = 0, nullable = false)]
    hours: Option<u64>,
    /// Minutes more. Default 0.
    #[schema(minimum = 0, maximum = 59, nullable = false)]
    minutes: Option<u64>,
    /// Seconds more. Default 0.
    #[schema(minimum = 0, maximum = 59, nullable = false)]
    seconds: Option<u64>,
    /// In place of these: a duration in ISO 8601 without years and months, or like `90s`.
    #[schema(rename = "in", example = "PT1H30M", nullable = false)]
    wait: Option<String>,
    /// In place of these: a moment in RFC 3339. One that is past is now.
    #[schema(format = DateTime, nullable = false)]
    at: Option<String>,
    /// What to call: `http` or `https`. The timer's id is appended to the path.
    #[schema(example = "https://example.com/hook")]
    url: String,
    /// Default `POST`.
    #[schema(nullable = false)]
    method: Option<Method>,
    /// Headers to send along.
    #[schema(nullable = false)]
    headers: Option<BTreeMap<String, String>>,
    /// The body: a string as it is, anything else but null as JSON. Default empty.
    body: Option<Value>,
}

/// How the URL is called.
#[derive(ToSchema)]
#[schema(as = TimerMethod, rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "it is there for the document")]
enum Method {
    Post,
    Put,
    Patch,
    Delete,
    Get,
}
