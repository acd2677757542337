//! `[[redact]]`.

use segno::config::Code;

use super::{Expected, parse, told};

#[test]
fn rules_of_redaction_are_read() {
    let rules = |text: &str| format!("{:?}", parse(text).expect(text).redact);
    let one = rules("[[redact]]\non = \"order.*\"\npaths = \"/data/card\"\n");
    // A lone text is a list of one.
    assert_eq!(
        one,
        rules("[[redact]]\non = [\"order.*\"]\npaths = [\"/data/card\"]\n")
    );
    let two = rules(
        "[[redact]]\non = [\"order.*\", \"refund\"]\npaths = [\"/data\", \"/data/items/*/a~1b\"]\n\
         [[redact]]\non = \"*\"\npaths = [\"/data/email\"]\n",
    );
    for part in ["order.*", "refund", "/data/items/*/a~1b", "/data/email"] {
        assert!(two.contains(part), "no {part} in {two}");
    }
    assert_eq!(
        rules(""),
        format!("{:?}", segno::config::Config::default().redact)
    );
}

#[test]
fn a_rule_that_would_hide_nothing_is_a_mistake() {
    let rule = |lines: &str| format!("[[redact]]\n{lines}\n");
    let pointer = "write a JSON pointer";
    let cases: &[(&str, &[Expected<'_>])] = &[
        (
            "",
            &[
                (
                    Code::Missing,
                    1,
                    "[[redact]]",
                    "add `on`, such as on = \"order.*\"",
                ),
                (Code::Missing, 1, "[[redact]]", "add `paths`, such as paths = "),
            ],
        ),
        (
            "on = \"a\"",
            &[(Code::Missing, 1, "[[redact]]", "add `paths`, such as paths = ")],
        ),
        (
            "paths = [\"/data/a\"]",
            &[(Code::Missing, 1, "[[redact]]", "add `on`, such as on = ")],
        ),
        (
            "on = \"a\"\npaths = []",
            &[(Code::RedactPath, 3, "paths", "say where in the event")],
        ),
        (
            "on = []\npaths = [\"/data\"]",
            &[(Code::Pattern, 2, "on", "\"*\" for all")],
        ),
        (
            "on = \"\"\npaths = [\"/data\"]",
            &[(Code::Pattern, 2, "\"\"", "write an event type")],
        ),
        (
            "on = 5\npaths = [\"/data\"]",
            &[(Code::Type, 2, "5", "write a string or a list")],
        ),
        (
            "on = \"a\"\npaths = 5",
            &[(Code::Type, 3, "5", "such as paths = ")],
        ),
        (
            "on = \"a\"\npaths = [5]",
            &[(Code::Type, 3, "5", "write a string")],
        ),
        (
            "on = \"a\"\npath = [\"/data\"]",
            &[
                (Code::Missing, 1, "[[redact]]", "add `paths`"),
                (Code::UnknownKey, 3, "path", "did you mean `paths`?"),
            ],
        ),
        (
            "on = \"a\"\npaths = [\"/data\"]\nwith = \"x\"",
            &[(Code::UnknownKey, 4, "with", "`paths`")],
        ),
        // What else an event has is searched by; and these are no pointers.
        (
            "on = \"a\"\npaths = [\"/data/ok\", \"/subject\", \"$.data.card\", \"data\", \"/database\", \"\"]",
            &[
                (Code::RedactPath, 3, "\"/subject\"", pointer),
                (Code::RedactPath, 3, "\"$.data.card\"", pointer),
                (Code::RedactPath, 3, "\"data\"", pointer),
                (Code::RedactPath, 3, "\"/database\"", pointer),
                (Code::RedactPath, 3, "\"\"", pointer),
            ],
        ),
    ];
    for (lines, mistakes) in cases {
        told(&rule(lines), mistakes);
    }
    let table = "redact = { on = \"a\", paths = [\"/data\"] }";
    told(
        table,
        &[(Code::Type, 1, "{ on = \"a\", paths = [\"/data\"] }", "[[redact]]")],
    );
    // Each rule has its own place.
    let second = rule("on = \"a\"\npaths = [\"/data\"]") + &rule("on = \"b\"");
    told(&second, &[(Code::Missing, 4, "[[redact]]", "add `paths`")]);
}
