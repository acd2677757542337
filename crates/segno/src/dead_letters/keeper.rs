//! The keeper: before the engine deletes a dead letter that nobody has dealt with, a new run fails in its place.
//!
//! A schedule on the engine starts the workflow again and again; there is nothing in any process to be missed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient,
    schedules::{CreateScheduleOptions, ScheduleAction, ScheduleError, ScheduleSpec},
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use time::OffsetDateTime;

use super::{Action, Decider, Filter, Request, activities::DeadLetterActivities, page};
use crate::{run, worker::TASK_QUEUE};

/// Type of the workflow.
const TYPE: &str = "SegnoKeeper";
/// Id of the schedule and, with a time after it, of its executions.
const ID: &str = "@keeper";
/// The longest time between two rounds.
const RARELY: Duration = Duration::from_secs(12 * 60 * 60);
/// The shortest.
const OFTEN: Duration = Duration::from_secs(1);
/// How long a round may take.
const ROUND: Duration = Duration::from_secs(60 * 60);
/// Letters that are looked at in one go.
const PAGE: usize = 100;

/// What a round did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    /// How many letters were kept on.
    kept: u64,
}

/// One round of the keeper.
#[workflow]
#[derive(Default)]
pub(crate) struct KeeperWorkflow;

#[workflow_methods]
impl KeeperWorkflow {
    #[run(name = TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Round> {
        let options = ActivityOptions::with_start_to_close_timeout(ROUND)
            .heartbeat_timeout(Duration::from_secs(60))
            .build();
        Ok(ctx
            .execute_activity(DeadLetterActivities::keep, (), options)
            .await?)
    }
}

/// Keeps on every dead letter that is older than `after`, or than three quarters of the time that the engine keeps
/// closed executions.
pub(super) async fn keep(
    decider: &Decider,
    after: Option<Duration>,
    now: OffsetDateTime,
    ctx: &ActivityContext,
) -> Result<Round, ActivityError> {
    let mut round = Round::default();
    let Some(after) = age(&decider.client, after).await? else {
        return Ok(round);
    };
    let filter = Filter {
        until: Some(run::format(now - after)),
        ..Filter::default()
    };
    let query = filter.query().unwrap_or_default();
    let request = Request {
        action: Action::Keep,
        by: None,
        note: None,
        bulk: None,
    };
    let mut token = Vec::new();
    loop {
        let found = page(&decider.client, &query, PAGE, token).await?;
        for letter in found.letters {
            let decided = decider.decide(&letter.id, Some(&letter.run_id), &request).await;
            match decided {
                Ok(decided) => round.kept += u64::from(decided.changed),
                // It has been deleted since, by somebody.
                Err(super::Error::NotFound) => {}
                // The others are to be kept all the same.
                Err(error @ super::Error::Encrypted(_)) => {
                    tracing::error!(dead_letter = letter.id, %error, "a dead letter cannot be kept on");
                }
                Err(error) => return Err(error.into()),
            }
        }
        if found.next.is_empty() {
            return Ok(round);
        }
        token = found.next;
        ctx.record_heartbeat(()).await?;
    }
}

/// The age at which letters are kept on; none where the engine keeps executions for ever.
async fn age(client: &Client, configured: Option<Duration>) -> Result<Option<Duration>, Status> {
    if configured.is_some() {
        return Ok(configured);
    }
    let request = DescribeNamespaceRequest {
        namespace: client.namespace(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let reply = service
        .describe_namespace(request.into_request())
        .await?
        .into_inner();
    let retention = reply
        .config
        .and_then(|config| config.workflow_execution_retention_ttl)
        .and_then(|retention| Duration::try_from(retention).ok())
        .filter(|retention| !retention.is_zero());
    Ok(retention.map(|retention| retention / 4 * 3))
}

/// How often the keeper comes by, for letters that are kept on at this age: several times before they are deleted.
fn interval(age: Duration) -> Duration {
    (age / 12).clamp(OFTEN, RARELY)
}

/// Has the engine start the keeper again and again; a schedule that is there already is brought up to date.
pub(crate) async fn schedule(client: &Client, after: Option<Duration>) -> Result<(), ScheduleError> {
    let Some(age) = age(client, after).await? else {
        return Ok(());
    };
    let spec = move || ScheduleSpec::from_interval(interval(age));
    let action = || ScheduleAction::StartWorkflow {
        workflow_type: TYPE.to_owned(),
        task_queue: TASK_QUEUE.to_owned(),
        workflow_id: ID.to_owned(),
        input: None,
    };
    let options = CreateScheduleOptions::builder()
        .action(action())
        .spec(spec())
        .build();
    match client.create_schedule(ID, options).await {
        Ok(_) => return Ok(()),
        Err(ScheduleError::Rpc(status)) if status.code() == Code::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    client
        .get_schedule_handle(ID)
        .update(
            move |update| {
                update.set_spec(spec());
            },
            Default::default(),
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_by_several_times_before_a_letter_is_deleted() {
        let day = Duration::from_secs(24 * 60 * 60);
        // Kept for 30 days, kept on after 22.5: 7.5 days are left.
        assert_eq!(interval(day * 30 / 4 * 3), RARELY);
        assert_eq!(interval(day), Duration::from_secs(2 * 60 * 60));
        assert_eq!(interval(Duration::from_secs(3)), OFTEN);
    }
}
