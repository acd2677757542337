//! Filters on events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use segno_event::{CompileError, Data, EvalError, Event, Filter};
use serde_json::json;
use time::macros::datetime;

fn order() -> Event {
    let mut event = Event::new("/shop", "o-1", "order.placed").with_data(json!({
        "total": 150,
        "rate": 150.0,
        "weight": 150.5,
        "count": 18_446_744_073_709_551_615_u64,
        "name": "Ünal",
        "none": null,
        "tags": ["new", "big"],
        "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 20}],
        "nested": {"a": {"b": [1, 2.5]}},
    }));
    event.time = Some(datetime!(2026-04-05 17:31:00 +02:00));
    event.extensions.insert("region".to_owned(), json!("eu"));
    event.extensions.insert("priority".to_owned(), json!(3));
    event
}

fn ask(filter: &str) -> Result<bool, EvalError> {
    Filter::compile(filter)
        .unwrap_or_else(|error| panic!("{filter}: {error}"))
        .matches(&order())
}

#[test]
fn what_holds() {
    for filter in [
        "true",
        "event.id == 'o-1' && event.source == '/shop' && event.type == 'order.placed'",
        "event.specversion == '1.0'",
        "!has(event.subject) && has(event.time) && has(event.data.total) && !has(event.data.sum)",
        "event.time == timestamp('2026-04-05T15:31:00Z') && event.time.getFullYear() == 2026",
        "event.time < timestamp('2026-04-05T15:31:00.001Z')",
        "event.region == 'eu' && event.extensions.priority == 3 && 'region' in event.extensions",
        // Numbers compare by value, whichever way they were written.
        "event.data.total > 100 && event.data.rate > 100 && event.data.weight > 100",
        "event.data.total > 149.5 && event.data.total == 150.0 && event.data.rate == 150",
        "event.data.weight > event.data.total && event.data.rate == event.data.total",
        "event.data.total <= 150 && event.data.weight < 151 && event.data.count > 9223372036854775807",
        "event.data.total in [150] && event.data.total in [150.0]",
        "event.data.name == 'Ünal' && event.data.name.size() == 4",
        "event.data.none == null",
        "'big' in event.data.tags && event.data.tags == ['new', 'big'] && ['new', 'big'] == event.data.tags",
        "event.data.tags[1] == 'big' && size(event.data.tags) == 2 && event.data.tags + ['x'] == ['new', 'big', 'x']",
        "event.data.lines.exists(line, line.n > 10) && event.data.lines.all(line, has(line.sku))",
        "event.data.lines.filter(line, line.n > 10).map(line, line.sku) == ['b']",
        "event.data.lines[0] == {'sku': 'a', 'n': 1} && {'sku': 'a', 'n': 1.0} == event.data.lines[0]",
        "event.data.nested == {'a': {'b': [1, 2.5]}} && event.data['nested']['a'].b[1] == 2.5",
        "event.data.nested.exists(key, key == 'a') && size(event.data) == 9",
        "event.data.?sum.orValue(1) == 1",
        "event.type.startsWith('order.') && event.type.matches('^order[.][a-z]+$')",
        "event.type.upperAscii() == 'ORDER.PLACED' && event.type.split('.')[1] == 'placed'",
        "strings.quote(event.id) == '\"o-1\"'",
        "type(event.data.total) == int && type(event.data.weight) == double && type(event.data.tags) == list",
        "optional.of(event.id).hasValue()",
    ] {
        assert_eq!(ask(filter), Ok(true), "{filter}");
    }
    assert_eq!(ask("event.data.total > 1000"), Ok(false));
}

#[test]
fn binary_data_is_bytes() {
    let mut event = order();
    event.data = Some(Data::Binary(vec![0, 255]));
    let holds = |filter: &str| Filter::compile(filter).expect("a filter").matches(&event);
    assert_eq!(
        holds(r"event.data == b'\x00\xff' && size(event.data) == 2"),
        Ok(true)
    );
    event.data = None;
    let holds = |filter: &str| Filter::compile(filter).expect("a filter").matches(&event);
    assert_eq!(holds("has(event.data)"), Ok(false));
    assert_eq!(
        holds("event.data.total > 1"),
        Err(EvalError::MissingKey {
            key: "data".to_owned()
        })
    );
}

