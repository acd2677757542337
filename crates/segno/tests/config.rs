//! What `segno.toml` says, and how its mistakes are reported.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use segno::config::{Code, Config, Mistakes};
use segno_routing::{Handler, Retry};
use segno_sinks::Kind;

#[path = "config/access.rs"]
mod access;
#[path = "config/encryption.rs"]
mod encryption;
#[path = "config/engine_port.rs"]
mod engine_port;
#[path = "config/files.rs"]
mod files;
#[path = "config/mistakes.rs"]
mod mistakes;
#[cfg(feature = "outbox")]
#[path = "config/outbox.rs"]
mod outbox;
#[path = "config/redact.rs"]
mod redact;
#[path = "config/schemas.rs"]
mod schemas;
#[path = "config/secrets.rs"]
mod secrets;
#[path = "config/sources.rs"]
mod sources;
#[path = "config/timing.rs"]
mod timing;
#[path = "config/workflow_sinks.rs"]
mod workflow_sinks;

fn parse(text: &str) -> Result<Config, Mistakes> {
    Config::parse("segno.toml", text, Path::new("base"))
}

const EXAMPLE: &str = r#"
data = "state"

[http]
listen = "127.0.0.1:8081"
max_event_bytes = 65536
max_concurrent = 16

[timers]
allow_private = true

