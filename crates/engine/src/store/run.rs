//! Runs and histories on disk.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Error, Store};
use crate::{
    clock::Nanos,
    core::{Events, Run, RunKey, RunState},
};

/// A run, by the ids that clients know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunRef {
    pub key: RunKey,
    pub run_id: String,
}

/// The narrow row of an open run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenRun {
    pub wake_at: Option<Nanos>,
    /// It has tasks for a task queue.
    pub ready: bool,
}

impl Store {
    /// The key that the next run gets.
    pub(crate) fn next_run_key(&self) -> Result<RunKey, Error> {
        let last = self.reading(|connection| {
            let last: Option<RunKey> =
                connection.query_row("SELECT max(key) FROM run", [], |row| row.get(0))?;
            Ok(last.unwrap_or(0))
        })?;
        Ok(last.max(self.last_deleted_key()?) + 1)
    }

    /// A run by what it is found by (see [`RunState::id_space`]): this one, or (empty) the newest of the id.
    pub(crate) fn find_run(&self, space: i64, id: &str, run_id: &str) -> Result<Option<RunRef>, Error> {
        self.reading(|connection| {
            let found = if run_id.is_empty() {
                connection
                    .prepare_cached(
                        "SELECT key, run_id FROM run_id WHERE namespace = ?1 AND workflow_id = ?2 \
                         ORDER BY key DESC LIMIT 1",
                    )?
                    .query_row(params![space, id], run_ref)
            } else {
                connection
                    .prepare_cached(
                        "SELECT key, run_id FROM run_id WHERE namespace = ?1 AND workflow_id = ?2 AND run_id = ?3",
                    )?
                    .query_row(params![space, id, run_id], run_ref)
            };
            // Without a run id: the mark that the id has no current run.
            Ok(found.optional()?.filter(|run| !run.run_id.is_empty()))
        })
    }

    /// Reads a run with its whole history.
    pub(crate) fn load_run(&self, key: RunKey) -> Result<Option<Run>, Error> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT state FROM run WHERE key = ?1")?;
            let state = statement.query_row([key], |row| {
                let bytes = row.get_ref(0)?.as_blob()?;
                Ok(RunState::decode(bytes))
            });
            let Some(state) = state.optional()? else {
                return Ok(None);
            };
            let damaged = || Error::Damaged {
                what: format!("the state of run {key}"),
            };
            let state = state.map_err(|_| damaged())?;
            let history = load_history(connection, key)?;
            if history.len() as i64 + 1 != state.next_event_id {
                return Err(Error::Damaged {
                    what: format!(
                        "the history of run {key} has {} events where its state has {}",
                        history.len(),
                        state.next_event_id - 1
                    ),
                });
            }
            Ok(Some(Run::load(key, state, history)))
        })
    }

    /// Removes a run and its history. `space` and `id`: where and what it is found by.
    pub(crate) fn delete_run(&mut self, key: RunKey, space: i64, id: &str) -> Result<(), Error> {
        self.begin()?;
        self.note_last_key(key)?;
        self.writing(|connection| {
            connection
                .prepare_cached("DELETE FROM run_id WHERE namespace = ?1 AND workflow_id = ?2 AND key = ?3")?
                .execute(params![space, id, key])?;
            for table in ["run", "open_run", "history"] {
                connection
                    .prepare_cached(&format!("DELETE FROM {table} WHERE key = ?1"))?
                    .execute([key])?;
            }
            Ok(())
        })
    }

    /// The narrow row of a run.
    pub(crate) fn open_run(&self, key: RunKey) -> Result<Option<OpenRun>, Error> {
        self.reading(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT wake_at, ready FROM open_run WHERE key = ?1")?;
            let read = |row: &Row<'_>| {
                Ok(OpenRun {
                    wake_at: row.get(0)?,
                    ready: row.get(1)?,
                })
            };
            Ok(statement.query_row([key], read).optional()?)
        })
    }

    /// Goes through the open runs that have tasks for a task queue, in the order they were started: each
    /// with its state and the first events of its history, or with none where that is damaged.
    pub(crate) fn each_ready_run(
        &self,
        mut each: impl FnMut(RunKey, Option<(RunState, Events)>),
    ) -> Result<(), Error> {
        self.reading(|connection| {
            let mut statement = connection.prepare(
                "SELECT open_run.key, run.state, history.events FROM open_run \
                 LEFT JOIN run ON run.key = open_run.key \
                 LEFT JOIN history ON history.key = open_run.key AND history.first_event = 1 \
                 WHERE open_run.ready ORDER BY open_run.key",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let state = row.get_ref(1)?.as_blob().ok();
                let events = row.get_ref(2)?.as_blob().ok();
                let state = state.and_then(|state| RunState::decode(state).ok());
                let history = events.and_then(|encoded| {
                    let mut events = Events::default();
                    events.append_encoded(encoded).ok().map(|()| events)
                });
                each(row.get(0)?, state.zip(history));
            }
            Ok(())
        })
    }

    /// Goes through the open runs in the order they were started.
    pub(crate) fn each_open_run(&self, mut each: impl FnMut(RunKey, OpenRun)) -> Result<(), Error> {
        self.reading(|connection| {
            let mut statement =
                connection.prepare("SELECT key, wake_at, ready FROM open_run ORDER BY key")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                each(
                    row.get(0)?,
                    OpenRun {
                        wake_at: row.get(1)?,
                        ready: row.get(2)?,
                    },
                );
            }
            Ok(())
        })
    }
}

/// Makes a run findable by its workflow id.
pub(crate) fn insert_run_id(connection: &Connection, key: RunKey, state: &RunState) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT INTO run_id (namespace, workflow_id, key, run_id) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![state.id_space(), state.workflow_id, key, state.run_id])?;
    Ok(())
}

/// Writes a run's state.
pub(crate) fn put_state(connection: &Connection, key: RunKey, state: &RunState) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO run (key, state) VALUES (?1, ?2)")?
        .execute(params![key, state.encode_to_vec()])?;
    Ok(())
}

/// Writes events of a run's history, encoded, from `first_event` on.
pub(crate) fn append_history(
    connection: &Connection,
    key: RunKey,
    first_event: i64,
    events: &[u8],
) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT INTO history (key, first_event, events) VALUES (?1, ?2, ?3)")?
        .execute(params![key, first_event, events])?;
    Ok(())
}

/// Writes or, for a closed run (none), removes the narrow row of a run.
pub(crate) fn put_open_run(connection: &Connection, key: RunKey, open: Option<OpenRun>) -> Result<(), Error> {
    match open {
        Some(OpenRun { wake_at, ready }) => connection
            .prepare_cached("INSERT OR REPLACE INTO open_run (key, wake_at, ready) VALUES (?1, ?2, ?3)")?
            .execute(params![key, wake_at, ready])?,
        None => connection
            .prepare_cached("DELETE FROM open_run WHERE key = ?1")?
            .execute([key])?,
    };
    Ok(())
}

fn load_history(connection: &Connection, key: RunKey) -> Result<Events, Error> {
    let mut statement =
        connection.prepare_cached("SELECT events FROM history WHERE key = ?1 ORDER BY first_event")?;
    let mut rows = statement.query([key])?;
    let mut events = Events::default();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        events.append_encoded(bytes).map_err(|_| Error::Damaged {
            what: format!("the history of run {key}"),
        })?;
    }
    Ok(events)
}

fn run_ref(row: &Row<'_>) -> rusqlite::Result<RunRef> {
    Ok(RunRef {
        key: row.get(0)?,
        run_id: row.get(1)?,
    })
}
