//! What a run may hold: when its workflow is told to continue as new, and when that is too late.

use temporalio_protos::temporal::api::enums::v1::SuggestContinueAsNewReason;

use super::{external::ENGINE_IDENTITY, run::Run};
use crate::clock::Nanos;

impl Run {
    /// Why the workflow should continue as new, if it should: `SuggestContinueAsNewReason`.
    pub(super) fn reasons_to_continue_as_new(&self) -> Vec<i32> {
        let mut reasons = Vec::new();
        if self.state.history_size >= self.limits.suggest_continue_as_new_size {
            reasons.push(SuggestContinueAsNewReason::HistorySizeTooLarge as i32);
        }
        if self.state.next_event_id > self.limits.suggest_continue_as_new_events {
            reasons.push(SuggestContinueAsNewReason::TooManyHistoryEvents as i32);
        }
        reasons
    }

    /// Why the run cannot go on, if it cannot.
    fn excess(&self) -> Option<&'static str> {
        if self.state.next_event_id > self.limits.history_events + 1 {
            Some("Workflow history count exceeds limit.")
        } else if self.state.history_size > self.limits.history_size {
            Some("Workflow history size exceeds limit.")
        } else {
            None
        }
    }

    /// Terminates a run whose history has become too large, and answers whether it did. What made it
    /// so stays in the history: it may have been acknowledged.
    pub fn terminate_excessive(&mut self, now: Nanos) -> bool {
        match self.excess() {
            Some(reason) if self.is_running() => self
                .terminate(now, reason.into(), None, ENGINE_IDENTITY.into())
                .is_ok(),
            _ => false,
        }
    }
}
