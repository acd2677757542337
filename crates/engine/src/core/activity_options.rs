//! An activity's options: what the command that schedules it leaves open, and how they change later.

use prost_types::FieldMask;
use temporalio_protos::temporal::api::{
    activity::v1::ActivityOptions, common::v1::Priority, history::v1::ActivityTaskScheduledEventAttributes,
    taskqueue::v1::TaskQueue,
};

use super::{
    options::Rank,
    retry,
    run::{Run, Task},
    state::Activity,
};
use crate::{
    clock::{Nanos, duration, nanos},
    rpc::RpcError,
};

/// An activity's time-outs; 0: none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) schedule_to_close: Nanos,
    pub(super) schedule_to_start: Nanos,
    pub(super) start_to_close: Nanos,
    pub(super) heartbeat: Nanos,
}

impl Timeouts {
    /// Fills in what is left open: each is bounded by the longer ones, all by the run's.
    pub(super) fn resolve(self, run_timeout: Nanos) -> Result<Self, OptionsError> {
        let Self {
            mut schedule_to_close,
            mut schedule_to_start,
            mut start_to_close,
            mut heartbeat,
        } = self;
        for (name, timeout) in [
            ("ScheduleToCloseTimeout", schedule_to_close),
            ("ScheduleToStartTimeout", schedule_to_start),
            ("StartToCloseTimeout", start_to_close),
            ("HeartbeatTimeout", heartbeat),
        ] {
            if timeout < 0 {
                return Err(OptionsError::Invalid(format!(
                    "invalid {name}: negative duration"
                )));
            }
        }
        if schedule_to_close > 0 {
            schedule_to_start = bounded(schedule_to_start, schedule_to_close);
            start_to_close = bounded(start_to_close, schedule_to_close);
        } else if start_to_close > 0 {
            schedule_to_close = run_timeout;
            schedule_to_start = bounded(schedule_to_start, run_timeout);
        } else {
            return Err(OptionsError::NoEnd);
        }
        if run_timeout > 0 {
            schedule_to_close = bounded(schedule_to_close, run_timeout);
            schedule_to_start = bounded(schedule_to_start, run_timeout);
            start_to_close = bounded(start_to_close, run_timeout);
        }
        if heartbeat > start_to_close {
            heartbeat = start_to_close;
        }
        Ok(Self {
            schedule_to_close,
            schedule_to_start,
            start_to_close,
            heartbeat,
        })
    }
}

/// `value`, but at most `bound`; 0 means none in both.
fn bounded(value: Nanos, bound: Nanos) -> Nanos {
    match (value, bound) {
        (value, 0) => value,
        (0, bound) => bound,
        (value, bound) => value.min(bound),
    }
}

/// What is to become of an activity's options.
#[derive(Clone, Debug)]
pub enum OptionsUpdate {
    /// The ones it was scheduled with.
    Restore,
    /// These, as far as a path of `mask` names them.
    Merge {
        options: Box<ActivityOptions>,
        mask: Vec<String>,
    },
}

impl OptionsUpdate {
    /// From the fields that every request for it has.
    ///
    /// # Errors
    /// When they contradict each other, or say nothing.
    pub(crate) fn new(
        restore: bool,
        options: Option<ActivityOptions>,
        mask: Option<FieldMask>,
    ) -> Result<Self, RpcError> {
        let invalid = |message: &str| RpcError::InvalidArgument(message.to_owned());
        let has_mask = mask.as_ref().is_some_and(|mask| !mask.paths.is_empty());
        match (restore, options, mask) {
            (true, ..) if has_mask => Err(invalid("Both UpdateMask and RestoreOriginal are provided")),
            (true, ..) => Ok(Self::Restore),
            (false, None, _) => Err(invalid("ActivityOptions are not provided")),
            (false, _, None) => Err(invalid("UpdateMask is not provided")),
            (false, Some(options), Some(mask)) => Ok(Self::Merge {
                options: Box::new(options),
                mask: mask.paths,
            }),
        }
    }
}

/// The options that an activity has now.
pub(crate) fn options_of(activity: &Activity) -> ActivityOptions {
    ActivityOptions {
        task_queue: Some(TaskQueue {
            name: activity.task_queue.clone(),
            normal_name: activity.task_queue.clone(),
            ..Default::default()
        }),
        schedule_to_close_timeout: Some(duration(activity.schedule_to_close)),
        schedule_to_start_timeout: Some(duration(activity.schedule_to_start)),
        start_to_close_timeout: Some(duration(activity.start_to_close)),
        heartbeat_timeout: Some(duration(activity.heartbeat)),
        retry_policy: activity.retry_policy.clone(),
        priority: activity.priority.clone(),
        ..Default::default()
    }
}

