//! The work that is measured: a workflow with one activity.

use std::time::Duration;

use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

/// Long enough that a slow server does not time the activity out.
const PATIENCE: Duration = Duration::from_secs(120);

#[workflow]
#[derive(Default)]
pub(crate) struct OneActivity;

#[workflow_methods]
impl OneActivity {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(PATIENCE);
        Ok(ctx.execute_activity(Greetings::greet, name, options).await?)
    }
}

pub(crate) struct Greetings;

#[activities]
impl Greetings {
    #[activity]
    pub(crate) async fn greet(_ctx: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(greeting(&name))
    }
}

/// The result of the workflow for this input.
pub(crate) fn greeting(name: &str) -> String {
    format!("Hello, {name}!")
}
