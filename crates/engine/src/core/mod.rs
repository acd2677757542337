//! The pure core: what happens to a run when something comes in.
//!
//! `(run, input, now)` gives a changed run, new events at the end of its history, and effects for
//! the host (tasks for the task queues, a successor to create). No I/O, no clock, no randomness.
//!
//! | file | transitions |
//! |---|---|
//! | `start` | a run begins |
//! | `workflow_task` | scheduled and started; `workflow_task_end`: failed, timed out |
//! | `update` | updates: admitted, accepted, completed, rejected |
//! | `completion` | a worker completes a workflow task: its `commands`, one file each |
//! | `activity` | started, heartbeat, completed, failed, canceled, timed out, tried again |
//! | `activity_control` | an activity paused, unpaused, reset, or given other options by a person; `activity_options` |
//! | `standalone` | an activity that belongs to no workflow |
//! | `child` | children start and close, as their parent sees it |
//! | `external` | signals and cancel requests to other executions |
//! | `history`, `events` | events are appended, and kept encoded |
//! | `limits` | the history becomes too large |
//! | `message` | signal, cancel request, terminate |
//! | `options` | priority and version are changed |
//! | `versioning` | which version of the workers a run belongs to |
//! | `wake` | timers, time-outs and back-offs that are due |
//! | `reset` | another run goes on from a point of this one, made by `rebuild` from its history |
//! | `close` | the run ends, a successor goes on |
//! | `resume` | the engine has started again |

mod activity;
mod activity_control;
mod activity_options;
mod attributes;
mod child;
mod close;
mod commands;
mod completion;
mod events;
mod external;
mod external_payloads;
mod history;
mod limits;
mod message;
mod options;
mod own_attributes;
mod rebuild;
mod reset;
mod reset_points;
mod resume;
mod retry;
mod run;
mod standalone;
mod start;
mod state;
mod unversioned;
mod update;
mod versioning;
mod wake;
mod workflow_task;
mod workflow_task_end;

pub use activity::HeartbeatAnswer;
pub use activity_control::{ActivityReset, ActivitySelection, ActivityUnpause};
pub use activity_options::OptionsUpdate;
pub(crate) use activity_options::{is_option, options_of};
pub use child::{ChildClosed, ChildEnd};
pub(crate) use close::workflow_timed_out;
pub use commands::{AttributeGate, Surroundings};
pub use completion::{Completion, Outcome, WorkerVersion};
pub use events::Events;
pub(crate) use external::ENGINE_IDENTITY;
pub use external::{OutgoingCancel, OutgoingSignal};
pub use message::{CancelRequest, Signal};
pub use options::{OptionsChange, Rank};
pub(crate) use options::{changes_after_reset, check_priority};
pub use rebuild::{Identity, Rebuilt, rebuild};
pub use reset::{Reapply, Reset, ResetTarget};
pub(crate) use retry::{check as check_retry_policy, with_defaults as retry_policy_with_defaults};
pub use run::{Effects, Message, Queue, Run, RunKey, Sticky, Task};
pub(crate) use standalone::id_space;
pub use standalone::{EndRequest, NewActivity, STANDALONE_EVENT};
pub use start::{Continued, NewRun, ParentOf, new_run_id};
pub use state::{
    Activity, ActivityPause, ChangedOptions, Child, Parent, RunState, StandaloneActivity, StartedActivity,
    StartedTask, Timer, WorkflowTask,
};
pub use update::{UpdateEnd, UpdateStage, UpdateStatus, Updates};
pub use versioning::{Inherited, Transition, Version, Versioning};
pub(crate) use versioning::{UNVERSIONED, checked_override, pinned_by};
pub(crate) use workflow_task::normal_queue;
