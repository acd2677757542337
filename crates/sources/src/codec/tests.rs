use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::message::Headers;

const ORIGIN: &str = "/sources/test";

fn decode(codec: &Codec, body: &Value) -> Result<Vec<Event>, Malformed> {
    codec.decode(&Message::new("m-1", body.to_string().as_bytes()), ORIGIN)
}

fn one(body: &Value) -> Event {
    let mut events = decode(&Codec::Auto, body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn wrong(body: &Value) -> String {
    decode(&Codec::Auto, body)
        .expect_err("it is malformed")
        .to_string()
}

fn codec(value: Value) -> Codec {
    serde_json::from_value(value).expect("a codec")
}

#[test]
fn cloudevents_whole_in_lists_and_in_binary_mode() {
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed", "subject": "é",
        "time": "2030-04-05T17:31:00Z", "tenant": "acme", "data": {"total": 1.5},
    });
    let read = one(&event);
    assert_eq!(serde_json::to_value(&read).unwrap(), event);
    let list = decode(&Codec::CloudEvents, &json!([event, event])).unwrap();
    assert_eq!(list, [read.clone(), read.clone()]);

    for (prefix, encoded) in [
        ("ce-", true),
        ("ce-", false),
        ("ce_", false),
        ("cloudEvents:", false),
        ("cloudEvents_", false),
    ] {
        let subject = if encoded { "%C3%A9" } else { "é" };
        let headers: Headers = [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "/shop"),
            ("type", "order.placed"),
            ("subject", subject),
            ("time", "2030-04-05T17:31:00Z"),
            ("tenant", "acme"),
        ]
        .iter()
        .map(|(name, value)| (format!("{prefix}{name}"), (*value).to_owned()))
        .collect();
        let message = Message {
            headers: &headers,
            encoded,
            ..Message::new("m-1", br#"{"total": 1.5}"#)
        };
        let decoded = Codec::Auto.decode(&message, ORIGIN).unwrap();
        assert_eq!(decoded, std::slice::from_ref(&read), "{prefix}");
    }
}

#[test]
fn plain_attributes_keep_their_percent_signs() {
    let headers: Headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "100%41"),
        ("ce-source", "/s"),
        ("ce-type", "a \"b\""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let message = Message {
        headers: &headers,
        ..Message::new("m-1", b"{}")
    };
    let event = Codec::Auto.decode(&message, ORIGIN).unwrap().remove(0);
    assert_eq!((event.id.as_str(), event.ty.as_str()), ("100%41", "a \"b\""));
}

fn eventbridge() -> Value {
    json!({
        "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "ReportRunStopped Event",
        "source": "phoenix webhooks", "account": "111122223333", "time": "2017-12-22T18:43:48Z",
        "region": "us-west-1", "resources": ["arn:aws:ec2:i-1", "arn:aws:ec2:i-2"], "detail": {"state": "stopped"},
    })
}

#[test]
fn eventbridge_envelopes() {
    let event = one(&eventbridge());
    assert_eq!(event.id, "6a7e8feb-b491-4cf7-a9f1-bf3703467718");
    assert_eq!(event.ty, "ReportRunStopped Event");
    assert_eq!(event.source, "phoenix%20webhooks");
    assert_eq!(event.subject.as_deref(), Some("arn:aws:ec2:i-1"));
    assert_eq!(event.extensions["awsregion"], "us-west-1");
    assert_eq!(
        event.extensions["awsresources"],
        "arn:aws:ec2:i-1 arn:aws:ec2:i-2"
    );
    assert_eq!(
        event.data,
        Some(segno_event::Data::Json(json!({"state": "stopped"})))
    );
    for (field, value, reason) in [
        ("id", json!(""), "`id` is missing or empty"),
        (
            "detail",
            json!("text"),
            "`detail` must be an object, found a string",
        ),
        ("time", json!("yesterday"), "`time` must be a time such as"),
        ("resources", json!([1]), "`resources` must be a list of strings"),
        ("source", json!(7), "`source` must be a string, found a number"),
    ] {
        let mut envelope = eventbridge();
        envelope[field] = value;
        let said = wrong(&envelope);
        assert!(said.contains(reason), "{said}");
    }
}

fn sns(message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:us-east-1:1:topic", "Subject": "hello",
        "Message": message, "Timestamp": "2012-05-02T00:54:06.655Z", "Signature": "…",
        "MessageAttributes": {"ce-specversion": {"Type": "String", "Value": "1.0"}},
    })
}

