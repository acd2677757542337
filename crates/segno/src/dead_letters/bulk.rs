//! Bulk operations: one decision about all dead letters that a filter finds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ContinueAsNewOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView,
    WorkflowResult, activities::ActivityError,
};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Action, Decider, Edit, Error, Filter, Request, activities::DeadLetterActivities, page};
use crate::{
    execution::HEARTBEAT_TIMEOUT,
    operation::{
        self,
        pace::{self, Pace, page_size},
    },
    run,
};

/// Type of the workflow.
pub(crate) const TYPE: &str = "SegnoBulk";
/// Letters on a page.
const PAGE: usize = 50;
/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Pages after which it goes on with a fresh history.
const PAGES: u32 = 200;

/// What to do with which dead letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkRequest {
    /// The operation's id: the same request made again finds the operation that it began. Left out: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// What to do.
    pub(crate) action: BulkAction,
    /// Which dead letters. Those count that failed before the operation began.
    #[serde(default)]
    pub(crate) filter: Filter,
    /// Who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// Why. For `resolve` it has to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// How many are done in a second at most. Left out: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    /// Of `retry`: run the routes as they are configured now.
    #[serde(default)]
    pub(crate) current_route: bool,
    /// Of `retry`: run all actions, and not only those that failed.
    #[serde(default)]
    pub(crate) all_actions: bool,
}

/// What is done with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BulkAction {
    /// Run it again.
    Retry,
    /// Give it up.
    Skip,
    /// It was dealt with elsewhere.
    Resolve,
}

impl BulkRequest {
    /// Checks it, and fills in what was left out: the id, and the time before which letters count.
    ///
    /// # Errors
    /// What is wrong, for whoever asks.
    pub(crate) fn complete(mut self, now: OffsetDateTime) -> Result<Self, String> {
        self.filter
            .query()
            .map_err(|name| format!("`{name}` is not a time such as 2026-01-31T12:00:00Z (RFC 3339)"))?;
        if self.action == BulkAction::Resolve
            && self.note.as_deref().is_none_or(|note| note.trim().is_empty())
        {
            return Err(
                "say in `note` how they were dealt with; to give them up without a word, skip them"
                    .to_owned(),
            );
        }
        pace::check(self.per_second)?;
        let id = self.id.take().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        if !operation::is_id(&id) {
            return Err("`id` has to be 1 to 100 letters, digits, dots, underscores and hyphens".to_owned());
        }
        self.id = Some(id);
        // What fails again because of this operation is left alone.
        let until = self.filter.until.as_deref().and_then(run::parse);
        self.filter.until = Some(run::format(until.map_or(now, |until| until.min(now))));
        Ok(self)
    }
}

/// Id of a bulk operation's own execution.
pub(crate) fn workflow_id(id: &str) -> String {
    format!("@bulk/{id}")
}

/// What the workflow is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) request: BulkRequest,
    #[serde(default)]
    pub(crate) progress: Done,
}

/// What is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Letters about which it has decided.
    decided: u64,
    /// Letters that somebody else was quicker about.
    already: u64,
    /// Letters that could not be decided about.
    failed: u64,
    /// Why, of the first that could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_failure: Option<Value>,
    #[serde(default)]
    next: Vec<u8>,
    #[serde(default)]
    paused: bool,
}

/// Which page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PageInput {
    request: BulkRequest,
    next: Vec<u8>,
}

/// What was done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PageDone {
    decided: u64,
    already: u64,
    failed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_failure: Option<Value>,
    next: Vec<u8>,
}

/// Carries out a bulk operation.
#[workflow]
pub(crate) struct BulkWorkflow {
    request: BulkRequest,
    done: Done,
}

