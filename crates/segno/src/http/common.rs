//! What the API's description says of all operations alike: who may call, from the table of roles, so that the two cannot differ;
//! and what is answered before any handler runs.

use axum::http::Method;
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    path::Operation,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::problem::MEDIA_TYPE;
use crate::access::{Need, need};

const TOKEN: &str = "token";
const SESSION: &str = "session";

/// Says of each operation what it asks for.
pub(super) fn describe(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token of `[[http.tokens]]`, or of the provider of `[http.oidc]`. Where neither is \
                           configured nobody is asked.",
        ))
        .build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    let session = ApiKeyValue::with_description(
        "segno",
        "The cookie of `POST /session`; with TLS its name is `__Host-segno`. Changes need the header `X-Segno-CSRF` with the \
         text that `GET /session` tells, too.",
    );
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let is_empty = |schema: &RefOr<Schema>| {
        let RefOr::Ref(Ref { ref_location, .. }) = schema else {
            return false;
        };
        let name = ref_location.rsplit('/').next().unwrap_or_default();
        matches!(components.schemas.get(name), Some(RefOr::T(Schema::Object(object))) if object.required.is_empty())
    };
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                tell(operation, need_of(&method, path));
                limits(operation);
                // A body that may be `{}` may be left out: see `read_json`.
                if let Some(RefOr::T(body)) = &mut operation.request_body
                    && body
                        .content
                        .values()
                        .all(|content| matches!(content, RefOr::T(content) if content.schema.as_ref().is_some_and(is_empty)))
                {
                    body.required = Some(Required::False);
                }
            }
        }
    }
}

/// What the table asks for of a path that the document writes without the asterisk of its last part.
fn need_of(method: &Method, path: &str) -> Need {
    let listed = crate::access::TABLE
        .iter()
        .find(|(verb, row, _)| *verb == method.as_str() && row.replace("{*", "{") == path);
    listed.map_or_else(|| need(method, path), |(_, _, need)| *need)
}

fn tell(operation: &mut Operation, need: Need) {
    if need.is_open() {
        operation.security = Some(Vec::new());
        return;
    }
    let none: [&str; 0] = [];
    operation.security = Some(vec![
        SecurityRequirement::new(TOKEN, none),
        SecurityRequirement::new(SESSION, none),
    ]);
    add(operation, "401", "Nobody, or nobody who is known here.");
    add(
        operation,
        "429",
        "Too many requests at once, or too many wrong tokens; `Retry-After` says when to come back.",
    );
    if need != Need::Identity {
        add(
            operation,
            "403",
            &format!("For these roles alone: {}.", need.roles()),
        );
    }
    if matches!(need, Need::Operate | Need::Administer) {
        add(
            operation,
            "503",
            "The engine does not answer, so that nothing can be recorded or done.",
        );
    }
}

/// What is answered to what cannot be read.
fn limits(operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    if has_body
        || operation
            .parameters
            .as_ref()
            .is_some_and(|parameters| !parameters.is_empty())
    {
        add(
            operation,
            "400",
            "A parameter or the body is not what it should be.",
        );
    }
    if has_body {
        add(operation, "408", "The body does not come.");
        add(operation, "413", "The body is too large.");
    }
}

fn add(operation: &mut Operation, status: &str, description: &str) {
    let responses = &mut operation.responses.responses;
    responses
        .entry(status.to_owned())
        .or_insert_with(|| problem(description.to_owned()).into());
}

fn problem(description: String) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, content)
        .build()
}
