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
#[path = "config/engine_port.rs"]
mod engine_port;
#[path = "config/files.rs"]
mod files;
#[path = "config/secrets.rs"]
mod secrets;
#[path = "config/sources.rs"]
mod sources;

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

/// A route that is right but for `line`, which is its third; one sink, `log`.
fn with(line: &str) -> String {
    let name = if line.starts_with("name") {
        ""
    } else {
        "name = \"r\"\n"
    };
    let on = if line.starts_with("on") {
        ""
    } else {
        "on = \"*\"\n"
    };
    let handler = if line.contains("actions") || line.starts_with("consumer") {
        ""
    } else {
        "workflow = \"W\"\n"
    };
    format!("[[routes]]\n{name}{on}{line}\n{handler}[sinks.log]\nfile = {{ path = \"x\" }}\n")
}

#[test]
fn each_mistake_has_its_code_and_its_place() {
    let action = |rest: &str| {
        format!(
            "[[routes]]\nname = \"r\"\non = \"*\"\nactions = [{{ {rest} }}]\n[sinks.log]\nfile = {{ path = \"x\" }}\n"
        )
    };
    let sink = |rest: &str| format!("[sinks.s]\n{rest}\n");
    let hook = |rest: &str| format!("[sinks.s.webhook]\nurl = \"https://a.example\"\n{rest}\n");
    for (text, code, line, marked) in [
        ("[http\nlisten = \"127.0.0.1:1\"".to_owned(), Code::Syntax, 1, ""),
        ("htpp = {}".to_owned(), Code::UnknownKey, 1, "htpp"),
        (
            "[http]\nlissten = \"127.0.0.1:1\"".to_owned(),
            Code::UnknownKey,
            2,
            "lissten",
        ),
        ("data = 1".to_owned(), Code::Type, 1, "1"),
        ("data = \"\"".to_owned(), Code::Value, 1, "\"\""),
        ("http = []".to_owned(), Code::Type, 1, "[]"),
        (
            "routes = { name = \"r\" }".to_owned(),
            Code::Type,
            1,
            "{ name = \"r\" }",
        ),
        (
            "[http]\nlisten = \"localhost:1\"".to_owned(),
            Code::Address,
            2,
            "\"localhost:1\"",
        ),
        ("[http]\nmax_concurrent = 0".to_owned(), Code::Value, 2, "0"),
        (
            "[http]\nmax_event_bytes = 2_000_000".to_owned(),
            Code::Value,
            2,
            "2_000_000",
        ),
        ("[http]\nmax_event_bytes = 1.5".to_owned(), Code::Type, 2, "1.5"),
        (
            "[timers]\nallow_private = \"yes\"".to_owned(),
            Code::Type,
            2,
            "\"yes\"",
        ),
        (
            "engine = { temporal = \"nowhere\" }".to_owned(),
            Code::Address,
            1,
            "\"nowhere\"",
        ),
        ("engine = { temporal = 7233 }".to_owned(), Code::Type, 1, "7233"),
        (
            "[engine.temporal]\nadress = \"a:1\"".to_owned(),
            Code::UnknownKey,
            2,
            "adress",
        ),
        (
            "[engine.temporal.tls]\nservername = \"a\"".to_owned(),
            Code::UnknownKey,
            2,
            "servername",
        ),
        (sink(""), Code::SinkKind, 1, "[sinks.s]"),
        (
            sink("file = { path = \"x\" }\nwebhook = { url = \"http://a.example\" }"),
            Code::SinkKind,
            2,
            "file",
        ),
        (
            sink("queue = {}\nfile = { path = \"x\" }"),
            Code::UnknownKey,
            2,
            "queue",
        ),
        (
            sink("sqs = { queue = \"a.fifo\", delay = \"1s\" }"),
            Code::Value,
            2,
            "{ queue = \"a.fifo\", delay = \"1s\" }",
        ),
        (
            sink("sql = { url = \"sqlite://x\", table = \"t\" }"),
            Code::Value,
            2,
            "{ url = \"sqlite://x\", table = \"t\" }",
        ),
        (
            sink("mail = { from = \"a@b.example\", smtp = { host = \"h\", username = \"u\" } }"),
            Code::Value,
            2,
            "{ from = \"a@b.example\", smtp = { host = \"h\", username = \"u\" } }",
        ),
        (
            sink("object-store = { url = \"out\", settings = { region = \"x\" } }"),
            Code::Value,
            2,
            "{ url = \"out\", settings = { region = \"x\" } }",
        ),
        (sink("file = {}"), Code::Missing, 2, "{}"),
        (sink("file = { path = \"\" }"), Code::Value, 2, "\"\""),
        (
            "[sinks.\"a b\"]\nfile = { path = \"x\" }".to_owned(),
            Code::Name,
            1,
            "\"a b\"",
        ),
        (
            sink("webhook = { url = \"a.example\" }"),
            Code::Url,
            2,
            "\"a.example\"",
        ),
        (
            sink("webhook = { url = \"ftp://a.example\" }"),
            Code::Url,
            2,
            "\"ftp://a.example\"",
        ),
        (
            sink("webhook = { url = \"http://127.0.0.1/x\" }"),
            Code::PrivateAddress,
            2,
            "\"http://127.0.0.1/x\"",
        ),
        (sink("webhook = {}"), Code::Missing, 2, "{}"),
        (hook("secret = \"swordfish\""), Code::Secret, 3, "\"swordfish\""),
        (
            hook("secrets = [\"whsec_AAAA\"]"),
            Code::Secret,
            3,
            "\"whsec_AAAA\"",
        ),
        (hook("timeout = \"soon\""), Code::Duration, 3, "\"soon\""),
        (hook("timeout = \"0s\""), Code::Duration, 3, "\"0s\""),
        (hook("timeout = \"11y\""), Code::Duration, 3, "\"11y\""),
        (hook("method = \"TRACE\""), Code::Value, 3, "\"TRACE\""),
        (
            hook("headers = { Webhook-Id = \"x\" }"),
            Code::Header,
            3,
            "Webhook-Id",
        ),
        (hook("headers = { A = 1 }"), Code::Type, 3, "1"),
        (
            hook("headers = { A = \"1\", a = \"2\" }"),
            Code::Header,
            3,
            "{ A = \"1\", a = \"2\" }",
        ),
        (
            "[[routes]]\non = \"*\"\nworkflow = \"W\"".to_owned(),
            Code::Missing,
            1,
            "[[routes]]",
        ),
        (
            "[[routes]]\nname = \"r\"\nworkflow = \"W\"".to_owned(),
            Code::Missing,
            1,
            "[[routes]]",
        ),
        (
            "[[routes]]\nname = \"r\"\non = \"*\"".to_owned(),
            Code::Handler,
            1,
            "[[routes]]",
        ),
        (with("name = \"big orders\""), Code::Name, 3, "\"big orders\""),
        (with("on = \"\""), Code::Pattern, 3, "\"\""),
        (with("on = [\"a\", 2]"), Code::Type, 3, "2"),
        (with("on = 2"), Code::Type, 3, "2"),
        (with("when = \"event.data.totl >\""), Code::Filter, 4, ""),
        (with("when = \"evnt.data.total > 1\""), Code::Filter, 4, "evnt"),
        (
            with("when = '''\nevent.id == \"é\" &&\n evnt.id == \"x\"'''"),
            Code::Filter,
            6,
            "evnt",
        ),
        (
            with("when = \"event.id == \\\"\\u00e9\\\" || x\""),
            Code::Filter,
            4,
            "x",
        ),
        (with("consumer = \"\""), Code::Value, 4, "\"\""),
        (
            with("consumer = \"c\"\nworkflow = \"W\""),
            Code::Handler,
            4,
            "consumer",
        ),
        (with("actions = []"), Code::Handler, 4, "actions"),
        (with("retry = {}"), Code::UnknownKey, 4, "retry"),
        (
            with("consumer = \"c\"\nretry = { backoff = 0.5 }"),
            Code::Retry,
            5,
            "{ backoff = 0.5 }",
        ),
        (action("to = \"log\""), Code::Missing, 4, "{ to = \"log\" }"),
        (action("name = \"a\""), Code::Missing, 4, "{ name = \"a\" }"),
        (
            action("name = \"a\", to = \"lgo\""),
            Code::UnknownSink,
            4,
            "\"lgo\"",
        ),
        (
            action("name = \"a\", to = \"log\", weight = -1"),
            Code::Value,
            4,
            "-1",
        ),
        (
            action("name = \"a\", to = \"log\", weigth = 1"),
            Code::UnknownKey,
            4,
            "weigth",
        ),
        (
            action("name = \"a\", to = \"log\", transform = \".a | lenght\""),
            Code::Transform,
            4,
            "lenght",
        ),
        (
            action("name = \"a\", to = \"log\", transform = '{a: .b'"),
            Code::Transform,
            4,
            "{",
        ),
        (
            action("name = \"a\", to = \"log\", retry = { initial = \"5\" }"),
            Code::Duration,
            4,
            "\"5\"",
        ),
        (
            action("name = \"a\", to = \"log\", retry = { max_attempts = -1 }"),
            Code::Value,
            4,
            "-1",
        ),
        (
            action("name = \"a\", to = \"log\", retry = { initial = \"1m\", max_interval = \"1s\" }"),
            Code::Retry,
            4,
            "{ initial = \"1m\", max_interval = \"1s\" }",
        ),
        (
            action("name = \"a\", to = \"log\" }, { name = \"a\", to = \"log\""),
            Code::DuplicateName,
            4,
            "\"a\"",
        ),
        (
            with("x = 1")
                .replace(
                    "[sinks",
                    "[[routes]]\nname = \"r\"\non = \"*\"\nworkflow = \"W\"\n[sinks",
                )
                .replace("x = 1\n", ""),
            Code::DuplicateName,
            6,
            "\"r\"",
        ),
    ] {
        assert_eq!(
            found(&text),
            [(code, line, marked.to_owned())],
            "{text}\n{:?}",
            parse(&text).map(drop).map_err(|m| list(&m))
        );
    }
}

