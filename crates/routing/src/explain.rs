//! Why an event takes a route, or does not.

use segno_event::Event;
use serde::Serialize;
use serde_json::Value;

use crate::flow::{Flow, Policy};
use crate::plan::stages;
use crate::route::Verdict;
use crate::{Action, Handler, Route, Routes, Timing, workflow_id};

/// What every route says to one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The event.
    pub event: EventSummary,
    /// The routes, in order.
    pub routes: Vec<RouteExplanation>,
}

/// What identifies an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventSummary {
    /// Its id.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// What one route says to the event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteExplanation {
    /// The route's name.
    pub route: String,
    /// What it says.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a route takes an event, and why not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It does.
    Matched {
        /// The id of the execution that an event of this source and id has on this route.
        workflow_id: String,
        /// What it runs.
        handler: HandlerExplanation,
        /// When it runs it, where that is not at once.
        #[serde(flatten)]
        timing: TimingExplanation,
        /// What may hold it up: left out where nothing does.
        #[serde(skip_serializing_if = "Option::is_none")]
        flow: Option<Box<FlowExplanation>>,
    },
    /// No pattern matches the event's type.
    PatternMismatch {
        /// The patterns.
        patterns: Vec<String>,
    },
    /// The route has no pattern: its schedule makes the events that it handles, and it takes no others.
    ScheduleOnly {
        /// The schedule's times, as its cron string.
        cron: String,
        /// The time zone of the times.
        time_zone: String,
    },
    /// The filter says no.
    FilterFalse {
        /// The filter's source.
        filter: String,
    },
    /// The filter fails on this event.
    FilterFailed {
        /// The filter's source.
        filter: String,
        /// Why it fails.
        error: String,
    },
}

/// When a route's execution for the event runs. Durations are written for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimingExplanation {
    /// How long it waits before its first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// How long it may take from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The event's dedupe key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<DedupeExplanation>,
}

/// Which events this one is a repetition of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DedupeExplanation {
    /// How long a key is remembered.
    pub window: String,
    /// The key, or why there is none and the event repeats no other.
    #[serde(flatten)]
    pub key: KeyExplanation,
}

/// The outcome of a key's expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyExplanation {
    /// The key.
    Key(String),
    /// Why the expression fails on the event.
    KeyError(String),
}

/// What may hold an event up on a route with flow control.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowExplanation {
    /// What its key is read from, if the route has keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The event's key. None: it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why it has none, where the key fails on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the route asks for. None: it does not concern this event, as it has no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

impl FlowExplanation {
    fn of(flow: &Flow, route: &str, event: &Event) -> Self {
        let (planned, read) = flow.plan(route, event);
        let key = planned.as_ref().map(|planned| planned.key.clone());
        Self {
            by: flow.key.as_ref().map(|key| key.source().to_owned()),
            key: key.filter(|key| !key.is_empty()),
            error: read.err().map(|error| error.to_string()),
            policy: planned.map(|planned| planned.policy),
        }
    }
}

/// What a route that takes the event runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HandlerExplanation {
    /// Deliveries, as in [`PlannedHandler::Actions`](crate::PlannedHandler::Actions).
    Actions {
        /// The stages in order.
        stages: Vec<Vec<ActionExplanation>>,
    },
    /// A consumer.
    Consumer {
        /// Its name.
        name: String,
    },
    /// A workflow.
    Workflow {
        /// Its name.
        name: String,
    },
}

/// What one action would deliver.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActionExplanation {
    /// The action's name.
    pub name: String,
    /// Its weight.
    pub weight: u32,
    /// The name of the sink.
    pub to: String,
    /// The jq source of the transform, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// What kind of message it is, where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What it is about, where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The payloads, or why there are none.
    #[serde(flatten)]
    pub yields: Yields,
}

/// What an action's transform makes of the event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Yields {
    /// The payloads, in order. With no transform it is one, the event itself.
    Payloads(Vec<Value>),
    /// Why the transform or the condition fails. The action would fail for good.
    Error(String),
    /// Why the action is skipped: the source of its condition `available`, which is false.
    Skipped(String),
}

