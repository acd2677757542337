//! Intake: from an event to the executions that handle it, durable before it is acknowledged.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use segno_event::Event;
use segno_routing::{Plan, PlannedHandler, Routes, plan, workflow_id};
use serde::Serialize;
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::WorkflowStartError,
    tonic::{Code, Status},
};
use temporalio_common::{
    data_converters::RawValue, protos::temporal::api::common::v1::Payload,
    search_attributes::SearchAttributes,
};
use utoipa::ToSchema;

use crate::{
    archive,
    catalogue::{Misfit, Schemas},
    execution::WORKFLOW_TYPE,
    search_attributes,
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

fn others(events: usize) -> String {
    match events {
        0 | 1 => String::new(),
        more => format!(", nor does that of {} other events", more - 1),
    }
}

/// Routes events and starts their executions.
#[derive(Clone)]
pub struct Intake {
    client: Client,
    routes: Arc<Routes>,
    schemas: Arc<Schemas>,
    /// The sink that is told of dead letters.
    alert: Option<String>,
    /// Whether events that no route takes are kept.
    archive: bool,
}

/// A start that is only to be sent.
struct Start {
    index: usize,
    /// None: no route takes the event, it is only kept.
    route: Option<String>,
    workflow_id: String,
    workflow: String,
    options: WorkflowStartOptions,
    input: Vec<u8>,
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
        Self {
            client,
            routes,
            schemas: Arc::default(),
            alert: None,
            archive: false,
        }
    }

    /// The same, where the data of events has to fit these schemas.
    #[must_use]
    pub fn with_schemas(self, schemas: Arc<Schemas>) -> Self {
        Self { schemas, ..self }
    }

    /// Has this sink told of the executions that fail for good.
    #[must_use]
    pub fn with_alert(mut self, sink: Option<String>) -> Self {
        self.alert = sink;
        self
    }

    /// Whether events that no route takes are kept, so that a later route can have them replayed.
    #[must_use]
    pub fn with_archive(mut self, unmatched: bool) -> Self {
        self.archive = unmatched;
        self
    }

    /// Starts an execution for each event and route that matches. When it returns, all of them are durable;
    /// the order is that of `events`.
    ///
    /// Nothing is started if an event is too large or does not fit its type's schema. On any other error some may have been started.
    pub async fn accept(&self, events: &[Event]) -> Result<Vec<Accepted>, Error> {
        self.check(events)?;
        let mut starts = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let plans = plan(&self.routes, event);
            if plans.is_empty() && self.archive {
                starts.push(Start::archive(index, event)?);
            }
            for mut plan in plans {
                plan.alert.clone_from(&self.alert);
                starts.push(Start::of(index, plan)?);
            }
        }
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
        let started: Vec<_> = stream::iter(starts.into_iter().map(|start| self.start(start)))
            .buffered(CONCURRENT_STARTS)
            .try_collect()
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

    fn check(&self, events: &[Event]) -> Result<(), Error> {
        let misfit = |(index, event): (usize, &Event)| {
            let misfits = self.schemas.misfits(event);
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

    async fn start(&self, start: Start) -> Result<Outcome, Error> {
        let Start {
            index,
            route,
            workflow_id,
            workflow,
            options,
            input,
        } = start;
        let input = RawValue::new(vec![Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: input,
            ..Default::default()
        }]);
        let (run_id, duplicate) = match self
            .client
            .start_workflow(UntypedWorkflow::new(workflow), input, options)
            .await
        {
            Ok(handle) => (handle.run_id().unwrap_or_default().to_owned(), false),
            Err(WorkflowStartError::AlreadyStarted { run_id, .. }) => (run_id.unwrap_or_default(), true),
            Err(WorkflowStartError::Rpc(source)) if is_passing(source.code()) => {
                return Err(Error::Unavailable(source));
            }
            Err(WorkflowStartError::Rpc(source)) => return Err(Error::Refused { workflow_id, source }),
            Err(other) => {
                let source = Status::internal(other.to_string());
                return Err(Error::Refused { workflow_id, source });
            }
        };
        Ok(Outcome {
            index,
            route,
            workflow_id,
            run_id,
            duplicate,
        })
    }
}

impl Start {
    fn of(index: usize, plan: Plan) -> Result<Self, Error> {
        let workflow_id = workflow_id(&plan.route, &plan.event);
        let attributes = search_attributes::of(&plan.route, &plan.event);
        let (workflow, input) = match &plan.handler {
            PlannedHandler::Workflow { name } => (name.clone(), serde_json::to_vec(&plan.event)),
            _ => (WORKFLOW_TYPE.to_owned(), serde_json::to_vec(&plan)),
        };
        let input = input.map_err(Error::Encode)?;
        if input.len() > MAX_INPUT {
            return Err(Error::TooLarge {
                index,
                route: plan.route,
                size: input.len(),
            });
        }
        Ok(Self {
            index,
            route: Some(plan.route),
            options: once(&workflow_id, attributes),
            workflow_id,
            workflow,
            input,
        })
    }

    /// The execution that keeps an event which no route takes.
    fn archive(index: usize, event: &Event) -> Result<Self, Error> {
        let workflow_id = archive::workflow_id(event);
        let attributes = search_attributes::of_event(event);
        Ok(Self {
            index,
            route: None,
            options: once(&workflow_id, attributes),
            workflow_id,
            workflow: archive::TYPE.to_owned(),
            input: serde_json::to_vec(event).map_err(Error::Encode)?,
        })
    }
}

/// An event is handled once on a route, whether its execution still runs or has closed.
fn once(workflow_id: &str, attributes: SearchAttributes) -> WorkflowStartOptions {
    WorkflowStartOptions::new(TASK_QUEUE, workflow_id)
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
        .search_attributes(attributes)
        .build()
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
