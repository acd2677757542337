use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use serde_json::json;

use super::*;

const NOW: i64 = 1_700_000_000;

fn key(token: Option<&str>) -> Key {
    serde_json::from_value(match token {
        None => json!({"access_key_id": "AKID", "secret_access_key": "secret"}),
        Some(token) => {
            json!({"access_key_id": "AKID", "secret_access_key": "secret", "session_token": token})
        }
    })
    .unwrap()
}

/// A request as AWS's own library signs it at `NOW`.
fn signed(secret: &str, token: Option<&str>, service: &'static str, body: &[u8]) -> HeaderMap {
    let credentials = Credentials::new("AKID", secret, token.map(str::to_owned), None, "test");
    let identity = credentials.into();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW as u64);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name(service)
        .time(at)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let mut request = http::Request::builder()
        .method("POST")
        .uri("http://localhost:8080/eventbridge/a%20b/?b=2&a=1")
        .header("host", "localhost:8080")
        .header("x-amz-target", "AWSEvents.PutEvents")
        .header("content-type", "application/x-amz-json-1.1")
        .body(())
        .unwrap();
    let uri = request.uri().to_string();
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let signable = SignableRequest::new("POST", uri, headers, SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request.headers().clone()
}

fn check(headers: &HeaderMap, body: &[u8], keys: &[Key], now: i64) -> Result<(), &'static str> {
    let request = Request {
        method: "POST",
        path: "/eventbridge/a%20b/",
        query: "b=2&a=1",
        headers,
        body,
    };
    verify(&request, keys, now).map_err(|failure| failure.kind)
}

const INVALID: Result<(), &str> = Err("InvalidSignatureException");
const UNKNOWN: Result<(), &str> = Err("UnrecognizedClientException");

#[test]
fn what_awss_own_library_signs_is_believed_for_five_minutes() {
    let headers = signed("secret", None, "events", b"{}");
    let keys = [key(None)];
    for now in [NOW, NOW + 300, NOW - 300] {
        assert_eq!(check(&headers, b"{}", &keys, now), Ok(()));
    }
    for now in [NOW + 301, NOW - 301] {
        assert_eq!(check(&headers, b"{}", &keys, now), INVALID);
    }
    let request = Request {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        body: b"{}",
    };
    let message = verify(&request, &keys, NOW + 3_600).unwrap_err().message;
    assert!(message.starts_with("Signature expired: "), "{message}");
}

#[test]
fn nothing_of_it_can_be_exchanged() {
    let good = signed("secret", None, "events", b"{}");
    let keys = [key(None)];
    assert_eq!(check(&good, b"[]", &keys, NOW), INVALID);
    assert_eq!(
        check(&signed("other", None, "events", b"{}"), b"{}", &keys, NOW),
        INVALID
    );
    assert_eq!(
        check(&signed("secret", None, "sqs", b"{}"), b"{}", &keys, NOW),
        INVALID
    );
    assert_eq!(check(&good, b"{}", &[], NOW), UNKNOWN);
    let changed = |name: &'static str, value: &str| {
        let mut headers = good.clone();
        headers.insert(name, value.parse().unwrap());
        check(&headers, b"{}", &keys, NOW)
    };
    assert_eq!(changed("x-amz-target", "AWSEvents.DeleteRule"), INVALID);
    assert_eq!(changed("host", "elsewhere"), INVALID);
    assert_eq!(changed("x-amz-date", "20231114T221321Z"), INVALID);
    assert_eq!(changed("x-amz-more", "unsigned"), INVALID);
    assert_eq!(changed("x-amz-content-sha256", "0"), INVALID);
    assert_eq!(
        changed("authorization", "Basic abc"),
        Err("IncompleteSignatureException")
    );
    assert_eq!(
        changed("authorization", "AWS4-HMAC-SHA256 Credential=a/b"),
        Err("IncompleteSignatureException")
    );
    let mut without = good.clone();
    without.remove("authorization");
    assert_eq!(
        check(&without, b"{}", &keys, NOW),
        Err("MissingAuthenticationTokenException")
    );
    let mut without = good;
    without.remove("x-amz-date");
    assert_eq!(
        check(&without, b"{}", &keys, NOW),
        Err("IncompleteSignatureException")
    );
}

#[test]
fn a_session_token_is_the_one_of_its_key() {
    let headers = signed("secret", Some("token"), "events", b"{}");
    assert_eq!(check(&headers, b"{}", &[key(Some("token"))], NOW), Ok(()));
    assert_eq!(check(&headers, b"{}", &[key(Some("other"))], NOW), UNKNOWN);
    assert_eq!(check(&headers, b"{}", &[key(None)], NOW), UNKNOWN);
    let without = signed("secret", None, "events", b"{}");
    assert_eq!(check(&without, b"{}", &[key(Some("token"))], NOW), UNKNOWN);
}