/// The options that an activity was scheduled with.
fn original(scheduled: &ActivityTaskScheduledEventAttributes) -> ActivityOptions {
    ActivityOptions {
        task_queue: scheduled.task_queue.clone(),
        schedule_to_close_timeout: scheduled.schedule_to_close_timeout,
        schedule_to_start_timeout: scheduled.schedule_to_start_timeout,
        start_to_close_timeout: scheduled.start_to_close_timeout,
        heartbeat_timeout: scheduled.heartbeat_timeout,
        retry_policy: scheduled.retry_policy.clone(),
        priority: scheduled.priority.clone(),
        ..Default::default()
    }
}

/// A path of an update mask in one spelling.
fn normal_path(path: &str) -> String {
    path.replace('_', "").to_ascii_lowercase()
}

/// Whether a path of an update mask names an option.
pub(crate) fn is_option(path: &str) -> bool {
    matches!(
        normal_path(path).as_str(),
        "taskqueue"
            | "taskqueue.name"
            | "scheduletoclosetimeout"
            | "scheduletostarttimeout"
            | "starttoclosetimeout"
            | "heartbeattimeout"
            | "retrypolicy"
            | "retrypolicy.initialinterval"
            | "retrypolicy.backoffcoefficient"
            | "retrypolicy.maximuminterval"
            | "retrypolicy.maximumattempts"
            | "retrypolicy.nonretryableerrortypes"
            | "priority"
            | "priority.prioritykey"
            | "priority.fairnesskey"
            | "priority.fairnessweight"
    )
}

/// Takes what `mask` names from `from`. Paths are in snake or camel case; unknown ones name nothing.
fn merge(into: &mut ActivityOptions, from: ActivityOptions, mask: &[String]) -> Result<(), RpcError> {
    let missing = |what: &str| RpcError::InvalidArgument(format!("{what} is not provided"));
    for path in mask {
        let path = normal_path(path);
        if let Some(field) = path.strip_prefix("retrypolicy.") {
            let from = from.retry_policy.as_ref().ok_or_else(|| missing("RetryPolicy"))?;
            let into = into.retry_policy.get_or_insert_default();
            match field {
                "initialinterval" => into.initial_interval = from.initial_interval,
                "backoffcoefficient" => into.backoff_coefficient = from.backoff_coefficient,
                "maximuminterval" => into.maximum_interval = from.maximum_interval,
                "maximumattempts" => into.maximum_attempts = from.maximum_attempts,
                "nonretryableerrortypes" => {
                    into.non_retryable_error_types
                        .clone_from(&from.non_retryable_error_types);
                }
                _ => {}
            }
            continue;
        }
        if let Some(field) = path.strip_prefix("priority.") {
            let from = from.priority.as_ref().ok_or_else(|| missing("Priority"))?;
            let into = into.priority.get_or_insert_default();
            match field {
                "prioritykey" => into.priority_key = from.priority_key,
                "fairnesskey" => into.fairness_key.clone_from(&from.fairness_key),
                "fairnessweight" => into.fairness_weight = from.fairness_weight,
                _ => {}
            }
            continue;
        }
        match path.as_str() {
            "taskqueue" | "taskqueue.name" => {
                let queue = from.task_queue.as_ref().ok_or_else(|| missing("TaskQueue"))?;
                if queue.name.is_empty() {
                    return Err(missing("TaskQueue"));
                }
                into.task_queue = Some(queue.clone());
            }
            "scheduletoclosetimeout" => into.schedule_to_close_timeout = from.schedule_to_close_timeout,
            "scheduletostarttimeout" => into.schedule_to_start_timeout = from.schedule_to_start_timeout,
            "starttoclosetimeout" => into.start_to_close_timeout = from.start_to_close_timeout,
            "heartbeattimeout" => into.heartbeat_timeout = from.heartbeat_timeout,
            "retrypolicy" => into.retry_policy.clone_from(&from.retry_policy),
            "priority" => into.priority.clone_from(&from.priority),
            _ => {}
        }
    }
    Ok(())
}

