//! The workflows: what each event sets off, as orchestration and nothing else. All that is done is done by activities.
//!
//! Each event has a workflow of its own type, so that it is found, counted, limited and deployed as what it is; what they do
//! alike is in [`steps`].

mod crawler;
mod mails;
mod people;
mod projects;
mod reports;
mod steps;
mod tickets;

pub(super) use crawler::*;
pub(super) use people::*;
pub(super) use projects::*;
pub(super) use reports::*;
pub use steps::Outcome;
pub(super) use steps::{Steps, payload};
pub(super) use tickets::*;
