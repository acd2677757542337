//! Failures on command, and counts of calls: what all stand-ins over HTTP and gRPC have alike.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How calls to an endpoint fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused with 429 (`RESOURCE_EXHAUSTED`), and over HTTP with `Retry-After` of so many seconds.
    RateLimited {
        /// How long to wait.
        retry_after: u32,
    },
    /// Answered with this status, of 4xx or 5xx, with nothing done.
    Status(u16),
    /// Not answered at all, with nothing done.
    Silence,
    /// The connection is closed, with nothing done.
    DroppedBefore,
    /// The connection is closed after all is done.
    DroppedAfter,
    /// Answered with 500 after all is done.
    ErrorAfter,
    /// Not answered at all after all is done.
    SilenceAfter,
}

impl Fault {
    /// Whether the call is carried out all the same.
    pub(crate) fn is_after(self) -> bool {
        matches!(self, Self::DroppedAfter | Self::ErrorAfter | Self::SilenceAfter)
    }
}

#[derive(Debug, Default)]
struct Inner {
    planned: Vec<Planned>,
    calls: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Planned {
    endpoint: String,
    fault: Fault,
    left: usize,
}

/// Commands to a stand-in. Clones command the same one.
///
/// An endpoint is named as its API's documentation does it: over HTTP by method and path with its parameters in braces, such
/// as `POST /rest/api/3/issue/{issue}/comment`; over gRPC by the method's name, such as `SyncTicket`. `*` is any.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Mutex<Inner>>);

impl Control {
    /// The next calls to an endpoint fail, so many of them, after those that were planned before.
    pub fn fail_next(&self, endpoint: &str, times: usize, fault: Fault) {
        let planned = Planned {
            endpoint: endpoint.to_owned(),
            fault,
            left: times,
        };
        lock(&self.0).planned.push(planned);
    }

    /// Nothing that was planned happens any more.
    pub fn heal(&self) {
        lock(&self.0).planned.clear();
    }

    /// How many calls came to an endpoint, those that failed too.
    pub fn calls(&self, endpoint: &str) -> u64 {
        let inner = lock(&self.0);
        if endpoint == "*" {
            return inner.calls.values().sum();
        }
        inner.calls.get(endpoint).copied().unwrap_or(0)
    }

    /// How many calls came to each endpoint.
    pub fn all_calls(&self) -> BTreeMap<String, u64> {
        lock(&self.0).calls.clone()
    }

    /// Counts a call, and says how it is to fail.
    pub(crate) fn called(&self, endpoint: &str) -> Option<Fault> {
        let mut inner = lock(&self.0);
        *inner.calls.entry(endpoint.to_owned()).or_default() += 1;
        let planned = inner
            .planned
            .iter_mut()
            .find(|planned| planned.left > 0 && (planned.endpoint == endpoint || planned.endpoint == "*"))?;
        planned.left -= 1;
        Some(planned.fault)
    }
}

/// What a mutex holds, also after a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_happens_in_its_order() {
        let control = Control::default();
        control.fail_next("GET /a", 2, Fault::Status(500));
        control.fail_next("*", 1, Fault::Silence);
        assert_eq!(control.called("GET /b"), Some(Fault::Silence));
        assert_eq!(control.called("GET /b"), None);
        assert_eq!(control.called("GET /a"), Some(Fault::Status(500)));
        control.heal();
        assert_eq!(control.called("GET /a"), None);
        assert_eq!((control.calls("GET /a"), control.calls("*")), (2, 4));
    }
}
