//! Clients of the systems that a web-data platform works with: one module a system.
//!
//! - [`jira`]: Jira Cloud and Jira Service Management over REST, with [`jira::adf`], Atlassian's format of documents.
//! - [`platform`], [`support`], [`reports`]: the platform's own services over gRPC, by the definitions in `protos`.
//!
//! A client makes one attempt a call and says
//! by [`Error`] whether another may succeed. Retrying is the caller's part. What a service would do twice has a way to be
//! done once: an idempotency key where the service takes one, else a mark that the client looks for before.

mod endpoint;
mod error;
mod grpc;
mod http;
pub mod jira;
pub mod platform;
pub mod proto;
pub mod reports;
pub mod support;

pub use endpoint::{Endpoint, EndpointError};
pub use error::Error;
pub use grpc::Options as GrpcOptions;
pub use segno_sinks::{Confidential, Failure};
