//! Deleting runs, and giving freed room back.
//!
//! A run goes in two halves: it cannot be found any more, at once; its events go in bounded steps, so
//! that a long history is no long pause. What is between the halves has a row in `deletion`.

use prost::Message as _;
use rusqlite::{OptionalExtension as _, params};

use super::{Error, Store};
use crate::{
    clock::Nanos,
    core::{RunKey, RunState, id_space},
    visibility::{self, activity_namespace},
};

/// Rows of the file that may be free before pages are given back: fewer are soon used again.
const FREE_PAGES_KEPT: i64 = 1_024;
/// Pages given back in one step.
const PAGES_A_STEP: i64 = 256;
/// The name in `meta` of the highest key that a deleted run had.
const LAST_KEY: &str = "last_run_key";

/// How much one step may still delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl Budget {
    pub(crate) fn is_spent(self) -> bool {
        self.rows == 0 || self.bytes == 0
    }

    fn spend(&mut self, rows: usize, bytes: usize) {
        self.rows = self.rows.saturating_sub(rows);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Under which scopes the executions of a namespace are filed: workflows and standalone activities, each
/// also in namespace divisions.
fn scopes(namespace: u32) -> [i64; 4] {
    let (workflows, activities) = (i64::from(namespace), activity_namespace(namespace));
    [workflows, -workflows, activities, -activities]
}

impl Store {
    /// Closed runs of a namespace that closed at `until` or before, the oldest first. Read from the
    /// index of the lists' default order, which is by the time of closing.
    pub(crate) fn closed_until(
        &self,
        namespace: u32,
        until: Nanos,
        limit: usize,
    ) -> Result<Vec<RunKey>, Error> {
        let mut statement = self.connection().prepare_cached(
            "SELECT e.key FROM execution e INDEXED BY execution_by_order JOIN run ON run.key = e.key \
             WHERE e.scope = ?1 AND e.order_time <= ?2 ORDER BY e.order_time LIMIT ?3",
        )?;
        let mut keys = Vec::new();
        for scope in scopes(namespace) {
            let limit = i64::try_from(limit.saturating_sub(keys.len())).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![scope, until, limit], |row| row.get(0))?;
            for key in rows {
                keys.push(key?);
            }
        }
        Ok(keys)
    }

    /// When the oldest closed run of a namespace closed.
    pub(crate) fn oldest_close(&self, namespace: u32) -> Result<Option<Nanos>, Error> {
        let mut statement = self.connection().prepare_cached(
            "SELECT min(order_time) FROM execution INDEXED BY execution_by_order WHERE scope = ?1",
        )?;
        let mut oldest: Option<Nanos> = None;
        for scope in scopes(namespace) {
            let of_scope: Option<Nanos> = statement.query_row([scope], |row| row.get(0))?;
            oldest = match (oldest, of_scope) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        Ok(oldest)
    }

    /// Runs of a namespace, open or closed.
    pub(crate) fn runs_of(&self, namespace: u32, limit: usize) -> Result<Vec<RunKey>, Error> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT key FROM run_id WHERE namespace IN (?1, ?2) AND run_id <> '' LIMIT ?3")?;
        let (workflows, activities) = (id_space(namespace, false), id_space(namespace, true));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let keys = statement.query_map(params![workflows, activities, limit], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// Notes that a run is to be deleted.
    pub(crate) fn mark_deleted(&mut self, key: RunKey) -> Result<(), Error> {
        self.begin()?;
        self.connection()
            .prepare_cached("INSERT OR IGNORE INTO deletion (key) VALUES (?1)")?
            .execute([key])?;
        Ok(())
    }

    /// Runs that are noted to be deleted.
    pub(crate) fn marked_deleted(&self, limit: usize) -> Result<Vec<RunKey>, Error> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT key FROM deletion ORDER BY key LIMIT ?1")?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let keys = statement.query_map([limit], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// Takes the ids of a run away that a client deletes: nobody finds it by them any more. If it is
    /// the current run of its workflow id, a row without a run id stays in its place while there are
    /// older runs: they do not become current again.
    pub(crate) fn take_ids(&mut self, space: i64, workflow_id: &str, key: RunKey) -> Result<(), Error> {
        self.begin()?;
        self.connection()
            .prepare_cached(
                "UPDATE run_id SET run_id = '' WHERE namespace = ?1 AND workflow_id = ?2 AND key = ?3 AND key = \
                 (SELECT max(key) FROM run_id WHERE namespace = ?1 AND workflow_id = ?2)",
            )?
            .execute(params![space, workflow_id, key])?;
        self.delete_ids(space, workflow_id, key)
    }

    fn delete_ids(&self, space: i64, workflow_id: &str, key: RunKey) -> Result<(), Error> {
        self.connection()
            .prepare_cached(
                "DELETE FROM run_id WHERE namespace = ?1 AND workflow_id = ?2 AND key = ?3 AND run_id <> ''",
            )?
            .execute(params![space, workflow_id, key])?;
        // A row without a run id goes with the last run of the id.
        self.connection()
            .prepare_cached(
                "DELETE FROM run_id WHERE namespace = ?1 AND workflow_id = ?2 AND NOT EXISTS \
                 (SELECT 1 FROM run_id WHERE namespace = ?1 AND workflow_id = ?2 AND run_id <> '')",
            )?
            .execute(params![space, workflow_id])?;
        Ok(())
    }

    /// Deletes a run, or as much of it as the budget allows: the rest is done by the next call.
    /// Answers whether all of it is gone.
    pub(crate) fn delete_run_in_steps(&mut self, key: RunKey, budget: &mut Budget) -> Result<bool, Error> {
        self.begin()?;
        self.hide_run(key)?;
        if !self.delete_events(key, budget)? {
            self.mark_deleted(key)?;
            return Ok(false);
        }
        self.note_last_key(key)?;
        let connection = self.connection();
        connection
            .prepare_cached("DELETE FROM run WHERE key = ?1")?
            .execute([key])?;
        connection
            .prepare_cached("DELETE FROM deletion WHERE key = ?1")?
            .execute([key])?;
        budget.spend(4, 0);
        Ok(true)
    }

    /// Takes a run out of everything by which it is found.
    fn hide_run(&mut self, key: RunKey) -> Result<(), Error> {
        let connection = self.connection();
        visibility::delete(connection, key)?;
        connection
            .prepare_cached("DELETE FROM open_run WHERE key = ?1")?
            .execute([key])?;
        let state: Option<Vec<u8>> = connection
            .prepare_cached("SELECT state FROM run WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        // One that does not decode is not found by anybody.
        if let Some(state) = state.and_then(|bytes| RunState::decode(bytes.as_slice()).ok()) {
            self.delete_ids(state.id_space(), &state.workflow_id, key)?;
        }
        Ok(())
    }

    fn delete_events(&mut self, key: RunKey, budget: &mut Budget) -> Result<bool, Error> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT first_event, length(events) FROM history WHERE key = ?1 ORDER BY first_event",
        )?;
        let mut rows = statement.query([key])?;
        let mut last = None;
        let mut is_all = true;
        while let Some(row) = rows.next()? {
            if budget.is_spent() {
                is_all = false;
                break;
            }
            last = Some(row.get::<_, i64>(0)?);
            budget.spend(1, usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0));
        }
        drop(rows);
        if let Some(last) = last {
            connection
                .prepare_cached("DELETE FROM history WHERE key = ?1 AND first_event <= ?2")?
                .execute(params![key, last])?;
        }
        Ok(is_all)
    }

    /// Keeps keys from being given out twice: tokens of clients may name a run that is gone.
    pub(super) fn note_last_key(&mut self, key: RunKey) -> Result<(), Error> {
        let newest: Option<RunKey> = self
            .connection()
            .prepare_cached("SELECT max(key) FROM run")?
            .query_row([], |row| row.get(0))?;
        if newest == Some(key) {
            self.connection()
                .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
                .execute(params![LAST_KEY, key.to_string()])?;
        }
        Ok(())
    }

    /// The highest key that a run had which is gone; 0: none is.
    pub(super) fn last_deleted_key(&self) -> Result<RunKey, Error> {
        let value: Option<String> = self
            .connection()
            .query_row("SELECT value FROM meta WHERE name = ?1", [LAST_KEY], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0))
    }

    /// Gives some free pages back to the file system, if a good part of the file is free. Answers
    /// whether there is more to give back. Files from before this was possible keep their size.
    pub(crate) fn give_back(&mut self) -> Result<bool, Error> {
        let number = |name: &str| -> Result<i64, Error> {
            Ok(self
                .connection()
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
        };
        let is_incremental = number("auto_vacuum")? == 2;
        let (free, all) = (number("freelist_count")?, number("page_count")?);
        let spare = free - FREE_PAGES_KEPT.max(all / 4);
        if !is_incremental || spare <= 0 {
            return Ok(false);
        }
        self.begin()?;
        let pragma = format!("PRAGMA incremental_vacuum({})", spare.min(PAGES_A_STEP));
        let mut statement = self.connection().prepare(&pragma)?;
        let mut pages = statement.query([])?;
        // Each step of the statement gives one page back.
        while pages.next()?.is_some() {}
        Ok(spare > PAGES_A_STEP)
    }
}
