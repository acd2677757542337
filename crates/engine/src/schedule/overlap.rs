//! What becomes of actions that are due while another one runs.

use temporalio_protos::temporal::api::enums::v1::ScheduleOverlapPolicy as Policy;

use super::record::BufferedStart;

/// What is to be done with a buffer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// To be started now, side by side with whatever runs.
    pub(super) side_by_side: Vec<BufferedStart>,
    /// To be started now, as the one that runs.
    pub(super) alone: Option<BufferedStart>,
    /// To be kept.
    pub(super) buffer: Vec<BufferedStart>,
    pub(super) skipped: i64,
    pub(super) cancel: bool,
    pub(super) terminate: bool,
}

/// Decides on a buffer. A start without a policy of its own follows `default`.
pub(super) fn plan(buffer: Vec<BufferedStart>, is_running: bool, default: Policy) -> Plan {
    let mut plan = Plan::default();
    for start in buffer {
        let policy = match start.overlap_policy() {
            Policy::Unspecified => default,
            given => given,
        };
        if policy == Policy::AllowAll {
            plan.side_by_side.push(start);
        } else if !is_running && plan.alone.is_none() {
            plan.alone = Some(start);
        } else {
            plan.overlapping(start, policy, is_running);
        }
    }
    if plan.cancel || plan.terminate {
        // What would be started side by side now is in the way of the one that all this is for.
        plan.side_by_side.clear();
    }
    plan
}

impl Plan {
    fn overlapping(&mut self, start: BufferedStart, policy: Policy, is_running: bool) {
        match policy {
            Policy::BufferOne if self.buffer.is_empty() => self.buffer.push(start),
            Policy::BufferAll => self.buffer.push(start),
            // What it would end has not begun: the later one takes its place.
            Policy::CancelOther | Policy::TerminateOther if !is_running => self.alone = Some(start),
            Policy::CancelOther => {
                self.cancel = true;
                self.buffer.push(start);
            }
            Policy::TerminateOther => {
                self.terminate = true;
                self.buffer.push(start);
            }
            Policy::Unspecified | Policy::Skip | Policy::BufferOne | Policy::AllowAll => self.skipped += 1,
        }
    }
}

impl BufferedStart {
    pub(super) fn policy(&self) -> Policy {
        self.overlap_policy()
    }

    fn overlap_policy(&self) -> Policy {
        Policy::try_from(self.overlap_policy).unwrap_or(Policy::Unspecified)
    }
}
