//! The messages, clients and servers of the platform's own services, generated from `protos`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the definitions say what there is to say"
)]

/// Accounts, projects, reports, users.
pub mod platform {
    tonic::include_proto!("platform.v1");
}

/// Tickets of the service desk.
pub mod support {
    tonic::include_proto!("support.v1");
}

/// Schemas of reports, and the search index of projects.
pub mod reports {
    tonic::include_proto!("reports.v1");
}

/// `google.protobuf.Timestamp`.
pub use prost_descriptor_types::Timestamp;
