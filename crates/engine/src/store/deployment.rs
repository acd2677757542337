//! Worker deployments on disk.

use prost::Message as _;
use rusqlite::params;

use super::{Error, Store};
use crate::deployment::DeploymentRecord;

impl Store {
    /// All worker deployments, each with its namespace.
    pub(crate) fn deployments(&self) -> Result<Vec<(u32, DeploymentRecord)>, Error> {
        let mut statement = self
            .connection()
            .prepare("SELECT namespace, name, record FROM worker_deployment")?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, u32>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        })?;
        rows.map(|row| {
            let (namespace, name, record) = row?;
            let record = DeploymentRecord::decode(record.as_slice()).map_err(|_| Error::Damaged {
                what: format!("worker deployment {name}"),
            })?;
            Ok((namespace, record))
        })
        .collect()
    }

    /// Writes a worker deployment.
    pub(crate) fn put_deployment(&mut self, namespace: u32, record: &DeploymentRecord) -> Result<(), Error> {
        self.writing(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO worker_deployment (namespace, name, record) VALUES (?1, ?2, ?3)",
                params![namespace, record.name, record.encode_to_vec()],
            )?;
            Ok(())
        })
    }

    /// Removes a worker deployment.
    pub(crate) fn delete_deployment(&mut self, namespace: u32, name: &str) -> Result<(), Error> {
        self.writing(|connection| {
            connection.execute(
                "DELETE FROM worker_deployment WHERE namespace = ?1 AND name = ?2",
                params![namespace, name],
            )?;
            Ok(())
        })
    }
}
