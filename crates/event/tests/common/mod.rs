//! Any valid event.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use segno_event::{Data, Event};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// JSON values whose numbers survive being written and read.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map("[a-z]{1,4}", inner, 0..5)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Text that CloudEvents allows in attributes.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .%\"\\\\/:é€漢😀_-]{1,16}"
}

fn extensions() -> impl Strategy<Value = BTreeMap<String, Value>> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    btree_map("[a-z0-9]{1,6}x", value, 0..4)
}

fn payload() -> impl Strategy<Value = (Option<String>, Option<Data>)> {
    let json_type = option::of(prop_oneof![
        Just("application/json".to_owned()),
        Just("application/vnd.shop+json; charset=utf-8".to_owned()),
        Just("text/json".to_owned()),
    ]);
    let text_type = prop_oneof![Just("text/plain".to_owned()), Just("application/xml".to_owned())];
    prop_oneof![
        (json_type, json()).prop_map(|(ty, value)| (ty, Some(Data::Json(value)))),
        (text_type, ".{1,20}").prop_map(|(ty, text)| (Some(ty), Some(Data::Json(text.into())))),
        vec(any::<u8>(), 1..40).prop_map(|bytes| (Some("image/png".to_owned()), Some(Data::Binary(bytes)))),
        Just((None, None)),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let time = (-62_135_596_800_i64..253_402_300_799, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| {
        let time = OffsetDateTime::from_unix_timestamp(seconds).expect("years 1 to 9999");
        time.replace_nanosecond(nanos).expect("under a second")
    });
    let head = (
        text(),
        "[a-z0-9./:%#?=_-]{1,20}",
        text(),
        option::of(text()),
        option::of(time),
    );
    (
        head,
        payload(),
        extensions(),
        option::of("https://[a-z]{1,8}\\.example/[a-z]{0,8}"),
    )
        .prop_map(
            |((id, source, ty, subject, time), (datacontenttype, data), extensions, dataschema)| Event {
                id,
                source,
                ty,
                subject,
                time,
                datacontenttype,
                dataschema,
                data,
                extensions,
            },
        )
        .prop_filter("a URI-reference", |event| event.validate().is_ok())
}
