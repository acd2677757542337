//! What an execution tells of itself: each action of its plan, where it is, and what it has done.

use std::time::SystemTime;

use segno_event::Event;
use segno_routing::{Plan, PlannedAction, PlannedHandler};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// Largest event that is told whole, in bytes of JSON; of a larger one the data is left out.
const MAX_EVENT: usize = 16 * 1024;
/// How much of payloads one action tells, in bytes of JSON: what is more is told by its size.
pub(super) const MAX_PAYLOADS: usize = 16 * 1024;
/// How much of payloads all actions of an execution tell together: a result has to fit into one message.
const MAX_ALL_PAYLOADS: usize = 256 * 1024;

/// What an execution has done so far: the answer to the query `story`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Story {
    /// Name of the route.
    pub(crate) route: String,
    /// The event, as the actions get it.
    pub(crate) event: Value,
    /// The actions in the order of the plan.
    pub(crate) actions: Vec<ActionStory>,
}

/// What one action has done so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ActionStory {
    /// Name of the action, or of the consumer.
    pub(crate) action: String,
    /// What kind of message it is, as configured: `notification`, `service_message` or another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    /// What it is about, as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entity: Option<String>,
    /// Its weight; of a consumer none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u32>,
    /// Name of the sink; of a consumer none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// Where it is.
    pub(crate) state: ActionState,
    /// Why it was skipped, has failed, or has delivered nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The attempt that ended it, from 1; left out where that is not known yet, or no attempt came to an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<u32>,
    /// When its stage began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<String>,
    /// When it was done, skipped or failed for good (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    /// How many payloads it delivered; of a consumer none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivered: Option<u64>,
    /// The payloads that the transform made of the event, with the sink's answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) payloads: Vec<Sent>,
}

/// Where an action is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionState {
    /// Actions of lower weight are not through yet.
    #[default]
    Waiting,
    /// Its attempts are under way.
    Running,
    /// It has delivered all its payloads, if there were any.
    Done,
    /// It was not available for this event.
    Skipped,
    /// It has failed for good.
    Failed,
}

/// A payload and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Sent {
    /// The payload; left out where it is too large to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Value>,
    /// Its size in bytes of JSON.
    pub(crate) bytes: u64,
    /// The attempt that delivered it; left out where an attempt before the last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    /// The status that the sink answered with, where it speaks HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
}

/// What `deliver` returns.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Receipt {
    /// How many payloads were delivered: all that versions before told.
    Count(u64),
    /// What was done.
    Told {
        /// The attempt that it was, from 1.
        attempt: u32,
        /// Why nothing was to be done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skipped: Option<String>,
        /// The payloads.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payloads: Vec<Sent>,
    },
}

/// Details of a failure of `deliver` or `consume`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FailedAttempt {
    /// The attempt that it was, from 1.
    pub(crate) attempt: u32,
}

impl Story {
    /// The story of a plan of which nothing is done yet.
    pub(crate) fn of(plan: &Plan) -> Self {
        let actions = match &plan.handler {
            PlannedHandler::Actions { stages } => stages.iter().flatten().map(ActionStory::of).collect(),
            PlannedHandler::Consumer { name, .. } | PlannedHandler::Workflow { name } => vec![ActionStory {
                action: name.clone(),
                ..Default::default()
            }],
        };
        let mut story = Self {
            route: plan.route.clone(),
            event: told(&plan.event),
            actions,
        };
        for done in plan.after.iter().flat_map(|after| &after.done) {
            if let Some(action) = story.action(done) {
                action.state = ActionState::Done;
                action.reason = Some("an earlier run did it".to_owned());
            }
        }
        story
    }

    fn action(&mut self, name: &str) -> Option<&mut ActionStory> {
        self.actions.iter_mut().find(|action| action.action == name)
    }

    /// The action's attempts begin.
    pub(crate) fn begin(&mut self, name: &str, now: Option<SystemTime>) {
        if let Some(action) = self.action(name) {
            action.state = ActionState::Running;
            action.started = now.and_then(rfc3339);
        }
    }

    /// The action is through.
    pub(crate) fn end(&mut self, name: &str, receipt: Option<Receipt>, now: Option<SystemTime>) {
        if let Some(action) = self.action(name) {
            action.ended = now.and_then(rfc3339);
            action.state = ActionState::Done;
            if let Some(receipt) = receipt {
                action.take(receipt);
            }
        }
    }

