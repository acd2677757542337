//! The journal is written beside the host: while one batch is on its way to the disk, the host is at the next. Some runs
//! of earlier batches are filed in the same transaction, so that this costs no sync and holds nobody up.
//!
//! The writer has a connection of its own, so the host can read meanwhile. It cannot write: SQLite has one
//! writer at a time, so whoever begins a transaction waits until the journal is on disk.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread::JoinHandle,
};

use rusqlite::Connection;

use super::{Error, Journal, Store, checkpoint::Copier, journal, make_durable};
use crate::core::RunKey;

/// Pages of the file that the writer's connection keeps, in KiB.
const CACHE_KIB: i64 = 32 * 1024;

/// Puts one journal after the other on disk.
#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    /// A journal is on its way.
    is_busy: bool,
    /// What became of the last one, until somebody asks.
    outcome: Option<Result<(), Unwritten>>,
    /// To be filled again.
    spare: Vec<u8>,
}

/// Writes rows inside the open transaction.
type Write = dyn FnOnce(&Connection) -> Result<(), Error> + Send;

/// One run's rows, to be written to the tables.
pub(crate) struct Filing {
    pub(crate) key: RunKey,
    pub(crate) write: Box<Write>,
}

/// Why a journal could not be written.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(crate) error: Error,
    /// It was for the rows of this run.
    pub(crate) run: Option<RunKey>,
}

impl From<rusqlite::Error> for Unwritten {
    fn from(error: rusqlite::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Self { error, run: None }
    }
}

/// What is written in one transaction.
#[derive(Debug, Default)]
struct Job {
    number: i64,
    changes: Vec<u8>,
    filings: Vec<Filing>,
    /// The journal up to this number has been filed with it.
    filed_until: Option<i64>,
}

impl std::fmt::Debug for Filing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Filing").field(&self.key).finish()
    }
}

/// Where the writing is done.
#[derive(Debug)]
enum Place {
    Thread {
        jobs: Option<Sender<Job>>,
        written: Receiver<(Result<(), Unwritten>, Vec<u8>)>,
        thread: Option<JoinHandle<()>>,
    },
    /// Here, and only once somebody asks for the outcome a second time or waits for it: for the simulator, which
    /// has one thread, so that the next batch begins before this one is on disk.
    Deferred { job: Job, is_asked: bool },
}

