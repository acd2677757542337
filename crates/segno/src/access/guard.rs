//! The guard in front of every path: finds out who calls, and whether they may.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{
    Access, Need, Refused, Who,
    audit::{self, Audit, Entry, Outcome},
    peer::Peer,
    request_id::RequestId,
    sessions::Session,
    table,
};
use crate::http::{limits::read_body, problem::Problem};

/// What a change in a browser's session has to bring, with the text that `GET /session` tells. No form can send a header, and
/// no page of another origin may.
const CSRF_HEADER: &str = "x-segno-csrf";
/// The session's cookie where it is encrypted on its way; browsers take one of this prefix from nobody but this host.
const SECURE_COOKIE: &str = "__Host-segno";
/// Where it is not.
const PLAIN_COOKIE: &str = "segno";

/// Longest body of a change, in bytes: what the paths take that make one.
const MAX_BODY: usize = 2 << 20;

/// What the guard works with.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) access: Arc<Access>,
    pub(crate) audit: Audit,
}

/// How somebody has shown who they are; in the extensions of every request whose caller is known.
#[derive(Clone)]
pub(crate) enum Signed {
    /// Nobody is asked here.
    Unasked(Who),
    /// A token with the request itself.
    Token(Who),
    /// A session: its id besides.
    Session(Session, String),
}

impl Signed {
    pub(crate) fn who(&self) -> &Who {
        match self {
            Self::Unasked(who) | Self::Token(who) => who,
            Self::Session(session, _) => &session.who,
        }
    }
}

/// Lets a request through to its path if whoever sends it may call that.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Guard { access, audit } = guard;
    let (mut parts, body) = request.into_parts();
    // What is served nowhere is not told to strangers either.
    let need = match parts.extensions.get::<MatchedPath>() {
        Some(path) => table::need(&parts.method, path.as_str()),
        None => Need::Identity,
    };
    let signed = if need == Need::Signature {
        // What stands in its headers is for the source.
        None
    } else {
        match identify(&access, &parts).await {
            Ok(signed) => signed,
            Err(_) if need == Need::Nothing => None,
            Err(problem) => return refusal(problem, &parts),
        }
    };
    if !need.is_open() {
        let Some(signed) = &signed else {
            let problem =
                unauthenticated("this path asks who calls: send a token, `Authorization: Bearer TOKEN`");
            return refusal(problem, &parts);
        };
        if let Err(problem) = may(signed, need, &parts) {
            return problem.into_response();
        }
        if matches!(need, Need::Operate | Need::Administer)
            && !is_read(&parts.method)
            && parts.extensions.get::<MatchedPath>().is_some()
        {
            let who = signed.who().clone();
            parts.extensions.insert(signed.clone());
            return record(&audit, &who, parts, body, next).await;
        }
    }
    if let Some(signed) = signed {
        parts.extensions.insert(signed);
    }
    next.run(Request::from_parts(parts, body)).await
}

/// Has a change made, once it is on disk who wants it; answers once it is on disk what became of it.
async fn record(audit: &Audit, who: &Who, parts: Parts, body: Body, next: Next) -> Response {
    if is_of_the_log(parts.uri.path()) {
        let detail = "nobody changes the audit log";
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).into_response();
    }
    // Before anything is written: a body that does not come asks for nothing.
    let body = match read_body(&parts.headers, body, MAX_BODY, "the body").await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let path = parts
        .extensions
        .get::<MatchedPath>()
        .map_or(parts.uri.path(), MatchedPath::as_str);
    let entry = Entry {
        who: who.name.to_string(),
        role: who.role,
        from: Peer::ip(&parts.extensions).to_string(),
        action: format!("{} {path}", parts.method),
        path: parts.uri.path().to_owned(),
        request: audit::of_request(parts.uri.query(), &body),
        request_id: RequestId::of(&parts.extensions).to_owned(),
        outcome: None,
    };
    let begun = match audit.begin(&entry).await {
        Ok(begun) => begun,
        Err(status) => {
            tracing::error!(%status, who = entry.who, action = entry.action, "a change was not made: it could not be recorded");
            let detail =
                "the change was not made: the audit log cannot be written, as the engine does not answer";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "engine-unavailable", detail)
                .retry_after(std::time::Duration::from_secs(2))
                .into_response();
        }
    };
    // In a task of its own: what has begun is seen to its end, also when the caller hangs up.
    let done = tokio::spawn(async move {
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        let outcome = Outcome::of(response.status());
        if let Err(error) = begun.end(&outcome).await {
            tracing::error!(%error, request_id = entry.request_id, "the audit log does not say what became of a change");
        }
        let Entry {
            who,
            action,
            path,
            request_id,
            ..
        } = entry;
        tracing::info!(target: "segno::audit", who, action, path, request_id, ?outcome, "change");
        response
    });
    done.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a change broke off");
        let detail = "the change broke off: it may have been made or not";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
    })
}

/// Whether a path names an entry of the audit log, however it is written.
fn is_of_the_log(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.contains(&format!("/{}", audit::ROOM))
}

