//! JSON bodies of requests.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
};
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
    // A list would do for the fields of a struct, one after the other.
    if text.trim_ascii_start().first() != Some(&b'{') {
        let detail = "the body has to be a JSON object";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail));
    }
    serde_json::from_slice(text).map_err(|error| {
        let detail = format!("the body is not what is asked for: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Note {
        note: Option<String>,
    }

    async fn read(text: &'static str) -> Result<Note, StatusCode> {
        let read = read_json(&HeaderMap::new(), Body::from(text)).await;
        read.map_err(|problem: Problem| axum::response::IntoResponse::into_response(problem).status())
    }

    #[tokio::test]
    async fn a_body_is_an_object_or_nothing() {
        assert_eq!(read("").await, Ok(Note::default()));
        assert_eq!(read(" {} ").await, Ok(Note::default()));
        let note = Some("why".to_owned());
        assert_eq!(read("\n{\"note\": \"why\"}").await, Ok(Note { note }));
        for wrong in ["[]", "[\"why\"]", "null", "7", "{\"nots\": 1}", "{"] {
            assert_eq!(read(wrong).await, Err(StatusCode::BAD_REQUEST), "{wrong}");
        }
    }
}
