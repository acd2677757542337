//! Every request is counted and logged, without anything of its body or query.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;

use crate::{
    access::request_id::RequestId,
    telemetry::{self, InFlight, RequestServed},
};

/// Tells of method, path, id, status and duration of every request.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let id = RequestId::of(request.extensions()).to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let start = Instant::now();
    let in_flight = InFlight::begin();
    let response = next.run(request).await;
    drop(in_flight);
    telemetry::emit(RequestServed {
        method: method.as_str(),
        route: route.as_ref().map(MatchedPath::as_str),
        path: &path,
        id: &id,
        status: response.status().as_u16(),
        took: start.elapsed(),
    });
    response
}
