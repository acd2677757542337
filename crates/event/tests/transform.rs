//! Transforms of events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

mod common;

use std::sync::LazyLock;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use proptest::prelude::*;
use segno_event::{CompileError, Data, EvalError, Event, MAX_OUTPUTS, Transform};
use serde_json::{Value, json};

fn order() -> Event {
    let mut event = Event::new("/shop", "o-1", "order.placed").with_data(json!({
        "id": "o-1",
        "total": 150.5,
        "count": 3,
        "huge": 18_446_744_073_709_551_615_u64,
        "name": "Ünal",
        "tags": ["new", "big"],
        "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 20}],
        "nested": {"a": {"b": [1, 2.5, null]}},
        "text": "{\"x\": [1, 2]}",
    }));
    event.extensions.insert("region".to_owned(), json!("eu"));
    event
}

fn apply(source: &str) -> Result<Vec<Value>, EvalError> {
    Transform::compile(source)
        .unwrap_or_else(|error| panic!("{source}: {error}"))
        .apply(&order())
}

#[test]
fn what_transforms_yield() {
    for (source, expected) in [
        (
            "{order: .data.id, total: .data.total}",
            vec![json!({"order": "o-1", "total": 150.5})],
        ),
        (
            ".type, .region, .specversion",
            vec![json!("order.placed"), json!("eu"), json!("1.0")],
        ),
        (".data.lines[] | select(.n > 10) | .sku", vec![json!("b")]),
        (
            ".data.lines[] | {sku}",
            vec![json!({"sku": "a"}), json!({"sku": "b"})],
        ),
        ("empty", vec![]),
        (".subject", vec![json!(null)]),
        (
            ".data.huge, .data.huge + 0",
            vec![json!(u64::MAX), json!(u64::MAX)],
        ),
        (
            "nan, infinite, 1e2, 3.0",
            vec![json!(null), json!(null), json!(100.0), json!(3.0)],
        ),
        (".data.text | fromjson | .x | add", vec![json!(3)]),
        (
            "[range(3)], [range(2; 8; 3)], [range(0)]",
            vec![json!([0, 1, 2]), json!([2, 5]), json!([])],
        ),
        ("@base64 \"\\(.data.name)\"", vec![json!("w5xuYWw=")]),
        ("def double($x): $x * 2; double(.data.count)", vec![json!(6)]),
        (
            "\"2026-04-05T17:31:00Z\" | fromdate | todate",
            vec![json!("2026-04-05T17:31:00Z")],
        ),
    ] {
        assert_eq!(apply(source), Ok(expected), "{source}");
    }
}

#[test]
fn the_input_is_the_event_as_json() {
    let mut event = order();
    event.subject = Some("s".to_owned());
    event.time = Some(time::macros::datetime!(2026-04-05 17:31:00.5 +02:00));
    event.data = Some(Data::Binary(vec![0, 255]));
    let identity = Transform::compile(".").expect("a transform");
    let payload = identity.apply(&event).expect("a payload").remove(0);
    assert_eq!(payload, serde_json::to_value(&event).expect("serializes"));
    assert_eq!(payload["data_base64"], "AP8=");
    assert_eq!(payload["time"], "2026-04-05T17:31:00.5+02:00");
}

proptest! {
    #[test]
    fn identity_changes_nothing(event in common::event()) {
        static IDENTITY: LazyLock<Transform> = LazyLock::new(|| Transform::compile(".").expect("a transform"));
        let payloads = IDENTITY.apply(&event).expect("a payload");
        prop_assert_eq!(payloads, vec![serde_json::to_value(&event).expect("serializes")]);
    }

    #[test]
    fn no_source_panics(source in "[.a|\\[\\](){}$\":;, 1+*!?@-]{0,24}") {
        if let Ok(transform) = Transform::compile(&source) {
            let _ = transform.apply(&order());
        }
    }
}

/// The outputs of plain jq, without any guard.
fn plain(source: &str, input: &Value) -> Vec<Result<Value, ()>> {
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(
            &arena,
            File {
                code: source,
                path: (),
            },
        )
        .expect("parses");
    let filter = Compiler::default()
        .with_funs(funs)
        .compile(modules)
        .expect("compiles");
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let input = read::parse_single(input.to_string().as_bytes()).expect("JSON");
    let outputs = filter.id.run((context, input)).map(unwrap_valr);
    outputs
        .map(|output| {
            output
                .map(|val| serde_json::from_str(&val.to_string()).expect("JSON"))
                .map_err(drop)
        })
        .collect()
}

