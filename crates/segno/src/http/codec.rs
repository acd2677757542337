//! `POST /codec/decode` and `/codec/encode`: Temporal's remote codec, by which its command line and its UI show what is
//! encrypted.
//!
//! The body and the answer are `temporal.api.common.v1.Payloads` as protobuf's JSON: bytes are base64.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use temporalio_common::protos::temporal::api::common::v1::Payload;
use utoipa::ToSchema;

use super::{
    json::read_json,
    problem::{MEDIA_TYPE, Problem},
};
use crate::{encryption::Keyring, run::json_payload};

/// Where it is.
const ROOM: &str = "/codec/";
/// What a page may send along: the kind of body, a token, and the namespace that Temporal's UI names.
const HEADERS: &str = "authorization, content-type, x-namespace";

/// The routes of this file.
pub(super) fn router(keyring: Keyring) -> Router {
    Router::new()
        .route("/codec/decode", post(decode))
        .route("/codec/encode", post(encode))
        .with_state(keyring)
}

/// Payloads.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = CodecPayloads)]
pub(super) struct Payloads {
    #[serde(default)]
    payloads: Vec<Encoded>,
}

/// A Payload of Temporal's API.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = CodecPayload)]
struct Encoded {
    /// What is said about the data; the values in base64.
    #[serde(default)]
    #[schema(example = json!({"encoding": "anNvbi9wbGFpbg=="}))]
    metadata: BTreeMap<String, String>,
    /// The data, in base64.
    #[serde(default)]
    data: String,
}

/// Decrypts payloads. One that cannot be decrypted comes back as text that says why; one that is not encrypted, as it is.
#[utoipa::path(
    post, path = "/codec/decode", tag = "encryption", request_body = Payloads,
    responses(
        (status = 200, description = "The payloads in their order.", body = Payloads),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn decode(
    State(keyring): State<Keyring>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Payloads>, Problem> {
    convert(&headers, body, |payload| {
        Ok(keyring
            .decrypt(payload)
            .or_else(|reason| json_payload(&json!({ "encrypted": reason.to_string() })))?)
    })
    .await
}

/// Encrypts payloads with the key that is first in the configuration; without any key they stay as they are.
#[utoipa::path(
    post, path = "/codec/encode", tag = "encryption", request_body = Payloads,
    responses(
        (status = 200, description = "The payloads in their order.", body = Payloads),
        (status = 400, description = "The body is not valid.", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(super) async fn encode(
    State(keyring): State<Keyring>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Payloads>, Problem> {
    convert(&headers, body, |payload| Ok(keyring.encrypt(payload)?)).await
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn convert(
    headers: &HeaderMap,
    body: Body,
    with: impl Fn(Payload) -> Result<Payload, AnyError>,
) -> Result<Json<Payloads>, Problem> {
    let Payloads { payloads } = read_json(headers, body).await?;
    let failed =
        |error: AnyError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string());
    let converted = payloads.into_iter().enumerate().map(|(n, payload)| {
        let payload = payload.payload().map_err(|error| {
            let detail = format!("the payload {n} is not base64: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "invalid-body", detail)
        })?;
        with(payload).map(Encoded::of).map_err(failed)
    });
    let payloads = converted.collect::<Result<_, _>>()?;
    Ok(Json(Payloads { payloads }))
}

impl Encoded {
    fn of(payload: Payload) -> Self {
        let text = |(name, value): (String, Vec<u8>)| (name, STANDARD.encode(value));
        Self {
            metadata: payload.metadata.into_iter().map(text).collect(),
            data: STANDARD.encode(payload.data),
        }
    }

    fn payload(self) -> Result<Payload, base64::DecodeError> {
        let bytes = |(name, value): (String, String)| STANDARD.decode(value).map(|value| (name, value));
        Ok(Payload {
            metadata: self.metadata.into_iter().map(bytes).collect::<Result<_, _>>()?,
            data: STANDARD.decode(self.data)?,
            ..Default::default()
        })
    }
}

/// Lets pages of these origins call the codec, as Temporal's UI does from a browser. They send a token and never a session:
/// the header that a session needs for a change is taken away here.
pub(super) async fn cors(State(origins): State<Arc<[String]>>, mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(ROOM) {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|origin| {
        origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    });
    let Some(origin) = allowed else {
        return next.run(request).await;
    };
    let mut response = if request.method() == Method::OPTIONS {
        let allow = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (StatusCode::NO_CONTENT, allow).into_response()
    } else {
        request.headers_mut().remove(header::ORIGIN);
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

#[cfg(test)]
mod tests {
    use axum::middleware::{from_fn, from_fn_with_state};
    use tower::ServiceExt;

    use super::*;

    /// As the layers below: a change with a foreign origin is none of theirs.
    async fn seen(request: Request, next: Next) -> Response {
        match request.headers().contains_key(header::ORIGIN) {
            true => StatusCode::FORBIDDEN.into_response(),
            false => next.run(request).await,
        }
    }

    /// What a page of this origin is answered: the status, and the origin that may read it.
    async fn asked(method: Method, path: &str, origin: &str) -> (u16, Option<String>) {
        let origins: Arc<[String]> = ["https://ui.example".to_owned()].into();
        let router = router(Keyring::default())
            .layer(from_fn(seen))
            .layer(from_fn_with_state(origins, cors));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ORIGIN, origin)
            .body(Body::from("{}"))
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        let allowed = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let allowed = allowed.map(|origin| origin.to_str().unwrap().to_owned());
        (response.status().as_u16(), allowed)
    }

    #[tokio::test]
    async fn pages_of_the_named_origins_may_call_and_no_others() {
        let ui = "https://ui.example";
        let allowed = Some(ui.to_owned());
        assert_eq!(
            asked(Method::OPTIONS, "/codec/decode", ui).await,
            (204, allowed.clone())
        );
        assert_eq!(asked(Method::POST, "/codec/decode", ui).await, (200, allowed));
        for other in ["https://ui.example.com", "http://ui.example", "null"] {
            assert_eq!(asked(Method::POST, "/codec/decode", other).await, (403, None));
            assert_eq!(asked(Method::OPTIONS, "/codec/decode", other).await, (403, None));
        }
        assert_eq!(asked(Method::POST, "/events", ui).await, (403, None));
    }
}
