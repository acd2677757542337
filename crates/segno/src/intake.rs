//! Intake: from an event to the executions that handle it, durable before it is acknowledged.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt, stream};
use segno_event::Event;
use segno_routing::{Plan, Routes, plan, plan_on, workflow_id};
use serde::Serialize;
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::WorkflowStartError,
    tonic::{Code, Status},
};
use temporalio_common::{
    MemoValues,
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, enums::v1::WorkflowIdReusePolicy as ReusePolicy},
    search_attributes::SearchAttributes,
};
use time::OffsetDateTime;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    archive,
    catalogue::Misfit,
    dedupe,
    execution::{WORKFLOW_TYPE, bare_workflow},
    flow::{self, Enrolment, Full},
    live::{Live, Setup},
    origin::{self, Origin, OutboxRow},
    pauses::Pauses,
    run, search_attributes,
    telemetry::{self, Entry, EventReceived, EventsTaken, ExecutionStarted, IntakeTook, TakenIn},
    worker::TASK_QUEUE,
};

/// Starts in flight for one request: a batch is not slower than its slowest event, and does not push others
/// aside.
const CONCURRENT_STARTS: usize = 32;

/// Longest input of an execution, in bytes: what a Temporal server takes is 2 MiB.
pub(crate) const MAX_INPUT: usize = 2 * 1024 * 1024 - 1024;

/// What became of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AcceptedEvent)]
pub struct Accepted {
    /// The event's id.
    pub id: String,
    /// The event's source.
    pub source: String,
    /// Whether the event was taken in before: all of its executions existed already, or it was kept.
    pub duplicate: bool,
    /// One entry for each route that matched.
    pub executions: Vec<Started>,
    /// Says so where no route matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "no route matched")]
    pub message: Option<&'static str>,
}

/// The execution of an event on a route.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StartedExecution)]
pub struct Started {
    /// Name of the route.
    pub route: String,
    /// Id of the execution.
    pub workflow_id: String,
    /// Id of its run.
    pub run_id: String,
    /// Whether it existed already, so that nothing was started.
    pub duplicate: bool,
}