impl Store {
    /// Starts the thread that writes journals, and calls `notify` after each; and the one that copies the log into the
    /// file.
    ///
    /// # Errors
    /// When their connections cannot be opened, or no thread started.
    pub(crate) fn start_writer(&mut self, notify: impl Fn() + Send + 'static) -> Result<(), Error> {
        let copier = Copier::start(&self.path)?;
        let connection = Connection::open(&self.path)?;
        make_durable(&connection)?;
        for connection in [&self.connection, &connection] {
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
        let checkpoints = copier.checkpoints().clone();
        self.copier = Some(copier);
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(64);
        let (jobs, to_write) = mpsc::channel::<Job>();
        let (outcomes, written) = mpsc::channel();
        let write_all = move || {
            for mut job in to_write {
                let outcome = write(&connection, &mut job);
                if outcomes.send((outcome, job.changes)).is_err() {
                    return;
                }
                notify();
                // Nobody waits for this.
                checkpoints.look(&connection);
            }
        };
        let spawned = std::thread::Builder::new()
            .name("segno-journal".into())
            .spawn(write_all);
        let thread = spawned.map_err(|source| Error::Open {
            path: "the journal's thread".into(),
            source,
        })?;
        self.writer = Some(Writer::new(Place::Thread {
            jobs: Some(jobs),
            written,
            thread: Some(thread),
        }));
        Ok(())
    }

    /// Has journals written when their outcome is asked for.
    pub(crate) fn defer_journals(&mut self) {
        self.writer = Some(Writer::new(Place::Deferred {
            job: Job::default(),
            is_asked: false,
        }));
    }

    /// Whether a batch can be sent on its way to the disk. The last outcome must have been taken.
    pub(crate) fn can_send_journal(&self) -> bool {
        self.writer.is_some() && !self.in_transaction && !self.has_failed.get()
    }

    /// Sends a batch's changes on their way to the disk, and empties `journal` for the next batch; with them the rows
    /// of runs, and up to which number the journal has been filed then. Does nothing where it cannot be sent.
    pub(crate) fn send_journal(
        &mut self,
        journal: &mut Journal,
        filings: Vec<Filing>,
        filed_until: Option<i64>,
    ) {
        if !self.can_send_journal() {
            return;
        }
        let number = self.next_journal_number();
        if let Some(writer) = &mut self.writer {
            let spare = std::mem::take(&mut writer.spare);
            writer.send(Job {
                number,
                changes: journal.take(spare),
                filings,
                filed_until,
            });
        }
    }

    /// What became of the journal on its way; none: it is still there, or there was none.
    pub(crate) fn journal_outcome(&mut self, wait: bool) -> Option<Result<(), Unwritten>> {
        let writer = self.writer.as_mut()?;
        writer.look(&self.connection, wait);
        writer.outcome.take()
    }

    /// Waits until no journal is on its way. If one could not be written, the batch that is being made fails too.
    pub(super) fn wait_for_writer(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        writer.look(&self.connection, true);
        if let Some(Err(unwritten)) = &writer.outcome {
            let problem = unwritten.error.problem();
            self.fail(problem);
        }
    }
}

impl Writer {
    fn new(place: Place) -> Self {
        Self {
            place,
            is_busy: false,
            outcome: None,
            spare: Vec::new(),
        }
    }

    fn send(&mut self, job: Job) {
        self.is_busy = true;
        match &mut self.place {
            // The thread ends with this writer alone; if it has panicked, `look` says so.
            Place::Thread { jobs, .. } => drop(jobs.as_ref().map(|jobs| jobs.send(job))),
            Place::Deferred { job: place, is_asked } => {
                *place = job;
                *is_asked = false;
            }
        }
    }

    fn look(&mut self, connection: &Connection, wait: bool) {
        if !self.is_busy {
            return;
        }
        let (outcome, bytes) = match &mut self.place {
            Place::Thread { written, .. } => {
                let next = if wait {
                    written.recv().map_err(|_| mpsc::TryRecvError::Disconnected)
                } else {
                    written.try_recv()
                };
                match next {
                    Ok(written) => written,
                    Err(mpsc::TryRecvError::Empty) => return,
                    Err(mpsc::TryRecvError::Disconnected) => {
                        (Err(Error::BatchFailed(None).into()), Vec::new())
                    }
                }
            }
            Place::Deferred { job, is_asked } => {
                if !wait && !std::mem::replace(is_asked, true) {
                    return;
                }
                (write(connection, job), std::mem::take(&mut job.changes))
            }
        };
        self.is_busy = false;
        self.spare = bytes;
        self.spare.clear();
        self.outcome = Some(outcome);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Place::Thread { jobs, thread, .. } = &mut self.place {
            *jobs = None;
            if let Some(thread) = thread.take()
                && thread.join().is_err()
            {
                tracing::error!("the journal's thread ended with a panic");
            }
        }
    }
}

/// Writes a journal, and what goes with it, in a transaction of its own.
fn write(connection: &Connection, job: &mut Job) -> Result<(), Unwritten> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = write_all(connection, job);
    // SQLite ends a transaction by itself after some failures.
    if written.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    written
}

fn write_all(connection: &Connection, job: &mut Job) -> Result<(), Unwritten> {
    journal::insert(connection, job.number, &job.changes)?;
    for Filing { key, write } in job.filings.drain(..) {
        write(connection).map_err(|error| Unwritten {
            error,
            run: Some(key),
        })?;
    }
    if let Some(until) = job.filed_until {
        journal::clear(connection, until)?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}
