use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(body: &Value) -> Result<NewTimer, Vec<Issue>> {
    NewTimer::parse(body.to_string().as_bytes(), false)
}

/// Path and kind of each mistake.
fn mistakes(body: &Value) -> Vec<(String, &'static str)> {
    let issues = parse(body).err().unwrap_or_default();
    issues
        .into_iter()
        .map(|issue| (issue.path.join("."), issue.kind))
        .collect()
}

fn kinds(body: &str) -> Vec<&'static str> {
    let issues = NewTimer::parse(body.as_bytes(), false).err().unwrap_or_default();
    issues.into_iter().map(|issue| issue.kind).collect()
}

const URL: &str = "https://example.com/hook";

#[test]
fn the_least_fires_at_once() {
    let timer = parse(&json!({"url": URL})).unwrap();
    assert_eq!(timer.when, When::In(Duration::ZERO));
    let now = Deadline::from_millis(1_000);
    let timer = timer.into_timer(now);
    assert_eq!(
        (timer.deadline, timer.method.as_str(), timer.body.as_str()),
        (now, "POST", "")
    );
    assert!(timer.headers.is_empty());
}

#[test]
fn hours_minutes_and_seconds_add_up_without_overflow() {
    let when = |body| parse(&body).unwrap().when;
    assert_eq!(
        when(json!({"hours": 1, "minutes": 59, "seconds": 59, "url": URL})),
        When::In(Duration::from_secs(7199))
    );
    assert_eq!(
        when(json!({"hours": 2.0, "url": URL})),
        When::In(Duration::from_secs(7200))
    );
    for hours in [json!(u64::MAX), json!(1e300), json!(1e19)] {
        let When::In(wait) = when(json!({"hours": hours, "minutes": 59, "url": URL})) else {
            panic!()
        };
        assert_eq!(wait, Duration::from_secs(u64::MAX));
        let deadline = When::In(wait).from(Deadline::now());
        assert_eq!(deadline.to_rfc3339(), "9999-12-31T23:59:59.999Z");
    }
}

#[test]
fn the_other_ways_to_say_when() {
    let when = |body| parse(&body).unwrap().when;
    assert_eq!(
        when(json!({"in": "PT1M", "url": URL})),
        When::In(Duration::from_secs(60))
    );
    assert_eq!(
        when(json!({"at": "1970-01-01T00:00:01Z", "url": URL})),
        When::At(Deadline::from_millis(1_000))
    );
    for (body, present) in [
        (
            json!({"in": "PT1M", "at": "2030-01-01T00:00:00Z", "url": URL}),
            json!(["at", "in"]),
        ),
        (
            json!({"in": "PT1M", "seconds": 0, "url": URL}),
            json!(["seconds", "in"]),
        ),
        (
            json!({"hours": 1, "minutes": 1, "at": "2030-01-01T00:00:00Z", "url": URL}),
            json!(["hours", "minutes", "at"]),
        ),
    ] {
        let [issue] = &parse(&body).err().unwrap()[..] else {
            panic!("one mistake in {body}")
        };
        assert_eq!((issue.kind, &issue.context["present"]), ("object.oxor", &present));
    }
}

#[test]
fn all_mistakes_are_reported_together() {
    let body = json!({
        "hours": -1, "minutes": 60, "seconds": 1.5, "url": "nowhere", "method": "BREW",
        "headers": {"a b": "c", "d": 1, "Host": "e"}, "body": null, "hour": 1, "other": null
    });
    let expected = [
        ("hours", "number.min"),
        ("minutes", "number.max"),
        ("seconds", "number.integer"),
        ("url", "string.uri"),
        ("method", "any.only"),
        ("headers.d", "string.base"),
        ("headers.Host", "any.invalid"),
        ("headers.a b", "any.invalid"),
        ("body", "any.invalid"),
        ("hour", "object.unknown"),
        ("other", "object.unknown"),
    ];
    assert_eq!(
        mistakes(&body),
        expected.map(|(path, kind)| (path.to_owned(), kind))
    );
}

#[test]
fn a_mistake_has_the_seeds_shape() {
    let issues = parse(&json!({"minutes": 60})).err().unwrap();
    let expected = json!([
        {"message": "\"minutes\" must be less than or equal to 59", "path": ["minutes"], "type": "number.max",
         "context": {"limit": 59, "value": 60, "label": "minutes", "key": "minutes"}},
        {"message": "\"url\" is required", "path": ["url"], "type": "any.required",
         "context": {"label": "url", "key": "url"}},
    ]);
    assert_eq!(serde_json::to_value(issues).unwrap(), expected);
}

