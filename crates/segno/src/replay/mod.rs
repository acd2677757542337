//! Replay: events that were taken in before are handled again, on chosen routes, in the order in which they came.
//!
//! The archive is the engine's own record: the executions of events, matched or not. A replayed event has an execution
//! of its own, `<route>/<source>/<event id>/replay/<replay id>`: so that carrying out a replay twice, or a part of it
//! after a crash, starts nothing twice.

mod activities;
mod compare;
mod dry_run;
mod find;
mod workflow;

use segno_event::Event;
use segno_routing::{Plan, Routes, plan};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

pub(crate) use activities::ReplayActivities;
pub(crate) use dry_run::{DryRun, dry_run};
pub(crate) use workflow::{Input, ReplayWorkflow, TYPE};

use crate::{dead_letters::quoted, operation::pace, run};

/// Which events, on which routes, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplayRequest)]
pub(crate) struct Request {
    /// The replay's id: the same request made again finds the replay that it began. Left out: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The routes that handle the events, as they are configured now.
    pub(crate) routes: Vec<String>,
    /// Taken in at this time or later (RFC 3339). Left out: since the beginning of the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// Taken in before this time (RFC 3339). Left out: before now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// Events of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) ty: Option<String>,
    /// Events of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// Events about this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// A visibility query besides, over the executions of the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<String>,
    /// How many executions are started in a second at most. Left out: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    /// Wait for the end of each execution before the next one is started: strictly one after the other.
    #[serde(default)]
    pub(crate) one_by_one: bool,
    /// Only say what would run, and what would differ from what ran then.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// Who asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Request {
    /// Checks it against the routes that there are, and fills in what was left out: the id, and the time up to which
    /// events count.
    ///
    /// # Errors
    /// What is wrong, for whoever asks.
    pub(crate) fn complete(mut self, routes: &Routes, now: OffsetDateTime) -> Result<Self, String> {
        if self.routes.is_empty() {
            return Err("name at least one route in `routes`".to_owned());
        }
        for name in &self.routes {
            if !routes.iter().any(|route| route.name == *name) {
                return Err(format!("there is no route {name:?}"));
            }
        }
        for (name, time) in [("from", &self.from), ("to", &self.to)] {
            if time.as_ref().is_some_and(|time| run::parse(time).is_none()) {
                return Err(format!(
                    "`{name}` is not a time such as 2026-01-31T12:00:00Z (RFC 3339)"
                ));
            }
        }
        pace::check(self.per_second)?;
        let id = self.id.take().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        if !crate::operation::is_id(&id) {
            return Err("`id` has to be 1 to 100 letters, digits, dots, underscores and hyphens".to_owned());
        }
        self.id = Some(id);
        self.to.get_or_insert_with(|| run::format(now));
        Ok(self)
    }

    /// The times between which events count, in order.
    pub(crate) fn range(&self, now: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
        let from = self.from.as_deref().and_then(run::parse);
        let to = self.to.as_deref().and_then(run::parse);
        (from.unwrap_or(OffsetDateTime::UNIX_EPOCH), to.unwrap_or(now))
    }

    /// The executions whose events count, but for the times.
    pub(crate) fn query(&self) -> String {
        let mut terms = vec!["SegnoEventType IS NOT NULL AND SegnoReplay IS NULL".to_owned()];
        let equals = [
            ("SegnoEventType", &self.ty),
            ("SegnoEventSource", &self.source),
            ("SegnoEventSubject", &self.subject),
        ];
        for (attribute, value) in equals {
            if let Some(value) = value {
                terms.push(format!("{attribute} = {}", quoted(value)));
            }
        }
        if let Some(query) = self.query.as_deref().filter(|query| !query.trim().is_empty()) {
            terms.push(format!("({query})"));
        }
        terms.join(" AND ")
    }

    /// What the chosen routes do with an event now.
    fn plans(&self, routes: &Routes, event: &Event) -> Vec<Plan> {
        let mut plans = plan(routes, event);
        plans.retain(|plan| self.routes.contains(&plan.route));
        plans
    }
}

/// Id of a replay's own execution.
pub(crate) fn workflow_id(id: &str) -> String {
    format!("@replay/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        serde_json::from_value(serde_json::json!({ "routes": ["r"] })).unwrap()
    }

    fn routes() -> Routes {
        let route = segno_routing::Route {
            name: "r".into(),
            on: vec!["*".parse().unwrap()],
            when: None,
            flow: None,
            handler: segno_routing::Handler::Workflow("W".into()),
            timing: Default::default(),
        };
        Routes::new(vec![route]).unwrap()
    }

    #[test]
    fn what_is_left_out_is_filled_in_once() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let complete = request().complete(&routes(), now).unwrap();
        assert_eq!(complete.to.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert!(complete.id.is_some());
        assert_eq!(complete.clone().complete(&routes(), now).unwrap(), complete);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |change: fn(&mut Request)| {
            let mut request = request();
            change(&mut request);
            request
                .complete(&routes(), OffsetDateTime::UNIX_EPOCH)
                .unwrap_err()
        };
        assert!(wrong(|r| r.routes.clear()).contains("routes"));
        assert!(wrong(|r| r.routes.push("x".into())).contains("no route \"x\""));
        assert!(wrong(|r| r.from = Some("noon".into())).contains("`from`"));
        assert!(wrong(|r| r.per_second = Some(0.0)).contains("per_second"));
        assert!(wrong(|r| r.per_second = Some(f64::NAN)).contains("per_second"));
        assert!(wrong(|r| r.id = Some("a/b".into())).contains("`id`"));
    }

    #[test]
    fn replays_do_not_replay_themselves() {
        let mut request = request();
        request.source = Some("/s".into());
        request.query = Some("a = 1 OR b = 2".into());
        assert_eq!(
            request.query(),
            "SegnoEventType IS NOT NULL AND SegnoReplay IS NULL AND SegnoEventSource = '/s' AND (a = 1 OR b = 2)"
        );
    }
}
