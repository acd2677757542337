//! The workflow that carries a replay out, page by page.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ContinueAsNewOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView,
    WorkflowResult,
};

use super::{
    Request,
    activities::{PageInput, ReplayActivities},
};
use crate::execution::HEARTBEAT_TIMEOUT;

/// Type of the workflow.
pub(crate) const TYPE: &str = "SegnoReplay";
/// How long a page may take.
const PAGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Pages after which it goes on with a fresh history.
const PAGES: u32 = 200;

/// What the workflow is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) request: Request,
    #[serde(default)]
    pub(crate) progress: Done,
}

/// What is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Events that were looked at.
    events: u64,
    /// Events that none of the chosen routes takes.
    not_taken: u64,
    /// Executions that were started.
    executions: u64,
    /// The time up to which events are done (RFC 3339).
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    paused: bool,
}

/// Carries out a replay.
#[workflow]
pub(crate) struct ReplayWorkflow {
    request: Request,
    done: Done,
}

#[workflow_methods]
impl ReplayWorkflow {
    #[init]
    fn new(_ctx: &WorkflowContextView, input: Input) -> Self {
        Self {
            request: input.request,
            done: input.progress,
        }
    }

    #[run(name = TYPE)]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Done> {
        let request = ctx.state(|state| state.request.clone());
        for _ in 0..PAGES {
            ctx.wait_condition(|state| !state.done.paused).await?;
            let next = ctx.state(|state| state.done.next.clone());
            let page = PageInput {
                request: request.clone(),
                next,
            };
            let options = ActivityOptions::with_start_to_close_timeout(PAGE)
                .heartbeat_timeout(HEARTBEAT_TIMEOUT)
                .build();
            let page = ctx
                .execute_activity(ReplayActivities::page, page, options)
                .await?;
            let last = page.next.is_none();
            ctx.state_mut(|state| {
                let done = &mut state.done;
                done.events += page.events;
                done.not_taken += page.not_taken;
                done.executions += page.executions;
                done.next = page.next;
            });
            if last {
                return Ok(ctx.state(|state| state.done.clone()));
            }
        }
        let progress = ctx.state(|state| state.done.clone());
        match ctx.continue_as_new(Input { request, progress }, ContinueAsNewOptions::default())? {}
    }

    /// Nothing more is started until it is resumed, once the page under way is done.
    #[signal(name = "pause")]
    pub(crate) fn pause(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _: ()) {
        self.done.paused = true;
    }

    /// It goes on.
    #[signal(name = "resume")]
    pub(crate) fn resume(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _: ()) {
        self.done.paused = false;
    }

    /// How far it is.
    #[query(name = "progress")]
    pub(crate) fn progress(&self, _ctx: &WorkflowContextView) -> Done {
        self.done.clone()
    }
}
