//! The job as a Restate service: one durable step, like the workflow's one activity.

use restate_sdk::prelude::*;

use crate::job::greeting;

pub(super) struct OneStep;

#[restate_sdk::service]
impl OneStep {
    #[handler]
    async fn run(&self, ctx: Context<'_>, name: String) -> Result<String, HandlerError> {
        let greeted = ctx
            .run(|| async move { Ok(greeting(&name)) })
            .name("greet")
            .await?;
        Ok(greeted)
    }
}
