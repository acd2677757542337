//! `GET /catalogue` and `GET /asyncapi.json`: what may be sent, for people and for tools.

use axum::{Json, extract::State};
use serde_json::Value;

use crate::{
    catalogue::{Catalogue, asyncapi},
    live::Live,
};

/// Lists the types of events with their schemas and examples, and the routes.
#[utoipa::path(
    get, path = "/catalogue", tag = "catalogue",
    responses((status = 200, description = "The catalogue.", body = Catalogue)),
)]
pub(super) async fn get(State(live): State<Live>) -> Json<Catalogue> {
    Json(Catalogue::clone(&live.get().catalogue))
}

/// Describes the types of events as an AsyncAPI 3.0 document.
#[utoipa::path(
    get, path = "/asyncapi.json", tag = "catalogue",
    responses((status = 200, description = "The document.", body = serde_json::Value)),
)]
pub(super) async fn asyncapi(State(live): State<Live>) -> Json<Value> {
    Json(asyncapi::document(&live.get().catalogue))
}
