//! The schedules of routes: each is a schedule of the engine, made, changed and deleted as the configuration says.
//!
//! The schedule starts a small workflow at its times, which puts the event together and hands it to the intake, for this
//! route alone. The event is identified by the time that it is for, so each time is handled once, however often that
//! workflow's activity is tried.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use segno_event::Event;
use segno_routing::{Routes, Schedule, is_route_name};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_client::{
    Client, RetryPolicy,
    schedules::{
        CreateScheduleOptions, DeleteScheduleOptions, ListSchedulesOptions, ScheduleAction,
        ScheduleDescriptionAction, ScheduleError, ScheduleOverlapPolicy, ScheduleSpec,
    },
    tonic::Code,
};
use temporalio_common::search_attributes::{SearchAttributeKey, Timestamp};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use time::OffsetDateTime;

use crate::{
    intake::{Intake, OnRoute},
    worker::TASK_QUEUE,
};

const WORKFLOW_TYPE: &str = "SegnoSchedule";
/// What the ids of routes' schedules begin with.
const PREFIX: &str = "segno-route/";
/// The time that a run of a schedule is for.
const NOMINAL: SearchAttributeKey<Timestamp> = SearchAttributeKey::datetime("TemporalScheduledStartTime");
/// How long one attempt to hand over an event may take.
const ATTEMPT: Duration = Duration::from_secs(60);

/// What the workflow of a schedule is given: all that an event of it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tick {
    route: String,
    cron: String,
    time_zone: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// What its activity is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Due {
    tick: Tick,
    /// The time that it is for.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// A schedule cannot be put in place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not take it.
    #[error("the schedule of the route {route:?} cannot be put in place")]
    Refused {
        /// The route.
        route: String,
        /// What the engine says.
        #[source]
        source: ScheduleError,
    },
}

impl Tick {
    fn of(route: &str, schedule: &Schedule) -> Self {
        Self {
            route: route.to_owned(),
            cron: schedule.cron.clone(),
            time_zone: schedule.time_zone.clone(),
            ty: schedule.ty.clone(),
            data: schedule.data.clone(),
        }
    }

    /// The event of one time.
    fn event(self, at: OffsetDateTime) -> Event {
        let id = at
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap_or_else(|_| at.unix_timestamp().to_string());
        let mut event = Event::new(format!("/segno/schedules/{}", self.route), id, self.ty);
        event.subject = Some(self.route);
        event.time = Some(at);
        match self.data {
            Some(data) => event.with_data(data),
            None => event,
        }
    }

    fn spec(&self) -> ScheduleSpec {
        ScheduleSpec::builder()
            .cron_strings(vec![self.cron.clone()])
            .timezone_name(self.time_zone.clone())
            .build()
    }

    fn action(&self) -> ScheduleAction {
        let id = format!("segno:schedule/{}", self.route);
        ScheduleAction::start_workflow(ScheduleWorkflow::run, self.clone(), TASK_QUEUE, id)
    }
}

/// Makes the engine's schedules those of the routes. Doing it again changes nothing; a schedule that somebody has paused
/// stays so.
///
/// # Errors
/// The first schedule that the engine does not take.
pub(crate) async fn put_in_place(client: &Client, routes: &Routes) -> Result<(), Error> {
    let wanted: BTreeMap<String, Tick> = routes
        .iter()
        .filter_map(|route| Some((route, route.timing.schedule.as_ref()?)))
        .map(|(route, schedule)| (format!("{PREFIX}{}", route.name), Tick::of(&route.name, schedule)))
        .collect();
    for (id, tick) in &wanted {
        put(client, id, tick).await.map_err(|source| Error::Refused {
            route: tick.route.clone(),
            source,
        })?;
    }
    // What is left of routes that are gone does no harm: it makes no events. So a client that may not list goes on.
    if let Err(error) = clear(client, &wanted).await {
        tracing::warn!(%error, "schedules of routes that are gone cannot be deleted");
    }
    Ok(())
}

