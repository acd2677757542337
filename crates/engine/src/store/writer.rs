//! The journal is written beside the host: while one batch is on its way to the disk, the host is at the next.
//!
//! The writer has a connection of its own, so the host can read meanwhile. It cannot write: SQLite has one
//! writer at a time, so whoever begins a transaction waits until the journal is on disk.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread::JoinHandle,
};

use rusqlite::Connection;

use super::{Error, Journal, Store, journal, make_durable};

/// Puts one journal after the other on disk.
#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    /// A journal is on its way.
    is_busy: bool,
    /// What became of the last one, until somebody asks.
    outcome: Option<Result<(), Error>>,
    /// To be filled again.
    spare: Vec<u8>,
}

/// Where the writing is done.
#[derive(Debug)]
enum Place {
    Thread {
        journals: Option<Sender<Vec<u8>>>,
        written: Receiver<(Result<(), Error>, Vec<u8>)>,
        thread: Option<JoinHandle<()>>,
    },
    /// Here, and only once somebody asks for the outcome a second time or waits for it: for the simulator, which
    /// has one thread, so that the next batch begins before this one is on disk.
    Deferred { bytes: Vec<u8>, is_asked: bool },
}

impl Store {
    /// Starts the thread that writes journals; it calls `notify` after each.
    ///
    /// # Errors
    /// When its connection cannot be opened, or no thread started.
    pub(crate) fn start_writer(&mut self, notify: impl Fn() + Send + 'static) -> Result<(), Error> {
        let connection = Connection::open(&self.path)?;
        make_durable(&connection)?;
        let (journals, to_write) = mpsc::channel::<Vec<u8>>();
        let (outcomes, written) = mpsc::channel();
        let write_all = move || {
            for bytes in to_write {
                if outcomes.send((write(&connection, &bytes), bytes)).is_err() {
                    return;
                }
                notify();
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
            journals: Some(journals),
            written,
            thread: Some(thread),
        }));
        Ok(())
    }

    /// Has journals written when their outcome is asked for.
    pub(crate) fn defer_journals(&mut self) {
        self.writer = Some(Writer::new(Place::Deferred {
            bytes: Vec::new(),
            is_asked: false,
        }));
    }

    /// Sends a batch's changes on their way to the disk, and empties `journal` for the next batch. Answers
    /// whether they are on their way; if not, they are still to be written. The last outcome must have been taken.
    pub(crate) fn send_journal(&mut self, journal: &mut Journal) -> bool {
        match &mut self.writer {
            Some(writer) if !self.in_transaction && !self.has_failed.get() => writer.send(journal),
            _ => false,
        }
    }

    /// What became of the journal on its way; none: it is still there, or there was none.
    pub(crate) fn journal_outcome(&mut self, wait: bool) -> Option<Result<(), Error>> {
        let writer = self.writer.as_mut()?;
        writer.look(&self.connection, wait);
        writer.outcome.take()
    }

    /// Waits until no journal is on its way. If one could not be written, the batch that is being made fails too.
    pub(super) fn wait_for_writer(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        writer.look(&self.connection, true);
        if let Some(Err(error)) = &writer.outcome {
            let problem = error.problem();
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

    fn send(&mut self, journal: &mut Journal) -> bool {
        let spare = std::mem::take(&mut self.spare);
        let bytes = journal.take(spare);
        self.is_busy = true;
        match &mut self.place {
            // The thread ends with this writer alone; if it has panicked, `look` says so.
            Place::Thread { journals, .. } => drop(journals.as_ref().map(|journals| journals.send(bytes))),
            Place::Deferred {
                bytes: place,
                is_asked,
            } => {
                *place = bytes;
                *is_asked = false;
            }
        }
        true
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
                    Err(mpsc::TryRecvError::Disconnected) => (Err(Error::BatchFailed(None)), Vec::new()),
                }
            }
            Place::Deferred { bytes, is_asked } => {
                if !wait && !std::mem::replace(is_asked, true) {
                    return;
                }
                (write(connection, bytes), std::mem::take(bytes))
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
        if let Place::Thread { journals, thread, .. } = &mut self.place {
            *journals = None;
            if let Some(thread) = thread.take()
                && thread.join().is_err()
            {
                tracing::error!("the journal's thread ended with a panic");
            }
        }
    }
}

/// Writes a journal in a transaction of its own.
fn write(connection: &Connection, changes: &[u8]) -> Result<(), Error> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = journal::insert(connection, changes)
        .and_then(|()| Ok(connection.prepare_cached("COMMIT")?.execute([])?));
    // SQLite ends a transaction by itself after some failures.
    if written.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    written.map(drop)
}
