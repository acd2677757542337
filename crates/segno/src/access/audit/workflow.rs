//! The execution that an entry is.

use std::time::Duration;

use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    CancellableFuture, MemoValue, SyncWorkflowContext, TimerResult, WorkflowContext, WorkflowContextView,
    WorkflowResult, WorkflowTermination,
};

use super::{Entry, MEMO, Outcome};
use crate::flow::read;

/// Type of the workflow.
pub(super) const TYPE: &str = "SegnoAudit";
/// The signal that brings the outcome.
pub(super) const OUTCOME: &str = "outcome";
/// How long a change may take: far longer than any request is served.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Waits for what became of a change, and says it in its memo.
#[workflow]
pub(crate) struct AuditWorkflow {
    entry: Entry,
}

#[workflow_methods]
impl AuditWorkflow {
    #[init]
    fn new(_ctx: &WorkflowContextView, entry: Entry) -> Self {
        Self { entry }
    }

    #[run(name = TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Entry> {
        if ctx.state(|audit| audit.entry.outcome.is_none()) {
            let mut alarm = ctx.timer(PATIENCE);
            temporalio_sdk::workflows::select! {
                rang = alarm => if rang == TimerResult::Cancelled {
                    return Err(WorkflowTermination::cancelled());
                },
                heard = ctx.wait_condition(|audit| audit.entry.outcome.is_some()) => {
                    alarm.cancel();
                    heard?;
                }
            }
        }
        let mut entry = ctx.state(|audit| audit.entry.clone());
        entry.outcome.get_or_insert(Outcome::Unknown);
        ctx.upsert_memo([(MEMO, Some(MemoValue::new(entry.clone())))])?;
        Ok(entry)
    }

    /// Says what became of it: an [`Outcome`]. The first word counts.
    #[signal(name = OUTCOME)]
    pub(crate) fn outcome(&mut self, _ctx: &mut SyncWorkflowContext<Self>, outcome: RawValue) {
        if self.entry.outcome.is_none() {
            self.entry.outcome = read::<Outcome>(&outcome);
        }
    }
}
