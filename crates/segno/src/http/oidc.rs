//! `/session/oidc`: signing in at an OpenID Connect provider.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use url::Url;
use utoipa::IntoParams;

use super::{
    extract::Query,
    problem::{MEDIA_TYPE, Problem},
    session::{local, page, put_cookie},
};
use crate::access::{
    Access,
    oidc::{Back, CALLBACK, Error, Oidc, PATIENCE},
    peer::Peer,
    sessions::LIFE,
};
use crate::access::{cookie, is_secure, set_cookie};

/// The cookie that binds a sign-in to a browser. It comes along when the provider sends the browser back.
const BINDING: &str = "segno-oidc";

/// The routes of this file.
pub(super) fn router(access: Arc<Access>) -> Router {
    Router::new()
        .route("/session/oidc", get(begin))
        .route(CALLBACK, get(end))
        .with_state(access)
}

/// What to show once somebody has signed in.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Next {
    /// A path here.
    next: Option<String>,
}

/// Sends a browser to the provider to sign in.
#[utoipa::path(
    get, path = "/session/oidc", tag = "access", params(Next),
    responses(
        (status = 303, description = "To the provider."),
        (status = 404, description = "No provider is configured.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The provider does not answer: a page that says so.", content_type = "text/html"),
    )
)]
pub(super) async fn begin(
    State(access): State<Arc<Access>>,
    Query(Next { next }): Query<Next>,
    request: Request,
) -> Response {
    let Some(oidc) = access.oidc() else {
        return no_provider().into_response();
    };
    let (parts, _) = request.into_parts();
    let Some(base) = base(oidc, &parts) else {
        let detail = "the request has no host that this could be reached at";
        return Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail).into_response();
    };
    let begun = match oidc.begin(&base, local(next.as_deref())).await {
        Ok(begun) => begun,
        Err(error) => return failed(&error),
    };
    let location = [
        (header::LOCATION, begun.location.as_str()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let mut response = (StatusCode::SEE_OTHER, location).into_response();
    let is_secure = is_secure(&parts.extensions, &parts.headers) || base.scheme() == "https";
    put_cookie(
        &mut response,
        &binding_cookie(&begun.binding, is_secure, PATIENCE),
    );
    response
}

/// Takes a browser back from the provider, and opens its session.
#[utoipa::path(
    get, path = "/session/oidc/callback", tag = "access",
    params(
        ("state" = Option<String>, Query, description = "As it was sent."),
        ("code" = Option<String>, Query, description = "What the provider gives tokens for."),
        ("error" = Option<String>, Query, description = "Why it gives none."),
    ),
    responses(
        (status = 200, description = "Signed in: a page that leads on.", content_type = "text/html"),
        (status = 401, description = "Not signed in: a page that says why.", content_type = "text/html"),
        (status = 403, description = "Somebody without a role.", content_type = "text/html"),
        (status = 404, description = "No provider is configured.", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The provider does not answer.", content_type = "text/html"),
    )
)]
pub(super) async fn end(
    State(access): State<Arc<Access>>,
    Query(back): Query<Back>,
    request: Request,
) -> Response {
    let Some(oidc) = access.oidc() else {
        return no_provider().into_response();
    };
    let (parts, _) = request.into_parts();
    let from = Peer::ip(&parts.extensions);
    let binding = cookie(&parts.headers, BINDING).unwrap_or_default();
    let ended = oidc.end(back, &binding).await;
    let opened = ended.and_then(|(who, next)| Ok((access.sessions.open(who.clone())?, who, next)));
    let (opened, who, next) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, %from, "a sign-in at the provider has failed");
            return failed(&error);
        }
    };
    tracing::info!(name = %who.name, role = %who.role, %from, "signed in at the provider");
    // Not a redirection: a browser that comes from elsewhere would not bring a cookie that is for this site alone.
    let mut response = page(StatusCode::OK, &on(&next));
    let is_secure = is_secure(&parts.extensions, &parts.headers)
        || base(oidc, &parts).is_some_and(|base| base.scheme() == "https");
    put_cookie(&mut response, &set_cookie(&opened.id, is_secure, LIFE));
    let forget = binding_cookie("", is_secure, std::time::Duration::ZERO);
    if let Ok(forget) = HeaderValue::from_str(&forget) {
        response.headers_mut().append(header::SET_COOKIE, forget);
    }
    response
}

/// Where browsers reach this Segno: as configured, or at the name that they ask for.
fn base(oidc: &Oidc, request: &Parts) -> Option<Url> {
    if let Some(url) = oidc.url() {
        return Some(url.clone());
    }
    let is_encrypted = Peer::of(&request.extensions).is_some_and(|peer| peer.is_encrypted);
    let scheme = if is_encrypted { "https" } else { "http" };
    let host = request.headers.get(header::HOST)?.to_str().ok()?;
    Url::parse(&format!("{scheme}://{host}/")).ok()
}

fn binding_cookie(binding: &str, is_secure: bool, life: std::time::Duration) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    let life = life.as_secs();
    format!("{BINDING}={binding}; Path=/session/oidc; HttpOnly; SameSite=Lax; Max-Age={life}{secure}")
}

fn no_provider() -> Problem {
    let detail = "there is no [http.oidc] in the configuration";
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}

fn failed(error: &Error) -> Response {
    let status = match error {
        Error::Provider(_) | Error::NoRandomness(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::NoRole(_) => StatusCode::FORBIDDEN,
        Error::Token(_) | Error::NotBegun | Error::Refused(_) => StatusCode::UNAUTHORIZED,
    };
    page(
        status,
        &frame(
            &html! {
                p.problem role="alert" { (error) }
                p { a href="/login" { "Sign in" } }
            },
            None,
        ),
    )
}

/// A page that leads to the next.
fn on(next: &str) -> Markup {
    frame(&html! { p { a href=(next) { "Go on" } } }, Some(next))
}

fn frame(content: &Markup, next: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(next) = next { meta http-equiv="refresh" content=(format!("0; url={next}")); }
                title { "Sign in · Segno" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header { h1 { "Segno" } }
                main { (content) }
            }
        }
    }
}
