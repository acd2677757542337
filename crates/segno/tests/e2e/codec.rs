//! The codec as a page of Temporal's UI asks for it: from a browser, of another origin.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use segno::access::Role;
use serde_json::{Value, json};

use crate::{
    access::{token, tokens},
    encryption::encryption,
    support::{App, TestEngine, json_of},
};

/// Where the UI is.
const UI: &str = "http://ui.example:8233";
/// Where it is not.
const OTHERS: [&str; 4] = [
    "https://ui.example:8233",
    "http://ui.example",
    "http://ui.example:8233.evil.example",
    "null",
];

/// Payloads with one text.
fn payloads(text: &str) -> Value {
    let encoding = STANDARD.encode("json/plain");
    let data = STANDARD.encode(json!(text).to_string());
    json!({ "payloads": [{ "metadata": { "encoding": encoding }, "data": data }] })
}

/// What a browser asks before it sends a page's request.
fn preflight(app: &App, path: &str, origin: &str) -> RequestBuilder {
    reqwest::Client::new()
        .request(Method::OPTIONS, app.url(path))
        .header(header::ORIGIN, origin)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            "authorization,content-type,x-namespace",
        )
}

/// The status of an answer, and the origin whose pages may read it.
async fn asked(request: RequestBuilder) -> (StatusCode, Option<String>) {
    let answer = request.send().await.expect("an answer");
    let origin = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    let origin = origin.map(|origin| origin.to_str().expect("text").to_owned());
    (answer.status(), origin)
}

/// The paths of the codec do not know which engine there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_the_named_origin_alone_decode_with_a_token() {
    let engine = TestEngine::embedded();
    let config = format!(
        "{}{}codec_origins = [{UI:?}]\n",
        tokens(&engine),
        encryption(&engine, &[("one", 1)])
    );
    let app = App::start(&engine, &config).await;
    let allowed = || Some(UI.to_owned());

    // A browser asks first, without a token.
    let answer = preflight(&app, "/codec/decode", UI)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let said = |name: header::HeaderName| {
        answer.headers()[name]
            .to_str()
            .expect("text")
            .to_ascii_lowercase()
    };
    assert_eq!(said(header::ACCESS_CONTROL_ALLOW_ORIGIN), UI);
    assert_eq!(said(header::ACCESS_CONTROL_ALLOW_METHODS), "post");
    for name in ["authorization", "content-type", "x-namespace"] {
        assert!(
            said(header::ACCESS_CONTROL_ALLOW_HEADERS).contains(name),
            "{name}"
        );
    }
    assert!(
        answer
            .headers()
            .get_all(header::VARY)
            .iter()
            .any(|vary| vary == "origin")
    );
    // No cookie goes along.
    assert!(
        !answer
            .headers()
            .contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS)
    );

    let post = |path: &str, body: &Value| app.post(path).header("x-namespace", "default").json(body);
    let from = |request: RequestBuilder, origin: &str| request.header(header::ORIGIN, origin);
    let admin = |request: RequestBuilder| request.bearer_auth(token(Role::Admin));

    // What was encrypted comes back as it was, to whoever says no origin as well, as the command line does.
    let plain = payloads("Zwetschgendatschi");
    let encoded = admin(post("/codec/encode", &plain))
        .send()
        .await
        .expect("an answer");
    assert!(
        !encoded
            .headers()
            .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    );
    let encoded = json_of(encoded, StatusCode::OK).await;
    assert_eq!(
        encoded["payloads"][0]["metadata"]["encoding"],
        STANDARD.encode("binary/encrypted")
    );
    let decoded = from(admin(post("/codec/decode", &encoded)), UI).send().await;
    let decoded = decoded.expect("an answer");
    assert_eq!(decoded.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], UI);
    assert_eq!(json_of(decoded, StatusCode::OK).await, plain);

    // A page reads why it is refused.
    let decode = || post("/codec/decode", &encoded);
    assert_eq!(
        asked(from(decode(), UI)).await,
        (StatusCode::UNAUTHORIZED, allowed())
    );
    let viewer = from(decode(), UI).bearer_auth(token(Role::Viewer));
    assert_eq!(asked(viewer).await, (StatusCode::FORBIDDEN, allowed()));
    let broken = from(admin(post("/codec/decode", &json!({ "payloads": [[]] }))), UI);
    assert_eq!(asked(broken).await, (StatusCode::BAD_REQUEST, allowed()));

    // A session is no token.
    let signed_in = app.post("/session").json(&json!({ "token": token(Role::Admin) }));
    let signed_in = signed_in.send().await.expect("an answer");
    let cookie = signed_in.headers()[header::SET_COOKIE].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    let session = from(decode(), UI).header(header::COOKIE, &cookie);
    assert_eq!(asked(session).await, (StatusCode::FORBIDDEN, allowed()));

    // No other page, and no other path.
    for other in OTHERS {
        let (status, origin) = asked(preflight(&app, "/codec/decode", other)).await;
        assert!(
            !status.is_success() && origin.is_none(),
            "{other}: {status} {origin:?}"
        );
        let refused = asked(from(admin(decode()), other)).await;
        assert_eq!(refused, (StatusCode::FORBIDDEN, None), "{other}");
    }
    for path in ["/events", "/dead-letters/bulk", "/session"] {
        let (status, origin) = asked(preflight(&app, path, UI)).await;
        assert!(
            !status.is_success() && origin.is_none(),
            "{path}: {status} {origin:?}"
        );
        let refused = asked(from(admin(post(path, &json!({}))), UI)).await;
        assert_eq!(refused, (StatusCode::FORBIDDEN, None), "{path}");
    }
    app.stop().await;
}
