//! Pausing, unpausing and resetting activities, and changing their options: the forms that name a
//! workflow's activities by id or type, and the newer ones that name one activity.

use rand::Rng as _;
use temporalio_protos::temporal::api::{
    activity::v1::ActivityOptions,
    common::v1::WorkflowExecution,
    workflowservice::v1::{
        PauseActivityExecutionRequest, PauseActivityExecutionResponse, PauseActivityRequest,
        PauseActivityResponse, ResetActivityExecutionRequest, ResetActivityExecutionResponse,
        ResetActivityRequest, ResetActivityResponse, UnpauseActivityExecutionRequest,
        UnpauseActivityExecutionResponse, UnpauseActivityRequest, UnpauseActivityResponse,
        UpdateActivityExecutionOptionsRequest, UpdateActivityExecutionOptionsResponse,
        UpdateActivityOptionsRequest, UpdateActivityOptionsResponse, pause_activity_request,
        reset_activity_request, unpause_activity_request, update_activity_options_request,
    },
};

use super::Service;
use crate::{
    clock::{Nanos, nanos},
    core::{
        ActivityPause, ActivityReset, ActivitySelection, ActivityUnpause, OptionsUpdate, Run,
        STANDALONE_EVENT, is_option,
    },
    limits::Limits,
    rpc::RpcError,
};

/// The one activity that a request of the newer forms is about.
macro_rules! one {
    ($service:ident, $request:ident) => {
        Target::one(
            &$service.limits,
            $request.namespace,
            $request.workflow_id,
            $request.run_id,
            $request.activity_id,
        )?
    };
}

/// How a request of either form resets.
macro_rules! reset {
    ($request:ident) => {
        ActivityReset {
            reset_heartbeat: $request.reset_heartbeat,
            keep_paused: $request.keep_paused,
            restore_options: $request.restore_original_options,
            ..Default::default()
        }
    };
}

/// Which options a request of either form changes.
macro_rules! options {
    ($request:ident) => {
        OptionsUpdate::new(
            $request.restore_original,
            $request.activity_options,
            $request.update_mask,
        )?
    };
}

/// The activities a request is about.
struct Target {
    namespace: String,
    /// Without a workflow id: of a standalone activity.
    execution: WorkflowExecution,
    selection: ActivitySelection,
}

impl Target {
    fn new(
        namespace: String,
        execution: Option<WorkflowExecution>,
        selection: Option<ActivitySelection>,
    ) -> Result<Self, RpcError> {
        let selection = selection.ok_or_else(|| {
            RpcError::InvalidArgument("Either Activity.Id or Activity.Type should be set on request.".into())
        })?;
        Ok(Self {
            namespace,
            execution: execution.unwrap_or_default(),
            selection,
        })
    }

    /// One activity, by the ids of the newer forms.
    fn one(
        limits: &Limits,
        namespace: String,
        workflow_id: String,
        run_id: String,
        activity_id: String,
    ) -> Result<Self, RpcError> {
        if activity_id.is_empty() {
            return Err(RpcError::InvalidArgument("activity ID is required".into()));
        }
        limits.id("ActivityId", &activity_id)?;
        Ok(Self {
            namespace,
            execution: WorkflowExecution { workflow_id, run_id },
            selection: ActivitySelection::Id(activity_id),
        })
    }
}

