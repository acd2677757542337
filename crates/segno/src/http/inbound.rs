//! The paths of sources that are called, as the API's document has them: `segno_sources` serves them, one for each source of
//! the configuration. So there are descriptions here, and no handlers.

#[cfg(feature = "webhook")]
pub(super) mod webhooks {
    use serde::Serialize;
    use utoipa::{OpenApi, ToSchema};

    use crate::http::problem::{MEDIA_TYPE, Problem};

    #[derive(OpenApi)]
    #[openapi(
        paths(call),
        components(schemas(Taken)),
        tags((name = "sources", description = "Events in, as other services send them."))
    )]
    struct Api;

    pub(in crate::http) fn openapi() -> utoipa::openapi::OpenApi {
        Api::openapi()
    }

    /// What was made of a delivery.
    #[derive(Serialize, ToSchema)]
    #[schema(as = WebhookTaken)]
    struct Taken {
        /// How many events it was; 0 where the source's mapping makes none of it.
        #[schema(example = 1)]
        events: u64,
    }

    /// Takes a delivery of another service's webhook.
    ///
    /// The source `[sources.NAME.webhook]` says how it is signed and read. The signature is checked over the body as it came,
    /// with any of the source's secrets: of the scheme `standard` in `webhook-id`, `webhook-timestamp` and `webhook-signature`,
    /// of `github` in `X-Hub-Signature-256`, of `stripe` in `Stripe-Signature`, of others in the header that is configured.
    /// What a service delivers again, under the same id, is the same event.
    #[utoipa::path(
        post, path = "/webhooks/{name}", tag = "sources", operation_id = "post_webhook",
        params(("name" = String, Path, description = "The source's name in the configuration.")),
        request_body(description = "As the other service sends it.", content((serde_json::Value = "application/json"))),
        responses(
            (status = 200, description = "GitHub's `ping`, which is no event."),
            (status = 202, description = "The events are durable.", body = Taken),
            (status = 400, description = "The body is no event.", body = Problem, content_type = MEDIA_TYPE),
            (status = 401, description = "The signature is missing, wrong or too old.", body = Problem,
             content_type = MEDIA_TYPE),
            (status = 404, description = "No source of this name is configured.", body = Problem, content_type = MEDIA_TYPE),
            (status = 408, description = "The body did not arrive in time.", body = Problem, content_type = MEDIA_TYPE),
            (status = 413, description = "The body is longer than the source takes.", body = Problem,
             content_type = MEDIA_TYPE),
            (status = 422, description = "The event is refused for good, such as one that does not fit its schema.",
             body = Problem, content_type = MEDIA_TYPE),
            (status = 503, description = "The engine cannot take events now; `Retry-After` says when to come back.",
             body = Problem, content_type = MEDIA_TYPE),
        )
    )]
    #[expect(dead_code, reason = "it is described here and served elsewhere")]
    fn call() {}
}

#[cfg(feature = "eventbridge")]
pub(super) mod eventbridge {
    use serde::Serialize;
    use utoipa::{OpenApi, ToSchema};

    use crate::http::problem::{MEDIA_TYPE, Problem};

    #[derive(OpenApi)]
    #[openapi(
        paths(call),
        components(schemas(PutEvents, Entry)),
        tags((name = "sources", description = "Events in, as other services send them."))
    )]
    struct Api;

    pub(in crate::http) fn openapi() -> utoipa::openapi::OpenApi {
        Api::openapi()
    }

    /// What became of the entries of `PutEvents`, in their order.
    #[derive(Serialize, ToSchema)]
    #[serde(rename_all = "PascalCase")]
    #[schema(as = PutEventsReply)]
    struct PutEvents {
        /// How many were not taken.
        #[schema(example = 0)]
        failed_entry_count: u64,
        entries: Vec<Entry>,
    }

    /// What became of an entry: its id, or why it was not taken.
    #[derive(Serialize, ToSchema)]
    #[serde(rename_all = "PascalCase")]
    #[schema(as = PutEventsEntry)]
    struct Entry {
        /// The event's id, once it is durable.
        event_id: Option<String>,
        /// AWS's code for what is wrong; `InternalFailure` for what is to be sent again.
        error_code: Option<String>,
        error_message: Option<String>,
    }

    /// Takes what EventBridge and AWS's own clients send.
    ///
    /// Without `X-Amz-Target` it is the call of an API destination: one event in its envelope, with the API key or the user
    /// of its connection. With `X-Amz-Target: AWSEvents.PutEvents` it is the operation `PutEvents` of an AWS client that has
    /// this URL as its endpoint, signed (Signature Version 4) with one of the source's `keys`; each entry is answered for
    /// itself, with status 200 also where some were not taken. `[sources.NAME.eventbridge]` is the source.
    #[utoipa::path(
        post, path = "/eventbridge/{name}", tag = "sources", operation_id = "post_eventbridge",
        params(
            ("name" = String, Path, description = "The source's name in the configuration."),
            ("x-amz-target" = Option<String>, Header, description = "`AWSEvents.PutEvents`; without it, an API destination."),
        ),
        request_body(
            description = "An event in EventBridge's envelope, or the request of `PutEvents`.",
            content((serde_json::Value = "application/json"), (serde_json::Value = "application/x-amz-json-1.1"))
        ),
        responses(
            (status = 200, description = "What became of each entry of `PutEvents`.", body = PutEvents,
             content_type = "application/x-amz-json-1.1"),
            (status = 202, description = "The API destination's event is durable."),
            (status = 400, description = "The body is no event. Of `PutEvents`: the call as a whole is refused, with AWS's \
             `__type` and `message`, also where its signature is wrong.", body = Problem, content_type = MEDIA_TYPE),
            (status = 401, description = "The call is not authentic.", body = Problem, content_type = MEDIA_TYPE),
            (status = 404, description = "No source of this name is configured.", body = Problem, content_type = MEDIA_TYPE),
            (status = 408, description = "The body did not arrive in time.", body = Problem, content_type = MEDIA_TYPE),
            (status = 413, description = "The body is too large.", body = Problem, content_type = MEDIA_TYPE),
            (status = 422, description = "The event is refused for good, such as one that does not fit its schema.",
             body = Problem, content_type = MEDIA_TYPE),
            (status = 503, description = "The engine cannot take events now; `Retry-After` says when to come back.",
             body = Problem, content_type = MEDIA_TYPE),
        )
    )]
    #[expect(dead_code, reason = "it is described here and served elsewhere")]
    fn call() {}
}
