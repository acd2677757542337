//! Segno takes events in, handles each one durably, and shows what became of it.

pub mod cli;
pub mod config;
