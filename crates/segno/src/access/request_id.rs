//! The id of a request: its own, or one that it is given; in its answer, the log and the audit log.

use axum::{
    extract::Request,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a caller.
const LONGEST: usize = 128;

/// A request's id.
#[derive(Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id of a request; empty for one that did not come through [`give`].
    pub(crate) fn of(extensions: &Extensions) -> &str {
        let id = extensions.get::<Self>();
        id.and_then(|id| id.0.to_str().ok()).unwrap_or_default()
    }
}

/// Gives a request its id.
pub(crate) async fn give(mut request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(made);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    response.headers_mut().insert(HEADER, id);
    response
}

/// The caller's own id, if it is short and plain.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(HEADER)?;
    let is_plain = id.as_bytes().iter().all(u8::is_ascii_graphic);
    ((1..=LONGEST).contains(&id.len()) && is_plain).then(|| id.clone())
}

fn made() -> HeaderValue {
    // A UUID has nothing that a header may not have.
    HeaderValue::from_str(&Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_is_taken_if_it_is_short_and_plain() {
        let given = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, id.parse().unwrap());
            super::given(&headers).map(|id| id.to_str().unwrap().to_owned())
        };
        assert_eq!(given("abc-1").as_deref(), Some("abc-1"));
        for wrong in ["", "a b", "a\tb", &"x".repeat(129)] {
            assert_eq!(given(wrong), None, "{wrong:?}");
        }
        assert_ne!(made(), made());
    }
}
