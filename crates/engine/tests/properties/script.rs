//! A workflow that does a list of steps one after the other, as the SDK runs it. `model` has it as a model.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_common::{
    WorkflowDefinition as _,
    protos::temporal::api::common::v1::{Payload, Payloads},
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, SignalWorkflowOptions, SyncWorkflowContext, WorkflowContext,
    WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

/// The workflow that signals and cancel requests go to.
pub(crate) const OTHER: &str = "other";

/// One thing that the workflow does and waits for. The failure of an operation is not the workflow's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    Timer {
        millis: u64,
    },
    /// At most so many attempts, 0 for any number.
    Activity {
        attempts: u32,
    },
    Signal,
    /// An update that is accepted.
    Update,
    /// Starts a child, and waits for its end or only for its start.
    Child {
        to_the_end: bool,
    },
    SignalOther,
    CancelOther,
}

#[workflow]
#[derive(Default)]
pub(crate) struct Script {
    signals: usize,
    updates: usize,
}

#[workflow_methods]
impl Script {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, steps: Vec<Step>) -> WorkflowResult<()> {
        let (mut signals, mut updates, mut children) = (0, 0, Vec::new());
        for step in steps {
            match step {
                Step::Timer { millis } => {
                    ctx.timer(Duration::from_millis(millis)).await;
                }
                Step::Activity { .. } => {
                    let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
                    let _ = ctx.execute_activity(Acts::act, (), options).await;
                }
                Step::Signal => {
                    signals += 1;
                    ctx.wait_condition(move |state| state.signals >= signals).await?;
                }
                Step::Update => {
                    updates += 1;
                    ctx.wait_condition(move |state| state.updates >= updates).await?;
                }
                Step::Child { to_the_end } => {
                    let options = ChildWorkflowOptions::workflow_id(child_id(children.len() + 1));
                    let child = ctx.start_child_workflow(Script::run, Vec::new(), options).await;
                    match child {
                        Ok(child) if to_the_end => {
                            children.push(None);
                            let _ = child.result().await;
                        }
                        child => children.push(child.ok()),
                    }
                }
                Step::SignalOther => {
                    let other = ctx.external_workflow(OTHER, None);
                    let _ = other
                        .signal(Script::go, (), SignalWorkflowOptions::default())
                        .await;
                }
                Step::CancelOther => {
                    let _ = ctx.external_workflow(OTHER, None).cancel(None).await;
                }
            }
        }
        Ok(())
    }

    #[signal]
    pub(crate) fn go(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _input: ()) {
        self.signals += 1;
    }

    #[update_validator(bump)]
    fn check_bump(
        &self,
        _ctx: &WorkflowContextView,
        is_wanted: &bool,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if *is_wanted {
            Ok(())
        } else {
            Err("not wanted".into())
        }
    }

    /// An update that is completed at once, if it is accepted.
    #[update]
    pub(crate) fn bump(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _is_wanted: bool) {
        self.updates += 1;
    }

    /// An update that is completed when the workflow has had so many signals.
    #[update]
    pub(crate) async fn await_signals(ctx: &mut WorkflowContext<Self>, signals: usize) {
        ctx.state_mut(|state| state.updates += 1);
        let _ = ctx.wait_condition(move |state| state.signals >= signals).await;
    }
}

pub(crate) struct Acts;

#[activities]
impl Acts {
    #[activity]
    pub(crate) async fn act(_ctx: ActivityContext, _input: ()) -> Result<(), ActivityError> {
        Ok(())
    }
}

/// The workflow id of the script's so manieth child.
pub(crate) fn child_id(number: usize) -> String {
    format!("child-{number}")
}

/// The workflow type's name.
pub(crate) fn workflow_type() -> String {
    Script::run.name().to_owned()
}

/// The steps as the workflow's input.
pub(crate) fn input(steps: &[Step]) -> Payloads {
    json(&serde_json::to_string(steps).expect("steps are JSON"))
}

pub(crate) fn json(text: &str) -> Payloads {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    Payloads {
        payloads: vec![Payload {
            metadata,
            data: text.as_bytes().to_vec(),
            ..Default::default()
        }],
    }
}