#[test]
fn no_mistake_hides_another() {
    let text = r#"
        [http]
        listen = "nowhere"
        max_concurrent = "many"
        colour = "red"

        [sinks.notify]
        webhook = { url = "nowhere", secret = "swordfish", timeout = "soon" }
        [sinks.log]
        flie = { path = "x" }

        [[routes]]
        name = "a/b"
        on = [""]
        when = "evnt.id"
        [[routes.actions]]
        to = "notfiy"
        weight = -1
        transform = "{"
        retry = { initial = "5", backoff = "x" }
        consumer = "c"
        [[routes]]
        workflow = 1
    "#;
    let codes: Vec<_> = found(text)
        .into_iter()
        .map(|(code, line, _)| (code, line))
        .collect();
    assert_eq!(
        codes,
        [
            (Code::Address, 3),
            (Code::Type, 4),
            (Code::UnknownKey, 5),
            (Code::Url, 8),
            (Code::Secret, 8),
            (Code::Duration, 8),
            (Code::UnknownKey, 10),
            (Code::Name, 13),
            (Code::Pattern, 14),
            (Code::Filter, 15),
            (Code::Missing, 16),
            (Code::UnknownSink, 17),
            (Code::Value, 18),
            (Code::Transform, 19),
            (Code::Duration, 20),
            (Code::Type, 20),
            (Code::UnknownKey, 21),
            (Code::Missing, 22),
            (Code::Missing, 22),
            (Code::Type, 23),
        ]
    );
}

