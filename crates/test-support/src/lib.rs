//! Real servers and receivers for the tests of every crate here.
//!
//! - [`TemporalServer`]: a real Temporal dev server as a child process that never outlives the test.
//! - [`Receiver`]: a webhook receiver that records what it gets and answers as programmed.
//! - [`Authority`]: certificates for TLS.
//! - [`servers`]: Redis, NATS, PostgreSQL, MariaDB and an AWS emulator, each a test's own.
//! - [`servers::Aiosmtpd`] runs on Python, with what `SEGNO_SMTP_PYTHON` names.
//! - [`servers::Azurite`], [`servers::Maildev`] and [`servers::Soketi`] run on Node.js, with what [`node`] names.
//! - [`servers::Browser`]: a headless Chromium, driven by WebDriver.
//! - [`SmtpStandIn`]: a mail server that answers as programmed.
//! - [`CloudStorage`]: a stand-in for Google Cloud Storage, which keeps what it is given.
//! - [`Cut`]: a proxy that a test can cut, as a network is.
//! - [`free_port`]: a loopback port that no other test process of this machine is given.
//!
//! Functions here panic when the environment does not give what a test needs: a test has no better use
//! for such an error than to fail with its text.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "as said above")]

mod certificates;
mod clock;
mod cloud_storage;
mod cut;
pub mod node;
mod ports;
mod process;
mod receiver;
pub mod servers;
mod smtp;
mod temporal;

pub use certificates::{Authority, Pair, write_file};
pub use cloud_storage::{CloudStorage, StoredObject};
pub use cut::Cut;
pub use ports::free_port;
pub use receiver::{Answer, Received, Receiver};
pub use smtp::SmtpStandIn;
pub use temporal::{Options, TemporalServer, client};
