//! What the configuration says of events, as it is now: a reload replaces it as a whole while the process runs.
//!
//! Whoever does something takes one look and keeps to it until it is done. What was begun before goes on as it was planned:
//! a plan has all in it but the sinks, and a sink that is gone from the configuration stays here for the plans that name
//! it.

use std::sync::Arc;

use parking_lot::RwLock;
use segno_routing::Routes;
use segno_sinks::Sinks;

use crate::{
    catalogue::{Catalogue, Schemas},
    redact::Rules,
};

/// The present setup. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Live(Arc<RwLock<Arc<Setup>>>);

/// One configuration's.
pub(crate) struct Setup {
    pub(crate) routes: Arc<Routes>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) catalogue: Arc<Catalogue>,
    /// The sink that is told of dead letters.
    pub(crate) alert: Option<String>,
    /// Whether events that no route takes are kept.
    pub(crate) archive: bool,
    /// What of events only administrators see.
    pub(crate) redact: Arc<Rules>,
    /// The configured ones, and those of before that plans may name.
    pub(crate) sinks: Sinks,
    /// The names of those that are configured, sorted.
    pub(crate) sink_names: Arc<[String]>,
    /// Largest event that is taken over HTTP, in bytes.
    pub(crate) max_event_bytes: usize,
}

impl Setup {
    /// Of these routes, and nothing else.
    pub(crate) fn of(routes: Arc<Routes>) -> Self {
        let schemas = Arc::default();
        Self {
            catalogue: Arc::new(Catalogue::new(&routes, &schemas)),
            routes,
            schemas,
            alert: None,
            archive: false,
            redact: Arc::default(),
            sinks: Sinks::default(),
            sink_names: Arc::default(),
            max_event_bytes: crate::running::MAX_EVENT_BYTES,
        }
    }
}

impl Live {
    pub(crate) fn new(setup: Setup) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(setup))))
    }

    /// The setup as it is now.
    pub(crate) fn get(&self) -> Arc<Setup> {
        Arc::clone(&self.0.read())
    }

    /// Puts this one in its place; returns the one before.
    pub(crate) fn set(&self, setup: Setup) -> Arc<Setup> {
        std::mem::replace(&mut *self.0.write(), Arc::new(setup))
    }

    /// Puts back what was there before.
    pub(crate) fn put_back(&self, setup: Arc<Setup>) {
        *self.0.write() = setup;
    }
}