#[test]
fn what_only_follows_from_a_syntax_error_is_not_said() {
    let text = r#"
        [timers]
        x = 1
        [http]
        listen = 127.0.0.1:8080
        [[routes]]
        name = "a b"
        actions = [{ to = "log" }]
    "#;
    let found: Vec<_> = found(text)
        .into_iter()
        .map(|(code, line, _)| (code, line))
        .collect();
    assert_eq!(found, [(Code::UnknownKey, 3), (Code::Syntax, 5), (Code::Name, 7)]);
}

#[test]
fn suggestions_are_made() {
    let help = |text: &str| {
        parse(text)
            .expect_err(text)
            .iter()
            .next()
            .expect("a mistake")
            .help()
            .to_owned()
    };
    assert_eq!(
        help("[sinks.s]\nflie = { path = \"x\" }\nfile = { path = \"x\" }"),
        "did you mean `file`?"
    );
    assert_eq!(
        help(&with("actions = [{ name = \"a\", to = \"lgo\" }]")),
        "did you mean `log`?"
    );
    assert_eq!(
        help(&with("actions = [{ name = \"a\", to = \"queue\" }]")),
        "there is `log`"
    );
    let none = "[[routes]]\nname = \"r\"\non = \"*\"\nactions = [{ name = \"a\", to = \"queue\" }]";
    assert_eq!(help(none), "add a table [sinks.queue]");
}