#[test]
fn sns_notifications_and_what_is_in_them() {
    assert_eq!(
        one(&{
            let mut plain = sns(&eventbridge().to_string());
            plain["MessageAttributes"] = json!({});
            plain
        }),
        one(&eventbridge())
    );
    for (message, data, content_type) in [
        (r#"{"a": 1}"#, json!({"a": 1}), None),
        ("[1, 2]", json!([1, 2]), None),
        ("plain text", json!("plain text"), Some("text/plain")),
    ] {
        let mut notification = sns(message);
        notification["MessageAttributes"] = json!({});
        let event = one(&notification);
        assert_eq!(
            (event.id.as_str(), event.ty.as_str()),
            ("n-1", "com.amazonaws.sns.notification")
        );
        assert_eq!(event.source, "arn:aws:sns:us-east-1:1:topic");
        assert_eq!(event.subject.as_deref(), Some("hello"));
        assert_eq!(event.data, Some(segno_event::Data::Json(data)));
        assert_eq!(event.datacontenttype.as_deref(), content_type);
    }
    // What is recognised and wrong is not hidden in a notification.
    let mut inner = eventbridge();
    inner["detail"] = json!(null);
    let mut notification = sns(&inner.to_string());
    notification["MessageAttributes"] = json!({});
    assert!(wrong(&notification).contains("`detail`"));
}

#[test]
fn s3_notifications_record_by_record() {
    let record = |key: &str| {
        json!({
            "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventTime": "1970-01-01T00:00:00.000Z",
            "eventName": "ObjectCreated:Put", "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "H"},
            "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "sequencer": format!("00{key}")}},
        })
    };
    let events = decode(
        &Codec::Auto,
        &json!({"Records": [record("a b.png"), record("c.png")]}),
    )
    .unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].ty, "com.amazonaws.s3.ObjectCreated:Put");
    assert_eq!(events[0].subject.as_deref(), Some("a b.png"));
    assert_eq!(events[0].source, "aws:s3.eu-central-1.photos");
    assert_ne!(events[0].id, events[1].id);
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"});
    assert_eq!(decode(&Codec::Auto, &test).unwrap(), []);
}

fn lead() -> Value {
    json!({
        "event_name": "lead.created", "guid": "0a1b2c3d-0000-4000-8000-000000000001",
        "actor": "0a1b2c3d-0000-4000-8000-000000000002", "request_id": "r-1",
        "created_at": "2017-05-04T12:30:00.123456", "data": {"email": "ada@example.com"},
    })
}

