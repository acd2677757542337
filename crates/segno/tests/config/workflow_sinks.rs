//! `[sinks.NAME.workflow]`.

use segno::config::Code;

use super::{list, parse};

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
