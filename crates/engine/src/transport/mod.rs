//! The ways to the services: a gRPC port, and the SDK's client in the same process.
//!
//! | file | what |
//! |---|---|
//! | `server` | the port as its users set it up |
//! | `accept`, `tls` | from a listening socket to connections |
//! | `connection` | which connections there are, and which are closed |
//! | `flow` | messages on their way in and out |
//! | `grpc` | from HTTP/2 to the dispatch |
//! | `in_process` | from the SDK's callback to the dispatch |

mod accept;
mod connection;
mod flow;
mod grpc;
mod in_process;
mod server;
mod tls;

pub(crate) use in_process::connection_options;
pub use server::{Exposure, Server, serve};
pub use tls::{Tls, TlsError};

use bytes::Bytes;
use tonic::Status;

use crate::{
    rpc::{Call, dispatch_health, dispatch_operator_service, dispatch_workflow_service},
    service::Service,
};

/// Calls `method` of the gRPC service `name` with an encoded request.
pub(crate) async fn dispatch(
    service: &Service,
    name: &str,
    method: &str,
    request: Bytes,
    call: Call,
) -> Result<Vec<u8>, Status> {
    match name {
        "temporal.api.workflowservice.v1.WorkflowService" => {
            dispatch_workflow_service(service, method, request, call).await
        }
        "temporal.api.operatorservice.v1.OperatorService" => {
            dispatch_operator_service(service, method, request, call).await
        }
        "grpc.health.v1.Health" => dispatch_health(service, method, request, call).await,
        other => Err(crate::rpc::unimplemented(other, method)),
    }
}

/// Whether the caller is one of the tools by which people look at executions.
fn is_for_people(headers: &http::HeaderMap) -> bool {
    headers
        .get("client-name")
        .is_some_and(|name| name == "temporal-cli" || name == "temporal-ui")
}

/// Whether the caller says that it looks into the end of each run for the run that follows it.
fn follows_runs(headers: &http::HeaderMap) -> bool {
    let features = headers
        .get("supported-features")
        .and_then(|value| value.to_str().ok());
    features.is_some_and(|features| features.split(',').any(|one| one.trim() == "follows-next-run-id"))
}

/// The time that a `grpc-timeout` header leaves.
///
/// Source: gRPC over HTTP/2, "Timeout".
fn timeout(headers: &http::HeaderMap) -> Option<std::time::Duration> {
    use std::time::Duration;
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3_600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
