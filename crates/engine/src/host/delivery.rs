//! Tasks as workers get them.

use temporalio_protos::temporal::api::{
    common::v1::{ActivityType, WorkflowExecution, WorkflowType},
    workflowservice::v1::{PollActivityTaskQueueResponse, PollWorkflowTaskQueueResponse},
};

use prost::{Message as _, encoding::message};

use crate::{
    answer::WithHistory,
    clock::{duration, timestamp},
    core::{Run, normal_queue},
    token::{HistoryToken, TaskToken},
};

/// A workflow task as a worker gets it.
pub(crate) type WorkflowTaskAnswer = WithHistory<PollWorkflowTaskQueueResponse>;

/// Events in one page of a history.
pub(crate) const PAGE_EVENTS: usize = 256;
/// Bytes of events in one page, unless a single event is larger.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// How much of what has these sizes fits a page, and whether more follows.
pub(crate) fn page(sizes: impl Iterator<Item = usize>, limit: usize) -> (usize, bool) {
    let (mut taken, mut bytes) = (0, 0);
    for size in sizes {
        bytes += size;
        if taken >= limit || (taken > 0 && bytes > PAGE_BYTES) {
            return (taken, true);
        }
        taken += 1;
    }
    (taken, false)
}

/// A page of a history.
pub(crate) struct Page {
    /// The encoded events.
    pub(crate) history: Vec<u8>,
    /// The event after the last one in it.
    pub(crate) next_event_id: i64,
    /// For what does not fit the page.
    pub(crate) next_page_token: Vec<u8>,
}

/// The events from `from` on, and the token for what does not fit the page. For a worker (`until`
/// not 0), with the unwritten events of its task.
pub(crate) fn history_page(run: &Run, from: i64, until: i64, limit: usize) -> Page {
    let skip = usize::try_from(from - 1).unwrap_or(0).min(run.history.len());
    let (end, unwritten) = match usize::try_from(until) {
        Ok(until) if until > 0 => (until.min(run.history.len()), run.unwritten_task_events()),
        _ => (run.history.len(), Vec::new()),
    };
    let written = skip..end.max(skip);
    let unwritten: Vec<_> = unwritten
        .into_iter()
        .filter(|event| event.event_id >= from && event.event_id <= until)
        .collect();
    let sizes = written
        .clone()
        .map(|index| run.history.encoded(index..index + 1).len());
    let (taken, has_more) = page(
        sizes.chain(unwritten.iter().map(|event| event.encoded_len())),
        limit,
    );
    let from_disk = taken.min(written.len());
    let mut history = run.history.encoded(skip..skip + from_disk).to_vec();
    for event in unwritten.iter().take(taken - from_disk) {
        message::encode(1, event, &mut history);
    }
    let next_event_id = match (taken - from_disk).checked_sub(1) {
        Some(last) => unwritten[last].event_id + 1,
        None if from_disk > 0 => (skip + from_disk) as i64 + 1,
        None => from,
    };
    let token = HistoryToken {
        run: run.key,
        next_event_id,
        until,
    };
    Page {
        history,
        next_event_id,
        next_page_token: if has_more {
            token.encode_to_vec()
        } else {
            Vec::new()
        },
    }
}

/// The run's started workflow task. `partial`: the worker has the history up to its last task.
pub(crate) fn workflow_task(run: &Run, partial: bool, backlog: usize) -> WorkflowTaskAnswer {
    let Some(started) = &run.started_task else {
        return WorkflowTaskAnswer::default();
    };
    let from = if partial {
        run.state.last_started_event_id + 1
    } else {
        1
    };
    let page = history_page(run, from, started.started_event_id, PAGE_EVENTS);
    let pending = run.state.workflow_task.as_ref();
    let scheduled_at = pending.map_or(started.at, |task| task.scheduled_at);
    let is_speculative = pending.is_some_and(|task| task.speculative);
    let token = TaskToken {
        run: run.key,
        attempt: started.attempt,
        started_event_id: started.started_event_id,
        speculative_at: if is_speculative { started.at } else { 0 },
        life: started.life,
        ..Default::default()
    };
    WithHistory {
        message: PollWorkflowTaskQueueResponse {
            task_token: token.encode_to_vec(),
            previous_started_event_id: run.state.last_started_event_id,
            started_event_id: started.started_event_id,
            attempt: started.attempt,
            backlog_count_hint: i64::try_from(backlog).unwrap_or(i64::MAX),
            next_page_token: page.next_page_token,
            scheduled_time: Some(timestamp(scheduled_at)),
            started_time: Some(timestamp(started.at)),
            ..task_of(run)
        },
        history: Some(page.history),
    }
}

