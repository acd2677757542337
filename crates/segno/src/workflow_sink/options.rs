use segno_sinks::Template;
use serde::{Deserialize, Deserializer, de};

use crate::worker::TASK_QUEUE;

/// `[sinks.NAME.workflow]`: the payload starts a workflow, is signalled to one, or is signalled to one that is started if
/// it does not run.
#[derive(Clone, Debug)]
pub struct WorkflowSink {
    pub(super) call: Call,
    /// The workflow's id.
    pub(super) id: Template,
    /// Where a workflow that is started waits for a worker.
    pub(super) task_queue: String,
}

/// What is asked of the engine.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Start { ty: String },
    Signal { signal: String },
    SignalWithStart { ty: String, signal: String },
}

impl<'de> Deserialize<'de> for WorkflowSink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename = "workflow")]
        struct Given {
            r#type: Option<String>,
            signal: Option<String>,
            id: Option<Template>,
            task_queue: Option<String>,
        }
        let given = Given::deserialize(deserializer)?;
        let empty = [&given.r#type, &given.signal, &given.task_queue];
        if empty.into_iter().flatten().any(String::is_empty) {
            return Err(de::Error::custom("a type, a signal and a task queue have names"));
        }
        let call = match (given.r#type, given.signal) {
            (Some(ty), None) => Call::Start { ty },
            (None, Some(signal)) => Call::Signal { signal },
            (Some(ty), Some(signal)) => Call::SignalWithStart { ty, signal },
            (None, None) => {
                return Err(de::Error::custom(
                    "give the `type` of the workflow to start, the `signal` to send, or both to start the workflow if it \
                    does not run",
                ));
            }
        };
        let id = match (given.id, &call) {
            (Some(id), _) => id,
            (None, Call::Start { .. }) => "{{ key }}".parse().map_err(de::Error::custom)?,
            (None, _) => return Err(de::Error::custom("which workflow is signalled? give its `id`")),
        };
        if matches!(call, Call::Signal { .. }) && given.task_queue.is_some() {
            return Err(de::Error::custom(
                "a `task_queue` is where a workflow starts, and this one starts none: it has no `type`",
            ));
        }
        Ok(Self {
            call,
            id,
            task_queue: given.task_queue.unwrap_or_else(|| TASK_QUEUE.to_owned()),
        })
    }
}
