//! What of a request is written down: enough to know what was asked for, and nothing that only its receiver may know.

use serde_json::{Map, Value};

/// Fields whose values are payloads or secrets.
const LEFT_OUT: [&str; 14] = [
    "arguments",
    "authorization",
    "body",
    "data",
    "event",
    "headers",
    "input",
    "payload",
    "payloads",
    "password",
    "secret",
    "secrets",
    "token",
    "value",
];
/// Stands for what is left out.
const OMITTED: &str = "(left out)";
/// Longest text that is kept whole, in bytes.
const LONGEST: usize = 256;
/// Entries of an object or a list that are kept.
const MOST: usize = 32;
/// How deep it is looked.
const DEEPEST: usize = 4;

/// The query and the body of a request, where it has either.
pub(crate) fn of_request(query: Option<&str>, body: &[u8]) -> Option<Value> {
    let mut summary = Map::new();
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let pairs = pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        summary.insert("query".to_owned(), short(Value::Object(pairs.collect()), 0));
    }
    if !body.iter().all(u8::is_ascii_whitespace) {
        let body = match serde_json::from_slice(body) {
            Ok(value) => short(value, 0),
            Err(_) => Value::String(format!("({} bytes that are no JSON)", body.len())),
        };
        summary.insert("body".to_owned(), body);
    }
    (!summary.is_empty()).then_some(Value::Object(summary))
}

fn short(value: Value, depth: usize) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) if depth == DEEPEST => OMITTED.into(),
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let is_kept = !LEFT_OUT.contains(&name.to_ascii_lowercase().as_str()) || value.is_null();
                let value = if is_kept {
                    short(value, depth + 1)
                } else {
                    OMITTED.into()
                };
                (cut(name), value)
            };
            Value::Object(fields.into_iter().take(MOST).map(field).collect())
        }
        Value::Array(values) => {
            let values = values.into_iter().take(MOST);
            Value::Array(values.map(|value| short(value, depth + 1)).collect())
        }
        Value::String(text) => Value::String(cut(text)),
        other => other,
    }
}

/// A text cut to what is kept; of a URL without its query and its user, which may be secret.
fn cut(text: String) -> String {
    let mut text = match url::Url::parse(&text) {
        Ok(mut url) if url.has_host() => {
            url.set_query(None);
            url.set_fragment(None);
            // Neither can fail for a URL with a host.
            let _ = (url.set_username(""), url.set_password(None));
            url.into()
        }
        _ => text,
    };
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_asked_for_is_kept_and_payloads_and_secrets_are_not() {
        let body = json!({
            "route": "orders", "note": "mended", "current_route": true,
            "data": { "card": "4111" }, "Secret": "swordfish",
            "filter": { "since": "2026-01-01T00:00:00Z", "payload": [1] },
            "url": "https://user:pass@example.com/hook?key=swordfish",
        });
        let summary = of_request(Some("force=true&token=swordfish"), body.to_string().as_bytes()).unwrap();
        let expected = json!({
            "query": { "force": "true", "token": OMITTED },
            "body": {
                "route": "orders", "note": "mended", "current_route": true,
                "data": OMITTED, "Secret": OMITTED,
                "filter": { "since": "2026-01-01T00:00:00Z", "payload": OMITTED },
                "url": "https://example.com/hook",
            },
        });
        assert_eq!(summary, expected);
        assert_eq!(of_request(None, b" \n"), None);
        assert_eq!(
            of_request(None, b"{"),
            Some(json!({ "body": "(1 bytes that are no JSON)" }))
        );
    }

    proptest! {
        #[test]
        fn a_summary_is_short(names in proptest::collection::vec("[a-z]{1,300}", 0..40), text in "[a-zé]{0,400}") {
            let fields: Map<_, _> = names.into_iter().map(|name| (name, Value::String(text.clone()))).collect();
            let summary = of_request(None, Value::Object(fields).to_string().as_bytes()).unwrap();
            prop_assert!(summary.to_string().len() < MOST * 4 * (LONGEST + 16));
        }
    }
}