/// A task that only asks a query. `partial`: the worker has the whole history already.
pub(crate) fn query_task(run: &Run, partial: bool, id: u64) -> WorkflowTaskAnswer {
    let (history, next_page_token) = if partial {
        (Vec::new(), Vec::new())
    } else {
        let page = history_page(run, 1, 0, PAGE_EVENTS);
        (page.history, page.next_page_token)
    };
    WithHistory {
        message: PollWorkflowTaskQueueResponse {
            task_token: TaskToken {
                run: run.key,
                query: id,
                ..Default::default()
            }
            .encode_to_vec(),
            previous_started_event_id: run.state.last_started_event_id,
            started_event_id: 0,
            attempt: 1,
            next_page_token,
            ..task_of(run)
        },
        history: Some(history),
    }
}

fn task_of(run: &Run) -> PollWorkflowTaskQueueResponse {
    PollWorkflowTaskQueueResponse {
        workflow_execution: Some(execution(run)),
        workflow_type: Some(WorkflowType {
            name: run.state.workflow_type.clone(),
        }),
        workflow_execution_task_queue: Some(normal_queue(&run.state.task_queue)),
        ..Default::default()
    }
}

/// A started activity attempt; none where the run no longer has it.
pub(crate) fn activity_task(
    run: &Run,
    namespace: &str,
    scheduled_event_id: i64,
) -> Option<PollActivityTaskQueueResponse> {
    let activity = run.activity(scheduled_event_id)?;
    let started = activity.started.as_ref()?;
    let scheduled = run.activity_scheduled(scheduled_event_id)?;
    let token = TaskToken {
        run: run.key,
        attempt: activity.attempt,
        scheduled_event_id,
        ..Default::default()
    };
    let workflow = (!run.is_standalone()).then(|| execution(run));
    let workflow_type = workflow.is_some().then(|| WorkflowType {
        name: run.state.workflow_type.clone(),
    });
    Some(PollActivityTaskQueueResponse {
        task_token: token.encode_to_vec(),
        workflow_namespace: namespace.to_owned(),
        workflow_type,
        activity_run_id: if workflow.is_none() {
            run.state.run_id.clone()
        } else {
            String::new()
        },
        workflow_execution: Some(workflow.unwrap_or_default()),
        activity_type: Some(ActivityType {
            name: activity.activity_type.clone(),
        }),
        activity_id: activity.id.clone(),
        header: scheduled.header,
        input: scheduled.input,
        heartbeat_details: activity.heartbeat_details.clone(),
        scheduled_time: Some(timestamp(activity.scheduled_at)),
        current_attempt_scheduled_time: Some(timestamp(activity.attempt_at)),
        started_time: Some(timestamp(started.at)),
        attempt: activity.attempt,
        schedule_to_close_timeout: Some(duration(activity.schedule_to_close)),
        start_to_close_timeout: Some(duration(activity.start_to_close)),
        heartbeat_timeout: Some(duration(activity.heartbeat)),
        retry_policy: activity.retry_policy.clone(),
        priority: run.activity_priority(activity),
        ..Default::default()
    })
}

/// The ids of a run, as clients know it.
pub(crate) fn execution(run: &Run) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: run.state.workflow_id.clone(),
        run_id: run.state.run_id.clone(),
    }
}
