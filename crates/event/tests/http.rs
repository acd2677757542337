//! The HTTP binding and the specification's rules, case by case.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use ::http::{HeaderMap, HeaderName, HeaderValue};
use segno_event::http::{HttpError, parse};
use segno_event::{Data, Event, Rule};
use serde_json::{Value, json};
use time::macros::datetime;

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::try_from(*name).expect("a name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

const BINARY: [(&str, &str); 4] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "1"),
    ("ce-source", "/shop"),
    ("ce-type", "order.placed"),
];

fn binary(more: &[(&str, &str)], body: &[u8]) -> Result<Event, HttpError> {
    let list: Vec<_> = BINARY.iter().chain(more).copied().collect();
    parse(&headers(&list), body).map(|mut events| events.remove(0))
}

fn structured(event: &Value) -> Result<Event, HttpError> {
    let headers = headers(&[("content-type", "application/cloudevents+json")]);
    parse(&headers, event.to_string().as_bytes()).map(|mut events| events.remove(0))
}

/// `(index, attribute, code)` of every broken rule.
fn broken(result: Result<impl std::fmt::Debug, HttpError>) -> Vec<(Option<usize>, String, &'static str)> {
    let Err(HttpError::Invalid(events)) = result else {
        panic!("expected broken rules, got {result:?}")
    };
    let mut list = Vec::new();
    for event in events {
        list.extend(
            event
                .violations
                .into_iter()
                .map(|v| (event.index, v.attribute, v.rule.code())),
        );
    }
    list.sort();
    list
}

