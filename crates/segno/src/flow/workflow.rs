//! The workflow around a flow's [`State`]: it tells the state what happens and does what the state says.

use std::time::{Duration, UNIX_EPOCH};

use segno_routing::flow::{Action, Arrival, Ended, KeyView, Millis, Standing, State};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, CancellableFuture, ContinueAsNewOptions, LocalActivityOptions, SyncWorkflowContext,
    TimerResult, WorkflowContext, WorkflowContextView, WorkflowResult, WorkflowTermination,
    workflows::join_all,
};

use super::{
    Word,
    activities::{FlowActivities, Saying, StartBatch},
    read,
};
use crate::search_attributes::{FULL, PARKED};

/// History events after which a flow goes on as new. Few, so that a worker that has lost it soon has it again: after a crash
/// that is all flows at once, and a workflow task that takes longer than ten seconds has to be done anew.
const HISTORY: u32 = 1_000;
/// Words that one activity says.
const WORDS: usize = 500;
/// The pause after words could not be said.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one attempt of a flow's activities may take.
const ATTEMPT: Duration = Duration::from_secs(60);

/// Decides when the events of a route, or of one key of it, may run. Its input is its state.
#[workflow]
pub(crate) struct FlowWorkflow {
    state: State,
    /// When it was last told something or asked.
    time: Millis,
    /// Whether something has happened since the state was last asked what to do.
    changed: bool,
}

#[workflow_methods]
impl FlowWorkflow {
    #[init]
    fn new(_ctx: &WorkflowContextView, state: State) -> Self {
        Self {
            state,
            time: 0,
            changed: false,
        }
    }

    #[run(name = "SegnoFlow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        // What wakes it, and when.
        let mut alarm: Option<(Millis, _)> = None;
        loop {
            let time = now(ctx.workflow_time());
            let actions = ctx.state_mut(|flow| {
                flow.changed = false;
                flow.time = time;
                flow.state.decide(time)
            });
            let acted = !actions.is_empty();
            carry_out(ctx, actions).await?;
            publish(ctx);
            if acted || ctx.state(|flow| flow.changed) {
                continue;
            }
            let (long, done, wake) = ctx.state_mut(|flow| {
                let long = flow.state.look(time);
                (long, flow.state.is_done(time), flow.state.wake_at(time))
            });
            if !long.is_empty() {
                look_after(ctx, long).await?;
                continue;
            }
            if done {
                return Ok(());
            }
            if ctx.continue_as_new_suggested() || ctx.history_length() > HISTORY {
                let state = ctx.state(|flow| flow.state.clone());
                ctx.continue_as_new(state, ContinueAsNewOptions::default())?;
            }
            let Some(wake) = wake else {
                ctx.wait_condition(|flow| flow.changed).await?;
                continue;
            };
            // One that rings too early costs a look; each new one costs two history events.
            if alarm.as_ref().is_none_or(|(rings_at, _)| *rings_at > wake) {
                let pause = Duration::from_millis(wake.saturating_sub(time).max(1));
                if let Some((_, later)) = alarm.replace((wake, ctx.timer(pause))) {
                    later.cancel();
                }
            }
            let Some(ringing) = &mut alarm else {
                continue;
            };
            let mut timer = &mut ringing.1;
            let rang = temporalio_sdk::workflows::select! {
                rang = timer => Some(rang),
                heard = ctx.wait_condition(|flow| flow.changed) => {
                    heard?;
                    None
                }
            };
            match rang {
                Some(TimerResult::Cancelled) => return Err(WorkflowTermination::cancelled()),
                Some(TimerResult::Fired) => alarm = None,
                None => {}
            }
        }
    }

    /// An execution asks whether it may run: an [`Arrival`].
    #[signal(name = "arrive")]
    pub(crate) fn arrive(&mut self, ctx: &mut SyncWorkflowContext<Self>, arrival: RawValue) {
        if let Some(arrival) = read::<Arrival>(&arrival) {
            self.state.arrive(now(ctx.workflow_time()), arrival);
            self.changed = true;
        }
    }

    /// An execution has ended: an [`Ended`].
    #[signal(name = "ended")]
    pub(crate) fn ended(&mut self, ctx: &mut SyncWorkflowContext<Self>, ended: RawValue) {
        if let Some(ended) = read::<Ended>(&ended) {
            self.state.ended(now(ctx.workflow_time()), ended);
            self.changed = true;
        }
    }

    /// A person pauses a key.
    #[signal(name = "pause")]
    pub(crate) fn pause(&mut self, ctx: &mut SyncWorkflowContext<Self>, key: RawValue) {
        if let Some(key) = read::<String>(&key) {
            self.state.pause(now(ctx.workflow_time()), &key);
            self.changed = true;
        }
    }

    /// A person lets a paused key go on; false if it was not paused.
    #[update(name = "resume")]
    pub(crate) fn resume(&mut self, _ctx: &mut SyncWorkflowContext<Self>, key: String) -> bool {
        self.changed = true;
        self.state.resume(&key)
    }

    /// A person lets a parked key go on without the execution that it is parked behind; false if it was not parked.
    #[update(name = "release")]
    pub(crate) fn release(&mut self, _ctx: &mut SyncWorkflowContext<Self>, key: String) -> bool {
        self.changed = true;
        self.state.release(&key)
    }

    /// The keys of which there is something to know.
    #[query(name = "keys")]
    pub(crate) fn keys(&self, _ctx: &WorkflowContextView) -> Vec<KeyView> {
        self.state.keys()
    }

    /// Where an execution stands.
    #[query(name = "standing")]
    pub(crate) fn standing(&self, _ctx: &WorkflowContextView, id: String) -> Standing {
        self.state.standing(self.time, &id)
    }
}

