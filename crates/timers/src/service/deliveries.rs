//! The attempts to deliver a timer.

use serde::Serialize;
use utoipa::ToSchema;

use super::Timers;
use crate::{
    Attempt, Deadline, Error, TimerId,
    record::{self, Status},
};

/// How a timer's delivery went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimerDeliveries)]
pub struct Deliveries {
    /// The timer's id.
    #[schema(format = Uuid)]
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// When it fires or was to fire: RFC 3339.
    #[schema(format = DateTime)]
    pub deadline: String,
    /// The attempts in their order.
    pub attempts: Vec<Delivery>,
    /// When the next attempt begins, if one is waited for: RFC 3339.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimerDelivery)]
pub struct Delivery {
    /// Its number, from 1. Of a number that is missing the worker ended before it could tell.
    pub attempt: u32,
    /// When it began: RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// The HTTP status of the answer, if there was one.
    pub status_code: Option<u16>,
    /// Why it failed. With neither this nor a status the outcome is not known, or not yet.
    pub error: Option<String>,
}

impl Timers {
    /// How a timer's delivery went, as far as it got.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::NoLongerKept`] for a timer of long ago.
    pub async fn deliveries(&self, id: TimerId) -> Result<Deliveries, Error> {
        let record = self.record(id).await?;
        let status = record.status(Deadline::now());
        let mut deliveries = record.deliveries;
        let mut next = None;
        if status == Status::Firing {
            let pending = record::pending(&self.client, id).await?;
            deliveries.push(pending.attempts);
            next = pending.next;
        }
        Ok(Deliveries {
            id: id.to_string(),
            status,
            deadline: record.deadline.to_rfc3339(),
            attempts: number(deliveries),
            next_attempt_at: next.map(Deadline::to_rfc3339),
        })
    }
}

/// Numbers the attempts of all deliveries through: each delivery counts its own from 1.
fn number(deliveries: Vec<Vec<Attempt>>) -> Vec<Delivery> {
    let (mut numbered, mut before) = (Vec::new(), 0);
    for attempts in deliveries {
        let last = attempts.iter().map(|attempt| attempt.number).max().unwrap_or(0);
        numbered.extend(attempts.into_iter().map(|attempt| Delivery {
            attempt: before + attempt.number,
            at: attempt.at.to_rfc3339(),
            status_code: attempt.status,
            error: attempt.error,
        }));
        before += last;
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_numbered_through() {
        let attempts = |numbers: &[u32]| {
            let attempt = |number: &u32| Attempt {
                number: *number,
                at: Deadline::from_millis(0),
                status: Some(500),
                error: None,
            };
            numbers.iter().map(attempt).collect::<Vec<_>>()
        };
        let numbered = number(vec![attempts(&[1, 3]), attempts(&[]), attempts(&[1, 2])]);
        assert_eq!(
            numbered
                .iter()
                .map(|delivery| delivery.attempt)
                .collect::<Vec<_>>(),
            [1, 3, 4, 5]
        );
    }
}