fn alone(list: &[(&str, &'static str)]) -> Vec<(Option<usize>, String, &'static str)> {
    list.iter()
        .map(|(attribute, code)| (None, (*attribute).to_owned(), *code))
        .collect()
}

#[test]
fn a_binary_event_with_everything() {
    let event = binary(
        &[
            ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("ce-time", "2026-04-05T17:31:00.25+02:00"),
            ("ce-dataschema", "https://example.com/schema"),
            ("ce-traceparent", "00-abc"),
            ("ce-oldstyle", r#""a \"b\" %25""#),
            ("content-type", "application/vnd.shop+json; charset=utf-8"),
        ],
        br#"{"total": 150.5}"#,
    )
    .expect("an event");
    assert_eq!(event.subject.as_deref(), Some("Euro € 😀"));
    assert_eq!(event.time, Some(datetime!(2026-04-05 15:31:00.25 UTC)));
    assert_eq!(event.dataschema.as_deref(), Some("https://example.com/schema"));
    assert_eq!(
        event.datacontenttype.as_deref(),
        Some("application/vnd.shop+json; charset=utf-8")
    );
    assert_eq!(event.extensions["traceparent"], "00-abc");
    assert_eq!(event.extensions["oldstyle"], "a \"b\" %");
    assert_eq!(event.data, Some(Data::Json(json!({"total": 150.5}))));
}

#[test]
fn binary_data_follows_its_content_type() {
    let data =
        |content_type: &str, body: &[u8]| binary(&[("content-type", content_type)], body).map(|e| e.data);
    assert_eq!(data("application/json", b"[1]"), Ok(Some(Data::Json(json!([1])))));
    assert_eq!(data("text/plain", b"[1]"), Ok(Some(Data::Json(json!("[1]")))));
    assert_eq!(
        data("text/plain; charset=latin1", b"[1]"),
        Ok(Some(Data::Binary(b"[1]".to_vec())))
    );
    assert_eq!(
        data("text/plain", b"\xff"),
        Ok(Some(Data::Binary(b"\xff".to_vec())))
    );
    assert_eq!(
        data("image/svg+xml", b"<svg/>"),
        Ok(Some(Data::Json(json!("<svg/>"))))
    );
    assert_eq!(
        data("application/octet-stream", b"[1]"),
        Ok(Some(Data::Binary(b"[1]".to_vec())))
    );
    assert_eq!(data("application/json", b""), Ok(None));
    assert_eq!(
        binary(&[], b"[1]").map(|e| e.data),
        Ok(Some(Data::Json(json!([1]))))
    );
    assert_eq!(
        broken(data("application/json", b"{")),
        alone(&[("data", "json-data")])
    );
    assert_eq!(broken(binary(&[], b"plain")), alone(&[("data", "json-data")]));
}

#[test]
fn every_broken_rule_of_a_binary_event_is_reported() {
    let list = [
        ("ce-specversion", "0.3"),
        ("ce-source", "with space"),
        ("ce-time", "yesterday"),
        ("ce-dataschema", "relative/schema"),
        ("ce-subject", ""),
        ("ce-data_base64", "AA=="),
        ("ce-datacontenttype", "text/plain"),
        ("ce-my-name", "x"),
        ("ce-bad", "%ff"),
        ("ce-twice", "1"),
        ("ce-twice", "2"),
        ("content-type", "no media type"),
    ];
    let expected = alone(&[
        ("bad", "header-encoding"),
        ("data_base64", "reserved"),
        ("datacontenttype", "reserved"),
        ("dataschema", "absolute-uri"),
        ("id", "required"),
        ("my-name", "name"),
        ("source", "uri-reference"),
        ("specversion", "specversion"),
        ("subject", "non-empty"),
        ("time", "timestamp"),
        ("twice", "once"),
        ("type", "required"),
    ]);
    assert_eq!(broken(parse(&headers(&list), b"")), expected);
}

#[test]
fn structured_attributes_are_checked() {
    let good = json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"});
    assert!(structured(&good).is_ok());
    for (member, value, expected) in [
        ("specversion", json!("0.3"), "specversion"),
        ("specversion", json!(1.0), "specversion"),
        ("specversion", json!(null), "required"),
        ("id", json!(""), "non-empty"),
        ("id", json!(7), "string"),
        ("id", json!(null), "required"),
        ("id", json!("a\u{0}b"), "characters"),
        ("id", json!("a\u{FFFE}b"), "characters"),
        ("id", json!("a\u{9F}b"), "characters"),
        ("source", json!(""), "non-empty"),
        ("source", json!("http://[bad"), "uri-reference"),
        ("source", json!("caffè"), "uri-reference"),
        ("type", json!(""), "non-empty"),
        ("subject", json!(""), "non-empty"),
        ("time", json!("2026-04-05"), "timestamp"),
        ("time", json!("2026-04-05 17:31"), "timestamp"),
        ("time", json!(12), "string"),
        ("datacontenttype", json!("json"), "media-type"),
        ("dataschema", json!("schema.json"), "absolute-uri"),
        ("dataschema", json!("//example.com/x"), "absolute-uri"),
        ("data_base64", json!("?"), "base64"),
        ("data_base64", json!(1), "string"),
        ("myExtension", json!("x"), "name"),
        ("my_extension", json!("x"), "name"),
        ("ext", json!(1.5), "extension-value"),
        ("ext", json!(2147483648_i64), "extension-value"),
        ("ext", json!(["x"]), "extension-value"),
        ("ext", json!({}), "extension-value"),
        ("ext", json!("a\tb"), "characters"),
    ] {
        let mut event = good.clone();
        event[member] = value.clone();
        assert_eq!(
            broken(structured(&event)),
            alone(&[(member, expected)]),
            "{member}: {value}"
        );
    }
}

#[test]
fn what_structured_events_may_have() {
    let event = structured(&json!({
        "specversion": "1.0", "id": "1", "source": "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "type": "t",
        "subject": null, "time": "2026-04-05t17:31:00z", "flag": true, "count": -2147483648, "gone": null,
        "datacontenttype": "application/xml", "data": "<x/>",
    }))
    .expect("an event");
    assert_eq!(event.subject, None);
    assert_eq!(event.time, Some(datetime!(2026-04-05 17:31:00 UTC)));
    assert_eq!(event.data, Some(Data::Json(json!("<x/>"))));
    assert_eq!(
        serde_json::to_value(&event.extensions).ok(),
        Some(json!({"flag": true, "count": -2147483648}))
    );

    let event = structured(&json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data_base64": "AP8=",
    }));
    assert_eq!(event.map(|e| e.data), Ok(Some(Data::Binary(vec![0, 255]))));
}

#[test]
fn data_is_json_only_where_the_content_type_is() {
    let event = |content_type: &str| {
        json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": content_type,
               "data": {"a": 1}})
    };
    for json_type in [
        "application/json",
        "text/json; charset=utf-8",
        "application/x+JSON",
    ] {
        assert!(structured(&event(json_type)).is_ok(), "{json_type}");
    }
    assert_eq!(
        broken(structured(&event("application/xml"))),
        alone(&[("data", "text-data")])
    );
    let both =
        json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": 1, "data_base64": ""});
    assert_eq!(broken(structured(&both)), alone(&[("data", "one-data")]));
}

