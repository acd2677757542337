//! The workflow that knows what is paused, and its activities.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use temporalio_client::{
    Client, NamespacedClient, UntypedSignal, UntypedWorkflow, WorkflowSignalOptions, tonic::IntoRequest,
};
use temporalio_common::{
    data_converters::RawValue, protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ContinueAsNewOptions, MemoValue, SyncWorkflowContext, WorkflowContext,
    WorkflowContextView, WorkflowResult, WorkflowTermination,
    activities::{ActivityContext, ActivityError},
};

use super::{MEMO, PERIOD, Paused, Pauses, What};
use crate::{
    dead_letters::quoted,
    execution::{HEARTBEAT_TIMEOUT, Progress, WORKFLOW_TYPE, keep_alive},
    flow::{now, raw, read},
    search_attributes::PAUSED,
};

/// How long telling everybody may take.
const WAKING: Duration = Duration::from_secs(6 * 60 * 60);
/// Executions that are told at once.
const AT_ONCE: usize = 32;
/// How often it is looked who waits still: a list may be behind, and another process may have heard of the end of the
/// pause later than its executions.
const ROUNDS: usize = 3;

/// Knows what is paused: that is its input, and what its memo tells.
#[workflow]
pub(crate) struct PausesWorkflow {
    paused: Paused,
    /// What goes on, and who waits for it is still to be told.
    resumed: Vec<What>,
}

#[workflow_methods]
impl PausesWorkflow {
    #[init]
    fn new(_ctx: &WorkflowContextView, paused: Paused) -> Self {
        Self {
            paused,
            resumed: Vec::new(),
        }
    }

    #[run(name = "SegnoPauses")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let paused = ctx.state(|state| state.paused.clone());
        ctx.upsert_memo([(MEMO, Some(MemoValue::new(paused)))])?;
        loop {
            let resumed = ctx.state_mut(|state| std::mem::take(&mut state.resumed));
            if !resumed.is_empty() {
                let options = ActivityOptions::with_start_to_close_timeout(WAKING)
                    .heartbeat_timeout(HEARTBEAT_TIMEOUT)
                    .summary("wake".to_owned())
                    .build();
                let woken = ctx
                    .execute_activity(PauseActivities::wake, resumed, options)
                    .await;
                if woken.is_err_and(|error| error.as_cancelled().is_some()) {
                    return Err(WorkflowTermination::cancelled());
                }
                continue;
            }
            let paused = ctx.state(|state| state.paused.clone());
            if paused.is_empty() {
                return Ok(());
            }
            if ctx.continue_as_new_suggested() {
                ctx.continue_as_new(paused, ContinueAsNewOptions::default())?;
            }
            ctx.wait_condition(|state| !state.resumed.is_empty()).await?;
        }
    }

    /// A person pauses something: a [`What`].
    #[signal(name = "pause")]
    pub(crate) fn pause(&mut self, ctx: &mut SyncWorkflowContext<Self>, what: RawValue) {
        if let Some(what) = read::<What>(&what) {
            self.paused.entry(what).or_insert(now(ctx.workflow_time()));
            self.tell(ctx);
        }
    }

    /// A person lets something go on; false if it was not paused.
    #[update(name = "resume")]
    pub(crate) fn resume(&mut self, ctx: &mut SyncWorkflowContext<Self>, what: String) -> bool {
        let what = What::from(what);
        if self.paused.remove(&what).is_none() {
            return false;
        }
        self.tell(ctx);
        self.resumed.push(what);
        true
    }
}

impl PausesWorkflow {
    /// The memo is what everybody reads: it changes with the same task that brings the change.
    fn tell(&self, ctx: &SyncWorkflowContext<Self>) {
        let told = ctx.upsert_memo([(MEMO, Some(MemoValue::new(self.paused.clone())))]);
        if let Err(error) = told {
            tracing::error!(%error, "what is paused cannot be told");
        }
    }
}

/// The activities of pauses.
pub(crate) struct PauseActivities(pub(crate) Pauses);

#[activities]
impl PauseActivities {
    /// Tells the executions that wait for the end of these pauses.
    #[activity(name = "wake")]
    pub(crate) async fn wake(ctx: ActivityContext, resumed: Vec<What>) -> Result<(), ActivityError> {
        keep_alive(&ctx, &Progress::default(), async {
            for round in 0..ROUNDS {
                if round > 0 {
                    tokio::time::sleep(PERIOD * 2).await;
                }
                for what in &resumed {
                    tell_waiting(&ctx.client(), what).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The pause of a route, if it is paused.
    #[activity(name = "pause_of")]
    pub(crate) async fn pause_of(
        self: Arc<Self>,
        _ctx: ActivityContext,
        route: String,
    ) -> Result<Option<What>, ActivityError> {
        Ok(self.0.of_route(&route))
    }
}

async fn tell_waiting(client: &Client, what: &What) -> Result<(), ActivityError> {
    let mut token = Vec::new();
    loop {
        let request = ListWorkflowExecutionsRequest {
            namespace: client.namespace(),
            page_size: 500,
            next_page_token: token,
            query: format!(
                "WorkflowType = '{WORKFLOW_TYPE}' AND ExecutionStatus = 'Running' AND {} = {}",
                PAUSED.name(),
                quoted(&what.to_string())
            ),
        };
        let mut service = client.connection().workflow_service();
        let page = service
            .list_workflow_executions(request.into_request())
            .await?
            .into_inner();
        let ids = page
            .executions
            .into_iter()
            .filter_map(|info| Some(info.execution?.workflow_id));
        stream::iter(ids)
            .for_each_concurrent(AT_ONCE, |id| async move {
                let handle = client.get_workflow_handle::<UntypedWorkflow>(id.as_str());
                // One that has ended in the meantime waits for nothing; one that is not reached looks by itself.
                let signal = UntypedSignal::new("resumed");
                drop(
                    handle
                        .signal(signal, raw(&()), WorkflowSignalOptions::default())
                        .await,
                );
            })
            .await;
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(());
        }
    }
}