impl Service {
    /// Does `each` to every selected activity, or to none if one of them refuses.
    async fn control<R: Send + 'static>(
        &self,
        target: Target,
        mut each: impl FnMut(&mut Run, Nanos, i64) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<Option<R>, RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&target.namespace)?;
                let (key, selected) = match &target.selection {
                    ActivitySelection::Id(id) if target.execution.workflow_id.is_empty() => {
                        let key = host.find_activity(namespace, id, &target.execution.run_id)?;
                        (key, vec![STANDALONE_EVENT])
                    }
                    selection => {
                        let key = host.find(namespace, &target.execution)?;
                        (key, host.run(key)?.select_activities(selection)?)
                    }
                };
                host.change(key, |run, now| {
                    let state = run.state.clone();
                    let tasks = run.effects.tasks.len();
                    let mut last = None;
                    for id in selected {
                        match each(run, now, id) {
                            Ok(answer) => last = Some(answer),
                            Err(error) => {
                                run.state = state;
                                run.effects.tasks.truncate(tasks);
                                return Err(error);
                            }
                        }
                    }
                    Ok(last)
                })
            })
            .await
    }

    async fn pause(
        &self,
        target: Target,
        identity: String,
        reason: String,
        request_id: String,
    ) -> Result<(), RpcError> {
        self.control(target, move |run, now, id| {
            if run.is_standalone() && run.note_pause_request(&request_id)? {
                return Ok(());
            }
            let pause = ActivityPause {
                at: now,
                identity: identity.clone(),
                reason: reason.clone(),
                request_id: request_id.clone(),
            };
            run.pause_activity(id, pause)
        })
        .await
        .map(drop)
    }

    async fn unpause(
        &self,
        target: Target,
        how: ActivityUnpause,
        jitter: Nanos,
        request_id: String,
    ) -> Result<(), RpcError> {
        self.control(target, move |run, now, id| {
            if run.is_standalone() && run.note_unpause_request(&request_id)? {
                return Ok(());
            }
            let delay = some_of(jitter);
            run.unpause_activity(now, id, ActivityUnpause { delay, ..how });
            Ok(())
        })
        .await
        .map(drop)
    }

    async fn reset(&self, target: Target, how: ActivityReset, jitter: Nanos) -> Result<(), RpcError> {
        self.control(target, move |run, now, id| {
            run.check_controllable("reset")?;
            let delay = some_of(jitter);
            run.reset_activity(now, id, ActivityReset { delay, ..how })
        })
        .await
        .map(drop)
    }

    async fn update_options(
        &self,
        target: Target,
        update: OptionsUpdate,
    ) -> Result<Option<ActivityOptions>, RpcError> {
        let updated = self
            .control(target, move |run, now, id| {
                if let (true, OptionsUpdate::Merge { mask, .. }) = (run.is_standalone(), &update) {
                    check_paths(mask)?;
                }
                run.check_controllable("update options for")?;
                run.update_activity_options(now, id, update.clone())
            })
            .await?;
        Ok(updated.flatten())
    }

    pub(super) async fn pause_activity(
        &self,
        request: PauseActivityRequest,
    ) -> Result<PauseActivityResponse, RpcError> {
        use pause_activity_request::Activity;
        let selection = request.activity.map(|activity| match activity {
            Activity::Id(id) => ActivitySelection::Id(id),
            Activity::Type(name) => ActivitySelection::Type(name),
        });
        let target = Target::new(request.namespace, request.execution, selection)?;
        self.pause(target, request.identity, request.reason, request.request_id)
            .await?;
        Ok(PauseActivityResponse {})
    }

    pub(super) async fn pause_activity_execution(
        &self,
        request: PauseActivityExecutionRequest,
    ) -> Result<PauseActivityExecutionResponse, RpcError> {
        let target = one!(self, request);
        self.pause(target, request.identity, request.reason, request.request_id)
            .await?;
        Ok(PauseActivityExecutionResponse {})
    }

    pub(super) async fn unpause_activity(
        &self,
        request: UnpauseActivityRequest,
    ) -> Result<UnpauseActivityResponse, RpcError> {
        use unpause_activity_request::Activity;
        let selection = request.activity.map(|activity| match activity {
            Activity::Id(id) => ActivitySelection::Id(id),
            Activity::Type(name) => ActivitySelection::Type(name),
            Activity::UnpauseAll(_) => ActivitySelection::All,
        });
        let target = Target::new(request.namespace, request.execution, selection)?;
        let how = ActivityUnpause {
            reset_attempts: request.reset_attempts,
            reset_heartbeat: request.reset_heartbeat,
            ..Default::default()
        };
        let jitter = nanos(request.jitter.as_ref());
        self.unpause(target, how, jitter, String::new()).await?;
        Ok(UnpauseActivityResponse {})
    }

    pub(super) async fn unpause_activity_execution(
        &self,
        request: UnpauseActivityExecutionRequest,
    ) -> Result<UnpauseActivityExecutionResponse, RpcError> {
        let target = one!(self, request);
        let how = ActivityUnpause::default();
        let jitter = nanos(request.jitter.as_ref());
        self.unpause(target, how, jitter, request.request_id).await?;
        Ok(UnpauseActivityExecutionResponse {})
    }

    pub(super) async fn reset_activity(
        &self,
        request: ResetActivityRequest,
    ) -> Result<ResetActivityResponse, RpcError> {
        use reset_activity_request::Activity;
        let selection = request.activity.map(|activity| match activity {
            Activity::Id(id) => ActivitySelection::Id(id),
            Activity::Type(name) => ActivitySelection::Type(name),
            Activity::MatchAll(_) => ActivitySelection::All,
        });
        let target = Target::new(request.namespace, request.execution, selection)?;
        self.reset(target, reset!(request), nanos(request.jitter.as_ref()))
            .await?;
        Ok(ResetActivityResponse {})
    }

    pub(super) async fn reset_activity_execution(
        &self,
        request: ResetActivityExecutionRequest,
    ) -> Result<ResetActivityExecutionResponse, RpcError> {
        let target = one!(self, request);
        self.reset(target, reset!(request), nanos(request.jitter.as_ref()))
            .await?;
        Ok(ResetActivityExecutionResponse {})
    }

    pub(super) async fn update_activity_options(
        &self,
        request: UpdateActivityOptionsRequest,
    ) -> Result<UpdateActivityOptionsResponse, RpcError> {
        use update_activity_options_request::Activity;
        let update = options!(request);
        let selection = request.activity.map(|activity| match activity {
            Activity::Id(id) => ActivitySelection::Id(id),
            Activity::Type(name) => ActivitySelection::Type(name),
            Activity::MatchAll(_) => ActivitySelection::All,
        });
        let target = Target::new(request.namespace, request.execution, selection)?;
        Ok(UpdateActivityOptionsResponse {
            activity_options: self.update_options(target, update).await?,
        })
    }

    pub(super) async fn update_activity_execution_options(
        &self,
        request: UpdateActivityExecutionOptionsRequest,
    ) -> Result<UpdateActivityExecutionOptionsResponse, RpcError> {
        let update = options!(request);
        let target = one!(self, request);
        Ok(UpdateActivityExecutionOptionsResponse {
            activity_options: self.update_options(target, update).await?,
        })
    }
}

/// Refuses what are no options: of standalone activities, the real server does not ignore them.
fn check_paths(mask: &[String]) -> Result<(), RpcError> {
    if mask.is_empty() {
        return Err(RpcError::InvalidArgument(
            "UpdateMask must specify at least one path".into(),
        ));
    }
    for path in mask {
        if !is_option(path) {
            return Err(RpcError::InvalidArgument(format!(
                "unsupported update_mask path: {path:?}"
            )));
        }
    }
    Ok(())
}

/// A random part of a jitter.
fn some_of(jitter: Nanos) -> Nanos {
    if jitter > 0 {
        rand::rng().random_range(0..jitter)
    } else {
        0
    }
}