#[test]
fn secrets_never_show() {
    let text = r#"
        [sinks.a]
        webhook = { url = "ftp://me:T0KEN@a.example/T0KEN?T0KEN", secret = "T0KEN", headers = { "a b" = "T0KEN" } }
        [sinks.b.webhook]
        url = "https://b.example/T0KEN"
        secrets = ["whsec_T0KEN"]
        timeout = 1
        [engine.temporal]
        api_key = "T0KEN"
        adress = "T0KEN"
    "#;
    let mistakes = parse(&text.replace("adress = \"T0KEN\"", "adress = 1")).expect_err("mistakes");
    assert_eq!(mistakes.iter().len(), 6);
    let mut shown = format!(
        "{mistakes:?}\n{}\n",
        serde_json::to_string(&mistakes.iter().collect::<Vec<_>>()).unwrap()
    );
    for mistake in &mistakes {
        segno::cli::output::diagnostic(&mut Vec::new(), mistake, false).unwrap();
        shown.push_str(&format!("{:?}", miette::Report::new(mistake.clone())));
    }
    assert!(!shown.contains("T0KEN"), "{shown}");
    assert!(shown.contains("timeout = 1"), "{shown}");
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
#[cfg(feature = "outbox")]
fn outboxes_are_read_and_judged() {
    let right =
        "[outbox.orders]\ndatabase = \"postgres://u:hunter2@h/d\"\nbatch = 7\nmax_pause = \"250ms\"\n";
    let config = parse(right).expect("no mistakes");
    let outbox = &config.outboxes["orders"];
    assert_eq!(outbox.batch.map(std::num::NonZeroU32::get), Some(7));
    assert_eq!(outbox.max_pause, Some(Duration::from_millis(250)));
    assert!(!format!("{outbox:?}").contains("hunter2"));

    let wrong = |lines: &str| {
        let text = format!(
            "[outbox.orders]\ndatabase = \"sqlite:a.db\"\n{lines}\n[sinks.log]\nfile = {{ path = \"x\" }}\n"
        );
        found(&text)
    };
    assert_eq!(
        wrong("to = \"lgo\""),
        [(Code::UnknownSink, 3, "\"lgo\"".to_owned())]
    );
    assert_eq!(wrong("bacth = 7"), [(Code::UnknownKey, 3, "bacth".to_owned())]);
    assert_eq!(wrong("batch = 0"), [(Code::Value, 3, "0".to_owned())]);
    assert_eq!(
        wrong("max_pause = \"0s\""),
        [(Code::Value, 3, "\"0s\"".to_owned())]
    );
    assert_eq!(
        wrong("keys = { k = \"c2hvcnQ=\" }"),
        [(Code::OutboxKey, 3, "{ k = \"c2hvcnQ=\" }".to_owned())]
    );
    assert_eq!(
        wrong("debezium = { source = \"/s\" }"),
        [(Code::OutboxTable, 3, "{ source = \"/s\" }".to_owned())]
    );
    assert_eq!(
        found("[outbox.orders]\ndatabase = \"oracle://h\"\n"),
        [(Code::OutboxDatabase, 2, "\"oracle://h\"".to_owned())]
    );
    assert_eq!(found("[outbox.orders]\nbatch = 7\n")[0].0, Code::Missing);
    let broken = "[outbox.orders]\ndatabase = \"oracle://u:hunter2@h\"\n";
    let mut shown = Vec::new();
    for mistake in &parse(broken).map(drop).expect_err("mistakes") {
        segno::cli::output::diagnostic(&mut shown, mistake, false).unwrap();
    }
    assert!(!String::from_utf8(shown).unwrap().contains("hunter2"));
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

/// A folder with these files.
#[test]
fn routes_have_times_and_keys() {
    let route = |options: &str| format!("[[routes]]\nname = \"r\"\non = \"*\"\nworkflow = \"W\"\n{options}");
    let config = parse(&route(
        "delay = \"1m\"\ndeadline = \"1h\"\ndedupe = { key = \"event.id\", window = \"10m\" }\n\
         schedule = { cron = \"0 9 * * mon-fri\", time_zone = \"Europe/Berlin\", data = { a = [1] } }",
    ))
    .expect("no mistakes");
    let timing = &config.routes.get("r").expect("the route").timing;
    assert_eq!(timing.delay, Some(Duration::from_secs(60)));
    assert_eq!(timing.deadline, Some(Duration::from_secs(3600)));
    assert_eq!(
        timing.dedupe.as_ref().expect("a window").window,
        Duration::from_secs(600)
    );
    let schedule = timing.schedule.as_ref().expect("a schedule");
    assert_eq!(
        (schedule.time_zone.as_str(), schedule.ty.as_str()),
        ("Europe/Berlin", "segno.schedule")
    );
    assert_eq!(schedule.data, Some(serde_json::json!({"a": [1]})));
    for (options, code) in [
        ("delay = \"soon\"", Code::Duration),
        ("deadline = \"0s\"", Code::Duration),
        ("dedupe = { window = \"1m\" }", Code::Missing),
        ("dedupe = { key = \"event.id\" }", Code::Missing),
        ("dedupe = { key = \"event.\", window = \"1m\" }", Code::Key),
        (
            "dedupe = { key = \"event.id\", window = \"1m\", windows = 1 }",
            Code::UnknownKey,
        ),
        ("schedule = { cron = \"9 o'clock\" }", Code::Schedule),
        ("schedule = { cron = \"CRON_TZ=UTC 0 9 * * *\" }", Code::Schedule),
        (
            "schedule = { cron = \"0 9 * * *\", time_zone = \"Berlin\" }",
            Code::Schedule,
        ),
        ("schedule = { time_zone = \"UTC\" }", Code::Missing),
        ("schedule = { cron = \"0 9 * * *\", type = \"\" }", Code::Value),
    ] {
        let mistakes = parse(&route(options)).expect_err(options);
        let codes: Vec<_> = mistakes.iter().map(|mistake| mistake.code()).collect();
        assert_eq!(codes, [code], "{options}: {:?}", list(&mistakes));
    }
}

#[test]
fn mistakes_in_schemas() {
    for (schema, line) in [
        ("[schemas.\"t\"]\n", 1),
        ("[schemas.\"t\"]\nschema = { type = \"objekt\" }", 2),
        ("[schemas.\"t\"]\nschema = { }\nfile = \"x.json\"", 1),
        ("[schemas.\"t\"]\nfile = \"gone.json\"", 2),
        ("[schemas.\"t.*\"]\nschema = { }", 1),
        (
            "[schemas.\"t\"]\nschema = { type = \"string\" }\nexamples = [\"a\", 1]",
            3,
        ),
    ] {
        let mistakes = parse(schema).expect_err(schema);
        let found: Vec<_> = mistakes
            .iter()
            .map(|mistake| (mistake.code(), mistake.position().map(|(line, _)| line)))
            .collect();
        assert_eq!(
            found,
            [(Code::Schema, Some(line))],
            "{schema}: {:?}",
            list(&mistakes)
        );
    }
}

#[test]
fn sinks_of_workflows() {
    let good =
        "[sinks.s]\nworkflow = { type = \"T\", id = \"{{ payload.id }}\" }\nlimits = { concurrency = 3 }";
    let config = parse(good).expect(good);
    assert_eq!(config.workflow_sinks.keys().collect::<Vec<_>>(), ["s"]);
    for (options, says) in [
        ("", "give the `type`"),
        ("signal = \"s\"", "give its `id`"),
        (
            "signal = \"s\", id = \"x\", task_queue = \"q\"",
            "it has no `type`",
        ),
        ("type = \"\"", "have names"),
        ("type = \"T\", id = \"{{\"", "does not compile"),
        ("typ = \"T\"", "unknown field `typ`"),
    ] {
        let text = format!("[sinks.s]\nworkflow = {{ {options} }}");
        let mistakes = parse(&text).expect_err(&text);
        let found: Vec<_> = mistakes.iter().collect();
        assert_eq!(found.len(), 1, "{text}: {:?}", list(&mistakes));
        assert_eq!(found[0].code(), Code::Value);
        assert_eq!(found[0].position().map(|(line, _)| line), Some(2));
        assert!(found[0].to_string().contains(says), "{text}: {}", found[0]);
    }
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

#[test]
fn encryption_has_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("good", "ab".repeat(32)),
        ("short", "ab".repeat(16)),
        ("words", "hunter2 hunter2".to_owned()),
    ] {
        fs::write(folder.path().join(name), format!("{text}\n")).expect("a file");
    }
    let parse = |table: &str| {
        let text = format!("[encryption]\n{table}");
        Config::parse("segno.toml", &text, folder.path())
    };
    let right = "keys = [{ name = \"b\", file = \"good\" }, { name = \"a\", file = \"good\" }]\n\
                 codec_origins = [\"http://localhost:8233\"]";
    let config = parse(right).expect("no mistakes");
    assert_eq!(config.encryption.names().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(config.codec_origins, ["http://localhost:8233"]);
    for (table, code) in [
        ("", Code::Missing),
        ("keys = []", Code::EncryptionKey),
        ("keys = [{ name = \"a\", file = \"short\" }]", Code::EncryptionKey),
        ("keys = [{ name = \"a\", file = \"words\" }]", Code::EncryptionKey),
        (
            "keys = [{ name = \"a\", file = \"nowhere\" }]",
            Code::EncryptionKey,
        ),
        (
            "keys = [{ name = \"a\", env = \"SEGNO_TEST_NOT_SET\" }]",
            Code::EncryptionKey,
        ),
        ("keys = [{ name = \"a\" }]", Code::Missing),
        ("keys = [{ file = \"good\" }]", Code::Missing),
        ("keys = [{ name = \"a\", key = \"swordfish\" }]", Code::UnknownKey),
        (
            "keys = [{ name = \"a\", file = \"good\" }, { name = \"a\", file = \"good\" }]",
            Code::DuplicateName,
        ),
        (
            "keys = [{ name = \"a\", file = \"good\" }]\ncodec_origins = [\"http://localhost:8233/\"]",
            Code::Value,
        ),
        (
            "keys = [{ name = \"a\", file = \"good\" }]\ncodec_origin = []",
            Code::UnknownKey,
        ),
    ] {
        let mistakes = parse(table).expect_err(table);
        let codes: Vec<_> = mistakes.iter().map(|mistake| mistake.code()).collect();
        assert_eq!(codes, [code], "{table}: {:?}", list(&mistakes));
        for mistake in &mistakes {
            assert!(!mistake.message().contains("hunter2"), "{}", mistake.message());
        }
    }
}
