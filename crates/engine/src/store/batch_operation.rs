//! Batch operations on disk.

use prost::Message as _;
use rusqlite::{OptionalExtension as _, params};
use temporalio_protos::temporal::api::workflowservice::v1::StartBatchOperationRequest;

use super::{Error, Store};
use crate::clock::Nanos;

/// A batch operation: what it is to do, and how far it is.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct BatchRecord {
    /// As it was asked for.
    #[prost(message, optional, tag = "1")]
    pub request: Option<StartBatchOperationRequest>,
    /// `BatchOperationState`.
    #[prost(int32, tag = "2")]
    pub state: i32,
    #[prost(int64, tag = "3")]
    pub start_time: Nanos,
    /// 0 while it goes on.
    #[prost(int64, tag = "4")]
    pub close_time: Nanos,
    #[prost(int64, tag = "5")]
    pub total: i64,
    #[prost(int64, tag = "6")]
    pub completed: i64,
    #[prost(int64, tag = "7")]
    pub failed: i64,
    /// Of a query: the list's token for what is to be done next.
    #[prost(bytes = "vec", tag = "8")]
    pub place: Vec<u8>,
}

/// Where a list of batch operations goes on.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct BatchPlace {
    #[prost(int64, tag = "1")]
    pub start_time: Nanos,
    #[prost(string, tag = "2")]
    pub job_id: String,
}

fn decode(job_id: &str, bytes: &[u8]) -> Result<BatchRecord, Error> {
    BatchRecord::decode(bytes).map_err(|_| Error::Damaged {
        what: format!("batch operation {job_id}"),
    })
}

impl Store {
    /// Writes a batch operation.
    pub(crate) fn put_batch(
        &mut self,
        namespace: u32,
        job_id: &str,
        record: &BatchRecord,
    ) -> Result<(), Error> {
        self.begin()?;
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO batch_operation (namespace, job_id, start_time, open, record) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                namespace,
                job_id,
                record.start_time,
                record.close_time == 0,
                record.encode_to_vec()
            ])?;
        Ok(())
    }

    /// The batch operation of this id.
    pub(crate) fn batch(&self, namespace: u32, job_id: &str) -> Result<Option<BatchRecord>, Error> {
        let found: Option<Vec<u8>> = self
            .connection()
            .prepare_cached("SELECT record FROM batch_operation WHERE namespace = ?1 AND job_id = ?2")?
            .query_row(params![namespace, job_id], |row| row.get(0))
            .optional()?;
        found.map(|bytes| decode(job_id, &bytes)).transpose()
    }

    /// The batch operations that are under way, with their namespaces and ids.
    pub(crate) fn open_batches(&self) -> Result<Vec<(u32, String, BatchRecord)>, Error> {
        let mut statement = self.connection().prepare(
            "SELECT namespace, job_id, record FROM batch_operation WHERE open = 1 ORDER BY start_time",
        )?;
        let mut rows = statement.query([])?;
        let mut open = Vec::new();
        while let Some(row) = rows.next()? {
            let job_id: String = row.get(1)?;
            let record = decode(&job_id, &row.get::<_, Vec<u8>>(2)?)?;
            open.push((row.get(0)?, job_id, record));
        }
        Ok(open)
    }

    /// Batch operations of a namespace after `place`, the newest first.
    pub(crate) fn list_batches(
        &self,
        namespace: u32,
        place: Option<&BatchPlace>,
        limit: usize,
    ) -> Result<Vec<(String, BatchRecord)>, Error> {
        let mut statement = self.connection().prepare_cached(
            "SELECT job_id, record FROM batch_operation WHERE namespace = ?1 AND (start_time, job_id) < (?2, ?3) \
             ORDER BY start_time DESC, job_id DESC LIMIT ?4",
        )?;
        let (start_time, job_id) =
            place.map_or((i64::MAX, ""), |place| (place.start_time, place.job_id.as_str()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![namespace, start_time, job_id, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let job_id: String = row.get(0)?;
            let record = decode(&job_id, &row.get::<_, Vec<u8>>(1)?)?;
            found.push((job_id, record));
        }
        Ok(found)
    }

    /// Forgets batch operations that ended and began at `until` or before.
    pub(crate) fn delete_batches(&mut self, namespace: u32, until: Nanos) -> Result<(), Error> {
        let is_there: bool = self
            .connection()
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM batch_operation WHERE namespace = ?1 AND open = 0 AND start_time <= ?2)",
            )?
            .query_row(params![namespace, until], |row| row.get(0))?;
        if is_there {
            self.begin()?;
            self.connection()
                .prepare_cached(
                    "DELETE FROM batch_operation WHERE namespace = ?1 AND open = 0 AND start_time <= ?2",
                )?
                .execute(params![namespace, until])?;
        }
        Ok(())
    }
}
