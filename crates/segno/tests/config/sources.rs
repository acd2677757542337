//! `[sources.NAME]`.

use segno::config::Code;

use super::{found, parse};

#[test]
fn every_kind_is_read() {
    let text = r#"
        [sources.orders]
        sqs = { queue = "orders", visibility = "1m", codec = { map = ".body" } }
        [sources.bus]
        redis = { url = "redis://localhost", stream = "events", order = "all" }
        [sources.stream]
        nats = { url = "nats://localhost", stream = "events" }
        [sources.aws]
        eventbridge = { keys = [{ access_key_id = "a", secret_access_key = "b" }] }
        [sources.github]
        webhook = { scheme = "github", secrets = ["c"] }
    "#;
    let config = parse(text).unwrap();
    let kinds: Vec<_> = config
        .sources
        .iter()
        .map(|(name, options)| (name.as_str(), options.kind.name()))
        .collect();
    let expected = [
        ("aws", "eventbridge"),
        ("bus", "redis"),
        ("github", "webhook"),
        ("orders", "sqs"),
        ("stream", "nats"),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn each_mistake_has_its_code_and_its_place() {
    for (source, code, message) in [
        ("", Code::SourceKind, "source `in` must be of one kind"),
        (
            "sqs = { queue = \"a\" }\nredis = { url = \"redis://a\", stream = \"b\" }",
            Code::SourceKind,
            "source `in` must be of one kind",
        ),
        (
            "sqss = { queue = \"a\" }",
            Code::UnknownKey,
            "source `in` has no key `sqss`",
        ),
        (
            "sqs = { queue = \"a\", pollers = 0 }",
            Code::SourceOptions,
            "`pollers` is from 1 to 64",
        ),
        ("sqs = { queue = 7 }", Code::Value, "expected a string"),
        ("sqs = { queues = \"a\" }", Code::Value, "unknown field `queues`"),
        (
            "sqs = { queue = \"a\", codec = { map = \".a |\" } }",
            Code::Value,
            "this is not jq",
        ),
        (
            "webhook = { scheme = \"github\", secrets = [] }",
            Code::SourceOptions,
            "`secrets` is empty",
        ),
    ] {
        let text = format!("[sources.in]\n{source}\n");
        let mistakes = found(&text);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].0, code, "{mistakes:?}");
        let error = parse(&text).unwrap_err();
        let said = error.iter().next().unwrap().message().to_owned();
        assert!(said.contains(message), "{said}");
    }
    let mistakes = found("[sources.\"a b\"]\nsqs = { queue = \"a\" }\n");
    assert_eq!(mistakes[0].0, Code::Name);
}

#[test]
fn secrets_never_show() {
    let text = r#"
        [sources.aws]
        eventbridge = { keys = [{ access_key_id = "AKID", secret_access_key = "hunter2" }], api_key = { header = "", value = "hunter3" } }
        [sources.bus]
        redis = { url = "redis://user:hunter4@localhost", stream = "" }
        [sources.in]
        webhook = { scheme = "standard", secrets = ["hunter5"] }
        [sources.stream]
        nats = { url = "nats://localhost", stream = "a", nkey = "hunter6", token = "hunter7", batch = 0 }
    "#;
    let mistakes = parse(text).unwrap_err();
    let mut shown = Vec::new();
    for mistake in &mistakes {
        segno::cli::output::diagnostic(&mut shown, mistake, false).unwrap();
    }
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(mistakes.iter().len(), 4, "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}
