//! The operations on timers. HTTP stands on them; so may other callers.

use std::time::Duration;

use temporalio_client::{
    Client, WorkflowDescribeOptions, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowSignalOptions,
    WorkflowStartOptions, WorkflowTerminateOptions, errors::WorkflowStartError,
};
use temporalio_common::{MemoValues, data_converters::RawValue, search_attributes::SearchAttributes};

use crate::{
    Deadline, Error, NewTimer, Options, SegnoTimer, TASK_QUEUE, TimerId, When,
    record::{self, Record, Status},
    workflow,
};

mod deliveries;
mod list;

pub use deliveries::{Deliveries, Delivery};
pub use list::{Page, Query, Summary};

/// Memo with the fingerprint of the request that made the timer.
const REQUEST_MEMO: &str = "SegnoTimerRequest";
/// Memo with scheme, host and port of the timer's URL.
const ORIGIN_MEMO: &str = "SegnoTimerOrigin";

/// The timers on an engine. Every answer comes from the engine itself and needs no worker; nothing is kept
/// here. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Timers {
    client: Client,
    options: Options,
}

/// What `GET /timers/{id}` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLeft(
    /// Whole seconds, rounded up; 0 for a timer that fired or was cancelled.
    pub u64,
);

impl Timers {
    /// The timers on the engine of this client, in its namespace.
    pub fn new(client: Client, options: Options) -> Self {
        Self { client, options }
    }

    /// Whether URLs that lead to private addresses are taken.
    pub fn allow_private(&self) -> bool {
        self.options.allow_private
    }

    /// Makes a timer; it is durable when this returns. With a key, the same key and request find the timer
    /// made before, as long as the engine holds it.
    ///
    /// # Errors
    ///
    /// [`Error::KeyReused`] if the key was used with another request.
    pub async fn create(&self, new: NewTimer, key: Option<&[u8]>) -> Result<TimerId, Error> {
        let (fingerprint, origin) = (new.fingerprint(), new.origin());
        let id = key.map_or_else(TimerId::random, TimerId::from_key);
        let timer = new.into_timer(Deadline::now());
        let mut memo = MemoValues::new();
        memo.insert(REQUEST_MEMO, fingerprint.clone());
        memo.insert(ORIGIN_MEMO, origin);
        let options = WorkflowStartOptions::new(TASK_QUEUE, id.to_string())
            .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .search_attributes(SearchAttributes::new([workflow::attribute(timer.deadline)]))
            .memo(memo)
            .build();
        match self.client.start_workflow(SegnoTimer::run, timer, options).await {
            Ok(_) => Ok(id),
            Err(WorkflowStartError::AlreadyStarted { .. }) if key.is_some() => {
                let handle = self.client.get_workflow_handle::<SegnoTimer>(id.to_string());
                let made = handle.describe(WorkflowDescribeOptions::default()).await?;
                let before: Option<String> = made.memo().get(REQUEST_MEMO)?;
                if before.as_ref() == Some(&fingerprint) {
                    Ok(id)
                } else {
                    Err(Error::KeyReused)
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// How long it is until a timer fires.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there never was a timer of this id.
    pub async fn time_left(&self, id: TimerId) -> Result<TimeLeft, Error> {
        match self.record(id).await {
            Ok(record) => Ok(TimeLeft(record.seconds_left(Deadline::now()))),
            Err(Error::NoLongerKept) => Ok(TimeLeft(0)),
            Err(error) => Err(error),
        }
    }

    /// Cancels a timer: from now on no delivery begins; an attempt that is just being made may still
    /// arrive. To cancel again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyFired`] if it was delivered or failed before.
    pub async fn cancel(&self, id: TimerId) -> Result<(), Error> {
        let mut status = self.record(id).await?.status(Deadline::now());
        if matches!(status, Status::Pending | Status::Firing) {
            // Terminated and not cancelled: that holds at once, without a worker.
            let handle = self.client.get_workflow_handle::<SegnoTimer>(id.to_string());
            let options = WorkflowTerminateOptions::builder()
                .reason("timer canceled")
                .build();
            match handle.terminate(options).await.map_err(Error::from) {
                Ok(()) => return Ok(()),
                // It closed in between.
                Err(Error::NotFound) => status = self.record(id).await?.status(Deadline::now()),
                Err(error) => return Err(error),
            }
        }
        if status == Status::Canceled {
            Ok(())
        } else {
            Err(Error::AlreadyFired)
        }
    }

    /// Moves a timer's deadline; it is in force when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyFired`] if its delivery began before, [`Error::Canceled`] if it was cancelled,
    /// [`Error::Unconfirmed`] if the engine did not say in time.
    pub async fn rearm(&self, id: TimerId, when: When) -> Result<TimeLeft, Error> {
        let now = Deadline::now();
        let before = self.record(id).await?;
        movable(&before, now)?;
        let deadline = when.from(now);
        let handle = self.client.get_workflow_handle::<SegnoTimer>(id.to_string());
        let converter = self.client.options().data_converter.payload_converter();
        let signal = handle.signal(
            SegnoTimer::set_deadline,
            RawValue::from_value(&deadline, converter),
            WorkflowSignalOptions::default(),
        );
        match signal.await.map_err(Error::from) {
            Ok(()) => self.confirm(id, &before, deadline).await,
            Err(Error::NotFound) => Err(Error::AlreadyFired),
            Err(error) => Err(error),
        }
    }

    /// Waits until the history shows whether a signal came before the delivery: a signal that comes while
    /// a worker is at the timer gets into the history when the worker is done, or given up after 10 s.
    async fn confirm(&self, id: TimerId, before: &Record, deadline: Deadline) -> Result<TimeLeft, Error> {
        let of_this = |record: &Record| {
            record
                .moves
                .iter()
                .filter(|(moved, _)| *moved == deadline)
                .count()
        };
        let give_up = tokio::time::Instant::now() + Duration::from_secs(15);
        let mut pause = Duration::from_millis(10);
        loop {
            let now = self.record(id).await?;
            let last = now.moves.iter().rev().find(|(moved, _)| *moved == deadline);
            if now.run != before.run && now.deadline == deadline {
                // It went on in a new run that begins with the new deadline.
                return Ok(TimeLeft(now.seconds_left(Deadline::now())));
            }
            if now.run == before.run
                && of_this(&now) > of_this(before)
                && let Some((_, in_time)) = last
            {
                if *in_time {
                    return Ok(TimeLeft(deadline.seconds_left(Deadline::now())));
                }
                return Err(Error::AlreadyFired);
            }
            if tokio::time::Instant::now() > give_up {
                return Err(Error::Unconfirmed);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// What the engine holds of a timer; [`Error::NoLongerKept`] if it holds nothing any more.
    async fn record(&self, id: TimerId) -> Result<Record, Error> {
        match record::read(&self.client, id).await {
            Err(Error::NotFound) if id.is_genuine() => Err(Error::NoLongerKept),
            record => record,
        }
    }
}

fn movable(record: &Record, now: Deadline) -> Result<(), Error> {
    match record.status(now) {
        Status::Pending => Ok(()),
        // Overdue, and nobody is at it yet.
        Status::Firing if !record.delivering => Ok(()),
        Status::Firing | Status::Fired | Status::Failed => Err(Error::AlreadyFired),
        Status::Canceled => Err(Error::Canceled),
    }
}