/// Who calls, where that can be told; none: nobody said anything.
async fn identify(access: &Access, request: &Parts) -> Result<Option<Signed>, Problem> {
    if !access.is_asked_for() {
        return Ok(Some(Signed::Unasked(Who::local())));
    }
    let from = Peer::ip(&request.extensions);
    if let Some(given) = request.headers.get(header::AUTHORIZATION) {
        let token = given.to_str().ok().and_then(bearer).ok_or_else(|| {
            unauthenticated("the header `Authorization` has no token: write `Authorization: Bearer TOKEN`")
        })?;
        return match access.who(token, from).await {
            Ok(who) => Ok(Some(Signed::Token(who))),
            Err(Refused::Wrong) => {
                tracing::warn!(%from, "a token that is none");
                Err(unauthenticated("this is no token that is good here"))
            }
            Err(Refused::Slow(wait)) => Err(slow(wait)),
            Err(Refused::Unavailable(detail)) => Err(unavailable(&detail)),
        };
    }
    let is_encrypted = Peer::of(&request.extensions).is_some_and(|peer| peer.is_encrypted);
    let Some(id) = session_cookie(&request.headers, is_encrypted) else {
        return Ok(None);
    };
    match access.sessions.get(&id) {
        Some(session) => Ok(Some(Signed::Session(session, id))),
        None => Err(unauthenticated("the session has ended: sign in again")),
    }
}

/// Whether this is enough for that path.
fn may(signed: &Signed, need: Need, request: &Parts) -> Result<(), Problem> {
    let forbidden = |code, detail: String| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
    let who = signed.who();
    if !need.allows(who.role) {
        tracing::warn!(name = %who.name, role = %who.role, path = request.uri.path(), "not allowed");
        let detail = format!(
            "{} is a {}, and this is for: {}",
            who.name,
            who.role,
            need.roles()
        );
        return forbidden("forbidden", detail);
    }
    if let Signed::Session(session, _) = signed
        && !is_read(&request.method)
    {
        // That the origin is this one has been judged before; here it has to be there.
        let headers = &request.headers;
        let given = headers.get(CSRF_HEADER).map_or(&b""[..], HeaderValue::as_bytes);
        if !headers.contains_key(header::ORIGIN) || !session.is_csrf(given) {
            let detail =
                "a change in a session has the header `Origin`, and `X-Segno-CSRF` as GET /session tells it";
            return forbidden("csrf", detail.to_owned());
        }
    }
    Ok(())
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A token in a header `Authorization`.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session's id in the cookies. Where the connection is encrypted the plain one does not count: others can set it.
fn session_cookie(headers: &HeaderMap, is_encrypted: bool) -> Option<String> {
    cookie(headers, SECURE_COOKIE).or_else(|| cookie(headers, PLAIN_COOKIE).filter(|_| !is_encrypted))
}

/// A cookie by its name.
pub(crate) fn cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(name, _)| *name == wanted);
    found.map(|(_, value)| value.to_owned())
}

/// The header that gives a browser its session, or takes it away again (an empty id).
pub(crate) fn set_cookie(id: &str, is_secure: bool, life: std::time::Duration) -> String {
    let (name, secure) = if is_secure {
        (SECURE_COOKIE, "; Secure")
    } else {
        (PLAIN_COOKIE, "")
    };
    let life = life.as_secs();
    format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}{secure}")
}

/// Whether the browser's side of a request is encrypted: here, or before something in front of this process. Only the latter
/// is to be believed of a header, and it makes the cookie stricter, never laxer.
pub(crate) fn is_secure(request: &axum::http::Extensions, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    Peer::of(request).is_some_and(|peer| peer.is_encrypted)
        || origin.is_some_and(|origin| origin.starts_with(b"https://"))
}

pub(crate) fn unauthenticated(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
}

/// The provider does not answer.
pub(crate) fn unavailable(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider-unavailable", detail)
        .retry_after(std::time::Duration::from_secs(5))
}

pub(crate) fn slow(wait: std::time::Duration) -> Problem {
    let detail = "too many wrong tokens came from this address lately";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", detail).retry_after(wait)
}

/// Programs get the problem, and browsers that show a page the one to sign in.
fn refusal(problem: Problem, request: &Parts) -> Response {
    let accepts = request.headers.get(header::ACCEPT);
    let shows =
        accepts.is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")));
    if request.method == Method::GET && shows && problem.status() == StatusCode::UNAUTHORIZED {
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let next = utf8_percent_encode(path, NON_ALPHANUMERIC);
        let location = [(header::LOCATION, format!("/login?next={next}"))];
        return (StatusCode::SEE_OTHER, location).into_response();
    }
    let is_unauthenticated = problem.status() == StatusCode::UNAUTHORIZED;
    let mut response = problem.into_response();
    if is_unauthenticated {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_log_are_nobodys_to_change() {
        for path in [
            "/executions/@audit/1/terminate",
            "/executions/%40audit%2F1/terminate",
        ] {
            assert!(is_of_the_log(path), "{path}");
        }
        assert!(!is_of_the_log("/executions/orders%2Fshop%2F1/terminate"));
    }

    #[test]
    fn a_session_is_found_among_cookies() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, value.parse().unwrap());
            headers
        };
        assert_eq!(
            session_cookie(&headers("a=b; segno=abc; c=d"), false).as_deref(),
            Some("abc")
        );
        assert_eq!(session_cookie(&headers("segno=planted"), true), None);
        let both = headers("segno=planted; __Host-segno=abc");
        for is_encrypted in [true, false] {
            assert_eq!(session_cookie(&both, is_encrypted).as_deref(), Some("abc"));
        }
        assert_eq!(session_cookie(&headers("xsegno=abc; segno2=d"), false), None);
    }

    #[test]
    fn a_cookie_is_secure_where_the_way_is() {
        let life = std::time::Duration::from_secs(60);
        assert_eq!(
            set_cookie("abc", true, life),
            "__Host-segno=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert!(!set_cookie("abc", false, life).contains("Secure"));
    }

    #[test]
    fn tokens_are_bearers() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