#[test]
fn bodies_of_a_choreographer() {
    let event = one(&lead());
    assert_eq!(event.ty, "lead.created");
    assert_eq!(event.source, ORIGIN);
    assert_eq!(
        event.subject.as_deref(),
        Some("0a1b2c3d-0000-4000-8000-000000000001")
    );
    assert_eq!(event.extensions["actor"], "0a1b2c3d-0000-4000-8000-000000000002");
    assert_eq!(event.extensions["requestid"], "r-1");
    assert_eq!(event.time.unwrap().unix_timestamp(), 1_493_901_000);
    assert_eq!(one(&lead()), event, "the same body is the same event");
    for (field, value) in [
        ("event_name", "lead.updated"),
        ("request_id", "r-2"),
        ("created_at", "2017-05-04T12:30:01"),
        ("guid", "0a1b2c3d-0000-4000-8000-000000000003"),
    ] {
        let mut other = lead();
        other[field] = json!(value);
        assert_ne!(one(&other).id, event.id, "{field}");
    }
    let mut undated = lead();
    undated["created_at"] = json!(null);
    undated["actor"] = json!("");
    let undated = one(&undated);
    assert_eq!(undated.id, "m-1", "nothing else tells it from another");
    assert!(!undated.extensions.contains_key("actor"));
    for (field, value, reason) in [
        (
            "event_name",
            json!("Lead.Created"),
            "`event_name` must be names of lower-case letters",
        ),
        ("event_name", json!(""), "`event_name` is missing or empty"),
        ("guid", json!(null), "`guid` is missing or empty"),
        ("guid", json!("7"), "`guid` must be a UUID, found \"7\""),
        ("actor", json!("somebody"), "`actor` must be a UUID or empty"),
        ("created_at", json!("soon"), "`created_at` must be a time"),
        (
            "request_id",
            json!(7),
            "`request_id` must be a string, found a number",
        ),
    ] {
        let mut body = lead();
        body[field] = value;
        let said = wrong(&body);
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn outbox_rows_as_fields_and_as_json() {
    let row = json!({"id": 7, "eventType": "family.created", "payload": {"familyId": 3}});
    let event = one(&row);
    assert_eq!(
        (event.id.as_str(), event.ty.as_str(), event.source.as_str()),
        ("7", "family.created", ORIGIN)
    );
    let headers: Headers = [("id", "7"), ("eventType", "family.created")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let message = Message {
        headers: &headers,
        ..Message::new("1-0", br#"{"familyId": 3}"#)
    };
    assert_eq!(Codec::Auto.decode(&message, ORIGIN).unwrap(), [event]);
    let broken = Message {
        body: b"{",
        ..message
    };
    let said = Codec::Auto.decode(&broken, ORIGIN).unwrap_err().to_string();
    assert!(said.contains("`payload` must be JSON"), "{said}");
}

#[test]
fn any_json_by_jq() {
    let codec = codec(json!({"map": r#".body.items[] | {type: "item.\(.kind)", subject: .name, data: .}"#}));
    let body = json!({"items": [{"kind": "a", "name": "x"}, {"kind": "b", "name": "y"}]});
    let events = decode(&codec, &body).unwrap();
    assert_eq!(events[0].id, "m-1/0");
    assert_eq!(events[1].ty, "item.b");
    assert_eq!(events[1].source, ORIGIN);
    assert_eq!(decode(&codec, &json!({"items": []})).unwrap(), []);
    let said = decode(&codec, &json!({"items": 7})).unwrap_err().to_string();
    assert!(said.starts_with("the mapping fails"), "{said}");
    let said = decode(&codec, &json!({"items": [{"kind": "a", "name": 7}]}))
        .unwrap_err()
        .to_string();
    assert!(said.contains("subject"), "{said}");

    let error = serde_json::from_value::<Codec>(json!({"map": ".a |"}))
        .unwrap_err()
        .to_string();
    assert!(error.contains("not jq"), "{error}");
    assert!(serde_json::from_value::<Codec>(json!("jason")).is_err());
    assert!(serde_json::from_value::<Codec>(json!({"map": ".", "more": 1})).is_err());
}

#[test]
fn what_is_nothing_of_it_is_told_so() {
    for (body, reason) in [
        (&b""[..], "the message is empty"),
        (b"{\"a\": ", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"7", "must be a JSON object, found a number"),
        (b"{}", "none of the known formats"),
        (b"[7]", "event 0 of the list: an event must be a JSON object"),
        (
            br#"{"specversion": "0.3", "id": "1", "source": "/", "type": "t"}"#,
            "specversion",
        ),
        (
            br#"{"specversion": "1.0", "id": "1", "source": "/"}"#,
            "type: is required and missing",
        ),
        ("[".repeat(100_000).as_bytes(), "recursion limit"),
    ] {
        let error = Codec::Auto
            .decode(&Message::new("m", body), ORIGIN)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// `(([a-z_])+\.([a-z_0-9])+)+`, tried in every way.
fn by_backtracking(text: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    let letters = text.iter().take_while(|byte| letter(byte)).count();
    if letters == 0 || text.get(letters) != Some(&b'.') {
        return false;
    }
    let rest = &text[letters + 1..];
    let most = rest
        .iter()
        .take_while(|byte| letter(byte) || byte.is_ascii_digit())
        .count();
    (1..=most).any(|taken| taken == rest.len() || by_backtracking(&rest[taken..]))
}

proptest! {
    #[test]
    fn event_names_are_those_of_the_expression(text in "[a_0.]{0,12}") {
        prop_assert_eq!(choreographer::is_event_name(&text), by_backtracking(text.as_bytes()), "{}", text);
    }

    #[test]
    fn bytes_from_anywhere_are_events_or_malformed(
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            json_value().prop_map(|value| value.to_string().into_bytes()),
        ],
        headers in proptest::collection::vec(("(ce-)?[a-zT]{1,8}|ce-specversion|eventType|id", "\\PC{0,8}|1\\.0"), 0..5),
        encoded: bool,
    ) {
        let message = Message { headers: &headers, encoded, ..Message::new("m", &body) };
        for name in Codec::NAMES {
            let codec = Codec::named(name).unwrap();
            if let Ok(events) = codec.decode(&message, ORIGIN) {
                for event in events {
                    prop_assert!(event.validate().is_ok());
                }
            }
        }
    }

    #[test]
    fn any_source_and_type_of_eventbridge_is_taken(source in "\\PC{1,20}", ty in "\\PC{1,20}", id in "[a-z0-9-]{1,36}") {
        let mut envelope = eventbridge();
        envelope["source"] = json!(source);
        envelope["detail-type"] = json!(ty);
        envelope["id"] = json!(id);
        // What CloudEvents excludes from texts is not printable.
        match decode(&Codec::EventBridge, &envelope) {
            Ok(events) => prop_assert_eq!(&events[0].ty, &ty),
            Err(error) => prop_assert!(error.to_string().contains("type: must not contain"), "{}", error),
        }
    }
}

/// Objects with the members that the formats look for.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,10}|1\\.0|aws:s3|lead\\.created|2030-04-05T17:31:00Z".prop_map(Value::from),
    ];
    let names = [
        "specversion",
        "id",
        "source",
        "type",
        "detail-type",
        "detail",
        "time",
        "resources",
        "TopicArn",
        "MessageId",
        "Message",
        "Records",
        "eventSource",
        "eventName",
        "s3",
        "bucket",
        "name",
        "object",
        "key",
        "event_name",
        "guid",
        "actor",
        "created_at",
        "eventType",
        "payload",
        "data",
        "Event",
    ];
    leaf.prop_recursive(3, 40, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(names.to_vec()), inner), 0..10).prop_map(
                |pairs| {
                    Value::Object(
                        pairs
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect(),
                    )
                }
            ),
        ]
    })
}
