//! What fuzzers, and `tests/corpus.rs`, do with bytes: everything that the engine reads from outside is read, and
//! used as the engine uses it. One file a target, each with a `run` that panics where something is wrong.
//!
//! This file is compiled into the fuzz targets and into that test, so that a finding whose input is among the seeds
//! stays mended without a fuzzer.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is a finding"
)]

pub mod attributes;
pub mod commands;
pub mod cron;
mod database;
mod engine;
pub mod page_token;
pub mod query;
pub mod requests;
pub mod schedule_spec;
pub mod schedule_text;
mod times;
pub mod tokens;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("attributes", attributes::run),
    ("commands", commands::run),
    ("cron", cron::run),
    ("page_token", page_token::run),
    ("query", query::run),
    ("requests", requests::run),
    ("schedule_spec", schedule_spec::run),
    ("schedule_text", schedule_text::run),
    ("tokens", tokens::run),
];
