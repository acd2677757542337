//! Clients of the systems that a web-data platform works with: one module a system.
//!
//! - [`jira`]: Jira Cloud and Jira Service Management over REST, with [`jira::adf`], Atlassian's format of documents.
//! - [`hubspot`]: HubSpot's CRM: objects by batches, associations.
//! - [`algolia`]: records of Algolia's search indices.
//! - [`pusher`]: events on Pusher's channels.
//! - [`mail`]: mails of templates, by SMTP or into a folder.
//! - [`platform`], [`support`], [`reports`]: the platform's own services over gRPC, by the definitions in `protos`.
//!
//! A client makes one attempt a call (Algolia's goes on to the service's next host, as the vendor's own clients do) and says
//! by [`Error`] whether another may succeed. Retrying is the caller's part. What a service would do twice has a way to be
//! done once: an idempotency key where the service takes one, else a mark that the client looks for before.

pub mod algolia;
mod endpoint;
mod error;
mod grpc;
mod http;
pub mod hubspot;
pub mod jira;
pub mod mail;
pub mod platform;
pub mod proto;
pub mod pusher;
pub mod reports;
pub mod support;

pub use endpoint::{Endpoint, EndpointError};
pub use error::Error;
pub use grpc::Options as GrpcOptions;
pub use segno_sinks::{Confidential, Failure};
