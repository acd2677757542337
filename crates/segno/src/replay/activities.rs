//! The activity that starts a page of a replay's executions.

use std::{sync::Arc, time::Duration};

use segno_routing::Plan;
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client,
    tonic::{Code, Status},
};
use temporalio_common::protos::temporal::api::enums::v1::{WorkflowExecutionStatus, WorkflowIdReusePolicy};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use time::OffsetDateTime;
use tokio::time::sleep;

use super::{Request, find};
use crate::{
    execution::{Progress, WORKFLOW_TYPE, bare_workflow, keep_alive},
    flow::{self, Enrolment, Full},
    live::Live,
    operation::pace::{Pace, page_size},
    pauses::Pauses,
    run::{self, ReadError, Recorded, Start, Summary, json_payload},
    search_attributes::{self, REPLAY, keyword},
};

/// Executions on a page.
const PAGE: usize = 200;
/// Between two looks at an execution whose end is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// What these activities need besides the engine's client.
pub(crate) struct ReplayActivities {
    /// The routes as they are configured now.
    pub(crate) live: Live,
    /// What people hold up.
    pub(crate) pauses: Pauses,
    /// The flows that take no more now.
    pub(crate) full: Full,
}

/// Which page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PageInput {
    pub(super) request: Request,
    /// Where it begins (RFC 3339); none on the first.
    pub(super) next: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PageDone {
    /// Events that were looked at.
    pub(super) events: u64,
    /// Events that none of the chosen routes takes.
    pub(super) not_taken: u64,
    /// Executions that the replay has for these events.
    pub(super) executions: u64,
    /// Where the next page begins; none when all is done.
    pub(super) next: Option<String>,
}

#[activities]
impl ReplayActivities {
    /// Starts the executions of one page, in order.
    #[activity(name = "replay_page")]
    pub(crate) async fn page(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: PageInput,
    ) -> Result<PageDone, ActivityError> {
        let client = ctx.client();
        keep_alive(&ctx, &Progress::default(), async {
            self.carry_out(&client, input).await
        })
        .await
    }
}

impl ReplayActivities {
    async fn carry_out(&self, client: &Client, input: PageInput) -> Result<PageDone, ActivityError> {
        let PageInput { request, next } = input;
        let (from, to) = request.range(OffsetDateTime::now_utc());
        let from = next.as_deref().and_then(run::parse).unwrap_or(from);
        let found = find::page(
            client,
            &request.query(),
            from,
            to,
            page_size(request.per_second, PAGE),
        )
        .await?;
        let setup = self.live.get();
        let mut pace = Pace::new(request.per_second);
        let mut done = PageDone {
            next: found.next.map(run::format),
            ..PageDone::default()
        };
        for run in found.runs {
            let recorded = match Recorded::read(client, &run.workflow_id, &run.run_id).await {
                Ok(recorded) => recorded,
                // It has been deleted since it was listed, or is no event's.
                Err(ReadError::NoEvent(_)) => continue,
                Err(ReadError::Engine(status)) if status.code() == Code::NotFound => continue,
                Err(ReadError::Engine(status)) => return Err(status.into()),
                // It is tried again until the key is there: nothing is left out of a replay in silence.
                Err(error @ ReadError::Encrypted { .. }) => return Err(error.into()),
            };
            done.events += 1;
            let plans = request.plans(&setup.routes, &recorded.plan.event);
            done.not_taken += u64::from(plans.is_empty());
            for mut plan in plans {
                pace.next().await;
                if let Some(flow) = &plan.flow {
                    self.full.room(&flow.id).await;
                }
                plan.alert.clone_from(&setup.alert);
                let id = request.id.as_deref().unwrap_or_default();
                let started = start(client, &self.pauses, id, plan).await?;
                done.executions += 1;
                if request.one_by_one {
                    ended(client, &started).await?;
                }
            }
        }
        Ok(done)
    }
}

/// Starts the execution of a plan in a replay; one that is there already is left alone. Returns its id.
async fn start(client: &Client, pauses: &Pauses, replay: &str, plan: Plan) -> Result<String, ActivityError> {
    let id = format!(
        "{}/replay/{replay}",
        segno_routing::workflow_id(&plan.route, &plan.event)
    );
    let mut attributes = search_attributes::of(&plan.route, &plan.event);
    attributes.apply(REPLAY.value_set(keyword(replay)));
    // Asked for here, so that it runs in the order of the replay.
    let enrolment = plan
        .flow
        .as_ref()
        .filter(|flow| !flow.asks)
        .map(|flow| Enrolment {
            route: plan.route.clone(),
            flow: flow.clone(),
            workflow_id: id.clone(),
            bytes: flow::size(&plan.event),
        });
    let (ty, input) = match bare_workflow(&plan, pauses) {
        Some(name) => (name.to_owned(), json_payload(&plan.event)?),
        None => (WORKFLOW_TYPE.to_owned(), json_payload(&plan)?),
    };
    let start = Start {
        workflow_id: id.clone(),
        ty,
        input,
        request_id: format!("replay/{replay}"),
        reuse: WorkflowIdReusePolicy::RejectDuplicate,
        attributes: Some(attributes),
        memo: Default::default(),
        delay: enrolment.as_ref().map(|_| flow::HELD),
    };
    let started = start.send(client).await?;
    if let (Some(enrolment), Some(_)) = (enrolment, started) {
        flow::enroll_all(client, vec![(enrolment, false)]).await?;
    }
    Ok(id)
}

/// Waits until an execution has ended.
async fn ended(client: &Client, workflow_id: &str) -> Result<(), Status> {
    loop {
        let latest = Summary::latest(client, workflow_id).await?;
        if latest.status != WorkflowExecutionStatus::Running {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}
