//! What goes wrong on command.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

use super::status::Status;

/// A request, as a fault may look at it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The query, as it was sent.
    pub query: String,
}

impl Request {
    /// Whether it opens a watch.
    pub fn is_watch(&self) -> bool {
        self.query
            .split('&')
            .any(|one| one == "watch=true" || one == "watch=1")
    }
}

/// How a request fails.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Refused with this status, and nothing is done. 429 and 503 say when to try again.
    Refused(u16),
    /// Done, but the answer is this status.
    DoneButRefused(u16),
    /// The connection is cut and nothing is done.
    Cut,
    /// Done, but the connection is cut before the answer.
    DoneButCut,
    /// Done, with an answer that comes so much later.
    Slow(Duration),
}

impl Failure {
    pub(super) fn status(code: u16) -> Status {
        let second = Duration::from_secs(1);
        match code {
            401 => Status::unauthorized(),
            403 => Status::new(403, "Forbidden", "forbidden: on command"),
            429 => Status::new(429, "TooManyRequests", "too many requests: on command").retry_after(second),
            503 => Status::new(503, "ServiceUnavailable", "not available: on command").retry_after(second),
            504 => Status::new(504, "Timeout", "the request did not complete in time: on command"),
            410 => Status::new(410, "Expired", "too old resource version: on command"),
            code => Status::new(code, "InternalError", "an error on the server: on command"),
        }
    }
}

/// An event on its way to a watch.
#[derive(Clone, Debug)]
pub struct Told {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub event: &'static str,
    /// What changed, of whatever kind.
    pub object: Value,
}

/// How an event reaches a watch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// As it should.
    InTime,
    /// Not at all.
    Never,
    /// Twice.
    Twice,
    /// So much later, and those after it do not wait for it: so out of their order.
    Late(Duration),
}

type Refuses = Box<dyn FnMut(&Request) -> Option<Failure> + Send>;
type Delivers = Box<dyn FnMut(&Told) -> Delivery + Send>;

/// The faults that a cluster has now.
pub struct Faults {
    requests: Mutex<Option<Refuses>>,
    events: Mutex<Option<Delivers>>,
    cut: watch::Sender<u64>,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self {
            requests: Mutex::new(None),
            events: Mutex::new(None),
            cut: watch::Sender::new(0),
        }
    }

    /// Decides about each request from now on, in place of what did before.
    pub fn on_requests(&self, decide: impl FnMut(&Request) -> Option<Failure> + Send + 'static) {
        *locked(&self.requests) = Some(Box::new(decide));
    }

    /// The next `times` requests of this method, to paths that contain `path`, fail so.
    pub fn fail(&self, times: usize, method: &str, path: &str, failure: Failure) {
        let (method, path, mut left) = (method.to_owned(), path.to_owned(), times);
        self.on_requests(move |request| {
            let meant = left > 0 && request.method == method && request.path.contains(&path);
            left -= usize::from(meant);
            meant.then(|| failure.clone())
        });
    }

    /// Decides about each event for each watch from now on, in place of what did before.
    pub fn on_events(&self, decide: impl FnMut(&Told) -> Delivery + Send + 'static) {
        *locked(&self.events) = Some(Box::new(decide));
    }

    /// Ends all watches that are open.
    pub fn cut_watches(&self) {
        self.cut.send_modify(|times| *times += 1);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        *locked(&self.requests) = None;
        *locked(&self.events) = None;
    }

    pub(super) fn request(&self, request: &Request) -> Option<Failure> {
        locked(&self.requests).as_mut().and_then(|decide| decide(request))
    }

    pub(super) fn event(&self, told: &Told) -> Delivery {
        locked(&self.events)
            .as_mut()
            .map_or(Delivery::InTime, |decide| decide(told))
    }

    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cut.subscribe()
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
