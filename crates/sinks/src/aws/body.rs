//! The text of a message.

use serde_json::Value;

/// The payload as JSON, without the two characters that messages may not have and JSON may. They can only be within its strings,
/// where JSON has another way to write them.
pub(crate) fn body(payload: &Value) -> String {
    let text = payload.to_string();
    if text.contains(['\u{fffe}', '\u{ffff}']) {
        text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_has_no_character_that_is_refused() {
        let payload = json!({"a\u{ffff}": "\u{fffe}\u{1}\u{10ffff}\n"});
        let body = body(&payload);
        assert!(
            !body.contains(['\u{fffe}', '\u{ffff}', '\u{1}', '\n']),
            "{body:?}"
        );
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), payload);
    }
}