/// A workflow's time in milliseconds since 1970.
pub(crate) fn now(time: Option<std::time::SystemTime>) -> Millis {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Does what the state says and returns once all of it is done: what a workflow has asked for when it goes on as new is
/// asked for by nobody.
async fn carry_out(ctx: &WorkflowContext<FlowWorkflow>, actions: Vec<Action>) -> WorkflowResult<()> {
    let saying = |workflow_id, word| Saying { workflow_id, word };
    let (mut sayings, mut batches) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Go { id } => sayings.push(saying(id, Word::Go)),
            Action::Supersede { id, by } => sayings.push(saying(id, Word::Superseded { by })),
            Action::Batch { id, key, members } => batches.push((id, key, members)),
        }
    }
    let starts: Vec<_> = batches
        .iter()
        .map(|(id, key, members)| {
            let batch = StartBatch {
                id: id.clone(),
                key: key.clone(),
                members: members.clone(),
                flow: ctx.workflow_id().to_owned(),
            };
            ctx.execute_activity(FlowActivities::start_batch, batch, options("start_batch"))
        })
        .collect();
    for ((id, _, members), started) in batches.into_iter().zip(join_all(starts).await) {
        match started {
            Ok(true) => {
                let batched = |member| saying(member, Word::Batched { into: id.clone() });
                sayings.extend(members.into_iter().map(batched));
            }
            Err(error) if error.as_cancelled().is_some() => return Err(WorkflowTermination::cancelled()),
            // None of its members is there any more; or it cannot be started, and those that are ask again.
            Ok(false) | Err(_) => gone(ctx, &id),
        }
    }
    for sayings in sayings.chunks(WORDS) {
        let missing = say(ctx, sayings).await?;
        for saying in sayings.iter().filter(|saying| saying.word == Word::Go) {
            if missing.contains(&saying.workflow_id) {
                gone(ctx, &saying.workflow_id);
            }
        }
    }
    Ok(())
}

/// Says these words, however often it takes: what runs by the state and has not heard of it would wait for nothing. Returns the
/// executions that are not there any more.
async fn say(ctx: &WorkflowContext<FlowWorkflow>, sayings: &[Saying]) -> WorkflowResult<Vec<String>> {
    loop {
        let options = LocalActivityOptions::builder()
            .start_to_close_timeout(ATTEMPT)
            .build();
        // A local one: it is a line in the history, however many words there are, and done within the flow's own step.
        let said = ctx.execute_local_activity(FlowActivities::say, sayings.to_vec(), options);
        match said.await {
            Ok(missing) => return Ok(missing),
            Err(error) if error.as_cancelled().is_some() => return Err(WorkflowTermination::cancelled()),
            Err(_) => {}
        }
        if ctx.timer(PAUSE).await == TimerResult::Cancelled {
            return Err(WorkflowTermination::cancelled());
        }
    }
}

/// An execution is not there any more.
fn gone(ctx: &WorkflowContext<FlowWorkflow>, id: &str) {
    let time = now(ctx.workflow_time());
    ctx.state_mut(|flow| {
        flow.state.gone(time, id);
        flow.changed = true;
    });
}

/// Looks whether executions that should be running still are.
async fn look_after(ctx: &WorkflowContext<FlowWorkflow>, ids: Vec<String>) -> WorkflowResult<()> {
    match ctx
        .execute_activity(FlowActivities::closed, ids, options("closed"))
        .await
    {
        Ok(closed) => {
            let time = now(ctx.workflow_time());
            ctx.state_mut(|flow| {
                for ended in closed {
                    if flow.state.runs(&ended.id) {
                        flow.state.ended(time, ended);
                        flow.changed = true;
                    }
                }
            });
            Ok(())
        }
        Err(error) if error.as_cancelled().is_some() => Err(WorkflowTermination::cancelled()),
        // It is looked again in a minute.
        Err(_) => Ok(()),
    }
}

fn options(summary: &str) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(ATTEMPT)
        .summary(summary.to_owned())
        .build()
}

/// Keeps the search attributes up to date by which parked keys and full flows are found.
fn publish(ctx: &WorkflowContext<FlowWorkflow>) {
    let parked = ctx.state(|flow| i64::try_from(flow.state.parked()).unwrap_or(i64::MAX));
    if ctx.search_attributes().get(&PARKED).unwrap_or_default() != parked {
        ctx.upsert_search_attributes([PARKED.value_set(parked)]);
    }
    let full = ctx.state(|flow| flow.state.is_full());
    if ctx.search_attributes().get(&FULL).unwrap_or_default() != full {
        ctx.upsert_search_attributes([FULL.value_set(full)]);
    }
}
