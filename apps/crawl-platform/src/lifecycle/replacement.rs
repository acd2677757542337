//! Runs that their schedule has terminated, as the next one was due: they are closed, and not gone on with.
//!
//! A workflow that is terminated can do nothing more. The run that takes its place closes it as it begins; what that run could not
//! see yet, the sweeper finds.

use temporalio_client::{schedules::ScheduleError, tonic::Code};
use temporalio_common::protos::temporal::api::enums::v1::ScheduleOverlapPolicy;
use uuid::Uuid;

use super::{
    Asked, Lifecycle, LifecycleError, StopRequest,
    service::{schedule_of, scheduled_workflow},
};
use crate::{schedules, store::Run};

fn stop() -> StopRequest {
    StopRequest {
        force: true,
        by: "its schedule, as the next run was due".to_owned(),
    }
}

impl Lifecycle {
    /// Closes what a schedule that terminates the run before has left open: another workflow takes each such run up and stops
    /// it by force. `workflow_id` is that of the run that is due now. Doing it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`LifecycleError`].
    pub async fn close_replaced(&self, schedule: Uuid, workflow_id: &str) -> Result<(), LifecycleError> {
        for open in self.store().open_runs_of(&scheduled_workflow(schedule)).await? {
            let Some(id) = open.workflow_id.filter(|id| id != workflow_id) else {
                continue;
            };
            // One that somebody has begun by hand beside the schedule's own.
            if self.is_running(&id).await? {
                continue;
            }
            let record = self.store().run(open.id).await?;
            if self.go_on(&record, Some(stop())).await? {
                continue;
            }
            // Somebody else was quicker to go on with it.
            match self.stop(open.id, &stop()).await {
                Ok(()) | Err(LifecycleError::Ended(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes up a run that nobody looks after: goes on with it; or stops it, if its schedule has replaced it by another one.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::LookedAfter`] if a workflow looks after it, [`LifecycleError::Ended`] if it has ended.
    pub async fn look_after(&self, run: Uuid) -> Result<Asked, LifecycleError> {
        let record = self.stranded(run).await?;
        let stop = self.is_replaced(&record).await?.then(stop);
        self.take_up(&record, stop).await
    }

    /// Whether the schedule that has begun a run lets one go on at a time, and has begun another one since. The engine is asked: the
    /// one that was due later may have no record yet. Of a schedule that is gone nothing is known.
    async fn is_replaced(&self, run: &Run) -> Result<bool, LifecycleError> {
        let id = run.workflow_id.as_deref().unwrap_or_default();
        let Some(schedule) = schedule_of(id) else {
            return Ok(false);
        };
        let handle = self.client().get_schedule_handle(schedules::engine_id(schedule));
        let described = match handle.describe(Default::default()).await {
            Ok(described) => described,
            Err(ScheduleError::Rpc(status)) if status.code() == Code::NotFound => return Ok(false),
            Err(error) => return Err(LifecycleError::Engine(error.to_string())),
        };
        let policies = described
            .raw()
            .schedule
            .as_ref()
            .and_then(|schedule| schedule.policies.as_ref());
        let terminates = policies
            .is_some_and(|policies| policies.overlap_policy() == ScheduleOverlapPolicy::TerminateOther);
        let latest = described.recent_actions().pop();
        Ok(terminates && latest.is_some_and(|latest| latest.workflow_id != id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_known_by_the_workflows_that_it_starts() {
        let schedule = Uuid::from_u128(7);
        let own = format!("{}-2026-03-29T01:30:00Z", scheduled_workflow(schedule));
        assert_eq!(schedule_of(&own), Some(schedule));
        // That of a run which was asked for otherwise, or is gone on with.
        for other in [
            &scheduled_workflow(schedule),
            "",
            "crawler-run/ä",
            "crawl-sweeper-2026-03-29T01:30:00Z",
        ] {
            assert_eq!(schedule_of(other), None, "{other}");
        }
    }
}
