//! What a route says to an event, in a sentence.

use segno_routing::{Outcome, RouteExplanation};
use serde::Serialize;
use utoipa::ToSchema;

/// What a route says to an event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RouteStory {
    route: String,
    /// Whether it takes the event.
    takes: bool,
    /// Why it does not; or that it does and there is no execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Id of the execution that an event of this source and id has on this route.
    workflow_id: String,
}

impl RouteStory {
    /// What the route, as it is now, says to an event whose execution on it has this id, and is there or is not.
    pub(super) fn new(route: RouteExplanation, workflow_id: String, ran: bool) -> Self {
        let takes = match route.outcome {
            Outcome::Matched { .. } => true,
            // Nothing but the schedule has made the event.
            Outcome::ScheduleOnly { .. } => ran,
            _ => false,
        };
        let why = match route.outcome {
            _ if takes && ran => None,
            Outcome::Matched { .. } => Some(
                "it takes such events now, but did not when the event came: send the event again, or replay it"
                    .to_owned(),
            ),
            Outcome::PatternMismatch { patterns } => Some(format!(
                "no pattern fits the event's type: {}",
                patterns.join(", ")
            )),
            Outcome::ScheduleOnly { cron, time_zone } => Some(format!(
                "it takes the events of its schedule alone: {cron} ({time_zone})"
            )),
            Outcome::FilterFalse { filter } => Some(format!("the filter is false: {filter}")),
            Outcome::FilterFailed { filter, error } => Some(format!("the filter {filter} fails: {error}")),
            _ => Some("it does not take the event".to_owned()),
        };
        Self {
            route: route.route,
            takes,
            why,
            workflow_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use segno_event::{Event, TypePattern};
    use segno_routing::{Handler, Route, Routes, Schedule, Timing, explain};

    use super::*;

    /// What a route with these patterns and a schedule says to an event, and whether it has an execution of it.
    fn told(on: &[&str], ran: bool) -> (bool, Option<String>) {
        let patterns = on.iter().map(|pattern| pattern.parse::<TypePattern>().unwrap());
        let schedule = Schedule {
            cron: "0 9 * * *".into(),
            time_zone: "Europe/Berlin".into(),
            ty: "report.due".into(),
            data: None,
        };
        let route = Route {
            name: "daily".into(),
            on: patterns.collect(),
            when: None,
            handler: Handler::Workflow("W".into()),
            timing: Timing {
                schedule: Some(schedule),
                ..Timing::default()
            },
            flow: None,
        };
        let routes = Routes::new(vec![route]).unwrap();
        let explained = explain(&routes, &Event::new("/shop", "1", "report.due"));
        let route = explained.routes.into_iter().next().unwrap();
        let story = RouteStory::new(route, "daily//shop/1".into(), ran);
        (story.takes, story.why)
    }

    #[test]
    fn a_route_without_patterns_takes_what_its_schedule_makes() {
        let why = "it takes the events of its schedule alone: 0 9 * * * (Europe/Berlin)";
        assert_eq!(told(&[], false), (false, Some(why.to_owned())));
        assert_eq!(told(&[], true), (true, None));
    }

    #[test]
    fn a_schedule_beside_patterns_takes_nothing_away() {
        let why = "no pattern fits the event's type: order.*, user.*";
        assert_eq!(told(&["order.*", "user.*"], false), (false, Some(why.to_owned())));
        assert_eq!(told(&["report.*"], true), (true, None));
    }
}
