//! What can be measured, as typed events: each knows what it is in numbers, in the log, and in its event's trace.
//!
//! Wherever something happens, the code says so by [`emit`] with a struct of [`observations`]; nothing else in this crate
//! touches a metric. What is not an event but a state (what waits, what is paused, what the process takes) is looked at
//! when somebody asks for the metrics ([`sample`]).
//!
//! The numbers are the process's, not a running Segno's: workflow code counts too, and a workflow cannot be handed
//! anything. All names are in [`metrics`], and for people in `docs/metrics.md`; a test compares the two with what is
//! served. Labels are names from the configuration or from this code: never an id, nothing of an event.

mod exposition;
mod metrics;
mod observations;
mod process;
mod sample;
mod spans;
mod trace;

pub(crate) use exposition::MEDIA_TYPE;
pub(crate) use metrics::Metrics;
pub(crate) use observations::*;
pub(crate) use sample::{Parts as SampledParts, Sampler};
pub use spans::{Error as TracesError, Options, Protocol};
pub(crate) use spans::{Span, are_exported, finish as finish_traces, start as start_traces};
pub(crate) use trace::{TRACEPARENT, TRACESTATE, TraceContext};

/// Something that happened.
pub(crate) trait Observation {
    /// Counts it.
    fn count(&self, metrics: &Metrics);

    /// Says so in the log, where people want to read of each.
    fn log(&self) {}

    /// Its span, if it is over by now and part of an event's trace. Asked for only if spans go anywhere.
    fn span(&self) -> Option<Span> {
        None
    }
}

/// Counts it, logs it and tells of it in its trace.
pub(crate) fn emit(observation: impl Observation) {
    observation.log();
    observation.count(Metrics::global());
    if spans::are_exported()
        && let Some(span) = observation.span()
    {
        spans::export(span);
    }
}