/// Deletes the schedules of routes that are gone, or have none any more.
async fn clear(client: &Client, wanted: &BTreeMap<String, Tick>) -> Result<(), ScheduleError> {
    let mut listed = client.list_schedules(ListSchedulesOptions::default());
    while let Some(schedule) = listed.next().await {
        let schedule = schedule?;
        let id = schedule.schedule_id();
        let ours = id.strip_prefix(PREFIX).is_some_and(is_route_name);
        if ours && !wanted.contains_key(id) && schedule.workflow_type() == Some(WORKFLOW_TYPE) {
            let handle = client.get_schedule_handle(id);
            match handle.delete(DeleteScheduleOptions::default()).await {
                Ok(()) => tracing::info!(schedule = id, "deleted the schedule of a route that is gone"),
                // Another process was quicker.
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

async fn put(client: &Client, id: &str, tick: &Tick) -> Result<(), ScheduleError> {
    let handle = client.get_schedule_handle(id);
    match handle.describe(Default::default()).await {
        Ok(description) => {
            let ScheduleDescriptionAction::StartWorkflow(action) = description.action() else {
                return Ok(());
            };
            let raw = action.raw_args().and_then(|args| args.first());
            let current = raw.and_then(|payload| serde_json::from_slice::<Tick>(&payload.data).ok());
            if current.as_ref() == Some(tick) {
                return Ok(());
            }
            let (spec, action) = (tick.spec(), tick.action());
            handle
                .update(
                    move |update| {
                        update.set_spec(spec).set_action(action);
                    },
                    Default::default(),
                )
                .await?;
            tracing::info!(schedule = id, "changed a schedule");
            Ok(())
        }
        Err(error) if is_not_found(&error) => {
            let options = CreateScheduleOptions::builder()
                .action(tick.action())
                .spec(tick.spec())
                // Each time is an event of its own.
                .overlap_policy(ScheduleOverlapPolicy::AllowAll)
                .build();
            match client.create_schedule(id, options).await {
                Ok(_) => tracing::info!(schedule = id, "made a schedule"),
                // Another process was quicker, with the same configuration or one that its next start puts right.
                Err(ScheduleError::Rpc(status)) if status.code() == Code::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn is_not_found(error: &ScheduleError) -> bool {
    matches!(error, ScheduleError::Rpc(status) if status.code() == Code::NotFound)
}

/// One time of a schedule: makes the event and hands it over.
#[workflow]
#[derive(Default)]
pub(crate) struct ScheduleWorkflow;

#[workflow_methods]
impl ScheduleWorkflow {
    #[run(name = WORKFLOW_TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, tick: Tick) -> WorkflowResult<Option<String>> {
        // One that a person started by hand is for the time of its start.
        let nominal = ctx.search_attributes().get(&NOMINAL);
        let nominal = nominal.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds()).ok());
        let started = ctx.workflow_time().map(OffsetDateTime::from);
        let Some(at) = nominal.or(started) else {
            return Err(ApplicationFailure::non_retryable("the engine tells no time").into());
        };
        let options = ActivityOptions::with_start_to_close_timeout(ATTEMPT)
            .retry_policy(
                RetryPolicy::builder()
                    .maximum_interval(Duration::from_secs(60))
                    .build(),
            )
            .build();
        Ok(ctx
            .execute_activity(ScheduleActivities::emit, Due { tick, at }, options)
            .await?)
    }
}

/// What hands the event over.
pub(crate) struct ScheduleActivities {
    intake: Intake,
}

impl ScheduleActivities {
    pub(crate) fn new(intake: Intake) -> Self {
        Self { intake }
    }
}

#[activities]
impl ScheduleActivities {
    /// Hands the event to its route; returns the id of its execution. None where the route's filter does not hold.
    #[activity(name = "emit_scheduled")]
    pub(crate) async fn emit(
        self: std::sync::Arc<Self>,
        _ctx: ActivityContext,
        due: Due,
    ) -> Result<Option<String>, ActivityError> {
        let Due { tick, at } = due;
        let route = tick.route.clone();
        let event = tick.event(at);
        let taken = self.intake.accept_on(&route, &event).await;
        let failure = |text: String, stays| {
            let failure = ApplicationFailure::builder(text).type_name("Schedule".to_owned());
            ActivityError::application(failure.non_retryable(stays).build())
        };
        match taken {
            Ok(OnRoute::Started { workflow_id, .. }) => Ok(Some(workflow_id)),
            Ok(OnRoute::Filtered) => Ok(None),
            // The route went, and its schedule with it.
            Ok(OnRoute::NoSuchRoute) => Err(failure(format!("there is no route {route:?} any more"), true)),
            Err(error) => Err(failure(error.to_string(), error.stays())),
        }
    }
}
