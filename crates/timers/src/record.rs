//! What became of a timer, read off its execution's history.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{Attempt, Deadline, Timer};

mod read;

pub(crate) use read::{moment, pending, read};

/// Where a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TimerStatus)]
pub enum Status {
    /// Its deadline is to come.
    Pending,
    /// Its deadline has come and it is being delivered.
    Firing,
    /// It was delivered.
    Fired,
    /// It could not be delivered: a dead letter.
    Failed,
    /// It was cancelled.
    Canceled,
}

impl Status {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Pending,
        Self::Firing,
        Self::Fired,
        Self::Failed,
        Self::Canceled,
    ];

    /// As it stands in JSON and in queries.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Fired => "fired",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Of a timer whose execution is open.
    pub(crate) fn of_open(deadline: Deadline, now: Deadline) -> Self {
        if deadline > now {
            Self::Pending
        } else {
            Self::Firing
        }
    }
}

/// One thing in a history that matters to a timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A run began. It is the first fact.
    Started { run: String, timer: Timer },
    /// `setDeadline` came.
    Moved(Deadline),
    /// A delivery was scheduled.
    DeliveryBegan,
    /// A delivery ended, with the attempts known of it.
    DeliveryEnded(Vec<Attempt>),
    /// The execution closed.
    Closed(Status),
}

/// A timer's history, summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The run that the facts are of.
    pub(crate) run: String,
    /// The deadline in force.
    pub(crate) deadline: Deadline,
    /// Each deadline that was asked for by a signal, and whether it came in time: once a delivery is
    /// scheduled, none does.
    pub(crate) moves: Vec<(Deadline, bool)>,
    /// Whether a delivery was ever scheduled.
    pub(crate) delivering: bool,
    /// The deliveries that ended.
    pub(crate) deliveries: Vec<Vec<Attempt>>,
    closed: Option<Status>,
}

impl Record {
    /// Sums up the facts of one run in their order. `None` if they do not begin with its start.
    pub(crate) fn new(facts: impl IntoIterator<Item = Fact>) -> Option<Self> {
        let mut facts = facts.into_iter();
        let Some(Fact::Started { run, timer }) = facts.next() else {
            return None;
        };
        let mut record = Self {
            run,
            deadline: timer.deadline,
            moves: Vec::new(),
            delivering: false,
            deliveries: Vec::new(),
            closed: None,
        };
        for fact in facts {
            match fact {
                Fact::Started { .. } => return None,
                Fact::Moved(deadline) => {
                    if !record.delivering {
                        record.deadline = deadline;
                    }
                    record.moves.push((deadline, !record.delivering));
                }
                Fact::DeliveryBegan => record.delivering = true,
                Fact::DeliveryEnded(attempts) => record.deliveries.push(attempts),
                Fact::Closed(status) => record.closed = Some(status),
            }
        }
        Some(record)
    }

    /// Where the timer stands at `now`.
    pub(crate) fn status(&self, now: Deadline) -> Status {
        match self.closed {
            Some(status) => status,
            None if self.delivering => Status::Firing,
            None => Status::of_open(self.deadline, now),
        }
    }

    /// Whole seconds until it fires, 0 if it did or never will.
    pub(crate) fn seconds_left(&self, now: Deadline) -> u64 {
        if self.closed.is_some() {
            0
        } else {
            self.deadline.seconds_left(now)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Deadline {
        Deadline::from_millis(millis)
    }

    fn started(deadline: u64) -> Fact {
        let timer = Timer {
            deadline: at(deadline),
            url: "http://a".to_owned(),
            method: "POST".to_owned(),
            headers: Default::default(),
            body: String::new(),
        };
        Fact::Started {
            run: "run".to_owned(),
            timer,
        }
    }

    #[test]
    fn the_states_of_a_timer() {
        let now = at(1_500);
        let status = |facts: &[Fact]| {
            let record = Record::new(facts.iter().cloned()).unwrap();
            (record.status(now), record.seconds_left(now))
        };
        assert_eq!(status(&[started(9_000)]), (Status::Pending, 8));
        assert_eq!(status(&[started(1_500)]), (Status::Firing, 0));
        assert_eq!(
            status(&[started(9_000), Fact::Moved(at(1_000))]),
            (Status::Firing, 0)
        );
        assert_eq!(
            status(&[started(1_000), Fact::Moved(at(2_501))]),
            (Status::Pending, 2)
        );
        assert_eq!(
            status(&[started(1_000), Fact::DeliveryBegan]),
            (Status::Firing, 0)
        );
        let closed = |status| [started(9_000), Fact::Closed(status)];
        for closing in [Status::Fired, Status::Failed, Status::Canceled] {
            assert_eq!(status(&closed(closing)), (closing, 0));
        }
    }

    #[test]
    fn a_history_without_its_start_is_none() {
        assert_eq!(Record::new([]), None);
        assert_eq!(Record::new([Fact::Moved(at(1)), started(1)]), None);
        assert_eq!(Record::new([started(1), started(1)]), None);
    }

    proptest! {
        /// The deadline is that of the last move before the first delivery, whatever comes after.
        #[test]
        fn moves_count_until_the_delivery(
            first in 0u64..10_000,
            before in proptest::collection::vec(0u64..10_000, 0..5),
            after in proptest::collection::vec(0u64..10_000, 0..5),
        ) {
            let mut facts = vec![started(first)];
            facts.extend(before.iter().map(|millis| Fact::Moved(at(*millis))));
            facts.push(Fact::DeliveryBegan);
            facts.extend(after.iter().map(|millis| Fact::Moved(at(*millis))));
            let record = Record::new(facts).unwrap();
            prop_assert_eq!(record.deadline, at(before.last().copied().unwrap_or(first)));
            let in_time = record.moves.iter().filter(|(_, in_time)| *in_time).count();
            prop_assert_eq!((in_time, record.moves.len()), (before.len(), before.len() + after.len()));
        }
    }
}
