//! Flow control: which of a route's events may run, and when.
//!
//! A [`Policy`] says what a route asks for: order by key, limits, debouncing, batches. An event that takes such a route
//! has an execution as any other, which waits at its beginning; a flow, one for the route or one for each key, tells it
//! when to go on. What the flow decides is in [`State`], which is pure: it is told what has happened and when, and says
//! what is to be told to whom.

mod decide;
mod key;
mod plan;
mod policy;
mod state;
mod view;
mod window;

pub use decide::{Action, BATCH_SOURCE, BATCH_TYPE, MAX_BATCH_BYTES, batch_event};
pub use key::Key;
pub use plan::{Flow, PlannedFlow, child_id, flow_id};
pub use policy::{Batch, Debounce, Limits, MAX_WAITING, Per, Policy, Rate, RateError, Scope};
pub use state::{Arrival, Ended, Outcome, Parked, State};
pub use view::{KeyView, Standing, Why};

/// Milliseconds since 1970.
pub type Millis = u64;
