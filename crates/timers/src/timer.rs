//! What a timer is to the engine: the workflow's input.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Deadline;

/// A timer as its workflow gets it: when to fire, and the request to make then. It travels in the
/// execution's input, so what is delivered is what was asked for.
///
/// `Debug` leaves out the request: URL, headers and body may hold secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// When to fire, in milliseconds since 1970.
    pub deadline: Deadline,
    /// The URL as given; the id is appended to its path when it is called.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// Headers to send along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timer")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which attempt of its activity it was, from 1.
    pub number: u32,
    /// When it began.
    pub at: Deadline,
    /// The HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong; with neither error nor status the outcome is not known (yet).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