    /// The action has failed for good.
    pub(crate) fn fail(&mut self, name: &str, cause: String, attempts: Option<u32>, now: Option<SystemTime>) {
        if let Some(action) = self.action(name) {
            action.ended = now.and_then(rfc3339);
            action.state = ActionState::Failed;
            action.reason = Some(cause);
            action.attempts = attempts;
        }
    }

    /// What is not through by now has failed, for this reason.
    pub(crate) fn cut(&mut self, reason: &str, now: Option<SystemTime>) {
        let open =
            |action: &&mut ActionStory| matches!(action.state, ActionState::Waiting | ActionState::Running);
        for action in self.actions.iter_mut().filter(open) {
            action.state = ActionState::Failed;
            action.reason = Some(reason.to_owned());
            action.ended = now.and_then(rfc3339);
        }
    }

    /// The actions as a result tells them.
    pub(crate) fn into_result(self) -> Vec<ActionStory> {
        let mut left = MAX_ALL_PAYLOADS as u64;
        let mut actions = self.actions;
        for sent in actions.iter_mut().flat_map(|action| &mut action.payloads) {
            match left.checked_sub(sent.bytes) {
                Some(rest) if sent.payload.is_some() => left = rest,
                _ => sent.payload = None,
            }
        }
        actions
    }
}

impl ActionStory {
    /// The story of an action that is still to come.
    pub(crate) fn of(action: &PlannedAction) -> Self {
        Self {
            action: action.name.clone(),
            category: action.category.clone(),
            entity: action.entity.clone(),
            weight: Some(action.weight),
            to: Some(action.to.clone()),
            ..Default::default()
        }
    }

    /// What `deliver` tells of it.
    pub(crate) fn take(&mut self, receipt: Receipt) {
        match receipt {
            Receipt::Count(delivered) => self.delivered = Some(delivered),
            Receipt::Told {
                attempt,
                skipped,
                payloads,
            } => {
                self.attempts = Some(attempt);
                if skipped.is_some() {
                    self.state = ActionState::Skipped;
                    self.reason = skipped;
                } else {
                    self.delivered = Some(payloads.len() as u64);
                    if payloads.is_empty() {
                        self.reason = Some("the transform makes no payload of this event".to_owned());
                    }
                    self.payloads = payloads;
                }
            }
        }
    }
}

/// The event as it is told: whole, or without data that would be too long.
fn told(event: &Event) -> Value {
    match serde_json::to_value(event) {
        Ok(mut value) => {
            let bytes = value.to_string().len();
            if bytes > MAX_EVENT
                && let Some(fields) = value.as_object_mut()
            {
                fields.retain(|field, _| field != "data" && field != "data_base64");
                return json!({ "event": value, "bytes": bytes });
            }
            value
        }
        // An event that came in can be written again.
        Err(_) => Value::Null,
    }
}

fn rfc3339(time: SystemTime) -> Option<String> {
    OffsetDateTime::from(time).format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(bytes: u64) -> Sent {
        Sent {
            payload: Some(json!("x")),
            bytes,
            ..Default::default()
        }
    }

    #[test]
    fn what_older_versions_returned_is_understood() {
        let mut story = ActionStory::default();
        story.take(serde_json::from_str("3").unwrap());
        assert_eq!((story.delivered, story.attempts), (Some(3), None));
        story.take(serde_json::from_str(r#"{"attempt": 2, "skipped": "no"}"#).unwrap());
        assert_eq!(story.state, ActionState::Skipped);
        assert_eq!(story.reason.as_deref(), Some("no"));
    }

    #[test]
    fn a_result_stays_within_its_size() {
        let story = Story {
            actions: (0..40)
                .map(|_| ActionStory {
                    payloads: vec![sent(MAX_PAYLOADS as u64)],
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let told = story.into_result();
        let whole = told
            .iter()
            .filter(|action| action.payloads[0].payload.is_some())
            .count();
        assert_eq!(whole, MAX_ALL_PAYLOADS / MAX_PAYLOADS);
    }

    #[test]
    fn a_large_event_is_told_without_its_data() {
        let small = Event::new("/s", "1", "t").with_data("x");
        assert_eq!(told(&small)["data"], "x");
        let large = Event::new("/s", "1", "t").with_data("x".repeat(MAX_EVENT));
        let told = told(&large);
        assert_eq!(told["event"]["id"], "1");
        assert!(told["event"].get("data").is_none(), "{told}");
        assert!(told["bytes"].as_u64() > Some(MAX_EVENT as u64));
    }
}
