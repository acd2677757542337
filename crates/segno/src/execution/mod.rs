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

pub(crate) use activities::{Activities, route_of};
pub(crate) use alert::AlertWorkflow;
pub(crate) use keep_alive::{HEARTBEAT_TIMEOUT, Progress, keep_alive};
pub(crate) use workflow::{EventWorkflow, Report};

use segno_routing::{Plan, PlannedHandler};

use crate::pauses::Pauses;

/// The workflow of the program's own that an event's execution is, where nothing has to be seen to around it. Else a
/// [`WORKFLOW_TYPE`] is started, which starts it: once the route's flow or the end of a pause lets it, within the deadline, and
/// with an alert if it fails.
pub(crate) fn bare_workflow<'a>(plan: &'a Plan, pauses: &Pauses) -> Option<&'a str> {
    match &plan.handler {
        PlannedHandler::Workflow { name }
            if plan.flow.is_none()
                && plan.deadline.is_none()
                && plan.alert.is_none()
                && pauses.of_route(&plan.route).is_none() =>
        {
            Some(name)
        }
        _ => None,
    }
}

/// Type of the workflow that runs actions and consumers.
pub const WORKFLOW_TYPE: &str = "SegnoEvent";
/// Failure type of an execution that failed after its last retry.
pub const DEAD_LETTER: &str = "DeadLetter";