#[test]
fn guarding_an_expression_does_not_change_what_it_means() {
    let event = order();
    let input = serde_json::to_value(&event).expect("serializes");
    for source in [
        "(1, 2) + (10, 20), (1, 2) * (3, 5), (1, 2) - (3, 5)",
        ".data.count += (1, 2) | .data.count",
        ".data.count *= 2 | .data.count",
        ".data.lines[].n += 1 | .data.lines",
        ".data.lines |= map(.n *= 2) | .data.lines",
        ".data.nested.a.b[0] //= 7 | .data.nested",
        "[paths] | length",
        "[.. | numbers]",
        "[.data | recurse | scalars]",
        "[.data.lines[] | recurse(.n | select(. > 0) | {n: (. - 1)}; .n > 17) | .n]",
        "[limit(5; repeat(1, 2))]",
        "[1 | while(. < 100; . * 2)], (1 | until(. > 100; . * 2))",
        "reduce .data.lines[] as {sku: $s, n: $n} ({}; .[$s] = $n)",
        "[foreach range(5) as $i (0; . + $i; [$i, .])]",
        ".data | to_entries | map(.key) | sort | join(\",\")",
        ".data | with_entries(.value |= tostring) | .count",
        "[.data.lines[] as [$x] | $x]?, \"after\"",
        ".data | path(.lines[] | .n | select(. > 5))",
        "del(.data.lines[] | select(.n > 5)) | .data.lines",
        "label $out | foreach .data.lines[] as $l (0; . + $l.n; if . > 10 then ., break $out else . end)",
        "try error(\"x\") catch ., (try (1, error(\"y\"), 3) catch .)",
        ".data.nope.deeper, (.data.count.x? // \"none\")",
        "[splits(\"o\")]?, (.type | [splits(\"[.]\")]), (.type | ascii_upcase), (.type | test(\"PLACED\"; \"i\"))",
        "\"\\(.data.count + 1) and \\(.data.tags | add)\"",
        "{a: (1, 2), b: (3, 4)}, {(.data.tags[]): .data.count}",
        "[.data.lines[] | {sku, double: (.n * 2)}] | group_by(.sku) | map(length)",
        "if .data.count > 2 then \"many\" elif . then 1 else 0 end",
        "def f(g): [g, g]; def h($a; $b): $a + $b; f(h(1; 2))",
        "\"ab\" * 3, \"ab\" * 0, 2 * \"ab\"",
        "{a: {b: 1}} * {a: {c: 2}}, [1] + [2], {a: 1} + {b: 2}, null + 1",
        ".[\"data\"][\"tags\"][0:1], .data.tags[-1:]",
        "[.data.lines | combinations?] | length, ([[1, 2], [3, 4]] | [combinations])",
        "walk(if type == \"number\" then . + 1 else . end) | .data.nested",
        "input_line_number? // 1",
        "[.data.tags[] | ascii_downcase | ltrimstr(\"n\")], (.data | keys), (.data.tags | index(\"big\"))",
        "error",
    ] {
        let Ok(transform) = Transform::compile(source) else {
            assert!(source.contains("input_line_number"), "{source} does not compile");
            continue;
        };
        let expected = plain(source, &input);
        let expected: Result<Vec<_>, _> = expected.into_iter().collect();
        assert_eq!(transform.apply(&event).map_err(drop), expected, "{source}");
    }
}

#[test]
fn what_is_much_and_not_endless_is_done() {
    let numbers: Vec<_> = (0..20_000).collect();
    let event = Event::new("/s", "1", "t").with_data(json!(numbers));
    let source = ".data | map(. + 1) | map(select(. % 2 == 0)) | {count: length, sum: add}";
    let payloads = Transform::compile(source).expect("a transform").apply(&event);
    assert_eq!(payloads, Ok(vec![json!({"count": 10_000, "sum": 100_010_000})]));
}

#[test]
fn payloads_are_counted() {
    assert_eq!(
        apply(&format!("range({MAX_OUTPUTS})")).map(|payloads| payloads.len()),
        Ok(MAX_OUTPUTS)
    );
    let limit = EvalError::TooManyOutputs { limit: MAX_OUTPUTS };
    assert_eq!(apply(&format!("range({})", MAX_OUTPUTS + 1)), Err(limit.clone()));
    assert_eq!(apply("repeat(1)"), Err(limit));
}

