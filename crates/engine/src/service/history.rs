//! `GetWorkflowExecutionHistory`: pages for workers, long polls for whoever waits for news or the end.

use std::time::Duration;

use prost::Message as _;
use temporalio_protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::HistoryEventFilterType,
    history::v1::History,
    workflowservice::v1::{GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse},
};
use tokio::{sync::oneshot, time::Instant};

use super::{Service, poll_time, successor};
use crate::{
    answer::WithHistory,
    core::RunKey,
    host::{
        Host,
        delivery::{self, PAGE_EVENTS, Page},
    },
    rpc::{Call, RpcError},
    token::{self, HistoryToken},
};

type HistoryAnswer = WithHistory<GetWorkflowExecutionHistoryResponse>;

/// The longest that a reader waits for the next event.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// What a reader wants.
#[derive(Clone, Default)]
struct Reading {
    run: RunKey,
    next_event_id: i64,
    until: i64,
    close_event_only: bool,
    wait: bool,
    limit: usize,
    /// The reader may be a worker that has to replay: it gets the task's events that are not written too.
    has_unwritten: bool,
    /// The reader knows that the end of a run may name the run that follows.
    follows_runs: bool,
}

/// What there is for a reader now.
enum Found {
    Answer(HistoryAnswer),
    /// Nothing yet; told when there is news.
    Wait(oneshot::Receiver<()>),
}

impl Service {
    pub(super) async fn get_history(
        &self,
        request: GetWorkflowExecutionHistoryRequest,
        call: Call,
    ) -> Result<HistoryAnswer, RpcError> {
        let deadline = Instant::now() + poll_time(&call, LONGEST_WAIT);
        let mut start = Some(Start::new(request, &call)?);
        let mut reading = Reading::default();
        loop {
            let (wanted, start) = (reading.clone(), start.take());
            let look = move |host: &mut Host| {
                let reading = match start {
                    Some(start) => start.reading(host)?,
                    None => wanted,
                };
                Ok((look(host, &reading)?, reading))
            };
            let (found, looked) = self.host.call(look).await?;
            reading = looked;
            let news = match found {
                Found::Answer(answer) => return Ok(answer),
                Found::Wait(news) => news,
            };
            // The news may also be that the engine stops: the next look says so.
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                let token = HistoryToken {
                    run: reading.run,
                    next_event_id: reading.next_event_id,
                    until: 0,
                };
                return Ok(answer(Vec::new(), token.encode_to_vec()));
            }
            reading.wait = true;
        }
    }
}

/// Where a reader begins.
struct Start {
    reading: Reading,
    namespace: String,
    execution: WorkflowExecution,
    /// Where the last page ended.
    place: Option<HistoryToken>,
}

impl Start {
    fn new(request: GetWorkflowExecutionHistoryRequest, call: &Call) -> Result<Self, RpcError> {
        let close_event_only = request.history_event_filter_type() == HistoryEventFilterType::CloseEvent;
        let limit = match usize::try_from(request.maximum_page_size) {
            Ok(given) if given > 0 => given.min(PAGE_EVENTS),
            _ => PAGE_EVENTS,
        };
        let reading = Reading {
            run: 0,
            next_event_id: 1,
            until: 0,
            close_event_only,
            wait: request.wait_new_event || close_event_only,
            limit,
            has_unwritten: !call.is_for_people && !request.wait_new_event,
            follows_runs: call.follows_runs,
        };
        let place = if request.next_page_token.is_empty() {
            None
        } else {
            Some(token::parse(&request.next_page_token, "NextPageToken")?)
        };
        Ok(Self {
            reading,
            namespace: request.namespace,
            execution: request.execution.unwrap_or_default(),
            place,
        })
    }

    fn reading(self, host: &mut Host) -> Result<Reading, RpcError> {
        let Some(place) = self.place else {
            let namespace = host.namespaces.key_of(&self.namespace)?;
            return Ok(Reading {
                run: host.find(namespace, &self.execution)?,
                ..self.reading
            });
        };
        place.check(host, &self.namespace, &self.execution)?;
        Ok(Reading {
            run: place.run,
            next_event_id: place.next_event_id,
            until: place.until,
            ..self.reading
        })
    }
}

fn look(host: &mut Host, reading: &Reading) -> Result<Found, RpcError> {
    let run = host.run(reading.run)?;
    let is_running = run.is_running();
    if reading.close_event_only {
        if is_running {
            return Ok(Found::Wait(host.watch(reading.run)));
        }
        let events = run.history.len();
        let close = run.history.encoded(events.saturating_sub(1)..events);
        let close = if reading.follows_runs {
            close.to_vec()
        } else {
            let event = run.close_event().as_ref().map(successor::for_old_client);
            let events = event.into_iter().collect();
            History { events }.encode_to_vec()
        };
        return Ok(Found::Answer(answer(close, Vec::new())));
    }
    let until = match &run.started_task {
        _ if reading.until != 0 => reading.until,
        // Others see the start of a task as soon as it is certain to be written. Workers that have lost
        // their cache read from the beginning without a token, and need it in any case.
        Some(started) => {
            let is_written = run
                .state
                .workflow_task
                .as_ref()
                .is_some_and(|task| task.scheduled_event_id != 0);
            if is_written || reading.has_unwritten {
                started.started_event_id
            } else {
                0
            }
        }
        // So they do of an attempt that is yet to be started.
        None if reading.has_unwritten => run.waiting_attempt().map_or(0, |event| event.event_id),
        None => 0,
    };
    let Page {
        history,
        next_event_id,
        next_page_token: mut token,
    } = delivery::history_page(run, reading.next_event_id, until, reading.limit);
    let is_for_worker = reading.until != 0;
    if !is_for_worker {
        if !token.is_empty() || (reading.wait && is_running) {
            token = HistoryToken {
                run: reading.run,
                next_event_id,
                until: 0,
            }
            .encode_to_vec();
        }
        if history.is_empty() && reading.wait && is_running {
            return Ok(Found::Wait(host.watch(reading.run)));
        }
    }
    Ok(Found::Answer(answer(history, token)))
}

fn answer(history: Vec<u8>, next_page_token: Vec<u8>) -> HistoryAnswer {
    WithHistory {
        message: GetWorkflowExecutionHistoryResponse {
            next_page_token,
            ..Default::default()
        },
        history: Some(history),
    }
}
