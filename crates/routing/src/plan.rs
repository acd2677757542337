//! What is to be done with an event.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use segno_event::{Event, Filter, Transform};

use crate::flow::PlannedFlow;
use crate::route::Verdict;
use crate::timing::human;
use crate::{Action, After, Handler, Retry, Route, Routes, Start};

/// What is to be done with one event on one route. Self-contained: it is the input of the execution that does it, so
/// what runs is what was routed, whatever the configuration says later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The route's name.
    pub route: String,
    /// The event.
    pub event: Event,
    /// What is to be run.
    pub handler: PlannedHandler,
    /// How long it may take. It fails when it is not done by then.
    #[serde(default, with = "human", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// The sink that is told if it ends as a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The dead letter that this run follows. None: it is the first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// How its execution is started.
    #[serde(skip)]
    pub start: Start,
    /// What tells it when. None: nothing, it runs at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<PlannedFlow>,
}

/// What a plan runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedHandler {
    /// Deliveries.
    Actions {
        /// The stages in order, by ascending weight; the actions of one stage run side by side.
        stages: Vec<Vec<PlannedAction>>,
    },
    /// A consumer.
    Consumer {
        /// The name it is registered under.
        name: String,
        /// How often and how fast it is tried again.
        retry: Retry,
    },
    /// A workflow.
    Workflow {
        /// The name it is registered under.
        name: String,
    },
}

/// One delivery of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedAction {
    /// The action's name, unique in the plan.
    pub name: String,
    /// Its weight, the same for all actions of its stage.
    pub weight: u32,
    /// The name of the sink.
    pub to: String,
    /// What kind of message it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The CEL source of the condition under which it is done. None: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<String>,
    /// The jq source of the transform. None: the event itself is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// How often and how fast the delivery is tried again.
    pub retry: Retry,
}

/// The plans of the routes that take the event, in the order of the routes. A route whose filter fails on the event
/// does not take it; [`explain`](crate::explain) says why.
pub fn plan(routes: &Routes, event: &Event) -> Vec<Plan> {
    let routes = routes.of_type(&event.ty);
    routes.filter_map(|route| plan_on(route, event)).collect()
}

/// The plan of this route for the event, whatever the event's type. None where the route's filter does not hold.
pub fn plan_on(route: &Route, event: &Event) -> Option<Plan> {
    matches!(route.judge_filter(event), Verdict::Matched).then(|| Plan {
        route: route.name.clone(),
        event: event.clone(),
        handler: PlannedHandler::of(&route.handler),
        deadline: route.timing.deadline,
        alert: None,
        after: None,
        start: route.timing.start(event),
        flow: route.flow.as_ref().and_then(|flow| {
            let (planned, _) = flow.plan(&route.name, event);
            Some(PlannedFlow {
                asks: route.timing.delay.is_some(),
                ..planned?
            })
        }),
    })
}

impl PlannedHandler {
    /// What a handler of the configuration is in a plan.
    pub fn of(handler: &Handler) -> Self {
        match handler {
            Handler::Actions(actions) => {
                let planned = |stage: Vec<&Action>| stage.into_iter().map(PlannedAction::of).collect();
                Self::Actions {
                    stages: stages(actions).into_iter().map(planned).collect(),
                }
            }
            Handler::Consumer { name, retry } => Self::Consumer {
                name: name.clone(),
                retry: retry.clone(),
            },
            Handler::Workflow(name) => Self::Workflow { name: name.clone() },
        }
    }
}

impl PlannedAction {
    fn of(action: &Action) -> Self {
        Self {
            name: action.name.clone(),
            weight: action.weight,
            to: action.to.clone(),
            category: action.category.clone(),
            entity: action.entity.clone(),
            available: action.available.as_ref().map(Filter::source).map(str::to_owned),
            transform: action
                .transform
                .as_ref()
                .map(Transform::source)
                .map(str::to_owned),
            retry: action.retry.clone(),
        }
    }
}

/// The actions by ascending weight, those of equal weight together and in the order they were given.
pub(crate) fn stages(actions: &[Action]) -> Vec<Vec<&Action>> {
    let mut sorted: Vec<&Action> = actions.iter().collect();
    sorted.sort_by_key(|action| action.weight);
    sorted
        .chunk_by(|a, b| a.weight == b.weight)
        .map(<[&Action]>::to_vec)
        .collect()
}