/// What every route says to the event, the routes in their order.
pub fn explain(routes: &Routes, event: &Event) -> Explanation {
    let summary = EventSummary {
        id: event.id.clone(),
        source: event.source.clone(),
        ty: event.ty.clone(),
        subject: event.subject.clone(),
    };
    let routes = routes.iter().map(|route| RouteExplanation {
        route: route.name.clone(),
        outcome: outcome(route, event),
    });
    Explanation {
        event: summary,
        routes: routes.collect(),
    }
}

fn outcome(route: &Route, event: &Event) -> Outcome {
    let filter = || {
        route
            .when
            .as_ref()
            .map(|filter| filter.source().to_owned())
            .unwrap_or_default()
    };
    match route.judge(event) {
        Verdict::Matched => Outcome::Matched {
            workflow_id: workflow_id(&route.name, event),
            handler: handler(&route.handler, event),
            timing: timing(&route.timing, event),
            flow: route
                .flow
                .as_ref()
                .map(|flow| Box::new(FlowExplanation::of(flow, &route.name, event))),
        },
        Verdict::Pattern => match &route.timing.schedule {
            Some(schedule) if route.on.is_empty() => Outcome::ScheduleOnly {
                cron: schedule.cron.clone(),
                time_zone: schedule.time_zone.clone(),
            },
            _ => Outcome::PatternMismatch {
                patterns: route.on.iter().map(ToString::to_string).collect(),
            },
        },
        Verdict::FilterFalse => Outcome::FilterFalse { filter: filter() },
        Verdict::FilterFailed(error) => Outcome::FilterFailed {
            filter: filter(),
            error: error.to_string(),
        },
    }
}

fn timing(timing: &Timing, event: &Event) -> TimingExplanation {
    let human = |duration| humantime::format_duration(duration).to_string();
    TimingExplanation {
        delay: timing.delay.map(human),
        deadline: timing.deadline.map(human),
        dedupe: timing.dedupe.as_ref().map(|dedupe| DedupeExplanation {
            window: human(dedupe.window),
            key: match dedupe.key.of(event) {
                Ok(key) => KeyExplanation::Key(key),
                Err(error) => KeyExplanation::KeyError(error.to_string()),
            },
        }),
    }
}

fn handler(handler: &Handler, event: &Event) -> HandlerExplanation {
    match handler {
        Handler::Actions(actions) => {
            let explained = |stage: Vec<&Action>| stage.into_iter().map(|a| action(a, event)).collect();
            HandlerExplanation::Actions {
                stages: stages(actions).into_iter().map(explained).collect(),
            }
        }
        Handler::Consumer { name, .. } => HandlerExplanation::Consumer { name: name.clone() },
        Handler::Workflow(name) => HandlerExplanation::Workflow { name: name.clone() },
    }
}

fn action(action: &Action, event: &Event) -> ActionExplanation {
    ActionExplanation {
        name: action.name.clone(),
        weight: action.weight,
        to: action.to.clone(),
        transform: action
            .transform
            .as_ref()
            .map(|transform| transform.source().to_owned()),
        category: action.category.clone(),
        entity: action.entity.clone(),
        yields: yields(action, event),
    }
}

fn yields(action: &Action, event: &Event) -> Yields {
    if let Some(condition) = &action.available {
        match condition.matches(event) {
            Ok(true) => {}
            Ok(false) => return Yields::Skipped(condition.source().to_owned()),
            Err(error) => return Yields::Error(format!("`available` fails on this event: {error}")),
        }
    }
    let payloads = match &action.transform {
        Some(transform) => transform
            .apply(event)
            .map_err(|error| format!("the transform fails: {error}")),
        None => serde_json::to_value(event)
            .map(|payload| vec![payload])
            .map_err(|error| error.to_string()),
    };
    payloads.map_or_else(Yields::Error, Yields::Payloads)
}
