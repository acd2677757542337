//! The packages in `packaging/`: each checked by the tools that its users have, and what it starts is started.
//!
//! `./test` installs the tools. Where one is missing the test fails and says how to get it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod chart;
mod compose;
mod image;
mod program;
mod systemd;
mod tools;
mod values;

use std::path::{Path, PathBuf};

/// A file of the repository, by its path from there.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
