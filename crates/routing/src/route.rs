//! Routes, compiled.

use std::collections::HashSet;

use segno_event::{EvalError, Event, Filter, Transform, TypePattern};

use crate::flow::Flow;
use crate::index::Index;
use crate::{Retry, Timing};

/// The weight of an action that names none.
pub const DEFAULT_WEIGHT: u32 = 100;

/// A rule: which events go to which handler.
#[derive(Debug)]
pub struct Route {
    /// Its name, see [`is_route_name`]. Unique among the routes.
    pub name: String,
    /// The event types it takes; any one of the patterns is enough.
    pub on: Vec<TypePattern>,
    /// The condition on the event. None: always.
    pub when: Option<Filter>,
    /// What it runs.
    pub handler: Handler,
    /// When it runs it.
    pub timing: Timing,
    /// Which of its events may run, and when. None: every one, at once.
    pub flow: Option<Flow>,
}

/// What a route runs.
#[derive(Debug)]
pub enum Handler {
    /// Deliveries to sinks.
    Actions(Vec<Action>),
    /// A consumer written in Rust, by the name it is registered under.
    Consumer {
        /// The name.
        name: String,
        /// How often and how fast it is tried again.
        retry: Retry,
    },
    /// A workflow written in Rust, by the name it is registered under.
    Workflow(String),
}

/// One delivery: a transform and a sink.
#[derive(Debug)]
pub struct Action {
    /// Its name, unique in the route.
    pub name: String,
    /// Actions of lower weight run first, those of equal weight side by side.
    pub weight: u32,
    /// The name of the sink.
    pub to: String,
    /// What kind of message it is, for people and lists: `notification`, `service_message` or any other word.
    pub category: Option<String>,
    /// What it is about, for people and lists, such as `Order`.
    pub entity: Option<String>,
    /// The condition on the event under which it is done at all. None: always.
    pub available: Option<Filter>,
    /// The reshaping of the event into payloads. None: one payload, the event itself.
    pub transform: Option<Transform>,
    /// How often and how fast the delivery is tried again.
    pub retry: Retry,
}

/// All the routes, in the order they were given. Names are unique.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    index: Index,
}

/// Routes that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A name that cannot stand at the start of a workflow id.
    #[error("route name {0:?}: use letters, digits, dots, underscores and hyphens, at most 100")]
    Name(String),
    /// Two routes of one name.
    #[error("two routes are named {0:?}")]
    Duplicate(String),
}

impl Routes {
    /// Puts routes together.
    ///
    /// # Errors
    /// When a name is not [allowed](is_route_name) or given twice.
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteError> {
        let mut seen = HashSet::new();
        for route in &routes {
            if !is_route_name(&route.name) {
                return Err(RouteError::Name(route.name.clone()));
            }
            if !seen.insert(route.name.as_str()) {
                return Err(RouteError::Duplicate(route.name.clone()));
            }
        }
        let index = Index::new(routes.iter().map(|route| route.on.as_slice()));
        Ok(Self { routes, index })
    }

    /// The same with more routes after them.
    ///
    /// # Errors
    /// As those of [`Routes::new`].
    pub fn with(self, more: Vec<Route>) -> Result<Self, RouteError> {
        let mut routes = self.routes;
        routes.extend(more);
        Self::new(routes)
    }

    /// The routes, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Route> {
        self.routes.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The route of that name.
    pub fn get(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// The routes with a pattern that matches the type, in order: found without asking the others.
    pub fn of_type(&self, ty: &str) -> impl Iterator<Item = &Route> {
        self.index.matching(ty).into_iter().map(|at| &self.routes[at])
    }
}

impl<'a> IntoIterator for &'a Routes {
    type Item = &'a Route;
    type IntoIter = std::slice::Iter<'a, Route>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Whether a text can name a route: 1 to 100 ASCII letters, digits, dots, underscores and hyphens. So a name never
/// contains `/` and always fits into a [workflow id](crate::workflow_id).
pub fn is_route_name(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=100).contains(&name.len()) && name.bytes().all(fits)
}

/// What a route says to an event.
pub(crate) enum Verdict {
    Matched,
    Pattern,
    FilterFalse,
    FilterFailed(EvalError),
}

impl Route {
    pub(crate) fn judge(&self, event: &Event) -> Verdict {
        if !self.on.iter().any(|pattern| pattern.matches(&event.ty)) {
            return Verdict::Pattern;
        }
        self.judge_filter(event)
    }

    /// What the route says to an event whose type it takes.
    pub(crate) fn judge_filter(&self, event: &Event) -> Verdict {
        match self.when.as_ref().map(|filter| filter.matches(event)) {
            None | Some(Ok(true)) => Verdict::Matched,
            Some(Ok(false)) => Verdict::FilterFalse,
            Some(Err(error)) => Verdict::FilterFailed(error),
        }
    }
}