#[workflow_methods]
impl BulkWorkflow {
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
            let input = PageInput {
                request: request.clone(),
                next: ctx.state(|state| state.done.next.clone()),
            };
            let options = ActivityOptions::with_start_to_close_timeout(PAGE_TIMEOUT)
                .heartbeat_timeout(HEARTBEAT_TIMEOUT)
                .build();
            let page = ctx
                .execute_activity(DeadLetterActivities::bulk, input, options)
                .await?;
            let last = page.next.is_empty();
            ctx.state_mut(|state| {
                let done = &mut state.done;
                done.decided += page.decided;
                done.already += page.already;
                done.failed += page.failed;
                done.first_failure = done.first_failure.take().or(page.first_failure);
                done.next = page.next;
            });
            if last {
                return Ok(ctx.state(|state| state.done.clone()));
            }
        }
        let progress = ctx.state(|state| state.done.clone());
        match ctx.continue_as_new(Input { request, progress }, ContinueAsNewOptions::default())? {}
    }

    /// Nothing more is decided until it is resumed, once the page under way is done.
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

/// Decides about the letters of one page. Done again after a crash, it finds what it has done by the operation's id on
/// the runs that follow, and counts it.
pub(super) async fn carry_out(decider: &Decider, input: PageInput) -> Result<PageDone, ActivityError> {
    let PageInput { request, next } = input;
    let query = request.filter.query().unwrap_or_default();
    let found = page(&decider.client, &query, page_size(request.per_second, PAGE), next).await?;
    let mut pace = Pace::new(request.per_second);
    let mut done = PageDone {
        next: found.next,
        ..PageDone::default()
    };
    for followed in found.followed {
        let after = followed.latest.after.as_ref();
        let ours = after.is_some_and(|after| after.bulk == request.id && after.run_id == followed.run_id);
        done.decided += u64::from(ours);
    }
    let decision = Request {
        action: match request.action {
            BulkAction::Retry => Action::Retry(Edit {
                current_route: request.current_route,
                all_actions: request.all_actions,
                ..Edit::default()
            }),
            BulkAction::Skip => Action::Skip,
            BulkAction::Resolve => Action::Resolve,
        },
        by: request.by.clone(),
        note: request.note.clone(),
        bulk: request.id.clone(),
    };
    for letter in found.letters {
        pace.next().await;
        match decider.decide(&letter.id, Some(&letter.run_id), &decision).await {
            Ok(decided) if decided.changed => done.decided += 1,
            Ok(_) | Err(Error::NotFound) => done.already += 1,
            // All of it is tried again.
            Err(error @ Error::Engine(_)) => return Err(error.into()),
            Err(error) => {
                done.failed += 1;
                let first = serde_json::json!({ "id": letter.id, "error": error.to_string() });
                done.first_failure.get_or_insert(first);
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use segno_event::Objects;
    use serde_json::json;

    use super::*;

    fn request(text: Value) -> Result<BulkRequest, String> {
        BulkRequest::deserialize(Objects(text))
            .map_err(|error| error.to_string())?
            .complete(OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn letters_count_that_failed_before_it_began() {
        let bulk = request(json!({ "action": "retry" })).unwrap();
        assert_eq!(bulk.filter.until.as_deref(), Some("1970-01-01T00:00:00Z"));
        let earlier = json!({ "action": "skip", "filter": { "until": "1969-12-31T00:00:00Z" } });
        assert_eq!(
            request(earlier).unwrap().filter.until.as_deref(),
            Some("1969-12-31T00:00:00Z")
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            (json!({}), "action"),
            (json!({ "action": "burn" }), "burn"),
            (json!({ "action": "resolve" }), "note"),
            (
                json!({ "action": "skip", "filter": { "since": "noon" } }),
                "since",
            ),
            (json!({ "action": "skip", "per_second": 0 }), "per_second"),
            (json!({ "action": "skip", "id": "a/b" }), "`id`"),
            (json!({ "action": "skip", "filter": { "rout": "a" } }), "rout"),
            (json!({ "action": "skip", "filter": [] }), "a list"),
        ] {
            let error = request(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
