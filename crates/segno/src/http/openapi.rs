//! The API's OpenAPI document, from the code.

use utoipa::OpenApi;

use super::{
    audit, catalogue, codec, config, control, dead_letters, event, events, execution, executions, figures,
    health, history, keys, metrics, oidc, operations, pauses, schedules, session, task_queues, topology,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Segno",
        description = "Takes events in, handles each one durably, and shows what became of it.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact(),
    ),
    paths(
        events::post,
        event::get,
        executions::list,
        execution::get,
        history::get,
        control::signal,
        control::cancel,
        control::terminate,
        control::reset,
        figures::overview,
        figures::stream_of,
        schedules::list,
        schedules::show,
        schedules::pause,
        schedules::resume,
        schedules::trigger,
        schedules::backfill,
        task_queues::list,
        task_queues::show,
        task_queues::workers,
        topology::topology,
        catalogue::get,
        catalogue::asyncapi,
        health::livez,
        health::readyz,
        metrics::get,
        config::reload,
        dead_letters::list,
        dead_letters::show,
        dead_letters::retry,
        dead_letters::skip,
        dead_letters::resolve,
        operations::begin_bulk,
        operations::show_bulk,
        operations::steer_bulk,
        operations::begin_replay,
        operations::show_replay,
        operations::steer_replay,
        keys::list,
        keys::release,
        keys::pause,
        keys::resume,
        pauses::routes,
        pauses::pause_route,
        pauses::resume_route,
        pauses::sinks,
        pauses::pause_sink,
        pauses::resume_sink,
        session::show,
        session::sign_in,
        session::sign_out,
        session::methods,
        oidc::begin,
        oidc::end,
        audit::list,
        codec::decode,
        codec::encode,
    ),
    tags(
        (name = "events", description = "Events in: CloudEvents 1.0 over HTTP."),
        (name = "executions", description = "What became of events and timers."),
        (name = "overview", description = "The state of everything in some figures."),
        (name = "schedules", description = "What the engine starts by the clock."),
        (name = "task queues", description = "What waits for workers, and who they are."),
        (name = "catalogue", description = "What may be sent: event types, their schemas, and the routes."),
        (name = "dead letters", description = "What failed for good, and what to do about it."),
        (name = "replays", description = "Events of before, handled again."),
        (name = "keys", description = "What waits on routes with flow control, and why."),
        (name = "pauses", description = "Routes and sinks, and holding them up."),
        (name = "access", description = "Signing in, who one is, and who has changed what."),
        (name = "encryption", description = "Temporal's remote codec: what is encrypted, for its command line and UI."),
        (name = "configuration", description = "Taking the configuration on again."),
        (name = "health", description = "Probes."),
    )
)]
struct Api;

/// The whole document: this crate's part, that of sources that are called, and the timers'.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Api::openapi();
    #[cfg(feature = "webhook")]
    document.merge(super::inbound::webhooks::openapi());
    #[cfg(feature = "eventbridge")]
    document.merge(super::inbound::eventbridge::openapi());
    #[cfg(feature = "outbox")]
    document.merge(super::outbox::openapi());
    document.merge(segno_timers::openapi());
    super::common::describe(&mut document);
    document
}

/// The document as it is committed and served: pretty JSON with a newline at its end.
pub fn json() -> String {
    #[expect(
        clippy::expect_used,
        reason = "the document has no map with keys that are not strings"
    )]
    let mut text = document().to_pretty_json().expect("an OpenAPI document is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set to anything, the test writes the document in place of comparing it.
    const UPDATE: &str = "SEGNO_UPDATE_OPENAPI";

    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let current = json();
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == current,
            "crates/segno/openapi.json is not what the code says. Write it anew and look at what changed:\n\n  \
             {UPDATE}=1 cargo nextest run -p segno the_committed_document\n"
        );
    }

    #[test]
    fn no_part_of_the_document_hides_another() {
        let names = |document: utoipa::openapi::OpenApi| {
            document
                .components
                .map(|components| components.schemas.into_keys().collect::<Vec<_>>())
        };
        let ours = names(Api::openapi()).unwrap();
        let theirs = names(segno_timers::openapi()).unwrap();
        for name in &theirs {
            assert!(!ours.contains(name), "two schemas are named {name}");
        }
    }

    #[test]
    fn every_operation_is_described_and_answers_problems() {
        let document: serde_json::Value = serde_json::from_str(&json()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let summary = operation["summary"].as_str().unwrap_or_default();
                assert!(!summary.is_empty(), "{method} {path} has no summary");
                assert!(
                    !operation["responses"].as_object().unwrap().is_empty(),
                    "{method} {path}"
                );
            }
        }
    }
}