/// Events were not taken in, or not all of them: sending them again is right, and starts nothing twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An event is too large for an execution's input.
    #[error(
        "the event is {size} bytes long as an execution's input on the route {route}; {MAX_INPUT} are taken"
    )]
    TooLarge {
        /// Position of the event among those given, from 0.
        index: usize,
        /// Route it was for.
        route: String,
        /// Its size.
        size: usize,
    },
    /// The data of events does not fit the schemas of their types. Nothing of all that was given was taken in.
    #[error("the data of {} does not fit the schema of its type{}", .0[0].ty, others(.0.len()))]
    Misfits(Vec<MisfitEvent>),
    /// The engine cannot be reached, or is overloaded.
    #[error("the engine does not take events now")]
    Unavailable(#[source] Status),
    /// The engine refuses.
    #[error("the engine refuses the execution {workflow_id:?}")]
    Refused {
        /// Id of the execution.
        workflow_id: String,
        /// What it says.
        #[source]
        source: Status,
    },
    /// The engine refuses the flow that says when an execution may run.
    #[error("the engine refuses a flow")]
    Flow(#[source] Status),
    /// So many events wait in a flow that it takes no more now. Nothing of all that was given was taken in.
    #[error("so many events wait on the route {route:?}{} that it takes no more now", of_key(.key))]
    Full {
        /// The route.
        route: String,
        /// The key that they have in common; empty if it is all of the route.
        key: String,
    },
    /// A plan cannot be written as JSON.
    #[error("the plan cannot be encoded")]
    Encode(#[source] serde_json::Error),
}

/// An event whose data does not fit the schema of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisfitEvent {
    /// Its position among those given, from 0.
    pub index: usize,
    /// Its type.
    pub ty: String,
    /// Everything that does not fit.
    pub misfits: Vec<Misfit>,
}

fn of_key(key: &str) -> String {
    match key {
        "" => String::new(),
        key => format!(" with the key {key:?}"),
    }
}

fn others(events: usize) -> String {
    match events {
        0 | 1 => String::new(),
        more => format!(", nor does that of {} other events", more - 1),
    }
}

impl Error {
    fn taken_in(&self) -> TakenIn {
        if self.stays() {
            TakenIn::Refused
        } else {
            TakenIn::NotNow
        }
    }

    /// Whether the same events would be refused again.
    pub fn stays(&self) -> bool {
        !matches!(self, Self::Unavailable(_) | Self::Full { .. })
    }
}

impl Accepted {
    fn taken_in(&self) -> TakenIn {
        match self {
            Self { duplicate: true, .. } => TakenIn::Duplicate,
            Self { executions, .. } if executions.is_empty() => TakenIn::Unrouted,
            _ => TakenIn::Accepted,
        }
    }
}

/// Routes events and starts their executions.
#[derive(Clone)]
pub struct Intake {
    client: Client,
    live: Live,
    /// What people hold up.
    pauses: Pauses,
    /// The flows that take no more.
    full: Full,
    /// Where events come from that are handed to it.
    entry: Entry,
}

/// A start that is only to be sent.
struct Start {
    index: usize,
    /// None: no route takes the event, it is only kept.
    route: Option<String>,
    workflow_id: String,
    workflow: String,
    attributes: SearchAttributes,
    input: Vec<u8>,
    /// How long it waits before its first step.
    delay: Option<Duration>,
    /// What is remembered of the event, or found to be known.
    dedupe: Option<dedupe::Key>,
    /// The flow that says when it may run.
    enrolment: Option<Enrolment>,
    /// How the event came in.
    origin: Origin,
}

/// A start that was sent.
struct Outcome {
    index: usize,
    route: Option<String>,
    workflow_id: String,
    run_id: String,
    duplicate: bool,
}

impl Intake {
    /// Takes events in on these routes.
    pub fn new(client: Client, routes: Arc<Routes>) -> Self {
        Self::of(client, Live::new(Setup::of(routes)))
    }

    /// Takes events in as this setup says.
    pub(crate) fn of(client: Client, live: Live) -> Self {
        Self {
            client,
            live,
            pauses: Pauses::default(),
            full: Full::default(),
            entry: Entry::of("program", ""),
        }
    }

    /// Knows what people hold up.
    #[must_use]
    pub(crate) fn with_pauses(mut self, pauses: Pauses) -> Self {
        self.pauses = pauses;
        self
    }

    /// Knows which flows take no more.
    #[must_use]
    pub(crate) fn with_full(mut self, full: Full) -> Self {
        self.full = full;
        self
    }

    /// The same for events that come in here.
    #[must_use]
    pub(crate) fn at(&self, kind: &'static str, source: &str) -> Self {
        Self {
            entry: Entry::of(kind, source),
            ..self.clone()
        }
    }

    /// The name of the source or outbox whose events are handed to it; empty where there is none.
    #[cfg(feature = "outbox")]
    pub(crate) fn entry_name(&self) -> &str {
        &self.entry.source
    }

    /// Starts an execution for each event and route that matches. When it returns, all of them are durable;
    /// the order is that of `events`.
    ///
    /// Nothing is started if an event is too large, does not fit its type's schema, or comes to a flow that is full. On any other error some may have been started.
    pub async fn accept(&self, events: &[Event]) -> Result<Vec<Accepted>, Error> {
        self.accept_out_of(events, None).await
    }

    /// The same for events that were in this row of an outbox.
    pub(crate) async fn accept_out_of(
        &self,
        events: &[Event],
        row: Option<OutboxRow>,
    ) -> Result<Vec<Accepted>, Error> {
        let (begun, began) = (Instant::now(), SystemTime::from(OffsetDateTime::now_utc()));
        let accepted = self.accept_all(events, row.as_ref()).await;
        let outcome = |n: usize| match &accepted {
            Ok(accepted) => accepted.get(n).map_or(TakenIn::Accepted, Accepted::taken_in),
            Err(error) => error.taken_in(),
        };
        self.trace(events, outcome, began, begun);
        let mut outcomes = BTreeMap::new();
        match &accepted {
            Ok(accepted) => {
                for event in accepted {
                    *outcomes.entry(event.taken_in()).or_default() += 1;
                }
            }
            Err(error) => {
                outcomes.insert(error.taken_in(), events.len() as u64);
            }
        }
        self.tell(outcomes, begun);
        accepted
    }

    /// A span for each event.
    fn trace(&self, events: &[Event], outcome: impl Fn(usize) -> TakenIn, began: SystemTime, begun: Instant) {
        if telemetry::are_exported() {
            for (n, event) in events.iter().enumerate() {
                telemetry::emit(EventReceived {
                    entry: &self.entry,
                    event,
                    outcome: outcome(n),
                    began,
                    ended: began + begun.elapsed(),
                });
            }
        }
    }

    fn tell(&self, outcomes: impl IntoIterator<Item = (TakenIn, u64)>, begun: Instant) {
        let entry = &self.entry;
        for (outcome, count) in outcomes {
            telemetry::emit(EventsTaken {
                entry,
                outcome,
                count,
            });
        }
        telemetry::emit(IntakeTook {
            entry,
            time: begun.elapsed(),
        });
    }

    async fn accept_all(&self, events: &[Event], row: Option<&OutboxRow>) -> Result<Vec<Accepted>, Error> {
        let setup = self.live.get();
        check(&setup, events)?;
        let mut starts = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let plans = plan(&setup.routes, event);
            let origin = self.origin(event, row);
            if plans.is_empty() && setup.archive {
                starts.push(Start::archive(index, event, origin.clone())?);
            }
            for mut plan in plans {
                plan.alert.clone_from(&setup.alert);
                starts.push(Start::of(index, plan, origin.clone(), &self.pauses)?);
            }
        }
        self.check_room(&starts)?;
        let mut accepted: Vec<_> = events
            .iter()
            .map(|event| Accepted {
                id: event.id.clone(),
                source: event.source.clone(),
                duplicate: false,
                executions: Vec::new(),
                message: None,
            })
            .collect();
        let enrolments: Vec<_> = starts.iter().map(|start| start.enrolment.clone()).collect();
        let started: Vec<_> = stream::iter(starts.into_iter().map(|start| self.start(start)))
            .buffered(CONCURRENT_STARTS)
            .try_collect()
            .await?;
        let asked = enrolments.into_iter().zip(&started);
        self.enroll(asked.filter_map(|(enrolment, started)| Some((enrolment?, started))))
            .await?;
        for started in started {
            let event = &mut accepted[started.index];
            match started.route {
                Some(route) => event.executions.push(Started {
                    route,
                    workflow_id: started.workflow_id,
                    run_id: started.run_id,
                    duplicate: started.duplicate,
                }),
                None => event.duplicate = started.duplicate,
            }
        }
        for event in &mut accepted {
            if event.executions.is_empty() {
                event.message = Some("no route matched");
            } else {
                event.duplicate = event.executions.iter().all(|execution| execution.duplicate);
            }
        }
        Ok(accepted)
    }

    /// How an event comes in that is handed to this intake.
    fn origin(&self, event: &Event, row: Option<&OutboxRow>) -> Origin {
        let Entry { kind, source } = &self.entry;
        Origin {
            by: (*kind).to_owned(),
            name: (!source.is_empty()).then(|| source.to_string()),
            row: row.cloned().or_else(|| OutboxRow::of(event)),
        }
    }

    /// Whether the flows of these have room for more.
    fn check_room(&self, starts: &[Start]) -> Result<(), Error> {
        let enrolments = starts.iter().filter_map(|start| start.enrolment.as_ref());
        for Enrolment { route, flow, .. } in enrolments {
            if self.full.contains(&flow.id) {
                return Err(Error::Full {
                    route: route.clone(),
                    // The flow of a whole route has an id without a key.
                    key: if flow.id.contains('/') {
                        flow.key.clone()
                    } else {
                        String::new()
                    },
                });
            }
        }
        Ok(())
    }

    /// Takes in an event for one route, whatever the event's type.
    ///
    /// # Errors
    /// As [`Intake::accept`].
    pub(crate) async fn accept_on(&self, route: &str, event: &Event) -> Result<OnRoute, Error> {
        let (begun, began) = (Instant::now(), SystemTime::from(OffsetDateTime::now_utc()));
        let taken = self.accept_for(route, event).await;
        let outcome = match &taken {
            Ok(OnRoute::Started { duplicate: false, .. }) => TakenIn::Accepted,
            Ok(OnRoute::Started { duplicate: true, .. }) => TakenIn::Duplicate,
            Ok(OnRoute::Filtered | OnRoute::NoSuchRoute) => TakenIn::Unrouted,
            Err(error) => error.taken_in(),
        };
        self.trace(std::slice::from_ref(event), |_| outcome, began, begun);
        self.tell([(outcome, 1)], begun);
        taken
    }

    async fn accept_for(&self, route: &str, event: &Event) -> Result<OnRoute, Error> {
        let setup = self.live.get();
        let Some(route) = setup.routes.get(route) else {
            return Ok(OnRoute::NoSuchRoute);
        };
        check(&setup, std::slice::from_ref(event))?;
        let Some(mut plan) = plan_on(route, event) else {
            return Ok(OnRoute::Filtered);
        };
        plan.alert.clone_from(&setup.alert);
        let start = Start::of(0, plan, self.origin(event, None), &self.pauses)?;
        self.check_room(std::slice::from_ref(&start))?;
        let enrolment = start.enrolment.clone();
        let outcome = self.start(start).await?;
        self.enroll(enrolment.map(|enrolment| (enrolment, &outcome)))
            .await?;
        Ok(OnRoute::Started {
            workflow_id: outcome.workflow_id,
            duplicate: outcome.duplicate,
        })
    }

    /// Asks the flows of executions that are durable when these may go on, in their order.
    async fn enroll<'a>(
        &self,
        started: impl IntoIterator<Item = (Enrolment, &'a Outcome)>,
    ) -> Result<(), Error> {
        // A repetition of another event has no execution of its own.
        let asked = started
            .into_iter()
            .filter(|(enrolment, outcome)| enrolment.workflow_id == outcome.workflow_id)
            .map(|(enrolment, outcome)| (enrolment, outcome.duplicate))
            .collect();
        flow::enroll_all(&self.client, asked)
            .await
            .map_err(|status| match status.code() {
                code if is_passing(code) => Error::Unavailable(status),
                _ => Error::Flow(status),
            })
    }

    async fn start(&self, start: Start) -> Result<Outcome, Error> {
        let started = self.started(start).await?;
        if let Some(route) = &started.route {
            telemetry::emit(ExecutionStarted {
                route,
                duplicate: started.duplicate,
            });
        }
        Ok(started)
    }

    async fn started(&self, start: Start) -> Result<Outcome, Error> {
        if let Some(key) = &start.dedupe {
            let earlier = dedupe::remember(&self.client, key, &start.workflow_id)
                .await
                .map_err(|status| refusal(status, &start.workflow_id))?;
            if let Some(earlier) = earlier {
                return Ok(Outcome {
                    index: start.index,
                    route: start.route,
                    workflow_id: earlier.workflow_id,
                    run_id: earlier.run_id,
                    duplicate: true,
                });
            }
        }
        let (index, route, workflow_id) = (start.index, start.route.clone(), start.workflow_id.clone());
        let (run_id, duplicate) = match start.delay {
            None => self.start_now(start).await?,
            Some(_) => self.start_later(start).await?,
        };
        Ok(Outcome {
            index,
            route,
            workflow_id,
            run_id,
            duplicate,
        })
    }

    /// The run id, and whether the execution was there already. An event is handled once on a route, whether its execution
    /// still runs or has closed.
    async fn start_now(&self, start: Start) -> Result<(String, bool), Error> {
        let mut memo = MemoValues::new();
        memo.insert(origin::MEMO, start.origin);
        let options = WorkflowStartOptions::new(TASK_QUEUE, &start.workflow_id)
            .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .search_attributes(start.attributes)
            .memo(memo)
            .build();
        let input = RawValue::new(vec![payload(start.input)]);
        let workflow = UntypedWorkflow::new(start.workflow);
        match self.client.start_workflow(workflow, input, options).await {
            Ok(handle) => Ok((handle.run_id().unwrap_or_default().to_owned(), false)),
            Err(WorkflowStartError::AlreadyStarted { run_id, .. }) => Ok((run_id.unwrap_or_default(), true)),
            Err(WorkflowStartError::Rpc(source)) => Err(refusal(source, &start.workflow_id)),
            Err(other) => Err(Error::Refused {
                workflow_id: start.workflow_id,
                source: Status::internal(other.to_string()),
            }),
        }
    }

    /// The same for one that waits first.
    async fn start_later(&self, start: Start) -> Result<(String, bool), Error> {
        let workflow_id = start.workflow_id.clone();
        let origin = run::json_payload(&start.origin).map_err(Error::Encode)?;
        let later = run::Start {
            workflow_id: start.workflow_id,
            ty: start.workflow,
            input: payload(start.input),
            request_id: Uuid::new_v4().to_string(),
            reuse: ReusePolicy::RejectDuplicate,
            attributes: Some(start.attributes),
            memo: HashMap::from([(origin::MEMO.to_owned(), origin)]),
            delay: start.delay,
        };
        let started = match later.send(&self.client).await {
            Ok(Some(run_id)) => Ok((run_id, false)),
            Ok(None) => {
                let run_id = dedupe::run_id(&self.client, &workflow_id).await;
                run_id.map(|run_id| (run_id.unwrap_or_default(), true))
            }
            Err(status) => Err(status),
        };
        started.map_err(|status| refusal(status, &workflow_id))
    }
}