[sinks.notify]
webhook = { url = "http://127.0.0.1:9000/hook", secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", allow_private = true }

[sinks.log]
file = { path = "deliveries.jsonl" }

[[routes]]
name = "big-orders"
on = "order.*"
when = "event.data.total > 100"

  [[routes.actions]]
  name = "tell"
  weight = 10
  to = "notify"
  transform = "{order: .data.id, total: .data.total}"
  retry = { initial = "1s", backoff = 2.0, max_interval = "1m", max_attempts = 5 }

  [[routes.actions]]
  name = "keep"
  to = "log"

[[routes]]
name = "ledger"
on = ["payment.*", "refund.done"]
consumer = "ledger"
retry = { max_attempts = 20 }

[[routes]]
name = "welcome"
on = "user.created"
workflow = "Welcome"
"#;

#[test]
fn everything_is_read() {
    let config = parse(EXAMPLE).expect("no mistakes");
    assert_eq!(config.data.as_deref(), Some(Path::new("state")));
    assert_eq!(config.base, Path::new("base"));
    assert_eq!(
        config.http.listen.map(|address| address.to_string()).as_deref(),
        Some("127.0.0.1:8081")
    );
    assert_eq!(
        (config.http.max_event_bytes, config.http.max_concurrent),
        (Some(65536), Some(16))
    );
    assert!(config.timers.allow_private && config.engine.is_none());
    assert_eq!(config.sinks.keys().collect::<Vec<_>>(), ["log", "notify"]);
    let Kind::Webhook(webhook) = &config.sinks["notify"].kind else {
        panic!("not a webhook");
    };
    assert_eq!(webhook.url.as_url().as_str(), "http://127.0.0.1:9000/hook");
    assert!(webhook.allow_private && webhook.secret.is_some() && webhook.timeout == Duration::from_secs(30));
    let Kind::File(file) = &config.sinks["log"].kind else {
        panic!("not a file");
    };
    assert_eq!(file.path, Path::new("deliveries.jsonl"));

    let routes: Vec<_> = config.routes.iter().collect();
    assert_eq!(
        routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>(),
        ["big-orders", "ledger", "welcome"]
    );
    assert_eq!(
        routes[0].when.as_ref().map(|filter| filter.source()),
        Some("event.data.total > 100")
    );
    let Handler::Actions(actions) = &routes[0].handler else {
        panic!("actions")
    };
    assert_eq!(
        (
            actions[0].name.as_str(),
            actions[0].weight,
            actions[0].to.as_str()
        ),
        ("tell", 10, "notify")
    );
    let retry = Retry::with(
        Some(Duration::from_secs(1)),
        Some(2.0),
        Some(Duration::from_secs(60)),
        Some(5),
    );
    assert_eq!(actions[0].retry, retry);
    assert_eq!((actions[1].weight, &actions[1].retry), (100, &Retry::default()));
    assert!(actions[0].transform.is_some() && actions[1].transform.is_none());
    assert_eq!(
        routes[1].on.iter().map(|p| p.as_str()).collect::<Vec<_>>(),
        ["payment.*", "refund.done"]
    );
    let Handler::Consumer { name, retry } = &routes[1].handler else {
        panic!("a consumer")
    };
    assert_eq!((name.as_str(), retry.max_attempts), ("ledger", 20));
    assert!(matches!(&routes[2].handler, Handler::Workflow(name) if name == "Welcome"));
}

#[test]
fn an_empty_file_is_a_configuration() {
    let config = parse("# nothing\n").expect("no mistakes");
    assert!(config.routes.is_empty() && config.sinks.is_empty() && config.data.is_none());
}

#[test]
fn a_cluster_is_a_profile_of_temporal() {
    let engine = |text: &str| {
        parse(text)
            .expect("no mistakes")
            .engine
            .map(|table| table.to_string())
    };
    assert_eq!(
        engine("engine = { temporal = \"127.0.0.1:7233\" }").as_deref(),
        Some("address = \"127.0.0.1:7233\"\n")
    );
    let table = r#"
        [engine.temporal]
        address = "https://temporal.example.com:7233"
        namespace = "orders"
        api_key = "T0KEN"
        tls = { server_name = "t", disabled = false }
        grpc_meta = { x-team = "orders" }
    "#;
    let expected: toml::Table = table.replace("[engine.temporal]", "").parse().expect("TOML");
    assert_eq!(parse(table).expect("no mistakes").engine, Some(expected));
    assert_eq!(engine("[engine]\n"), None);
    // The address may come from TEMPORAL_ADDRESS.
    assert_eq!(
        engine("[engine.temporal]\nnamespace = \"n\"").as_deref(),
        Some("namespace = \"n\"\n")
    );
}

/// The settings of the default file, which all stand behind a `#` without a space.
fn uncommented(text: &str) -> String {
    let setting = |line: &str| {
        let rest = line
            .trim_start()
            .strip_prefix('#')
            .filter(|rest| !rest.starts_with(' ') && !rest.is_empty());
        rest.map_or_else(|| line.to_owned(), str::to_owned)
    };
    text.lines().map(setting).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_default_file_is_right_with_and_without_its_settings() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/segno.default.toml"))
        .expect("the file");
    let config = parse(&text).expect("no mistakes");
    assert!(config.routes.is_empty() && config.sinks.is_empty());

    let config = parse(&uncommented(&text)).unwrap_or_else(|mistakes| panic!("{:?}", list(&mistakes)));
    assert_eq!(config.sinks.keys().collect::<Vec<_>>(), ["log", "notify"]);
    assert_eq!(config.routes.len(), 3);
    let Handler::Actions(actions) = &config.routes.iter().next().expect("a route").handler else {
        panic!("actions")
    };
    // What it calls a default is one.
    assert_eq!(actions[0].retry, Retry::default());
    assert_eq!(config.engine.map(|engine| engine.len()), Some(5));
}

fn list(mistakes: &Mistakes) -> Vec<String> {
    let line =
        |mistake: &segno::config::Mistake| format!("{} {:?} {mistake}", mistake.code(), mistake.position());
    mistakes.iter().map(line).collect()
}

/// Codes and places of all mistakes: line, and the text that is marked.
fn found(text: &str) -> Vec<(Code, usize, String)> {
    let mistakes = parse(text).map(drop).expect_err(text);
    let place = |mistake: &segno::config::Mistake| {
        let label = miette::Diagnostic::labels(mistake)
            .and_then(|mut labels| labels.next())
            .expect("a label");
        let marked = text[label.offset()..label.offset() + label.len()].to_owned();
        assert!(!mistake.help().is_empty() && !mistake.message().is_empty());
        (mistake.code(), mistake.position().expect("a position").0, marked)
    };
    mistakes.iter().map(place).collect()
}

/// A mistake: code, line, what is marked, and a part of the remedy.
type Expected<'a> = (Code, usize, &'a str, &'a str);

/// The mistakes in a text are these.
fn told(text: &str, expected: &[Expected<'_>]) {
    let found = found(text);
    let helps: Vec<_> = parse(text)
        .map(drop)
        .expect_err(text)
        .iter()
        .map(|mistake| mistake.help().to_owned())
        .collect();
    let places: Vec<_> = found
        .iter()
        .map(|(code, line, marked)| (*code, *line, marked.as_str()))
        .collect();
    let wanted: Vec<_> = expected
        .iter()
        .map(|(code, line, marked, _)| (*code, *line, *marked))
        .collect();
    assert_eq!(places, wanted, "{text}\n{helps:?}");
    for (help, (.., remedy)) in helps.iter().zip(expected) {
        assert!(help.contains(remedy), "{text}\n{help:?} has no {remedy:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_mistakes_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = Config::load(&folder.path().join("segno.toml")).expect_err("no file");
    assert_eq!(
        missing.iter().map(|mistake| mistake.code()).collect::<Vec<_>>(),
        [Code::Unreadable]
    );
    let file = folder.path().join("latin1.toml");
    fs::write(&file, b"data = \"\xe9\"").expect("written");
    assert!(
        Config::load(&file)
            .expect_err("not UTF-8")
            .iter()
            .next()
            .unwrap()
            .message()
            .contains("UTF-8")
    );

    let file = folder.path().join("segno.toml");
    fs::write(&file, EXAMPLE).expect("written");
    assert_eq!(Config::load(&file).expect("no mistakes").base, folder.path());
}

#[test]
fn every_code_has_its_page() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let index = fs::read_to_string(pages.join("README.md")).expect("the index");
    for code in Code::ALL {
        let page = fs::read_to_string(pages.join(format!("{code}.md"))).expect("a page");
        let title = page
            .lines()
            .next()
            .and_then(|line| line.strip_prefix(&format!("# {code}: ")))
            .expect("a title");
        assert!(
            page.contains("\n## Cause\n") && page.contains("\n## Remedy\n"),
            "{code}"
        );
        assert!(
            index.contains(&format!("| [{code}]({code}.md) | {title} |")),
            "{code}"
        );
    }
    let numbers: BTreeSet<_> = Code::ALL.iter().map(|code| code.number()).collect();
    assert_eq!(numbers.len(), Code::ALL.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is typed, reading ends in a configuration or in mistakes that can be shown.
    #[test]
    fn no_text_is_too_wrong_to_be_reported(
        at in 0..EXAMPLE.len(),
        cut in 0..40usize,
        typed in "[\\[\\]{}\"'=.,\\\\#\n a-zé0-9]{0,6}",
    ) {
        let end = (at + cut).min(EXAMPLE.len());
        let text = format!("{}{typed}{}", &EXAMPLE[..at], &EXAMPLE[end..]);
        if let Err(mistakes) = parse(&text) {
            prop_assert!(mistakes.iter().len() > 0);
            for mistake in &mistakes {
                prop_assert!(mistake.position().is_some(), "{:?}", mistake);
                segno::cli::output::diagnostic(&mut Vec::new(), mistake, false).unwrap();
            }
        }
    }
}
