//! Which path asks for what: the one table of it.
//!
//! A path that is served gets a row here. One without a row is the administrators' alone, and a test fails that compares the
//! table with what is served.

use std::{collections::HashMap, sync::LazyLock};

use axum::http::Method;

use super::Need::{self, Administer, Identity, Nothing, Operate, Send, Signature, View};

/// Method, path as the router has it, and what it asks for. What is not a `GET` and asks for [`Operate`] or [`Administer`]
/// is recorded in the audit log.
pub const TABLE: &[(&str, &str, Need)] = &[
    // Probes, and what pages are made of.
    ("GET", "/livez", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/style.css", Nothing),
    ("GET", "/openapi.json", Nothing),
    ("GET", "/api-docs", Nothing),
    ("GET", "/api-docs/", Nothing),
    ("GET", "/api-docs/{*rest}", Nothing),
    ("GET", "/console", Nothing),
    ("GET", "/console/", Nothing),
    ("GET", "/console/assets/{version}/{*name}", Nothing),
    ("GET", "/console/{*path}", Nothing),
    // Signing in.
    ("GET", "/login", Nothing),
    ("GET", "/session", Identity),
    ("POST", "/session", Nothing),
    ("DELETE", "/session", Identity),
    ("GET", "/session/methods", Nothing),
    ("GET", "/session/oidc", Nothing),
    ("GET", "/session/oidc/callback", Nothing),
    // Events.
    ("POST", "/events", Send),
    ("GET", "/events/{source}/{id}", View),
    ("GET", "/catalogue", View),
    ("GET", "/asyncapi.json", View),
    // Executions.
    ("GET", "/", View),
    ("GET", "/executions", View),
    ("GET", "/executions/{workflow_id}", View),
    ("GET", "/executions/{workflow_id}/history", View),
    ("POST", "/executions/{workflow_id}/signal", Operate),
    ("POST", "/executions/{workflow_id}/cancel", Operate),
    ("POST", "/executions/{workflow_id}/terminate", Administer),
    ("POST", "/executions/{workflow_id}/reset", Administer),
    // Figures.
    ("GET", "/overview", View),
    ("GET", "/live", View),
    ("GET", "/topology", View),
    // Schedules.
    ("GET", "/schedules", View),
    ("GET", "/schedules/{id}", View),
    ("POST", "/schedules/{id}/pause", Operate),
    ("POST", "/schedules/{id}/resume", Operate),
    ("POST", "/schedules/{id}/trigger", Operate),
    ("POST", "/schedules/{id}/backfill", Operate),
    // Task queues and workers.
    ("GET", "/task-queues", View),
    ("GET", "/task-queues/{name}", View),
    ("GET", "/workers", View),
    // Dead letters and replays.
    ("GET", "/dead-letters", View),
    ("GET", "/dead-letters/{id}", View),
    ("POST", "/dead-letters/{id}/retry", Operate),
    ("POST", "/dead-letters/{id}/skip", Operate),
    ("POST", "/dead-letters/{id}/resolve", Operate),
    ("POST", "/dead-letters/bulk", Operate),
    ("GET", "/dead-letters/bulk/{id}", View),
    ("POST", "/dead-letters/bulk/{id}/{verb}", Operate),
    ("POST", "/replays", Operate),
    ("GET", "/replays/{id}", View),
    ("POST", "/replays/{id}/{verb}", Operate),
    // Keys, routes, sinks.
    ("GET", "/keys", View),
    ("POST", "/keys/release", Operate),
    ("POST", "/keys/pause", Operate),
    ("POST", "/keys/resume", Operate),
    ("GET", "/routes", View),
    ("POST", "/routes/{name}/pause", Operate),
    ("POST", "/routes/{name}/resume", Operate),
    ("GET", "/sinks", View),
    ("POST", "/sinks/{name}/pause", Operate),
    ("POST", "/sinks/{name}/resume", Operate),
    // Outboxes.
    ("GET", "/outboxes", View),
    ("GET", "/outboxes/{name}/parked", View),
    ("POST", "/outboxes/{name}/parked/{position}/retry", Operate),
    ("POST", "/outboxes/{name}/parked/{position}/discard", Operate),
    // Timers.
    ("GET", "/timers", View),
    // Taken in as events are, by programs and many of them.
    ("POST", "/timers", Send),
    ("GET", "/timers/{id}", View),
    ("DELETE", "/timers/{id}", Operate),
    ("PUT", "/timers/{id}/deadline", Operate),
    ("GET", "/timers/{id}/deliveries", View),
    // Of the whole process.
    ("GET", "/metrics", View),
    ("POST", "/config/reload", Administer),
    ("GET", "/audit", Administer),
    // Shows whatever is encrypted, and nothing of it redacted.
    ("POST", "/codec/decode", Administer),
    ("POST", "/codec/encode", Administer),
    // Sources that are called check who calls. Their paths are their names.
    ("POST", "/webhooks/{name}", Signature),
    ("POST", "/eventbridge/{name}", Signature),
    ("POST", "/eventbridge/{name}/", Signature),
];

static ROWS: LazyLock<HashMap<(&str, &str), Need>> = LazyLock::new(|| {
    TABLE
        .iter()
        .map(|(method, path, need)| ((*method, *path), *need))
        .collect()
});

/// What the table says of a path as the router has it; none where it says nothing.
pub(crate) fn listed(method: &Method, path: &str) -> Option<Need> {
    let method = if method == Method::HEAD {
        Method::GET.as_str()
    } else {
        method.as_str()
    };
    let row = |path: &str| ROWS.get(&(method, path)).copied();
    row(path)
        .or_else(|| row(&template(path)?))
        .or_else(|| of_program(method, path))
}

/// What a program serves beside: who may look may read it, and who changes something there operates.
fn of_program(method: &str, path: &str) -> Option<Need> {
    let below = path.strip_prefix(crate::http::PROGRAM)?;
    let need = if method == "GET" { View } else { Operate };
    below.starts_with('/').then_some(need)
}

/// What is asked for: of a path that has no row, what is asked of administrators.
pub(crate) fn need(method: &Method, path: &str) -> Need {
    listed(method, path).unwrap_or(Administer)
}

/// The row of a source's path, which the router has with the source's name in it.
fn template(path: &str) -> Option<String> {
    let (room, rest) = path.strip_prefix('/')?.split_once('/')?;
    let end = if rest.ends_with('/') { "/" } else { "" };
    let is_source = matches!(room, "webhooks" | "eventbridge") && !rest.trim_end_matches('/').contains('/');
    is_source.then(|| format!("/{room}/{{name}}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_there_once() {
        assert_eq!(ROWS.len(), TABLE.len());
    }

    #[test]
    fn what_a_program_serves_is_read_by_viewers_and_changed_by_operators() {
        for (method, path, expected) in [
            (Method::GET, "/app/runs/{id}", View),
            (Method::HEAD, "/app/runs", View),
            (Method::POST, "/app/runs/{id}/stop", Operate),
            (Method::DELETE, "/app/x", Operate),
            (Method::OPTIONS, "/app/x", Operate),
            (Method::GET, "/application", Administer),
            (Method::GET, "/app", Administer),
        ] {
            assert_eq!(need(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_has_no_row_is_the_administrators() {
        assert_eq!(need(&Method::GET, "/nothing/of/that/name"), Administer);
        assert_eq!(need(&Method::DELETE, "/events"), Administer);
        assert_eq!(need(&Method::POST, "/webhooks/a/b"), Administer);
        assert_eq!(need(&Method::HEAD, "/executions"), View);
        assert_eq!(need(&Method::POST, "/webhooks/github"), Signature);
        assert_eq!(need(&Method::POST, "/eventbridge/aws/"), Signature);
    }
}
