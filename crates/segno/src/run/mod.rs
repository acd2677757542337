//! What the engine has on record of a run: read by everything that shows runs, or decides about them.

mod actions;
mod details;
mod failure;
mod history;
mod payload;
mod recorded;
mod start;
mod timestamp;

pub(crate) use actions::{Action, Actions, State};
pub(crate) use details::{event_details, memo, search_attributes};
pub(crate) use failure::Failure;
pub(crate) use history::history;
pub(crate) use payload::{json_payload, json_value, value};
pub(crate) use recorded::{DECISION_MEMO, Error as ReadError, Recorded, Summary, event_of, status_name};
pub(crate) use start::Start;
pub(crate) use timestamp::{format, moment, parse, rfc3339};
