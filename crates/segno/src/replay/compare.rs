//! What would run now against what ran then.

use segno_event::{Event, Transform};
use segno_routing::{Plan, PlannedAction, PlannedHandler};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::compiled::Compiled;

/// How a plan of now differs from the one that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[schema(as = ReplayDifference)]
pub(crate) enum Difference {
    /// The route runs something of another kind, or another consumer or workflow.
    Handler {
        /// What ran.
        then: String,
        /// What would run.
        now: String,
    },
    /// An action that did not run.
    NewAction {
        /// Its name.
        action: String,
    },
    /// An action that ran and is no more.
    GoneAction {
        /// Its name.
        action: String,
    },
    /// An action goes elsewhere.
    Sink {
        /// The action's name.
        action: String,
        /// Where it went.
        then: String,
        /// Where it would go.
        now: String,
    },
    /// An action yields other payloads.
    Payloads {
        /// The action's name.
        action: String,
    },
    /// An action's condition is another.
    Available {
        /// The action's name.
        action: String,
    },
    /// Actions run in another order.
    Order {
        /// The action's name.
        action: String,
    },
    /// The event was changed by a retry; the replay is of the event as it came.
    Event,
}

/// Every difference, in the order of the plan. The transforms are those that have been compiled for the events before.
pub(super) fn differences(transforms: &Compiled<Transform>, then: &Plan, now: &Plan) -> Vec<Difference> {
    let mut found = Vec::new();
    if then.event != now.event {
        found.push(Difference::Event);
    }
    match (&then.handler, &now.handler) {
        (PlannedHandler::Actions { stages: before }, PlannedHandler::Actions { stages: after }) => {
            let before: Vec<_> = before.iter().flatten().collect();
            let after: Vec<_> = after.iter().flatten().collect();
            for action in &after {
                match before.iter().find(|other| other.name == action.name) {
                    Some(other) => compare(transforms, other, action, (&then.event, &now.event), &mut found),
                    None => found.push(Difference::NewAction {
                        action: action.name.clone(),
                    }),
                }
            }
            let gone = before
                .iter()
                .filter(|other| !after.iter().any(|action| action.name == other.name));
            found.extend(gone.map(|other| Difference::GoneAction {
                action: other.name.clone(),
            }));
        }
        (before, after) => {
            let (then, now) = (what(before), what(after));
            if then != now {
                found.push(Difference::Handler { then, now });
            }
        }
    }
    found
}

fn what(handler: &PlannedHandler) -> String {
    match handler {
        PlannedHandler::Actions { .. } => "actions".to_owned(),
        PlannedHandler::Consumer { name, .. } => format!("consumer {name}"),
        PlannedHandler::Workflow { name } => format!("workflow {name}"),
    }
}

fn compare(
    transforms: &Compiled<Transform>,
    then: &PlannedAction,
    now: &PlannedAction,
    events: (&Event, &Event),
    found: &mut Vec<Difference>,
) {
    let action = || now.name.clone();
    if then.to != now.to {
        found.push(Difference::Sink {
            action: action(),
            then: then.to.clone(),
            now: now.to.clone(),
        });
    }
    if then.weight != now.weight {
        found.push(Difference::Order { action: action() });
    }
    if then.available != now.available {
        found.push(Difference::Available { action: action() });
    }
    // Another text may well yield the same.
    let same = then.transform == now.transform && events.0 == events.1;
    if !same && yields(transforms, then, events.0) != yields(transforms, now, events.1) {
        found.push(Difference::Payloads { action: action() });
    }
}

/// The payloads of an action, or why there are none.
fn yields(
    transforms: &Compiled<Transform>,
    action: &PlannedAction,
    event: &Event,
) -> Result<Vec<Value>, String> {
    match &action.transform {
        None => serde_json::to_value(event)
            .map(|payload| vec![payload])
            .map_err(|error| error.to_string()),
        Some(source) => transforms
            .get(source)
            .map_err(|error| error.to_string())?
            .apply(event)
            .map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use segno_routing::Retry;
    use serde_json::json;

    use super::*;

    fn action(name: &str, to: &str, transform: Option<&str>) -> PlannedAction {
        PlannedAction {
            name: name.into(),
            weight: 100,
            to: to.into(),
            category: None,
            entity: None,
            available: None,
            transform: transform.map(str::to_owned),
            retry: Retry::default(),
        }
    }

    fn differences(then: &Plan, now: &Plan) -> Vec<Difference> {
        super::differences(&Compiled::new(Transform::compile), then, now)
    }

    fn plan(actions: Vec<PlannedAction>) -> Plan {
        Plan {
            route: "r".into(),
            event: Event::new("/s", "1", "t").with_data(json!({"a": 1, "b": 1})),
            handler: PlannedHandler::Actions {
                stages: vec![actions],
            },
            deadline: None,
            alert: None,
            after: None,
            start: Default::default(),
            flow: None,
        }
    }

    #[test]
    fn the_same_does_not_differ() {
        let then = plan(vec![action("x", "s", Some(".data.a"))]);
        assert_eq!(differences(&then, &then), []);
        // Another text that yields the same, and another policy of retries, are no difference in what is delivered.
        let mut now = action("x", "s", Some(".data.b"));
        now.retry.max_attempts = 7;
        assert_eq!(differences(&then, &plan(vec![now])), []);
    }

    #[test]
    fn each_difference_is_named() {
        let then = plan(vec![
            action("payload", "s", Some(".data.a")),
            action("moved", "s", None),
            action("gone", "s", None),
            action("broken", "s", Some(".data.a")),
        ]);
        let now = plan(vec![
            action("payload", "s", Some(".data.a + 1")),
            action("moved", "t", None),
            action("new", "s", None),
            action("broken", "s", Some("error")),
        ]);
        let of = |name: &str| name.to_owned();
        assert_eq!(
            differences(&then, &now),
            [
                Difference::Payloads {
                    action: of("payload")
                },
                Difference::Sink {
                    action: of("moved"),
                    then: of("s"),
                    now: of("t")
                },
                Difference::NewAction { action: of("new") },
                Difference::Payloads { action: of("broken") },
                Difference::GoneAction { action: of("gone") },
            ]
        );
    }

    #[test]
    fn another_handler_and_another_event_differ() {
        let then = plan(Vec::new());
        let mut now = plan(Vec::new());
        now.handler = PlannedHandler::Workflow { name: "W".into() };
        now.event.data = None;
        assert_eq!(
            differences(&then, &now),
            [
                Difference::Event,
                Difference::Handler {
                    then: "actions".into(),
                    now: "workflow W".into()
                }
            ]
        );
    }
}
