//! The activities that deal with dead letters.

use std::{sync::Arc, time::Duration};

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use time::OffsetDateTime;

use crate::{
    execution::{Progress, keep_alive},
    live::Live,
    pauses::Pauses,
};

use super::{
    Decider,
    bulk::{self, PageDone, PageInput},
    keeper::{self, Round},
};

/// What these activities need besides the engine's client.
pub(crate) struct DeadLetterActivities {
    /// The configuration as it is now.
    pub(crate) live: Live,
    /// What people hold up.
    pub(crate) pauses: Pauses,
    /// The age at which letters are kept on, where it is configured.
    pub(crate) renew_after: Option<Duration>,
}

impl DeadLetterActivities {
    fn decider(&self, ctx: &ActivityContext) -> Decider {
        Decider {
            client: ctx.client(),
            live: self.live.clone(),
            pauses: self.pauses.clone(),
        }
    }
}

#[activities]
impl DeadLetterActivities {
    /// Keeps on every dead letter that the engine would delete soon.
    #[activity(name = "keep_dead_letters")]
    pub(crate) async fn keep(self: Arc<Self>, ctx: ActivityContext, _: ()) -> Result<Round, ActivityError> {
        let now = OffsetDateTime::now_utc();
        keeper::keep(&self.decider(&ctx), self.renew_after, now, &ctx).await
    }

    /// Decides about one page of a bulk operation's dead letters.
    #[activity(name = "bulk_page")]
    pub(crate) async fn bulk(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: PageInput,
    ) -> Result<PageDone, ActivityError> {
        let decider = self.decider(&ctx);
        keep_alive(&ctx, &Progress::default(), bulk::carry_out(&decider, input)).await
    }
}
