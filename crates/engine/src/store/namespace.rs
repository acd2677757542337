//! Namespaces on disk.

use prost::Message as _;
use rusqlite::params;

use super::{Error, Store};

/// A namespace as it is kept.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct NamespaceRecord {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub id: String,
    #[prost(string, tag = "3")]
    pub description: String,
    #[prost(string, tag = "4")]
    pub owner_email: String,
    /// Nanoseconds that a closed run is kept at least.
    #[prost(int64, tag = "5")]
    pub retention: i64,
    #[prost(map = "string, string", tag = "6")]
    pub data: std::collections::HashMap<String, String>,
    /// `NamespaceState`; 0 is registered.
    #[prost(int32, tag = "70")]
    pub state: i32,
}

impl Store {
    /// All namespaces with their keys.
    pub(crate) fn namespaces(&self) -> Result<Vec<(u32, NamespaceRecord)>, Error> {
        self.reading(|connection| {
            let mut statement = connection.prepare("SELECT key, info FROM namespace ORDER BY key")?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            rows.map(|row| {
                let (key, info) = row?;
                let record = NamespaceRecord::decode(info.as_slice()).map_err(|_| Error::Damaged {
                    what: format!("namespace {key}"),
                })?;
                Ok((key, record))
            })
            .collect()
        })
    }

    /// Writes a namespace.
    pub(crate) fn put_namespace(&mut self, key: u32, record: &NamespaceRecord) -> Result<(), Error> {
        self.writing(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO namespace (key, name, info) VALUES (?1, ?2, ?3)",
                params![key, record.name, record.encode_to_vec()],
            )?;
            Ok(())
        })
    }

    /// Deletes a namespace, whose runs are gone, with what else is kept of it.
    pub(crate) fn delete_namespace(&mut self, key: u32) -> Result<(), Error> {
        self.begin()?;
        for sql in [
            "DELETE FROM namespace WHERE key = ?1",
            "DELETE FROM search_attribute_type WHERE namespace_key = ?1",
            "DELETE FROM batch_operation WHERE namespace = ?1",
            "DELETE FROM task_queue_config WHERE namespace = ?1",
            "DELETE FROM worker_deployment WHERE namespace = ?1",
        ] {
            self.connection().execute(sql, [key])?;
        }
        Ok(())
    }
}
