//! Schedules on disk.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Error, Store};
use crate::{clock::Nanos, schedule::ScheduleRecord};

/// The engine's own number of a schedule: its row in the file. None is given out twice.
pub(crate) type ScheduleKey = i64;

impl Store {
    /// The schedule of this id.
    pub(crate) fn find_schedule(&self, namespace: u32, id: &str) -> Result<Option<ScheduleKey>, Error> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT key FROM schedule WHERE namespace = ?1 AND id = ?2")?;
        Ok(statement
            .query_row(params![namespace, id], |row| row.get(0))
            .optional()?)
    }

    /// Adds a schedule, and gives it its key. Done at once, so that a request later in the same batch
    /// finds it.
    pub(crate) fn insert_schedule(&mut self, record: &ScheduleRecord) -> Result<ScheduleKey, Error> {
        self.begin()?;
        self.connection()
            .prepare_cached("INSERT INTO schedule (namespace, id, state) VALUES (?1, ?2, ?3)")?
            .execute(params![record.namespace_key, record.id, record.encode_to_vec()])?;
        Ok(self.connection().last_insert_rowid())
    }

    /// Writes a schedule.
    pub(crate) fn put_schedule(
        &mut self,
        key: ScheduleKey,
        wake_at: Option<Nanos>,
        record: &ScheduleRecord,
    ) -> Result<(), Error> {
        self.begin()?;
        self.connection()
            .prepare_cached("UPDATE schedule SET wake_at = ?2, state = ?3 WHERE key = ?1")?
            .execute(params![key, wake_at, record.encode_to_vec()])?;
        Ok(())
    }

    /// Removes a schedule.
    pub(crate) fn delete_schedule(&mut self, key: ScheduleKey) -> Result<(), Error> {
        self.begin()?;
        self.connection()
            .prepare_cached("DELETE FROM schedule WHERE key = ?1")?
            .execute([key])?;
        Ok(())
    }

    /// Schedules of a namespace, at most so many.
    pub(crate) fn schedules_of(&self, namespace: u32, at_most: usize) -> Result<Vec<ScheduleKey>, Error> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT key FROM schedule WHERE namespace = ?1 LIMIT ?2")?;
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let keys = statement.query_map(params![namespace, at_most], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// Goes through the schedules that want to be woken.
    pub(crate) fn each_schedule_wake(&self, mut each: impl FnMut(ScheduleKey, Nanos)) -> Result<(), Error> {
        let mut statement = self
            .connection()
            .prepare("SELECT key, wake_at FROM schedule WHERE wake_at IS NOT NULL ORDER BY key")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(row.get(0)?, row.get(1)?);
        }
        Ok(())
    }
}

/// Reads a schedule, and when it wants to be woken.
pub(crate) fn load_schedule(
    connection: &Connection,
    key: ScheduleKey,
) -> Result<Option<(ScheduleRecord, Option<Nanos>)>, Error> {
    let mut statement = connection.prepare_cached("SELECT state, wake_at FROM schedule WHERE key = ?1")?;
    let read = statement.query_row([key], |row| {
        let record = ScheduleRecord::decode(row.get_ref(0)?.as_blob()?);
        Ok((record, row.get(1)?))
    });
    let Some((record, wake_at)) = read.optional()? else {
        return Ok(None);
    };
    let record = record.map_err(|_| Error::Damaged {
        what: format!("schedule {key}"),
    })?;
    Ok(Some((record, wake_at)))
}
