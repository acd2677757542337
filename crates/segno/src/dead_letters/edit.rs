//! The plan of a retry: that of the failed run, or one with changes.

use segno_event::{Data, Event};
use segno_routing::{Plan, PlannedHandler, Routes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::redact::MASK;

/// What a retry changes. What is left out stays as it was in the run that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadLetterEdit)]
pub(crate) struct Edit {
    /// Another event in place of the event, as CloudEvents JSON. Its `id` and `source` have to be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) event: Option<Value>,
    /// Another payload in place of the event's `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) data: Option<Value>,
    /// Run the route as it is configured now, and not as it was when the event was taken in: after a transform or a
    /// sink was mended.
    #[serde(default)]
    pub(crate) current_route: bool,
    /// Run all actions, and not only those that failed. They get idempotency keys of their own.
    #[serde(default)]
    pub(crate) all_actions: bool,
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    /// What replaces the event is none.
    #[error("`event` is not a CloudEvent: {0}")]
    NoEvent(String),
    /// It is another event.
    #[error(
        "`event` has the {attribute} {given:?}, but the dead letter's has {had:?}: they identify it and stay; send \
         another event to POST /events"
    )]
    OtherEvent {
        attribute: &'static str,
        given: String,
        had: String,
    },
    /// Two things say what the data is.
    #[error("give `event` or `data`, not both")]
    Both,
    /// It has what is shown in place of a value that is redacted.
    #[error(
        "at {0} the change has {MASK:?}, which stands in place of a value that is not shown to everybody: ask an \
         administrator to make the change, or leave `data` and `event` out"
    )]
    Masked(String),
    /// The configuration has no such route any more.
    #[error("there is no route {0:?} any more: leave out `current_route` to run it as it was")]
    NoRoute(String),
}

impl Edit {
    /// Whether the deliveries may be others than those of the run that failed.
    pub(crate) fn changes_deliveries(&self) -> bool {
        self.event.is_some() || self.data.is_some() || self.all_actions
    }

    /// The plan with the changes. What it follows is not set yet.
    pub(crate) fn apply(&self, plan: &Plan, routes: &Routes) -> Result<Plan, EditError> {
        let mut plan = Plan {
            after: None,
            ..plan.clone()
        };
        match (&self.event, &self.data) {
            (Some(_), Some(_)) => return Err(EditError::Both),
            (Some(event), None) => plan.event = replaced(&plan.event, event)?,
            (None, Some(data)) => plan.event.data = Some(Data::Json(data.clone())),
            (None, None) => {}
        }
        if self.current_route {
            let route = routes.iter().find(|route| route.name == plan.route);
            let route = route.ok_or_else(|| EditError::NoRoute(plan.route.clone()))?;
            plan.handler = PlannedHandler::of(&route.handler);
            plan.deadline = route.timing.deadline;
        }
        Ok(plan)
    }
}

fn replaced(had: &Event, given: &Value) -> Result<Event, EditError> {
    let event: Event =
        serde_json::from_value(given.clone()).map_err(|error| EditError::NoEvent(error.to_string()))?;
    for (attribute, given, had) in [("id", &event.id, &had.id), ("source", &event.source, &had.source)] {
        if given != had {
            return Err(EditError::OtherEvent {
                attribute,
                given: given.clone(),
                had: had.clone(),
            });
        }
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use segno_routing::{Handler, Retry, Route};
    use serde_json::json;

    use super::*;

    fn plan() -> Plan {
        Plan {
            route: "r".into(),
            event: Event::new("/s", "1", "t").with_data(json!({"a": 1})),
            handler: PlannedHandler::Consumer {
                name: "old".into(),
                retry: Retry::default(),
            },
            deadline: None,
            alert: Some("ops".into()),
            after: None,
            start: Default::default(),
            flow: None,
        }
    }

    fn routes() -> Routes {
        Routes::new(vec![Route {
            name: "r".into(),
            on: vec!["*".parse().unwrap()],
            when: None,
            handler: Handler::Consumer {
                name: "new".into(),
                retry: Retry::default(),
            },
            timing: Default::default(),
            flow: None,
        }])
        .unwrap()
    }

    #[test]
    fn without_changes_it_is_the_plan_that_ran() {
        let edit = Edit::default();
        assert_eq!(edit.apply(&plan(), &routes()).unwrap(), plan());
        assert!(!edit.changes_deliveries());
    }

    #[test]
    fn the_payload_is_replaced() {
        let edit = Edit {
            data: Some(json!([2])),
            ..Edit::default()
        };
        let event = edit.apply(&plan(), &routes()).unwrap().event;
        assert_eq!(event.data, Some(Data::Json(json!([2]))));
        assert_eq!((event.id.as_str(), event.ty.as_str()), ("1", "t"));
        assert!(edit.changes_deliveries());
    }

    #[test]
    fn another_event_is_refused_by_what_differs() {
        let event = |id: &str, source: &str| json!({"specversion": "1.0", "id": id, "source": source, "type": "t2", "data": 3});
        let edit = |event| Edit {
            event: Some(event),
            ..Edit::default()
        };
        assert_eq!(
            edit(event("1", "/s")).apply(&plan(), &routes()).unwrap().event.ty,
            "t2"
        );
        let error = edit(event("1", "/other")).apply(&plan(), &routes()).unwrap_err();
        assert!(
            matches!(
                error,
                EditError::OtherEvent {
                    attribute: "source",
                    ..
                }
            ),
            "{error}"
        );
        let error = edit(json!({"id": "1"})).apply(&plan(), &routes()).unwrap_err();
        assert!(matches!(error, EditError::NoEvent(_)), "{error}");
        let mut both = edit(event("1", "/s"));
        both.data = Some(json!(1));
        assert_eq!(both.apply(&plan(), &routes()), Err(EditError::Both));
    }

    #[test]
    fn the_route_of_now_has_to_be_there() {
        let edit = Edit {
            current_route: true,
            ..Edit::default()
        };
        let handler = edit.apply(&plan(), &routes()).unwrap().handler;
        assert!(matches!(handler, PlannedHandler::Consumer { name, .. } if name == "new"));
        assert_eq!(
            edit.apply(&plan(), &Routes::default()),
            Err(EditError::NoRoute("r".into()))
        );
    }
}
