//! Flow control at work: flows as workflows, and what the program and people say to them.
//!
//! ```text
//! intake ── start, held ───────▶ SegnoEvent (the event's execution) ── waits for a word
//!    └──── signal with start ──▶ SegnoFlow "arrive"                        ▲
//!                                    └── signal "word": go, superseded, batched
//!          SegnoFlow "ended" ◀── signal ── SegnoEvent, as the last thing it does
//! ```
//!
//! The event is on disk with its own execution, as on any other route, so a flow holds nothing but ids: however large the
//! events are, it goes on as new whenever its history grows. An execution that waits is *held*: it is started with a delay of
//! its first step, which the flow's word ends, so that it costs no worker anything and a hundred thousand may wait. If it hears
//! nothing all that time it asks by itself, so neither a crash between intake's two calls nor a flow that somebody terminated
//! leaves one behind.

mod activities;
mod calls;
mod full;
mod gate;
mod workflow;

pub(crate) use activities::{FlowActivities, size};
pub(crate) use calls::{Enrolment, enroll_all};
pub use calls::{Error, Keys, ListedKey, keys, pause, release, resume, standing};
pub(crate) use full::Full;
pub(crate) use gate::{HELD, Word, report_end, wait_for_word};
pub(crate) use workflow::{FlowWorkflow, now};

use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

/// Type of the workflow that decides when events of a route may run.
pub const WORKFLOW_TYPE: &str = "SegnoFlow";

/// A value as the payload of a signal.
///
/// Handlers of signals take bytes: one that fails on what a stranger sends would hold up its workflow.
pub(crate) fn raw<T: Serialize>(value: &T) -> RawValue {
    RawValue::new(vec![Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        // What is written here are structs of strings and numbers, which always are JSON.
        data: serde_json::to_vec(value).unwrap_or_default(),
        ..Default::default()
    }])
}

/// The value in a signal, unless it is a stranger's.
pub(crate) fn read<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    serde_json::from_slice(&raw.payloads.first()?.data).ok()
}