/// Whether the data of all events fits the schemas of their types.
fn check(setup: &Setup, events: &[Event]) -> Result<(), Error> {
    let misfit = |(index, event): (usize, &Event)| {
        let misfits = setup.schemas.misfits(event);
        (!misfits.is_empty()).then(|| MisfitEvent {
            index,
            ty: event.ty.clone(),
            misfits,
        })
    };
    let misfits: Vec<_> = events.iter().enumerate().filter_map(misfit).collect();
    if misfits.is_empty() {
        Ok(())
    } else {
        Err(Error::Misfits(misfits))
    }
}

/// What became of an event that was for one route alone.
pub(crate) enum OnRoute {
    /// Its execution is there.
    Started {
        /// Its id.
        workflow_id: String,
        /// Whether it was there already.
        duplicate: bool,
    },
    /// The route's filter does not hold.
    Filtered,
    /// There is no route of that name.
    NoSuchRoute,
}

/// JSON as a payload.
fn payload(data: Vec<u8>) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data,
        ..Default::default()
    }
}

/// A refused call, by whether the same may succeed later.
fn refusal(source: Status, workflow_id: &str) -> Error {
    if is_passing(source.code()) {
        Error::Unavailable(source)
    } else {
        Error::Refused {
            workflow_id: workflow_id.to_owned(),
            source,
        }
    }
}

