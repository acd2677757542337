//! Web pages of other origins are kept out: a browser on this machine reaches a loopback address for any page
//! that it shows.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::Url;

use super::problem::Problem;

/// Refuses what only a page of another origin sends: a change with a foreign `Origin`, and, where only this machine
/// is to call, a host name that is not this machine's (a name that its owner points at a loopback address is of
/// the page's own origin).
pub(super) async fn guard(State(local_only): State<bool>, request: Request, next: Next) -> Response {
    let host = host(&request);
    if local_only && host.as_ref().is_some_and(|host| !is_local(host.host())) {
        let detail = "this address serves its own machine only: call it as localhost, 127.0.0.1 or [::1]";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail).into_response();
    }
    if !is_read(request.method()) && !same_origin(request.headers(), host.as_ref()) {
        let detail = "a page of another origin may not change anything here";
        return Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail).into_response();
    }
    next.run(request).await
}

fn host(request: &Request) -> Option<Authority> {
    let header = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok()?.parse().ok());
    header.or_else(|| request.uri().authority().cloned())
}

fn is_local(host: &str) -> bool {
    let ip = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    match ip {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Programs send no `Origin`; browsers do with every change.
fn same_origin(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
    let (Some(origin), Some(host)) = (origin, host) else {
        return false;
    };
    let port = |port: Option<u16>| port.or(origin.port_or_known_default());
    origin.host_str() == Some(host.host()) && origin.port_or_known_default() == port(host.port_u16())
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::any};
    use tower::ServiceExt;

    use super::*;

    async fn status(local_only: bool, method: Method, headers: &[(&str, &str)]) -> u16 {
        let router = Router::new()
            .route("/", any(|| async { "ok" }))
            .layer(from_fn_with_state(local_only, guard));
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        router
            .oneshot(request)
            .await
            .expect("an answer")
            .status()
            .as_u16()
    }

    #[tokio::test]
    async fn only_this_machines_names_where_only_it_is_to_call() {
        for host in [
            "localhost:8080",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "a.localhost",
        ] {
            assert_eq!(status(true, Method::GET, &[("host", host)]).await, 200, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "192.0.2.1",
        ] {
            assert_eq!(status(true, Method::GET, &[("host", host)]).await, 421, "{host}");
            assert_eq!(status(false, Method::GET, &[("host", host)]).await, 200, "{host}");
        }
    }

    #[tokio::test]
    async fn only_pages_of_its_own_origin_change_anything() {
        let host = ("host", "127.0.0.1:8080");
        assert_eq!(status(true, Method::POST, &[host]).await, 200);
        assert_eq!(
            status(true, Method::POST, &[host, ("origin", "http://127.0.0.1:8080")]).await,
            200
        );
        for origin in [
            "http://127.0.0.1:9090",
            "https://evil.example",
            "null",
            "http://localhost:8080",
        ] {
            for local_only in [true, false] {
                let headers = [host, ("origin", origin)];
                assert_eq!(status(local_only, Method::POST, &headers).await, 403, "{origin}");
                assert_eq!(status(local_only, Method::GET, &headers).await, 200, "{origin}");
            }
        }
        let behind_tls = [("host", "segno.example"), ("origin", "https://segno.example")];
        assert_eq!(status(false, Method::POST, &behind_tls).await, 200);
    }
}
