//! The part of flow control in a route and in a plan.

use segno_event::{EvalError, Event};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Key, Policy, Scope};
use crate::MAX_WORKFLOW_ID;

/// What a route says about flow control, compiled.
#[derive(Debug, Default)]
pub struct Flow {
    /// What the key of an event is read from. None: the route has no use for keys.
    pub key: Option<Key>,
    /// What it asks for.
    pub policy: Policy,
}

/// What an event's execution has to know of its flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFlow {
    /// Workflow id of the flow.
    pub id: String,
    /// The event's key; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What the route asks for.
    pub policy: Policy,
    /// Whether the flow has let it run already: then its end is reported and nothing is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admitted: bool,
    /// Whether the execution asks the flow by itself, as its route delays it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
}

impl Flow {
    /// The flow that an event of the route belongs to. None if it is of no concern to any: order, debouncing and
    /// limits by key say nothing about an event without a key.
    ///
    /// # Errors
    /// When the event's key cannot be read. It has none then.
    pub fn plan(&self, route: &str, event: &Event) -> (Option<PlannedFlow>, Result<(), EvalError>) {
        let (key, read) = match self.key.as_ref().map(|key| key.of(event)) {
            None => (String::new(), Ok(())),
            Some(Ok(key)) => (key.unwrap_or_default(), Ok(())),
            Some(Err(error)) => (String::new(), Err(error)),
        };
        let scope = self.policy.scope(self.key.is_some());
        if scope == Scope::Key && key.is_empty() && self.policy.batch.is_none() {
            return (None, read);
        }
        let planned = PlannedFlow {
            id: match scope {
                Scope::Route => flow_id(route, None),
                Scope::Key => flow_id(route, Some(&key)),
            },
            key,
            policy: self.policy.clone(),
            admitted: false,
            asks: false,
        };
        (Some(planned), read)
    }
}

/// The workflow id of a flow: `flow:<route>` of a whole route, `flow:<route>/<key>` of a key. Names of routes have no
/// colon, so no event's execution has such an id. Keys with control characters are hashed.
pub fn flow_id(route: &str, key: Option<&str>) -> String {
    let Some(key) = key else {
        return format!("flow:{route}");
    };
    if key.chars().any(char::is_control) {
        return format!("flow:{route}/sha256/{}", hex(key));
    }
    format!("flow:{route}/{}", key.replace('%', "%25").replace('/', "%2F"))
}

/// The workflow id of a workflow of the program's own that an event's execution starts when it may: `run:` and the
/// execution's, or a hash of that where it gets too long.
pub fn child_id(workflow_id: &str) -> String {
    let readable = format!("run:{workflow_id}");
    if readable.len() <= MAX_WORKFLOW_ID {
        return readable;
    }
    format!("run:sha256/{}", hex(workflow_id))
}

fn hex(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
