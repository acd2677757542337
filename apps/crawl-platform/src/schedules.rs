//! Schedules: rows of the table `schedules` are schedules of the engine, which starts the runs' workflows by itself.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt as _;
use temporalio_client::{
    Client,
    schedules::{
        CreateScheduleOptions, DeleteScheduleOptions, ListSchedulesOptions, ScheduleAction,
        ScheduleDescriptionAction, ScheduleError, ScheduleIntervalSpec, ScheduleOverlapPolicy, ScheduleSpec,
    },
    tonic::Code,
};
use uuid::Uuid;

use crate::{
    ids,
    lifecycle::{CrawlerRun, RunRequest, Timing, scheduled_workflow},
    store::{Overlap, Schedule, Store, StoreError, Trigger},
};

/// What the ids of crawlers' schedules begin with.
const PREFIX: &str = "crawler-schedule/";

/// A schedule cannot be put in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulesError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine does not take it: its cron expression or time zone may be none.
    #[error("the engine does not take the schedule {id}: {reason}")]
    Refused {
        /// The schedule.
        id: Uuid,
        /// What the engine says.
        reason: String,
    },
    /// The engine does not answer.
    #[error("the engine: {0}")]
    Engine(String),
}

/// The id of a schedule on the engine.
pub(crate) fn engine_id(id: Uuid) -> String {
    format!("{PREFIX}{id}")
}

fn request(schedule: &Schedule, timing: &Timing) -> RunRequest {
    let replaces = (schedule.definition.overlap == Overlap::TerminateOther).then_some(schedule.id);
    let made_of = serde_json::to_string(&(&schedule.definition, timing, replaces)).unwrap_or_default();
    RunRequest {
        crawler: schedule.definition.crawler_id,
        trigger: Trigger::Scheduled,
        run_id: None,
        request_hash: String::new(),
        timing: timing.clone(),
        schedule: Some(ids::fingerprint(&made_of)),
        replaces,
        stop: None,
        progress: None,
    }
}

fn spec(schedule: &Schedule) -> ScheduleSpec {
    let definition = &schedule.definition;
    let time_zone = definition.time_zone.clone().unwrap_or_default();
    match (&definition.cron, definition.every_seconds) {
        (Some(cron), _) => ScheduleSpec::builder()
            .cron_strings(vec![cron.clone()])
            .timezone_name(time_zone)
            .build(),
        (None, every) => {
            let every = Duration::from_secs(every.unwrap_or(3600).max(1));
            ScheduleSpec::builder()
                .intervals(vec![ScheduleIntervalSpec::new(every, None)])
                .build()
        }
    }
}

fn overlap(overlap: Overlap) -> ScheduleOverlapPolicy {
    match overlap {
        Overlap::Skip => ScheduleOverlapPolicy::Skip,
        Overlap::BufferOne => ScheduleOverlapPolicy::BufferOne,
        Overlap::BufferAll => ScheduleOverlapPolicy::BufferAll,
        Overlap::CancelOther => ScheduleOverlapPolicy::CancelOther,
        Overlap::TerminateOther => ScheduleOverlapPolicy::TerminateOther,
        Overlap::AllowAll => ScheduleOverlapPolicy::AllowAll,
    }
}

/// Makes the engine's schedules those of the table. Doing it again changes nothing.
///
/// # Errors
///
/// The first schedule that is refused; the others are in place.
pub async fn synchronise(client: &Client, store: &Store, timing: &Timing) -> Result<(), SchedulesError> {
    let wanted: BTreeMap<_, _> = store
        .schedules()
        .await?
        .into_iter()
        .map(|schedule| (engine_id(schedule.id), schedule))
        .collect();
    let mut refused = None;
    for schedule in wanted.values() {
        if let Err(error) = put(client, schedule, timing).await {
            refused.get_or_insert(error);
        }
    }
    let mut listed = client.list_schedules(ListSchedulesOptions::default());
    while let Some(schedule) = listed.next().await {
        let schedule = schedule.map_err(|error| SchedulesError::Engine(error.to_string()))?;
        let id = schedule.schedule_id();
        if let Some(own) = id.strip_prefix(PREFIX)
            && let Ok(own) = own.parse()
            && !wanted.contains_key(id)
        {
            delete(client, own).await?;
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Puts one in place.
///
/// # Errors
///
/// [`SchedulesError::Refused`].
pub async fn put(client: &Client, schedule: &Schedule, timing: &Timing) -> Result<(), SchedulesError> {
    attempt(client, schedule, timing)
        .await
        .map_err(|error| SchedulesError::Refused {
            id: schedule.id,
            reason: error.to_string(),
        })
}

async fn attempt(client: &Client, schedule: &Schedule, timing: &Timing) -> Result<(), ScheduleError> {
    let id = engine_id(schedule.id);
    let request = request(schedule, timing);
    let (spec, overlap, paused) = (
        spec(schedule),
        overlap(schedule.definition.overlap),
        !schedule.definition.enabled,
    );
    let action = ScheduleAction::start_workflow(
        CrawlerRun::run,
        request.clone(),
        segno::worker::TASK_QUEUE,
        scheduled_workflow(schedule.id),
    );
    let handle = client.get_schedule_handle(&id);
    match handle.describe(Default::default()).await {
        Ok(description) => {
            if let ScheduleDescriptionAction::StartWorkflow(current) = description.action() {
                let raw = current.raw_args().and_then(|args| args.first());
                let current = raw.and_then(|raw| serde_json::from_slice::<RunRequest>(&raw.data).ok());
                if current.is_some_and(|current| current.schedule == request.schedule) {
                    return Ok(());
                }
            }
            handle
                .update(
                    move |update| {
                        update
                            .set_spec(spec)
                            .set_action(action)
                            .set_overlap_policy(overlap)
                            .set_paused(paused);
                    },
                    Default::default(),
                )
                .await
        }
        Err(ScheduleError::Rpc(status)) if status.code() == Code::NotFound => {
            let options = CreateScheduleOptions::builder()
                .action(action)
                .spec(spec)
                .overlap_policy(overlap)
                .paused(paused)
                .build();
            match client.create_schedule(id, options).await {
                Ok(_) => Ok(()),
                // Another process was quicker.
                Err(ScheduleError::Rpc(status)) if status.code() == Code::AlreadyExists => Ok(()),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Deletes one; one that is not there is deleted.
///
/// # Errors
///
/// [`SchedulesError::Engine`].
pub async fn delete(client: &Client, id: Uuid) -> Result<(), SchedulesError> {
    let handle = client.get_schedule_handle(engine_id(id));
    match handle.delete(DeleteScheduleOptions::default()).await {
        Ok(()) => Ok(()),
        Err(ScheduleError::Rpc(status)) if status.code() == Code::NotFound => Ok(()),
        Err(error) => Err(SchedulesError::Engine(error.to_string())),
    }
}
