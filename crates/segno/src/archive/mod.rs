//! The archive: every event that was taken in, for as long as the engine keeps closed executions.
//!
//! An event that a route took is in the input of its execution. One that no route took gets an execution of its own,
//! which does nothing: so a route that comes later can have it replayed, and one that comes again is a duplicate.

use segno_event::Event;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};

/// Type of the workflow.
pub(crate) const TYPE: &str = "SegnoArchive";
/// What stands in a workflow id where other executions of events have the route: no route's name has an `@`.
const ROOM: &str = "@archive";

/// Id of the execution that keeps an event which no route took: `@archive/<source>/<event id>`.
pub(crate) fn workflow_id(event: &Event) -> String {
    segno_routing::workflow_id(ROOM, event)
}

/// Keeps an event, by having been started with it.
#[workflow]
#[derive(Default)]
pub(crate) struct ArchiveWorkflow;

#[workflow_methods]
impl ArchiveWorkflow {
    #[run(name = TYPE)]
    pub(crate) async fn run(_ctx: &mut WorkflowContext<Self>, _event: Event) -> WorkflowResult<()> {
        Ok(())
    }
}