impl Start {
    fn of(index: usize, plan: Plan, origin: Origin, pauses: &Pauses) -> Result<Self, Error> {
        let workflow_id = workflow_id(&plan.route, &plan.event);
        let attributes = search_attributes::of(&plan.route, &plan.event);
        let (workflow, input) = match bare_workflow(&plan, pauses) {
            Some(name) => (name.to_owned(), serde_json::to_vec(&plan.event)),
            None => (WORKFLOW_TYPE.to_owned(), serde_json::to_vec(&plan)),
        };
        let input = input.map_err(Error::Encode)?;
        if input.len() > MAX_INPUT {
            return Err(Error::TooLarge {
                index,
                route: plan.route,
                size: input.len(),
            });
        }
        let asked = plan.flow.filter(|flow| !flow.asks);
        let delay = asked.as_ref().map(|_| flow::HELD).or(plan.start.delay);
        let enrolment = asked.map(|flow| Enrolment {
            route: plan.route.clone(),
            flow,
            workflow_id: workflow_id.clone(),
            bytes: flow::size(&plan.event),
        });
        Ok(Self {
            enrolment,
            origin,
            index,
            dedupe: plan.start.dedupe.map(|(key, window)| dedupe::Key {
                route: plan.route.clone(),
                key,
                window,
            }),
            route: Some(plan.route),
            workflow_id,
            workflow,
            attributes,
            input,
            delay,
        })
    }

    /// The execution that keeps an event which no route takes.
    fn archive(index: usize, event: &Event, origin: Origin) -> Result<Self, Error> {
        let workflow_id = archive::workflow_id(event);
        let attributes = search_attributes::of_event(event);
        Ok(Self {
            enrolment: None,
            origin,
            index,
            route: None,
            workflow_id,
            workflow: archive::TYPE.to_owned(),
            attributes,
            input: serde_json::to_vec(event).map_err(Error::Encode)?,
            delay: None,
            dedupe: None,
        })
    }
}

/// Whether the same call may succeed later.
fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Internal
            | Code::Unknown
    )
}