impl Run {
    /// Where a task stands among those that wait.
    pub(crate) fn task_rank(&self, task: &Task) -> Rank {
        let priority = match task {
            Task::Activity {
                scheduled_event_id, ..
            } => {
                let activity = self.activity(*scheduled_event_id);
                activity.and_then(|activity| self.activity_priority(activity))
            }
            Task::Workflow { .. } => self.priority().cloned(),
        };
        priority.map(Rank::new).unwrap_or_default()
    }

    /// The priority of an activity's tasks: its own, else the run's.
    pub(crate) fn activity_priority(&self, activity: &Activity) -> Option<Priority> {
        let (own, run) = match (activity.priority.as_ref(), self.priority()) {
            (Some(own), Some(run)) => (own, run),
            (own, run) => return own.or(run).cloned(),
        };
        let key = if own.priority_key == 0 { run } else { own };
        let fairness = if own.fairness_key.is_empty() { run } else { own };
        let weight = if own.fairness_weight == 0.0 { run } else { own };
        Some(Priority {
            priority_key: key.priority_key,
            fairness_key: fairness.fairness_key.clone(),
            fairness_weight: weight.fairness_weight,
        })
    }

    /// The options that the activity has once `update` is done; nothing has changed yet.
    pub(super) fn updated_options(
        &self,
        activity: &Activity,
        update: OptionsUpdate,
    ) -> Result<ActivityOptions, RpcError> {
        let mut options = match update {
            OptionsUpdate::Restore => {
                let scheduled = self.activity_scheduled(activity.scheduled_event_id);
                return scheduled
                    .as_ref()
                    .map(original)
                    .ok_or_else(|| RpcError::Internal("an activity has no scheduled event".into()));
            }
            OptionsUpdate::Merge { options, mask } => {
                let mut merged = options_of(activity);
                merge(&mut merged, *options, &mask)?;
                merged
            }
        };
        resolve_options(&mut options, self.state.run_timeout).map_err(|error| {
            RpcError::InvalidArgument(error.naming(&activity.id, &activity.activity_type))
        })?;
        Ok(options)
    }
}

/// Why an activity's options cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum OptionsError {
    /// Its attempts could run for ever.
    #[error("a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity.")]
    NoEnd,
    /// One of them is malformed.
    #[error("{0}")]
    Invalid(String),
}

impl OptionsError {
    /// In the words for who schedules the activity: the real server names it only where it has no end.
    pub(super) fn refusal(&self, id: &str, activity_type: &str) -> String {
        match self {
            Self::NoEnd => self.naming(id, activity_type),
            Self::Invalid(message) => message.clone(),
        }
    }

    /// With the activity that it is about.
    fn naming(&self, id: &str, activity_type: &str) -> String {
        format!("{self} ActivityId={id} ActivityType={activity_type}")
    }
}

/// Fills in what options leave open, and checks them.
pub(super) fn resolve_options(options: &mut ActivityOptions, run_timeout: Nanos) -> Result<(), OptionsError> {
    let asked = Timeouts {
        schedule_to_close: nanos(options.schedule_to_close_timeout.as_ref()),
        schedule_to_start: nanos(options.schedule_to_start_timeout.as_ref()),
        start_to_close: nanos(options.start_to_close_timeout.as_ref()),
        heartbeat: nanos(options.heartbeat_timeout.as_ref()),
    };
    let timeouts = asked.resolve(run_timeout)?;
    options.schedule_to_close_timeout = Some(duration(timeouts.schedule_to_close));
    options.schedule_to_start_timeout = Some(duration(timeouts.schedule_to_start));
    options.start_to_close_timeout = Some(duration(timeouts.start_to_close));
    options.heartbeat_timeout = Some(duration(timeouts.heartbeat));
    let policy = retry::with_defaults(options.retry_policy.take());
    retry::check(&policy).map_err(OptionsError::Invalid)?;
    options.retry_policy = Some(policy);
    Ok(())
}

/// Gives the activity these options, which leave nothing open.
pub(super) fn apply_options(activity: &mut Activity, options: &ActivityOptions) {
    if let Some(queue) = &options.task_queue {
        activity.task_queue.clone_from(&queue.name);
    }
    activity.schedule_to_close = nanos(options.schedule_to_close_timeout.as_ref());
    activity.schedule_to_start = nanos(options.schedule_to_start_timeout.as_ref());
    activity.start_to_close = nanos(options.start_to_close_timeout.as_ref());
    activity.heartbeat = nanos(options.heartbeat_timeout.as_ref());
    activity.retry_policy = Some(options.retry_policy.clone().unwrap_or_default());
    activity.priority.clone_from(&options.priority);
}
