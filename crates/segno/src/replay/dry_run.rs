//! What a replay would do, without doing it.

use segno_event::Transform;
use segno_routing::Routes;
use serde::Serialize;
use temporalio_client::{
    Client,
    tonic::{Code, Status},
};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    Request,
    compare::{Difference, differences},
    find,
};
use crate::{
    compiled::Compiled,
    run::{self, ReadError, Recorded},
};

/// Events that are looked at in one dry run.
const MAX_EVENTS: u64 = 1_000;
/// Events on a page.
const PAGE: usize = 200;
/// Executions that are told one by one.
const MAX_TOLD: usize = 200;

/// What a replay would do.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = ReplayDryRun)]
pub(crate) struct DryRun {
    /// How many events were looked at.
    pub(crate) events: u64,
    /// How many executions would be started.
    pub(crate) would_run: u64,
    /// How many of them are of events that the route has not handled before.
    pub(crate) new: u64,
    /// How many would do what was done then.
    pub(crate) same: u64,
    /// How many would do something else.
    pub(crate) different: u64,
    /// How many that ran then on a chosen route would not run now: the route does not take the event any more.
    pub(crate) not_taken_now: u64,
    /// The executions in the order in which they would be started: those that are new, different, or not taken now,
    /// as far as there is room.
    pub(crate) executions: Vec<Would>,
    /// Where a dry run of the rest begins (`from`), if there were more events than one looks at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_from: Option<String>,
}

/// What would become of one event on one route.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReplayDryRunExecution)]
pub(crate) struct Would {
    route: String,
    source: String,
    event_id: String,
    /// `new`, `different`, or `not_taken_now`.
    #[schema(example = "different")]
    would_be: &'static str,
    /// Status of the execution of then.
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<&'static str>,
    /// How it would differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<Difference>,
}

/// Looks at what a replay would do, event by event.
pub(crate) async fn dry_run(
    client: &Client,
    routes: &Routes,
    request: &Request,
    now: OffsetDateTime,
) -> Result<DryRun, Status> {
    let (mut from, to) = request.range(now);
    let query = request.query();
    let mut told = DryRun::default();
    let transforms = Compiled::new(Transform::compile);
    loop {
        let found = find::page(client, &query, from, to, PAGE).await?;
        for run in found.runs {
            let Some(recorded) = read(client, &run.workflow_id, &run.run_id).await? else {
                continue;
            };
            told.events += 1;
            look_at(client, (routes, &transforms), request, &recorded, &mut told).await?;
        }
        match found.next {
            None => return Ok(told),
            Some(next) if told.events >= MAX_EVENTS => {
                told.next_from = Some(run::format(next));
                return Ok(told);
            }
            Some(next) => from = next,
        }
    }
}

async fn look_at(
    client: &Client,
    (routes, transforms): (&Routes, &Compiled<Transform>),
    request: &Request,
    recorded: &Recorded,
    told: &mut DryRun,
) -> Result<(), Status> {
    let event = &recorded.plan.event;
    let plans = request.plans(routes, event);
    for route in &request.routes {
        let plan = plans.iter().find(|plan| plan.route == *route);
        let then = read(client, &segno_routing::workflow_id(route, event), "").await?;
        let status = then.as_ref().map(|then| run::status_name(then.summary.status));
        let (would_be, differences) = match (plan, &then) {
            (None, None) => continue,
            (None, Some(_)) => {
                told.not_taken_now += 1;
                ("not_taken_now", Vec::new())
            }
            (Some(_), None) => {
                told.new += 1;
                ("new", Vec::new())
            }
            (Some(plan), Some(then)) => {
                let found = differences(transforms, &then.plan, plan);
                if found.is_empty() {
                    told.would_run += 1;
                    told.same += 1;
                    continue;
                }
                told.different += 1;
                ("different", found)
            }
        };
        told.would_run += u64::from(plan.is_some());
        if told.executions.len() < MAX_TOLD {
            told.executions.push(Would {
                route: route.clone(),
                source: event.source.clone(),
                event_id: event.id.clone(),
                would_be,
                then: status,
                differences,
            });
        }
    }
    Ok(())
}

/// A run; none where there is none, or it is no event's.
async fn read(client: &Client, workflow_id: &str, run_id: &str) -> Result<Option<Recorded>, Status> {
    match Recorded::read(client, workflow_id, run_id).await {
        Ok(recorded) => Ok(Some(recorded)),
        Err(ReadError::NoEvent(_)) => Ok(None),
        Err(ReadError::Engine(status)) if status.code() == Code::NotFound => Ok(None),
        Err(ReadError::Engine(status)) => Err(status),
        Err(error @ ReadError::Encrypted { .. }) => Err(Status::failed_precondition(error.to_string())),
    }
}
