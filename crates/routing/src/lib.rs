//! Routing: which routes an event takes, and what is to be done on each.
//!
//! [`plan`] answers for the machine: one self-contained [`Plan`] a matching route, to travel in the input of the
//! execution that carries it out. [`explain`] answers for people: every route, with the reason why it was or was not
//! taken. Both are pure.

mod after;
mod explain;
pub mod flow;
mod id;
mod index;
mod plan;
mod retry;
mod route;
mod timing;

pub use after::{After, Decision, FailedAction};
pub use explain::{
    ActionExplanation, DedupeExplanation, EventSummary, Explanation, FlowExplanation, HandlerExplanation,
    KeyExplanation, Outcome, RouteExplanation, TimingExplanation, Yields, explain,
};
pub use id::{MAX_WORKFLOW_ID, dedupe_id, workflow_id};
pub use plan::{Plan, PlannedAction, PlannedHandler, plan, plan_on};
pub use retry::{Retry, RetryError};
pub use route::{Action, DEFAULT_WEIGHT, Handler, Route, RouteError, Routes, is_route_name};
pub use timing::{Dedupe, Schedule, Start, Timing};
