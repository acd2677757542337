//! From rows to a batch, and from what became of the batch to what is written down.

use std::collections::HashSet;

use time::OffsetDateTime;

use crate::{
    Batch, Cipher, Outgoing, PublishError, RelayOptions,
    backend::{Failed, Settlement},
    row::PendingRow,
};

/// Longest reason that is kept, in bytes.
const MAX_REASON: usize = 1000;

/// Rows as a batch to be published.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) batch: Batch,
    /// The positions of the batch's events.
    positions: Vec<i64>,
    /// Rows that hold no event.
    unreadable: Vec<Failed>,
}

impl Prepared {
    /// Rows that cannot be read are left out, and so is what waits for them.
    pub(super) fn new(rows: Vec<PendingRow>, cipher: Option<&dyn Cipher>) -> Self {
        let (mut events, mut positions, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        let mut stopped = HashSet::new();
        for PendingRow {
            position,
            attempts,
            created_at_ms,
            row,
        } in rows
        {
            if row.key.as_ref().is_some_and(|key| stopped.contains(key)) {
                continue;
            }
            match row.event(cipher) {
                Ok(event) => {
                    positions.push(position);
                    events.push(Outgoing {
                        event,
                        key: row.key,
                        attempts: attempts.max(0).unsigned_abs(),
                        position,
                        written_at: moment(created_at_ms),
                    });
                }
                Err(error) => {
                    unreadable.push(Failed {
                        position,
                        reason: shorten(error.to_string()),
                        retry: None,
                    });
                    stopped.extend(row.key);
                }
            }
        }
        Self {
            batch: Batch::new(events),
            positions,
            unreadable,
        }
    }

    /// Whether one of the events has not been tried before.
    pub(super) fn has_fresh(&self) -> bool {
        self.batch.events().iter().any(|outgoing| outgoing.attempts == 0)
    }

    /// What is to be written down. Of each key the first failure counts: what comes after it waits for it.
    pub(super) fn settle(&self, options: &RelayOptions, answered: bool) -> Settlement {
        let mut settlement = Settlement {
            published: Vec::new(),
            failed: self.unreadable.clone(),
        };
        let outcomes = self.batch.outcomes();
        let late = || Err(PublishError::retryable("it was not published in time"));
        for lane in self.batch.lanes() {
            let mut stopped = false;
            for index in lane {
                let outcome = match &outcomes[index] {
                    None if answered => continue,
                    outcome => outcome.clone().unwrap_or_else(late),
                };
                match outcome {
                    Ok(()) => settlement.published.push(self.positions[index]),
                    Err(_) if stopped => {}
                    Err(error) => {
                        stopped = true;
                        let attempts = self.batch.events()[index].attempts.saturating_add(1);
                        settlement
                            .failed
                            .push(failed(self.positions[index], error, attempts, options));
                    }
                }
            }
        }
        settlement
    }
}

/// A time of the table's. One that no calendar has is the beginning of theirs.
fn moment(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn failed(position: i64, error: PublishError, attempts: u32, options: &RelayOptions) -> Failed {
    let enough = options.max_attempts.is_some_and(|most| attempts >= most);
    match error {
        PublishError::Retryable { reason, after } if !enough => Failed {
            position,
            reason: shorten(reason),
            retry: Some(after.unwrap_or_else(|| options.backoff_after(attempts))),
        },
        PublishError::Retryable { reason, .. } => Failed {
            position,
            reason: shorten(format!("given up after {attempts} attempts: {reason}")),
            retry: None,
        },
        PublishError::Permanent { reason } => Failed {
            position,
            reason: shorten(reason),
            retry: None,
        },
    }
}

fn shorten(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    reason
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::row::Row;

    fn rows(rows: &[(&str, bool)]) -> Vec<PendingRow> {
        let pending = |(index, (key, readable)): (usize, &(&str, bool))| PendingRow {
            position: index as i64 + 1,
            attempts: 2,
            created_at_ms: 1_800_000_000_000,
            row: Row {
                id: index.to_string(),
                source: "/s".to_owned(),
                ty: "t".to_owned(),
                key: Some((*key).to_owned()),
                data: Some(if *readable { "1" } else { "{" }.to_owned()),
                data_encoding: "json".to_owned(),
                ..Row::default()
            },
        };
        rows.iter().enumerate().map(pending).collect()
    }

    fn positions(settlement: &Settlement) -> Vec<(i64, Option<Duration>)> {
        settlement.failed.iter().map(|f| (f.position, f.retry)).collect()
    }

    #[test]
    fn what_waits_for_an_unreadable_row_is_left_alone() {
        let prepared = Prepared::new(rows(&[("a", true), ("b", false), ("b", true), ("a", true)]), None);
        assert_eq!(prepared.positions, [1, 4]);
        prepared.batch.settle(0, Ok(()));
        prepared.batch.settle(1, Ok(()));
        let settlement = prepared.settle(&RelayOptions::default(), true);
        assert_eq!(settlement.published, [1, 4]);
        assert_eq!(positions(&settlement), [(2, None)]);
    }

    #[test]
    fn the_first_failure_of_a_key_counts() {
        let prepared = Prepared::new(rows(&[("a", true), ("a", true), ("b", true)]), None);
        for index in 0..3 {
            prepared.batch.settle(index, Err(PublishError::retryable("away")));
        }
        let settlement = prepared.settle(&RelayOptions::default(), true);
        let pause = Some(Duration::from_secs(4));
        assert_eq!(positions(&settlement), [(1, pause), (3, pause)]);
        let patient = RelayOptions {
            max_attempts: Some(3),
            ..RelayOptions::default()
        };
        let settlement = prepared.settle(&patient, true);
        assert_eq!(positions(&settlement), [(1, None), (3, None)]);
        assert_eq!(settlement.failed[0].reason, "given up after 3 attempts: away");
    }

    #[test]
    fn what_was_confirmed_before_the_time_was_up_counts() {
        let prepared = Prepared::new(rows(&[("a", true), ("a", true)]), None);
        prepared.batch.settle(0, Ok(()));
        let settlement = prepared.settle(&RelayOptions::default(), false);
        assert_eq!(settlement.published, [1]);
        assert_eq!(positions(&settlement), [(2, Some(Duration::from_secs(4)))]);
        let answered = prepared.settle(&RelayOptions::default(), true);
        assert!(answered.failed.is_empty(), "nothing was said of it");
    }
}
