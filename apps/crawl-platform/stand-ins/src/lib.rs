//! Stand-ins for the systems that a web-data platform works with: one module a system. They keep state, check
//! authentication and shape, and fail on command.
//!
//! - [`jira`], [`hubspot`], [`algolia`]: over HTTP; what they answer is checked with the vendors' own client libraries.
//! - [`services`]: the platform's own services, over gRPC.
//! - [`kubernetes`]: an API server with controllers and a node, which is checked with `kubectl`.
//!
//! [`Control`] makes the next calls to an endpoint fail, before or after they have done what they are for, and counts calls.
//! Each shows its state as JSON at [`STATE`], and by functions to tests.

pub mod algolia;
mod control;
pub mod hubspot;
pub mod jira;
pub mod kubernetes;
mod serve;
pub mod services;

pub use control::{Control, Fault};
pub use serve::STATE;
