//! The SQLite file: schema, the writer's connection, and what is read from it.
//!
//! One connection writes all, owned by the host; it is in WAL mode with `synchronous=FULL`,
//! so a committed transaction is on disk. A second one writes the journal beside it (`writer`), never at the
//! same time. Other connections only read.

mod backup;
mod batch_operation;
mod checkpoint;
mod delete;
mod deployment;
mod error;
mod journal;
mod lock;
mod namespace;
mod reader;
mod run;
mod schedule;
mod task_queue;
mod writer;

use std::{
    cell::Cell,
    io::Read as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

pub use backup::{Copied, backup, restore};
pub(crate) use batch_operation::{BatchPlace, BatchRecord};
use checkpoint::Copier;
pub(crate) use delete::Budget;
pub use error::{Error, Problem};
pub(crate) use journal::{Change, Journal};
pub(crate) use lock::Lock;
pub(crate) use namespace::NamespaceRecord;
pub(crate) use reader::Readers;
pub(crate) use run::{OpenRun, RunRef, append_history, insert_run_id, put_open_run, put_state};
pub(crate) use schedule::{ScheduleKey, load_schedule};
use writer::Writer;
pub(crate) use writer::{Filing, Unwritten};

const SCHEMA: &str = include_str!("schema.sql");
/// The version of the file's form. A file with another one is not opened.
const FORMAT: &str = "1";

/// The writer's connection.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    in_transaction: bool,
    /// Something of the batch was not written, or not read for a reason that may pass: what memory holds
    /// may be half of a change. The batch is not to be committed.
    has_failed: Cell<bool>,
    /// What was the matter, where that is known.
    failure: Cell<Option<Problem>>,
    /// Writes batches that are nothing but a journal, one at a time.
    writer: Option<Writer>,
    /// Copies the log into the file beside all that. None: SQLite does, at the end of a transaction.
    copier: Option<Copier>,
    /// The number of the last batch in the journal.
    journal_number: i64,
}

impl Store {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or another version wrote it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_as_it_is(path).map_err(|error| error.at(path))
    }

    fn open_as_it_is(path: &Path) -> Result<Self, Error> {
        check_length(path)?;
        let connection = Connection::open(path)?;
        check_format(&connection, path, false)?;
        // Only a new file takes this: free pages can be given back without writing the file anew.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        make_durable(&connection)?;
        connection.pragma_update(None, "cache_size", -65_536)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(SCHEMA)?;
        crate::visibility::prepare(&connection)?;
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?1)", [FORMAT])?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            in_transaction: false,
            has_failed: Cell::new(false),
            failure: Cell::new(None),
            writer: None,
            copier: None,
            journal_number: 0,
        })
    }

    /// Sets one of SQLite's own limits.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub(crate) fn set_pragma(&self, name: &str, value: i64) -> Result<(), Error> {
        Ok(self.connection.pragma_update(None, name, value)?)
    }

    /// Pages of the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn pages(&self) -> Result<i64, Error> {
        Ok(self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))?)
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
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

    /// Whether the batch's transaction is open.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// The connection, inside the current transaction if one is open.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Opens the batch's transaction, if it is not open yet.
    ///
    /// # Errors
    /// Also when an earlier write of the batch has failed: SQLite may have ended the transaction then,
    /// and what is written now would stand alone.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        self.wait_for_writer();
        if self.has_failed.get() {
            return Err(Error::BatchFailed(self.failure.get()));
        }
        if !self.in_transaction {
            let begin =
                |connection: &Connection| Ok(connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?);
            self.reading(begin)?;
            self.in_transaction = true;
        }
        Ok(())
    }

    /// Reads. What fails for a reason that may pass fails the batch: whoever reads may have done half of
    /// a change by now. One damaged place does not: who needs it is told.
    pub(crate) fn reading<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        read(&self.connection).map_err(|error| {
            if !error.is_damage() {
                self.fail(error.problem());
            }
            error.at(&self.path)
        })
    }

    /// Writes inside the batch's transaction. If it fails, so does the batch.
    pub(crate) fn writing<T, E>(&mut self, write: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<Error>,
    {
        self.begin()?;
        let written = write(&self.connection);
        if written.is_err() {
            self.has_failed.set(true);
        }
        written
    }

    /// Notes that something of the batch could not be written.
    pub(crate) fn fail(&self, problem: Option<Problem>) {
        if !self.has_failed.replace(true) {
            self.failure.set(problem);
        }
    }

    /// Puts the batch on disk. Does nothing where nothing was written; answers whether anything was.
    pub(crate) fn commit(&mut self) -> Result<bool, Error> {
        if self.has_failed.get() {
            return Err(Error::BatchFailed(self.failure.get()));
        }
        let was_written = self.in_transaction;
        if was_written {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            self.in_transaction = false;
            if let Some(copier) = &self.copier {
                copier.checkpoints().look(&self.connection);
            }
        }
        Ok(was_written)
    }

    /// Drops what the batch wrote, and is ready for the next one.
    ///
    /// # Errors
    /// When the transaction does not end.
    pub(crate) fn roll_back(&mut self) -> Result<(), Error> {
        self.in_transaction = false;
        // SQLite ends a transaction by itself after some failures.
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.has_failed.set(false);
        Ok(())
    }
}

/// Refuses a file that another program, or another version of this one, has written, before anything of
/// it is changed. An empty one is refused where it `must_exist`.
fn check_format(connection: &Connection, path: &Path, must_exist: bool) -> Result<(), Error> {
    let tables =
        "SELECT count(*), count(*) FILTER (WHERE name = 'meta') FROM sqlite_schema WHERE type = 'table'";
    let (all, meta): (i64, i64) = connection.query_row(tables, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if all == 0 && !must_exist {
        return Ok(());
    }
    let format = "SELECT value FROM meta WHERE name = 'format'";
    let found: Option<String> = match meta {
        0 => None,
        _ => connection.query_row(format, [], |row| row.get(0)).optional()?,
    };
    match found {
        Some(found) if found == FORMAT => Ok(()),
        Some(found) => Err(Error::Format {
            path: path.to_owned(),
            found,
        }),
        None => Err(Error::File {
            path: path.to_owned(),
            problem: Problem::NotTheEngines,
            source: Box::new(Error::Damaged {
                what: "it does not hold the engine's tables".to_owned(),
            }),
        }),
    }
}

/// Refuses a file that is shorter than it says itself. Only where no write-ahead log may hold the rest.
///
/// Source: "Database File Format" of SQLite's documentation, offsets 16 and 28.
fn check_length(path: &Path) -> Result<(), Error> {
    let open = |source| Error::Open {
        path: path.to_owned(),
        source,
    };
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
        return Ok(());
    }
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(open(error)),
    };
    let metadata = file.metadata().map_err(open)?;
    let mut header = [0; 32];
    if !metadata.is_file() || metadata.len() == 0 || file.read_exact(&mut header).is_err() {
        // SQLite says what is wrong with it, if anything.
        return Ok(());
    }
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u64::from(u32::from_be_bytes([
        header[28], header[29], header[30], header[31],
    ]));
    if header.starts_with(b"SQLite format 3") && metadata.len() < page * pages {
        return Err(Error::Damaged {
            what: format!(
                "it has {} bytes of the {} that it had, so its end is missing",
                metadata.len(),
                page * pages
            ),
        });
    }
    Ok(())
}

/// What every connection that writes is to do: a committed transaction is on disk, and the write-ahead log
/// does not grow without end.
fn make_durable(connection: &Connection) -> Result<(), Error> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    Ok(connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?)
}

fn open_read_only(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}
