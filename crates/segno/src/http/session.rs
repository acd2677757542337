//! `/session`: signing in with a browser, and who one is. `/login`: the page for it, without any script.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, html};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::{
    extract::Query,
    limits::read_body,
    problem::{MEDIA_TYPE, Problem},
};
use crate::access::{Access, Refused, Role, Signed, peer::Peer, sessions::LIFE};
use crate::access::{is_secure, set_cookie, slow, unauthenticated, unavailable};

/// Longest body of a sign-in, in bytes.
const MAX_BODY: usize = 16 << 10;

/// Nothing but the page itself and its style sheet.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
const STYLE: &str = include_str!("style.css");

/// The routes of this file.
pub(super) fn router(access: Arc<Access>) -> Router {
    Router::new()
        .route("/session", get(show).post(sign_in).delete(sign_out))
        .route("/session/methods", get(methods))
        .route("/login", get(login))
        .route("/style.css", get(style))
        .with_state(access)
}

/// Who one is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct Shown {
    /// The token's name, or the person's as the identity provider has it; `local` where nobody signs in.
    #[schema(example = "ops")]
    name: String,
    /// What one may do.
    role: Role,
    /// What changes have to bring in the header `X-Segno-CSRF`; left out where there is no session.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
    /// Seconds until the session ends; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_in: Option<u64>,
}

/// The ways to sign in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInMethods)]
pub(super) struct Methods {
    /// Whether one has to. Where not, everybody is `local`, an administrator.
    required: bool,
    /// Whether a token will do.
    token: bool,
    /// The host of the OpenID Connect provider that one can sign in at, by `/session/oidc`; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc: Option<String>,
}

/// A sign-in.
#[derive(Deserialize, ToSchema)]
#[schema(as = SignIn)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// The token.
    #[schema(format = Password)]
    token: String,
    /// Of a form: the page to show next, a path here.
    #[serde(default)]
    next: Option<String>,
}

/// Says who one is, and what one may do.
#[utoipa::path(
    get, path = "/session", tag = "access",
    responses(
        (status = 200, description = "Who one is.", body = Shown),
        (status = 401, description = "Nobody: sign in.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn show(Extension(signed): Extension<Signed>) -> Response {
    let who = signed.who();
    let (csrf, ends_in) = match &signed {
        Signed::Session(session, _) => (Some(session.csrf().to_owned()), Some(session.left().as_secs())),
        Signed::Unasked(_) | Signed::Token(_) => (None, None),
    };
    no_store(Json(Shown {
        name: who.name.to_string(),
        role: who.role,
        csrf,
        ends_in,
    }))
}

/// Says how one can sign in.
#[utoipa::path(
    get, path = "/session/methods", tag = "access",
    responses((status = 200, description = "The ways.", body = Methods)),
)]
pub(super) async fn methods(State(access): State<Arc<Access>>) -> Json<Methods> {
    Json(Methods {
        required: access.is_asked_for(),
        token: access.takes_tokens(),
        oidc: access.oidc().map(|oidc| oidc.name().to_owned()),
    })
}

/// Signs in with a token: the answer sets a cookie that no script can read, good for twelve hours.
///
/// JSON is answered with JSON; a form, with the page to show next.
#[utoipa::path(
    post, path = "/session", tag = "access",
    request_body(content((SignIn = "application/json"), (SignIn = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "Signed in.", body = Shown),
        (status = 303, description = "Signed in by a form: the next page."),
        (status = 400, description = "The body is no sign-in.", body = Problem, content_type = MEDIA_TYPE),
        (status = 401, description = "The token is none.", content((Problem = "application/problem+json"), (String = "text/html"))),
        (status = 409, description = "Nobody signs in here.", content((Problem = "application/problem+json"), (String = "text/html"))),
        (status = 413, description = "The body is too large.", body = Problem, content_type = MEDIA_TYPE),
        (status = 429, description = "Too many wrong tokens came from this address; `Retry-After` says when to come \
         back.", content((Problem = "application/problem+json"), (String = "text/html"))),
        (status = 503, description = "The provider does not answer.",
         content((Problem = "application/problem+json"), (String = "text/html"))),
    )
)]
pub(super) async fn sign_in(State(access): State<Arc<Access>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_form = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|ty| ty.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let asked = match read(&parts.headers, body, is_form).await {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let opened = check(&access, &asked, Peer::ip(&parts.extensions)).await;
    let next = local(asked.next.as_deref());
    let (opened, shown) = match opened {
        Ok(opened) => opened,
        Err(problem) if is_form => {
            let detail = problem.detail().to_owned();
            return page(problem.status(), &login_page(&access, next, Some(&detail)));
        }
        Err(problem) => return problem.into_response(),
    };
    let cookie = set_cookie(&opened, is_secure(&parts.extensions, &parts.headers), LIFE);
    let mut response = if is_form {
        (StatusCode::SEE_OTHER, [(header::LOCATION, next.to_owned())]).into_response()
    } else {
        no_store(Json(shown))
    };
    put_cookie(&mut response, &cookie);
    response
}

/// Signs out.
#[utoipa::path(
    delete, path = "/session", tag = "access",
    responses(
        (status = 204, description = "Signed out; a token stays good."),
        (status = 401, description = "Nobody is signed in.", body = Problem, content_type = MEDIA_TYPE),
        (status = 403, description = "`X-Segno-CSRF` is not right.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn sign_out(
    State(access): State<Arc<Access>>,
    Extension(signed): Extension<Signed>,
    request: Request,
) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Signed::Session(session, id) = signed {
        access.sessions.close(&id);
        tracing::info!(name = %session.who.name, "signed out");
        let is_secure = is_secure(request.extensions(), request.headers());
        put_cookie(
            &mut response,
            &set_cookie("", is_secure, std::time::Duration::ZERO),
        );
    }
    response
}

async fn read(headers: &HeaderMap, body: Body, is_form: bool) -> Result<SignIn, Problem> {
    let body = read_body(headers, body, MAX_BODY, "the sign-in").await?;
    let read = if is_form {
        let pairs: std::collections::HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
        pairs.get("token").map(|token| SignIn {
            token: token.clone(),
            next: pairs.get("next").cloned(),
        })
    } else {
        serde_json::from_slice(&body).ok()
    };
    // What the parser says might quote the token.
    read.ok_or_else(|| {
        let detail = "the body is no sign-in: send JSON like {\"token\": \"…\"}";
        Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail)
    })
}

