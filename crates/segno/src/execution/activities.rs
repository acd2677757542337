//! The activities as the worker registers them.

use std::{collections::HashMap, sync::Arc};

use segno_event::{Filter, Transform};
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use super::{
    alert::{self, AlertInput},
    consume::{self, ConsumeInput},
    deliver::{self, DeliverInput},
    event_ref::Events,
    story::Receipt,
};
use crate::{compiled::Compiled, consumer::DynConsumer, live::Live, overview::Health, pauses::Pauses};

/// What the activities need: the sinks and consumers of this process, by name.
pub(crate) struct Activities {
    pub(super) live: Live,
    pub(super) consumers: HashMap<String, Arc<dyn DynConsumer>>,
    pub(super) events: Events,
    /// What people hold up.
    pub(super) pauses: Pauses,
    /// Where it is noted how the sinks do.
    pub(super) health: Health,
    pub(super) conditions: Compiled<Filter>,
    pub(super) transforms: Compiled<Transform>,
}

impl Activities {
    pub(crate) fn new(
        live: Live,
        consumers: HashMap<String, Arc<dyn DynConsumer>>,
        pauses: Pauses,
        health: Health,
    ) -> Self {
        Self {
            live,
            consumers,
            events: Events::new(),
            pauses,
            health,
            conditions: Compiled::new(Filter::compile),
            transforms: Compiled::new(Transform::compile),
        }
    }
}

#[activities]
impl Activities {
    /// Delivers one action; returns what it delivered.
    #[activity(name = "deliver")]
    pub(crate) async fn deliver(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: DeliverInput,
    ) -> Result<Receipt, ActivityError> {
        deliver::run(&self, &ctx, input).await
    }

    /// Runs one consumer.
    #[activity(name = "consume")]
    pub(crate) async fn consume(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: ConsumeInput,
    ) -> Result<(), ActivityError> {
        consume::run(&self, &ctx, input).await
    }

    /// Tells a sink of a dead letter.
    #[activity(name = "alert")]
    pub(crate) async fn alert(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: AlertInput,
    ) -> Result<(), ActivityError> {
        alert::run(&self, &ctx, input).await
    }
}

/// The name of the route, with which the id of each execution of an event begins.
pub(crate) fn route_of(workflow_id: &str) -> &str {
    let route = workflow_id.split_once('/').map(|(route, _)| route);
    route.unwrap_or(workflow_id)
}

/// The execution that an activity belongs to.
pub(super) fn execution(ctx: &ActivityContext) -> WorkflowExecution {
    let info = ctx.info();
    WorkflowExecution {
        workflow_id: info.workflow_id.clone().unwrap_or_default(),
        run_id: info.workflow_run_id.clone().unwrap_or_default(),
    }
}