#[test]
fn wrong_types_and_nulls_are_refused() {
    for wrong in [json!(null), json!("5"), json!(true), json!([1]), json!({"a": 1})] {
        for key in ["hours", "minutes", "seconds"] {
            assert_eq!(
                mistakes(&json!({key: wrong, "url": URL})),
                [(key.to_owned(), "number.base")]
            );
        }
    }
    for wrong in [json!(null), json!(5), json!(true), json!([URL]), json!({"a": 1})] {
        assert_eq!(
            mistakes(&json!({"url": wrong})),
            [("url".to_owned(), "string.base")]
        );
        for key in ["at", "in"] {
            assert_eq!(
                mistakes(&json!({key: wrong, "url": URL})),
                [(key.to_owned(), "string.base")]
            );
        }
        assert_eq!(
            mistakes(&json!({"method": wrong, "url": URL})),
            [("method".to_owned(), "any.only")]
        );
    }
    assert_eq!(
        mistakes(&json!({"url": ""})),
        [("url".to_owned(), "string.empty")]
    );
    assert_eq!(
        mistakes(&json!({"url": "ftp://a"})),
        [("url".to_owned(), "string.uriCustomScheme")]
    );
    assert_eq!(
        mistakes(&json!({"url": URL, "in": "soon"})),
        [("in".to_owned(), "string.isoDuration")]
    );
    assert_eq!(
        mistakes(&json!({"url": URL, "at": "soon"})),
        [("at".to_owned(), "string.isoDate")]
    );
    assert_eq!(
        mistakes(&json!({"url": URL, "headers": []})),
        [("headers".to_owned(), "object.base")]
    );
}

#[test]
fn bodies_that_are_no_object_are_refused() {
    for body in ["[]", "null", "1", "\"a\"", "[{\"url\":\"https://example.com\"}]"] {
        assert_eq!(kinds(body), ["object.base"], "{body}");
    }
    for body in ["", "{", "{\"url\":}", "nonsense", "{} {}", "\u{feff}{}"] {
        assert_eq!(kinds(body), ["object.json"], "{body}");
    }
    assert_eq!(
        NewTimer::parse(b"{\"url\":\"\xff\"}", false).err().unwrap()[0].kind,
        "object.json"
    );
    assert_eq!(kinds(&"[".repeat(100_000)), ["object.json"]);
}

#[test]
fn private_addresses_are_refused_unless_allowed() {
    for url in [
        "http://127.0.0.1:9/",
        "http://localhost/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://0x7f.1/",
    ] {
        let body = json!({"url": url});
        assert_eq!(
            mistakes(&body),
            [("url".to_owned(), "string.uriPrivate")],
            "{url}"
        );
        assert!(NewTimer::parse(body.to_string().as_bytes(), true).is_ok());
    }
}

#[test]
fn bodies_and_their_types() {
    let timer = |body| parse(&body).unwrap().into_timer(Deadline::from_millis(0));
    let text = timer(json!({"url": URL, "method": "PUT", "body": "a\nb"}));
    assert_eq!((text.method.as_str(), text.body.as_str()), ("PUT", "a\nb"));
    assert_eq!(text.headers["content-type"], "text/plain; charset=utf-8");
    let object = timer(json!({"url": URL, "body": {"a": [1, true]}}));
    assert_eq!(
        (object.body.as_str(), object.headers["content-type"].as_str()),
        ("{\"a\":[1,true]}", "application/json")
    );
    let own = timer(json!({"url": URL, "body": 1, "headers": {"Content-Type": "text/x"}}));
    assert_eq!(
        own.headers.into_iter().collect::<Vec<_>>(),
        [("Content-Type".to_owned(), "text/x".to_owned())]
    );
    assert_eq!(own.body, "1");
}

#[test]
fn a_fingerprint_is_of_the_meaning() {
    let print = |body| parse(&body).unwrap().fingerprint();
    let one = print(json!({"url": URL, "hours": 1, "headers": {"a": "1", "b": "2"}}));
    assert_eq!(
        one,
        print(json!({"headers": {"b": "2", "a": "1"}, "hours": 1, "minutes": 0, "url": URL}))
    );
    assert_ne!(
        one,
        print(json!({"headers": {"b": "2", "a": "1"}, "hours": 2, "url": URL}))
    );
    assert_ne!(one, print(json!({"url": URL, "hours": 1})));
}

#[test]
fn a_rearm_says_when() {
    let parse = |body: Value| parse_rearm(body.to_string().as_bytes());
    assert_eq!(
        parse(json!({"minutes": 1})),
        Ok(When::In(Duration::from_secs(60)))
    );
    assert_eq!(parse(json!({"in": "90s"})), Ok(When::In(Duration::from_secs(90))));
    let kinds = |body| {
        parse(body)
            .unwrap_err()
            .into_iter()
            .map(|issue| issue.kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(json!({})), ["object.missing"]);
    assert_eq!(kinds(json!({"in": "x"})), ["string.isoDuration"]);
    assert_eq!(kinds(json!({"minutes": 1, "url": URL})), ["object.unknown"]);
    assert_eq!(kinds(json!([])), ["object.base"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::from(URL)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{0,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No body makes it panic, and every refusal says why; what is accepted has a deadline that can be
    /// written.
    #[test]
    fn any_body_has_an_answer(
        keys in proptest::sample::subsequence(
            vec!["hours", "minutes", "seconds", "at", "in", "url", "method", "headers", "body", "x"], 0..10
        ),
        values in proptest::collection::vec(any_json(), 10),
    ) {
        let body: serde_json::Map<_, _> =
            keys.iter().map(|key| (*key).to_owned()).zip(values).collect();
        match parse(&Value::Object(body)) {
            Ok(timer) => {
                let timer = timer.into_timer(Deadline::now());
                prop_assert!(timer.deadline.to_rfc3339().ends_with('Z'));
            }
            Err(issues) => prop_assert!(!issues.is_empty()),
        }
    }

    #[test]
    fn any_bytes_have_an_answer(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(NewTimer::parse(&body, true).is_err());
    }
}
