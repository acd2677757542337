//! The write-ahead log is copied into the file beside the writing, so that no batch waits for that.
//!
//! SQLite would copy at the end of whichever transaction has made the log long, and keep its writer for tens of
//! milliseconds. Here a thread with a connection of its own copies what the log has, while more is written, and then what
//! came meanwhile, until that is little: whoever ends the next transaction copies it, and the log begins again from its
//! start.
//!
//! Source: "Write-Ahead Logging", "Checkpointing", of SQLite's documentation: a passive checkpoint waits for nobody, and
//! the log is written over from its start once all of it is copied and nobody reads it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;

use super::{Error, make_durable};

/// Pages in the log that are not copied, from which on they are.
const PAGES: i64 = 4_000;

/// So few are copied by whoever ends a transaction; more are left to the thread once more.
const FEW: i64 = 400;

/// Unless the log has as many pages in all: it grows where more is written than is copied at the same time.
const MOST: i64 = 4 * PAGES;

/// When the thread tries again after a failure: where the disk is full, say, it fails each time.
const RETRY: Duration = Duration::from_secs(1);

/// Nobody copies.
const IDLE: u8 = 0;
/// The thread copies.
const COPYING: u8 = 1;
/// It has; what came meanwhile is to be copied too.
const COPIED: u8 = 2;
/// The thread is to end.
const STOPPING: u8 = 3;

/// Has the log copied when it is long. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    stage: Arc<AtomicU8>,
    thread: std::thread::Thread,
}

/// The thread that copies. It ends with this.
#[derive(Debug)]
pub(super) struct Copier {
    checkpoints: Checkpoints,
    thread: Option<JoinHandle<()>>,
}

impl Copier {
    /// Starts the thread.
    ///
    /// # Errors
    /// When its connection cannot be opened, or no thread started.
    pub(super) fn start(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        make_durable(&connection)?;
        let stage = Arc::new(AtomicU8::new(IDLE));
        let at = stage.clone();
        let spawned = std::thread::Builder::new()
            .name("segno-checkpoint".into())
            .spawn(move || copy_when_asked(&connection, &at));
        let thread = spawned.map_err(|source| Error::Open {
            path: "the checkpoint's thread".into(),
            source,
        })?;
        Ok(Self {
            checkpoints: Checkpoints {
                stage,
                thread: thread.thread().clone(),
            },
            thread: Some(thread),
        })
    }

    /// For each connection that writes.
    pub(super) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.checkpoints.stage.store(STOPPING, Ordering::SeqCst);
        self.checkpoints.thread.unpark();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint's thread ended with a panic");
        }
    }
}

impl Checkpoints {
    /// Looks, after a transaction of this connection has ended, whether the log is to be copied.
    pub(super) fn look(&self, connection: &Connection) {
        let stage = self.stage.load(Ordering::SeqCst);
        if !matches!(stage, IDLE | COPIED) {
            return;
        }
        let log = match Log::read(connection) {
            Ok(log) => log,
            Err(error) => return complain(&error),
        };
        if stage == COPIED && (log.uncopied < FEW || log.pages >= MOST) {
            copy(connection);
            move_on(&self.stage, COPIED, IDLE);
        } else if stage == COPIED || log.uncopied >= PAGES {
            move_on(&self.stage, stage, COPYING);
            self.thread.unpark();
        }
    }
}

/// Unless the thread is to end meanwhile.
fn move_on(stage: &AtomicU8, from: u8, to: u8) {
    let _ = stage.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
}

fn copy_when_asked(connection: &Connection, stage: &AtomicU8) {
    loop {
        match stage.load(Ordering::SeqCst) {
            STOPPING => return,
            COPYING => {
                if copy(connection) {
                    move_on(stage, COPYING, COPIED);
                } else {
                    std::thread::park_timeout(RETRY);
                }
            }
            _ => std::thread::park(),
        }
    }
}

/// Copies what the log has, as far as no reader needs the file as it is. Answers whether that went well; nothing is lost
/// where it did not: the log keeps what it has.
fn copy(connection: &Connection) -> bool {
    let copied = connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut copy| copy.query_row([], |_| Ok(())));
    if let Err(error) = &copied {
        complain(error);
    }
    copied.is_ok()
}

/// How long the log is.
struct Log {
    pages: i64,
    /// Pages that are in the log alone.
    uncopied: i64,
}

impl Log {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
            .query_row([], |row| {
                let (pages, copied): (i64, i64) = (row.get(1)?, row.get(2)?);
                Ok(Self {
                    pages,
                    uncopied: pages - copied,
                })
            })
    }
}

fn complain(error: &rusqlite::Error) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the write-ahead log could not be copied into the engine's file; that is tried again"
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
mod tests {
    use super::{Copier, PAGES};
    use crate::store::Store;

    /// Without a pause in the writing, the log is begun again and again. What it had is in the file then.
    #[test]
    fn the_log_begins_again_under_constant_writing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("engine.db");
        let store = Store::open(&path).expect("a file");
        let connection = store.connection();
        connection
            .pragma_update(None, "wal_autocheckpoint", 0)
            .expect("a number of pages");
        let copier = Copier::start(&path).expect("a thread");
        let pages_per_row = 100;
        let mut begun = 0;
        let mut before = 0;
        for number in 0..50 * PAGES / pages_per_row {
            connection
                .execute(
                    "INSERT INTO journal (number, changes) VALUES (?1, zeroblob(?2))",
                    [number, pages_per_row * 4_096],
                )
                .expect("a row");
            let log: i64 = connection
                .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
                .expect("the log's length");
            if log < before {
                let file = std::fs::metadata(&path).expect("a file").len();
                let written = u64::try_from(number * pages_per_row * 4_096).expect("positive");
                assert!(
                    file >= written,
                    "{written} bytes were written, {file} are in the file"
                );
                begun += 1;
            }
            if begun == 3 {
                return;
            }
            before = log;
            copier.checkpoints().look(connection);
        }
        panic!("the log has begun again {begun} times");
    }
}
