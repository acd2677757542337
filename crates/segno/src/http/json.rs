//! JSON bodies of requests.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
};
use segno_event::Objects;
use serde::de::DeserializeOwned;

use super::{limits::read_body, problem::Problem};

/// Longest body, in bytes: an event of the largest size with what is said about it.
const MAX_BODY: usize = 2 << 20;

/// The body, a JSON object; no body is `{}`.
pub(super) async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let body = read_body(headers, body, MAX_BODY, "the body").await?;
    let text: &[u8] = if body.iter().all(u8::is_ascii_whitespace) {
        b"{}"
    } else {
        &body
    };
    read_object(text).map_err(|detail| Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail))
}

fn read_object<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err("the body has to be a JSON object".to_owned());
    }
    let mut from = serde_json::Deserializer::from_slice(text);
    T::deserialize(Objects(&mut from))
        .and_then(|read| from.end().map(|()| read))
        .map_err(|error| format!("the body is not what is asked for: {error}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Note {
        note: Option<String>,
        about: Option<Box<Note>>,
    }

    async fn read(text: &'static str) -> Result<Note, StatusCode> {
        let read = read_json(&HeaderMap::new(), Body::from(text)).await;
        read.map_err(|problem: Problem| axum::response::IntoResponse::into_response(problem).status())
    }

    #[tokio::test]
    async fn a_body_is_an_object_or_nothing() {
        assert_eq!(read("").await, Ok(Note::default()));
        assert_eq!(read(" {} ").await, Ok(Note::default()));
        let note = |note: &str, about| Note {
            note: Some(note.to_owned()),
            about,
        };
        let why = note("why", None);
        assert_eq!(read("\n{\"note\": \"why\"}").await, Ok(why));
        let about = note("that", Some(Box::new(note("why", None))));
        assert_eq!(
            read("{\"note\": \"that\", \"about\": {\"note\": \"why\"}}").await,
            Ok(about)
        );
        for wrong in [
            "[]",
            "[\"why\"]",
            "null",
            "7",
            "{\"nots\": 1}",
            "{",
            "{} {}",
            "{\"about\": []}",
            "{\"about\": [\"why\"]}",
        ] {
            assert_eq!(read(wrong).await, Err(StatusCode::BAD_REQUEST), "{wrong}");
        }
    }
}