#[test]
fn no_event_takes_the_process_down() {
    let big = "x".repeat(1 << 16);
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let path: Vec<_> = (0..20_000).map(|_| "a").collect();
    let event =
        Event::new("/s", "1", "t").with_data(json!({"big": big, "deep": deep, "path": path, "n": 1e12}));
    for (source, part) in [
        (".data.big * .data.n", "cannot calculate"),
        (".data.big * 1000000000000", "longer than"),
        ("1000000000000000000000000000 * .data.big", "longer than"),
        ("reduce range(64) as $i (.data.big; . + .)", "longer than"),
        ("reduce range(64) as $i ([1]; . += .)", "longer than"),
        (".data.deep | fromjson", "nests more than"),
        (".data.deep | tonumber", "nests more than"),
        ("reduce .data.path[] as $x (null; [.])", "nests more than"),
        ("reduce .data.path[] as $x (null; {a: .})", "nests more than"),
    ] {
        let error = Transform::compile(source)
            .expect("a transform")
            .apply(&event)
            .expect_err(source)
            .to_string();
        assert!(error.contains(part), "{source}: {error}");
    }
    // An index far out of an array is an error too, not an array that long.
    assert!(
        Transform::compile("[] | .[1e9] = 1")
            .expect("a transform")
            .apply(&event)
            .is_err()
    );
}

#[test]
fn failures_say_why() {
    for (source, part) in [
        (".data.id | keys", "o-1"),
        ("error(\"no stock\")", "no stock"),
        (".data.count | .x", "3"),
        ("\"a\" | tobytes", "@base64"),
        ("{(1): 2}", "key"),
        ("reduce range(200) as $i (1; [.])", "nests more than 128"),
    ] {
        let error = apply(source).expect_err(source).to_string();
        assert!(error.contains(part) && error.len() < 400, "{source}: {error}");
    }
}

/// The expression with «» around what the error is about, and the message.
fn mistake(source: &str) -> (String, String) {
    let CompileError { message, offset, len } = Transform::compile(source).expect_err(source);
    let end = offset + len;
    (
        format!(
            "{}«{}»{}",
            &source[..offset],
            &source[offset..end],
            &source[end..]
        ),
        message,
    )
}

#[test]
fn mistakes_are_placed() {
    for (source, marked, part) in [
        ("{order: .data.id", "«{»order: .data.id", "never closed"),
        (".data.id |", ".data.id |«»", "the end"),
        (".data.id | | 1", ".data.id | «|» 1", "expected an expression"),
        (".a as x | 1", ".a as «x» | 1", "expected pattern"),
        ("\"é\" | lenght", "\"é\" | «lenght»", "no function `lenght`"),
        (
            ".data | map(.x; .y)",
            ".data | «map»(.x; .y)",
            "no function `map` of 2",
        ),
        ("$total + 1", "«$total» + 1", "no variable `$total`"),
        (".a | break $x", ".a | break «$x»", "$x"),
        (".data.id 5", ".data.id «5»", "expected the end or an operator"),
        ("\"open", "«\"»open", "never closed"),
        ("\"a\\q\"", "\"a\\«q»\"", "escape"),
        (".a & .b", ".a «&» .b", "means nothing"),
        ("now", "«now»", ".time"),
        ("env.HOME", "«env».HOME", "no environment"),
        ("$ENV.HOME", "«$ENV».HOME", "not available"),
        ("input", "«input»", "one event"),
        (". | debug", ". | «debug»", "segno explain"),
        ("import \"f\" as $f; 1", "import «\"f\"» as $f; 1", "expected"),
        ("include \"f\"; 1", "include «\"f\"»; 1", "expected"),
        ("def f: 1 + f; f", "def «f»: 1 + f; f", "calls itself"),
        ("def a: def b: a; b; a", "def «a»: def b: a; b; a", "calls itself"),
        (" ", "« »", "empty"),
        ("x::y", "«x»::y", "no module `x`"),
    ] {
        let (found, message) = mistake(source);
        assert_eq!(found, marked, "{message}");
        assert!(message.contains(part), "{source}: {message}");
    }
}

#[test]
fn no_transform_overflows_a_stack() {
    assert!(
        mistake(&format!("{}1{}", "(".repeat(5000), ")".repeat(5000)))
            .1
            .contains("nests too deeply")
    );
    assert!(
        Transform::compile(&"1 + ".repeat(40_000))
            .expect_err("too long")
            .message
            .contains("longer")
    );
    let minus = format!("{}1", "- ".repeat(4_000));
    let pipes = format!("{}.", ".|".repeat(4_000));
    let sums = format!("{}1", "1+".repeat(4_000));
    let fields: String = (0..1000).map(|n| format!("f{n}:1,")).collect();
    for source in [minus, pipes, sums, format!("{{{fields}}}")] {
        assert!(apply(&source).is_ok());
    }
}

#[test]
fn the_source_is_kept() {
    assert_eq!(
        Transform::compile(".id").map(|transform| transform.source().to_owned()),
        Ok(".id".to_owned())
    );
}
