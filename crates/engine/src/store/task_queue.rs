//! What people have configured of task queues, on disk. The queues themselves are in memory.

use prost::Message as _;
use rusqlite::params;
use temporalio_protos::temporal::api::taskqueue::v1::TaskQueueConfig;

use super::{Error, Store};

impl Store {
    /// All configurations: namespace, task queue type, name, and what is configured.
    pub(crate) fn task_queue_configs(&self) -> Result<Vec<(u32, i32, String, TaskQueueConfig)>, Error> {
        let mut statement = self
            .connection()
            .prepare("SELECT namespace, type, name, config FROM task_queue_config")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Vec<u8>>(3)?))
        })?;
        rows.map(|row| {
            let (namespace, queue_type, name, config): (_, _, String, _) = row?;
            let config = TaskQueueConfig::decode(config.as_slice()).map_err(|_| Error::Damaged {
                what: format!("the configuration of task queue {name}"),
            })?;
            Ok((namespace, queue_type, name, config))
        })
        .collect()
    }

    /// Writes the configuration of a task queue.
    pub(crate) fn put_task_queue_config(
        &mut self,
        namespace: u32,
        queue_type: i32,
        name: &str,
        config: &TaskQueueConfig,
    ) -> Result<(), Error> {
        self.writing(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO task_queue_config (namespace, type, name, config) VALUES (?1, ?2, ?3, ?4)",
                params![namespace, queue_type, name, config.encode_to_vec()],
            )?;
            Ok(())
        })
    }
}
