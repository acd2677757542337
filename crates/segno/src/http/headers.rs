//! What is said to browsers with every answer.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// Of answers that are no pages: nothing of them is shown or run, wherever somebody puts them.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Of the pages that describe the API, which are not of this program's making: what they are made of, and no other origin.
const API_DOCS: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                        img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                        frame-ancestors 'none'";

/// Adds the headers that an answer does not have yet; pages have a policy of their own. `Strict-Transport-Security` is not
/// among them: it would hold for every port of the host, and what else is served there is not this program's to decide.
pub(super) async fn add(request: Request, next: Next) -> Response {
    let policy = if request.uri().path().starts_with("/api-docs") {
        API_DOCS
    } else {
        POLICY
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "no-referrer");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::CONTENT_SECURITY_POLICY, policy);
    add(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    add(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    response
}
