//! Mistakes: their codes, places and remedies, and what they never show.

use segno::config::Code;

use super::{found, list, parse};

/// A route that is right but for `line`, which is its third; one sink, `log`.
pub(crate) fn with(line: &str) -> String {
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
        (with("on = []"), Code::Pattern, 3, "on"),
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

/// Serde would take a list for a struct, one item a field.
#[test]
fn a_list_is_no_table() {
    for (text, line, marked) in [
        ("[sinks.s]\nsqs = [\"queue\"]", 2, "[\"queue\"]"),
        ("[sinks.s]\nfile = { path = \"x\" }\nlimits = []", 3, "[]"),
        ("[sinks.s]\nworkflow = []", 2, "[]"),
        ("telemetry = []", 1, "[]"),
    ] {
        assert_eq!(found(text), [(Code::Value, line, marked.to_owned())], "{text}");
    }
}
