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

/// Delivers what it is called with, in one durable step that is tried again until the receiver takes it.
pub(super) struct Deliver {
    pub(super) http: reqwest::Client,
    pub(super) url: String,
}

#[restate_sdk::service]
impl Deliver {
    #[handler]
    async fn run(&self, ctx: Context<'_>, data: Json<serde_json::Value>) -> Result<(), HandlerError> {
        let request = self.http.post(&self.url).json(&data.into_inner());
        ctx.run(|| async move {
            request.send().await?.error_for_status()?;
            Ok(())
        })
        .name("deliver")
        .await?;
        Ok(())
    }
}