/// Opens a session: the cookie's text, and what is told of it.
async fn check(access: &Access, asked: &SignIn, from: std::net::IpAddr) -> Result<(String, Shown), Problem> {
    if !access.takes_tokens() {
        let detail = "nobody signs in with a token here: there is no [[http.tokens]] in the configuration";
        return Err(Problem::new(StatusCode::CONFLICT, "no-sign-in", detail));
    }
    let who = match access.who(asked.token.trim(), from).await {
        Ok(who) => who,
        Err(Refused::Wrong) => {
            tracing::warn!(%from, "a sign-in with a token that is none");
            return Err(unauthenticated("this is no token that is good here"));
        }
        Err(Refused::Slow(wait)) => return Err(slow(wait)),
        Err(Refused::Unavailable(detail)) => return Err(unavailable(&detail)),
    };
    let opened = access.sessions.open(who.clone()).map_err(|error| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no-randomness",
            error.to_string(),
        )
    })?;
    tracing::info!(name = %who.name, role = %who.role, %from, "signed in");
    let shown = Shown {
        name: who.name.to_string(),
        role: who.role,
        csrf: Some(opened.csrf),
        ends_in: Some(LIFE.as_secs()),
    };
    Ok((opened.id, shown))
}

/// What the page to sign in is asked.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Next {
    /// The page to show next.
    next: Option<String>,
}

async fn login(State(access): State<Arc<Access>>, Query(Next { next }): Query<Next>) -> Response {
    page(StatusCode::OK, &login_page(&access, local(next.as_deref()), None))
}

/// A path of this origin; the first page where it is something else.
pub(super) fn local(next: Option<&str>) -> &str {
    next.filter(|next| {
        let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        plain && next.starts_with('/') && !next.starts_with("//")
    })
    .unwrap_or("/")
}

fn login_page(access: &Access, next: &str, problem: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Sign in · Segno" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header { h1 { "Segno" } }
                main {
                    @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
                    @if access.takes_tokens() {
                        form method="post" action="/session" {
                            input type="hidden" name="next" value=(next);
                            label for="token" { "Token" }
                            input #token name="token" type="password" required autocomplete="current-password";
                            button { "Sign in" }
                        }
                    }
                    @if let Some(oidc) = access.oidc() {
                        @let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
                        p { a href=(format!("/session/oidc?{query}")) { "Sign in at " (oidc.name()) } }
                    }
                    @if !access.is_asked_for() { p { "Nobody has to sign in here." } }
                }
            }
        }
    }
}

/// The style sheet of the page.
async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// A page that is nobody else's.
pub(super) fn page(status: StatusCode, markup: &Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, markup.0.clone()).into_response()
}

fn no_store(body: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

pub(super) fn put_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_one_of_this_origin() {
        for path in ["/", "/console/events?x=1#y"] {
            assert_eq!(local(Some(path)), path);
        }
        for other in [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "console",
            "",
            "/a b",
            "/\n",
        ] {
            assert_eq!(local(Some(other)), "/", "{other:?}");
        }
        assert_eq!(local(None), "/");
    }
}
