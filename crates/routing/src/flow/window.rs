//! Counting starts for a rate.

use serde::{Deserialize, Serialize};

use super::{Millis, Rate};

/// Groups that the starts of one span are kept in.
const GROUPS: u64 = 10;

/// The starts of the last span, in groups, so that it stays small whatever the rate. A group counts until its last
/// start is a span old: so never more than the rate starts in any span, and sometimes a little later than could be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window(Vec<Group>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    first: Millis,
    last: Millis,
    count: u32,
}

impl Window {
    /// Whether it remembers nothing any more.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what is older than a span.
    pub(super) fn expire(&mut self, now: Millis, rate: Option<Rate>) {
        match rate {
            None => self.0.clear(),
            Some(rate) => self
                .0
                .retain(|group| group.last.saturating_add(rate.millis) > now),
        }
    }

    /// How many more may start now.
    pub(super) fn room(&self, rate: Rate) -> u32 {
        let started = self
            .0
            .iter()
            .map(|group| group.count)
            .fold(0, u32::saturating_add);
        rate.count.get().saturating_sub(started)
    }

    /// One starts.
    pub(super) fn take(&mut self, now: Millis, rate: Rate) {
        match self.0.last_mut() {
            Some(group) if now.saturating_sub(group.first) < rate.millis / GROUPS => {
                group.last = group.last.max(now);
                group.count += 1;
            }
            _ => self.0.push(Group {
                first: now,
                last: now,
                count: 1,
            }),
        }
    }

    /// When something of it will be forgotten.
    pub(super) fn next(&self, rate: Rate) -> Option<Millis> {
        let oldest = self.0.iter().map(|group| group.last).min()?;
        Some(oldest.saturating_add(rate.millis))
    }
}
