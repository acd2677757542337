//! Dead letters: the executions of events whose latest run has failed, and what can be done about them.
//!
//! ```text
//! run 1 failed ──┬─ retry ───> run 2: the actions that failed, under the same keys
//!                ├─ skip ────> run 2: completes at once
//!                ├─ resolve ─> run 2: completes at once
//!                └─ (keeper) > run 2: fails at once, with the causes of run 1
//! ```
//!
//! There is no store of them beside the engine. Whatever is decided about a dead letter is a new run under the same
//! workflow id, whose plan and memo tell what was decided, by whom and why: so the letter is gone from the list, its
//! story stays, and the engine sees to it that two decisions about one run become one.

mod activities;
mod bulk;
mod decide;
mod edit;
mod keeper;
mod letter;
mod list;

pub(crate) use activities::DeadLetterActivities;
pub(crate) use bulk::{BulkRequest, BulkWorkflow, Input as BulkInput, TYPE as BULK, workflow_id as bulk_id};
pub(crate) use decide::{Action, Decided, Decider, Error, Request};
pub(crate) use edit::Edit;
pub(crate) use keeper::{KeeperWorkflow, schedule};
pub(crate) use letter::{Decision, Letter};
pub(crate) use list::{Filter, page, quoted, runs};
