//! The SQLite file: schema, the writer's connection, and what is read from it.
//!
//! One connection writes, owned by the engine's thread; it is in WAL mode with `synchronous=FULL`,
//! so a committed transaction is on disk. Other connections only read.

mod batch_operation;
mod delete;
mod journal;
mod lock;
mod namespace;
mod reader;
mod run;
mod schedule;
mod task_queue;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub(crate) use batch_operation::{BatchPlace, BatchRecord};
pub(crate) use delete::Budget;
pub(crate) use journal::Journal;
pub(crate) use lock::Lock;
pub(crate) use namespace::NamespaceRecord;
pub(crate) use reader::Readers;
pub(crate) use run::{OpenRun, RunRef};
pub(crate) use schedule::{ScheduleKey, load_schedule};

const SCHEMA: &str = include_str!("schema.sql");
/// The version of the file's form. A file with another one is not opened.
const FORMAT: &str = "1";

/// What goes wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open for writing.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The file or its folder cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A later or unknown version wrote the file.
    #[error("{} has the format {found}, this version reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// SQLite failed.
    #[error("the engine's file cannot be {operation}")]
    Sqlite {
        /// What was tried: read, written.
        operation: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A stored message does not decode.
    #[error("the engine's file is damaged: {what}")]
    Damaged {
        /// Which record.
        what: String,
    },
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite {
            operation: "read or written",
            source,
        }
    }
}

/// The writer's connection.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    in_transaction: bool,
}

impl Store {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or another version wrote it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        // Only a new file takes this: free pages can be given back without writing the file anew.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -65_536)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(crate::visibility::SCHEMA)?;
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?1)", [FORMAT])?;
        let found: String =
            connection.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| {
                row.get(0)
            })?;
        if found != FORMAT {
            return Err(Error::Format {
                path: path.to_owned(),
                found,
            });
        }
        Ok(Self {
            connection,
            in_transaction: false,
        })
    }

    /// The id that this file's engine has as a cluster, made when the file was.
    pub(crate) fn cluster_id(&self) -> Result<String, Error> {
        let new = uuid::Uuid::new_v4().to_string();
        self.connection
            .execute("INSERT OR IGNORE INTO meta VALUES ('cluster_id', ?1)", [new])?;
        Ok(self
            .connection
            .query_row("SELECT value FROM meta WHERE name = 'cluster_id'", [], |row| {
                row.get(0)
            })?)
    }

    /// The connection, inside the current transaction if one is open.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Opens the batch's transaction, if it is not open yet.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        if !self.in_transaction {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.in_transaction = true;
        }
        Ok(())
    }

    /// Puts the batch on disk. Does nothing where nothing was written.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        if self.in_transaction {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            self.in_transaction = false;
        }
        Ok(())
    }

    /// Drops what the batch wrote.
    pub(crate) fn roll_back(&mut self) {
        if self.in_transaction {
            self.in_transaction = false;
            if let Err(error) = self.connection.execute_batch("ROLLBACK") {
                tracing::error!(%error, "cannot roll back");
            }
        }
    }
}

fn open_read_only(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}