#[test]
fn a_batch_says_which_of_its_events_are_bad() {
    let headers = headers(&[("content-type", "application/cloudevents-batch+json")]);
    let batch = |events: Value| parse(&headers, events.to_string().as_bytes());
    assert_eq!(batch(json!([])), Ok(vec![]));

    let good = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"});
    let bad = json!({"specversion": "1.0", "source": "/s", "type": "", "ext": null});
    let result = batch(json!([good, bad, good, 5]));
    let message = result
        .as_ref()
        .map_err(ToString::to_string)
        .expect_err("bad events");
    assert!(
        message.contains("event 1: id: is required and missing"),
        "{message}"
    );
    assert!(
        message.contains("event 3: (event): an event must be a JSON object, found a number"),
        "{message}"
    );
    assert_eq!(
        broken(result),
        [
            (Some(1), "id".to_owned(), "required"),
            (Some(1), "type".to_owned(), "non-empty"),
            (Some(3), "(event)".to_owned(), "object"),
        ]
    );
    assert_eq!(batch(good), Err(HttpError::NotAnArray { found: "an object" }));
}

#[test]
fn what_is_no_event_is_told_how_to_become_one() {
    let result = parse(&headers(&[("content-type", "application/json")]), b"{}");
    let Err(error @ HttpError::NotCloudEvents { .. }) = result else {
        panic!("{result:?}")
    };
    let message = error.to_string();
    assert!(
        message.contains("ce-specversion") && message.contains("application/cloudevents+json"),
        "{message}"
    );
    assert_eq!(
        parse(&HeaderMap::new(), b""),
        Err(HttpError::NotCloudEvents { content_type: None })
    );

    for other in [
        "application/cloudevents+avro",
        "application/cloudevents",
        "application/cloudevents+json; charset=latin1",
    ] {
        let expected = Err(HttpError::UnsupportedFormat {
            content_type: other.to_owned(),
        });
        assert_eq!(parse(&headers(&[("content-type", other)]), b"{}"), expected);
    }
    let broken_json = parse(
        &headers(&[("content-type", "application/cloudevents+json")]),
        b"{\n\"id\": }",
    );
    let Err(HttpError::Json { message }) = broken_json else {
        panic!("{broken_json:?}")
    };
    assert!(message.contains("line 2"), "{message}");
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(
        broken(binary(&[("content-type", "application/json")], deep.as_bytes())),
        alone(&[("data", "json-data")])
    );
    let headers = headers(&[("content-type", "application/cloudevents-batch+json")]);
    assert!(matches!(
        parse(&headers, deep.as_bytes()),
        Err(HttpError::Json { .. })
    ));
}

#[test]
fn violations_read_well_and_serialize() {
    let violation = match binary(&[("ce-time", "soon")], b"") {
        Err(HttpError::Invalid(mut events)) => events.remove(0).violations.remove(0),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        violation.rule,
        Rule::Timestamp {
            found: "soon".to_owned()
        }
    );
    assert_eq!(
        serde_json::to_value(&violation).ok(),
        Some(json!({
            "attribute": "time",
            "rule": "timestamp",
            "message": "must be a timestamp (RFC 3339) such as 2030-04-05T17:31:00Z, found \"soon\"",
        }))
    );
}

#[test]
fn events_are_checked_in_rust_too() {
    let mut event = Event::new("", "1", "t").with_data(json!({}));
    event.extensions.insert("id".to_owned(), json!("2"));
    event.datacontenttype = Some("text/plain".to_owned());
    let mut found: Vec<_> = event
        .validate()
        .expect_err("three broken rules")
        .into_iter()
        .map(|violation| (violation.attribute, violation.rule.code()))
        .collect();
    found.sort();
    let expected = [("data", "text-data"), ("id", "reserved"), ("source", "non-empty")];
    assert_eq!(
        found,
        expected.map(|(attribute, code)| (attribute.to_owned(), code))
    );
}
