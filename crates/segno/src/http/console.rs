//! `/console`: the console, a page that asks this API for everything.
//!
//! Its files are in the binary. They are served under a path that names what they are, so that a browser keeps them for
//! good and never mixes those of two versions; the page itself is asked for anew each time, and names that path.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use crate::console::{ASSETS, Asset, ConsolePage, SHELL, added};

/// Nothing but this origin's own files and answers; no script or style in a page, and no page in another's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What stands in the page for the path of the files.
const PLACE: &str = "{{assets}}";

/// The page, and what names it and its files.
#[derive(Debug)]
struct Served {
    /// Names this version of the files.
    version: String,
    page: String,
    /// The page's entity tag.
    tag: HeaderValue,
    /// The files of the pages that the program has added, before the console's own of the same name.
    added: Vec<(String, Bytes)>,
}

impl Served {
    fn new(pages: &[ConsolePage]) -> Self {
        let mut hash = Sha256::new();
        let added = added(pages);
        for (name, text) in &added {
            hash.update(name);
            hash.update([0]);
            hash.update(text);
            hash.update([0]);
        }
        for asset in ASSETS {
            hash.update(asset.name);
            hash.update([0]);
            hash.update(asset.bytes);
        }
        let version = hex(&hash.finalize()[..8]);
        let page = SHELL.replace(PLACE, &format!("/console/assets/{version}"));
        let tag = format!("\"{}\"", hex(&Sha256::digest(&page)[..8]));
        Self {
            version,
            // Hexadecimal digits are fit for a header.
            tag: HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\"")),
            page,
            added: added
                .into_iter()
                .map(|(name, text)| (name, Bytes::from(text)))
                .collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The routes of this file, with these pages beside the console's own.
pub(super) fn router(pages: &[ConsolePage]) -> Router {
    Router::new()
        .route("/", get(async || Redirect::temporary("/console")))
        .route("/console", get(page))
        .route("/console/", get(page))
        .route("/console/assets/{version}/{*name}", get(asset))
        .route("/console/{*path}", get(page))
        .with_state(Arc::new(Served::new(pages)))
}

/// The page, whatever it is to show.
async fn page(State(served): State<Arc<Served>>, headers: HeaderMap) -> Response {
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|tags| names(tags, &served.tag));
    let fixed = [
        (header::ETAG, served.tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (fixed, [(header::CONTENT_TYPE, html)], served.page.clone()).into_response()
}

/// Whether `If-None-Match` names this tag.
fn names(tags: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(tag)) = (tags.to_str(), tag.to_str()) else {
        return false;
    };
    tags.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// One of its files.
async fn asset(State(served): State<Arc<Served>>, Path((version, name)): Path<(String, String)>) -> Response {
    let added = served.added.iter().find(|(added, _)| *added == name);
    let own = ASSETS.iter().find(|asset| asset.name == name);
    let (media_type, bytes) = match (added, own) {
        (Some((_, bytes)), _) => ("text/javascript; charset=utf-8", bytes.clone()),
        (
            None,
            Some(Asset {
                media_type, bytes, ..
            }),
        ) => (*media_type, Bytes::from_static(bytes)),
        (None, None) => return super::not_found().await.into_response(),
    };
    // What another version of the program is asked for is not to be kept under that version's name.
    let keep = if version == served.version {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, keep),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, bytes).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    async fn answer(path: &str, tag: Option<&HeaderValue>) -> Response {
        answer_with(&[], path, tag).await
    }

    async fn answer_with(pages: &[ConsolePage], path: &str, tag: Option<&HeaderValue>) -> Response {
        let mut request = Request::builder().uri(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty()).unwrap();
        router(pages).oneshot(request).await.unwrap()
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn any_path_is_the_page_and_a_known_one_is_not_sent_again() {
        for path in [
            "/console",
            "/console/",
            "/console/executions/a%2Fb%2Fc",
            "/console/x/y",
        ] {
            let response = answer(path, None).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
            let tag = response.headers()[header::ETAG].clone();
            assert!(!text(response).await.contains(PLACE));
            assert_eq!(answer(path, Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
        }
        let other = HeaderValue::from_static("\"other\"");
        assert_eq!(answer("/console", Some(&other)).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn files_are_kept_under_the_name_of_their_version() {
        let page = text(answer("/console", None).await).await;
        let at = page.find("/console/assets/").unwrap();
        let path: String = page[at..].chars().take_while(|c| *c != '"').collect();
        let response = answer(&path, None).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(
            response.headers()[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        let response = answer("/console/assets/0/app.js", None).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        let none = answer("/console/assets/0/none.js", None).await;
        assert_eq!(none.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn added_pages_are_files_of_another_version() {
        let pages = [
            ConsolePage::new("runs", "export function show() {}").menu("Runs \"all\""),
            ConsolePage::new("runs/:id", "export const show = 1;").role(crate::access::Role::Admin),
        ];
        let version = |page: String| {
            let at = page.find("/console/assets/").unwrap();
            page[at..].chars().take_while(|c| *c != '"').collect::<String>()
        };
        let plain = version(text(answer("/console", None).await).await);
        let with = version(text(answer_with(&pages, "/console", None).await).await);
        assert_ne!(plain, with, "a browser would keep the files of the other");
        let list = text(answer_with(&pages, "/console/assets/0/added.js", None).await).await;
        assert!(
            list.contains("import * as page1 from \"./added/1.js\";"),
            "{list}"
        );
        assert!(
            list.contains(r#""label":"Runs \"all\"""#) && list.contains(r#""role":"admin""#),
            "{list}"
        );
        let script = answer_with(&pages, "/console/assets/0/added/1.js", None).await;
        assert_eq!(
            script.headers()[header::CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        assert_eq!(text(script).await, "export const show = 1;");
        let none = text(answer("/console/assets/0/added.js", None).await).await;
        assert!(none.contains("ADDED = []"), "{none}");
    }

    #[test]
    fn every_policy_is_kept_by_the_page() {
        assert!(!SHELL.contains("style=") && !SHELL.contains("<style") && !SHELL.contains("onclick"));
        for script in SHELL.split("<script").skip(1) {
            assert!(
                script.contains("src=") && script.contains("></script>"),
                "{script}"
            );
        }
    }
}