#[test]
fn failures_say_why() {
    let missing = |key: &str| Err(EvalError::MissingKey { key: key.to_owned() });
    assert_eq!(ask("event.data.sum > 1"), missing("sum"));
    assert_eq!(ask("event.subject == 'x'"), missing("subject"));
    assert_eq!(ask("event.data.nested.x.y == 1"), missing("x"));
    assert_eq!(
        ask("event.data.total"),
        Err(EvalError::NotBool {
            found: "int".to_owned()
        })
    );
    // Either side of || may fail when the other decides.
    assert_eq!(ask("event.data.sum > 1 || event.data.total > 1"), Ok(true));
    for (filter, part) in [
        ("event.data.name > 1", "(string, int)"),
        ("event.data.total.x == 1", "(int, string)"),
        ("event.data.tags[5] == 'x'", "5"),
        ("event.data.total / 0 == 1", "zero"),
    ] {
        let error = ask(filter).expect_err(filter).to_string();
        assert!(error.contains(part), "{filter}: {error}");
        assert!(error.len() < 400, "{filter}: {error}");
    }
}

/// The expression with «» around what the error is about, and the message.
fn mistake(filter: &str) -> (String, String) {
    let CompileError { message, offset, len } = Filter::compile(filter).expect_err(filter);
    let end = offset + len;
    (
        format!(
            "{}«{}»{}",
            &filter[..offset],
            &filter[offset..end],
            &filter[end..]
        ),
        message,
    )
}

#[test]
fn mistakes_are_placed() {
    for (filter, marked, part) in [
        (
            "evnt.data.total > 1",
            "«evnt».data.total > 1",
            "no variable `evnt`",
        ),
        ("event.data.total >", "event.data.total >«»", "the end"),
        ("event.data.total > 1)", "event.data.total > 1«)»", "')'"),
        (
            "'é' == x && event.id == 'x'",
            "'é' == «x» && event.id == 'x'",
            "no variable `x`",
        ),
        ("'é' == 'b' &&& true", "'é' == 'b' &&«&» true", "&"),
        ("event.id\n  == 'é' +* 1", "event.id\n  == 'é' +«*» 1", "'*'"),
        (
            "event.id.startWith('a')",
            "event.id.«startWith»('a')",
            "no function `startWith`",
        ),
        (
            "length(event.id) > 1",
            "«length»(event.id) > 1",
            "no function `length`",
        ),
        (
            "event.data.all(x, y > 1)",
            "event.data.all(x, «y» > 1)",
            "no variable `y`",
        ),
        (
            "event.data.lines.exists(x, x.n > 1) && x",
            "event.data.lines.exists(x, x.n > 1) && «x»",
            "no variable `x`",
        ),
        (
            "Order{id: 1} == event",
            "«Order»{id: 1} == event",
            "no type `Order`",
        ),
        ("has(event)", "has(«event»)", "invalid argument"),
        ("event.id == 'open", "event.id == «'»open", "'open"),
        ("  ", "«  »", "empty"),
    ] {
        let (found, message) = mistake(filter);
        assert_eq!(found, marked, "{message}");
        assert!(message.contains(part), "{filter}: {message}");
    }
}

#[test]
fn no_filter_overflows_a_stack() {
    for deep in [
        format!("{}true{}", "(".repeat(3000), ")".repeat(3000)),
        format!("{}1 == 1", "1 + ".repeat(1500)),
        format!("event{} == 1", "[0]".repeat(2000)),
        format!("{}true{}", "[1].all(x, ".repeat(300), ")".repeat(300)),
        format!("{}true", "true ? true : ".repeat(500)),
    ] {
        let error = Filter::compile(&deep).expect_err("too deep");
        assert!(error.message.contains("nests too deeply"), "{error}");
    }
    let long = vec!["true"; 5000].join(" && ");
    assert!(
        Filter::compile(&long)
            .expect_err("too long")
            .message
            .contains("longer")
    );
    // What nests as deeply as is allowed is evaluated on the stack of a test, and && nests hardly at all.
    assert_eq!(ask(&format!("{}1 == 30", "1 + ".repeat(29))), Ok(true));
    assert_eq!(ask(&vec!["true"; 900].join(" && ")), Ok(true));
}

#[test]
fn the_source_is_kept() {
    let filter = Filter::compile("event.id == 'a'").expect("a filter");
    assert_eq!(filter.source(), "event.id == 'a'");
}
