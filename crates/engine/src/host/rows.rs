//! What a run's rows become when it is filed: taken from memory on the engine's thread, written wherever a transaction
//! is open.

use std::sync::Arc;

use rusqlite::Connection;

use super::{Namespaces, attributes, cache::Slot};
use crate::{
    core::{Events, Run},
    store::{Error, OpenRun, append_history, insert_run_id, put_open_run, put_state},
    visibility::Registry,
};

/// The rows of one run that are to be written.
pub(super) struct Rows {
    /// The run as it is to be on disk, without its history.
    run: Run,
    /// The events that have no row yet, encoded.
    history: Vec<u8>,
    first_event: i64,
    /// Its narrow row, if that has changed.
    open_row: Option<Option<OpenRun>>,
    listed: Listed,
    registry: Arc<Registry>,
}

/// What changes of the run's line in lists.
#[derive(Clone, Copy)]
enum Listed {
    /// It has none yet.
    New,
    Changed {
        attributes: bool,
        has_closed: bool,
    },
}

impl Rows {
    /// What is to be written so that the run is on disk as it is now. The slot takes it for written.
    pub(super) fn take(slot: &mut Slot, namespaces: &Namespaces) -> Self {
        let run = &mut slot.run;
        let end = run.history.len();
        let is_open = run.is_running();
        let open_row = is_open.then(|| OpenRun {
            wake_at: run.wake_after_restart(),
            ready: run.is_ready(),
        });
        let listed = if slot.is_new {
            Listed::New
        } else {
            Listed::Changed {
                attributes: run.effects.attributes_changed,
                has_closed: slot.was_open && !is_open,
            }
        };
        let state = run.durably(|state, _, _| state.clone());
        let rows = Self {
            history: run.history.encoded(slot.filed..end).to_vec(),
            first_event: slot.filed as i64 + 1,
            open_row: (open_row != slot.open_row).then_some(open_row),
            listed,
            registry: namespaces.registry(state.namespace_key),
            run: Run::load(run.key, state, Events::default()),
        };
        run.effects.attributes_changed = false;
        slot.filed = end;
        slot.open_row = open_row;
        slot.is_new = false;
        slot.was_open = is_open;
        rows
    }

    /// Writes them, inside the open transaction.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), Error> {
        let Self { run, registry, .. } = self;
        if !self.history.is_empty() {
            append_history(connection, run.key, self.first_event, &self.history)?;
        }
        if matches!(self.listed, Listed::New) {
            insert_run_id(connection, run.key, &run.state)?;
        }
        put_state(connection, run.key, &run.state)?;
        if let Some(row) = self.open_row {
            put_open_run(connection, run.key, row)?;
        }
        match self.listed {
            Listed::New => attributes::file_started(connection, run, registry)?,
            Listed::Changed {
                attributes,
                has_closed,
            } => {
                if attributes {
                    attributes::file_attributes(connection, run, registry)?;
                }
                if has_closed {
                    attributes::file_closed(connection, run)?;
                }
            }
        }
        Ok(())
    }
}
