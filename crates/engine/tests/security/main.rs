//! The gRPC port against strangers: TLS, client certificates, API keys, and clients that mean no good.
//!
//! Clients are the official SDK's, the `temporal` command line, plain gRPC, and bytes on a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod bed;
mod cli;
mod frames;
mod hostile;
mod keys;
mod limits;
mod sdk;
mod tls;
mod tokens;
