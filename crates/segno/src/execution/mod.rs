//! What runs for an (event, route) pair: the workflow, its activities and what travels between them.
//!
//! ```text
//! Plan (the workflow's input)
//!   └─ EventWorkflow "SegnoEvent"     stages in order, the actions of one side by side
//!        ├─ deliver                   one action: is it available, transform, then each payload to its sink
//!        ├─ consume                   one consumer: Rust code
//!        └─ AlertWorkflow "SegnoAlert"  tells a sink of a dead letter; outlives its parent
//!             └─ alert
//! ```

mod activities;
mod alert;
mod consume;
mod deliver;
mod event_ref;
mod keep_alive;
mod step;
pub(crate) mod story;
mod workflow;

pub(crate) use activities::Activities;
pub(crate) use alert::AlertWorkflow;
pub(crate) use keep_alive::{HEARTBEAT_TIMEOUT, Progress, keep_alive};
pub(crate) use workflow::EventWorkflow;

/// Type of the workflow that runs actions and consumers.
pub const WORKFLOW_TYPE: &str = "SegnoEvent";
/// Failure type of an execution that failed after its last retry.
pub const DEAD_LETTER: &str = "DeadLetter";
