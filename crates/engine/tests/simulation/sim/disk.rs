//! What a disk may hold after a crash.
//!
//! SQLite in WAL mode with `synchronous=FULL` writes in a fixed order: a batch's pages go to the end of the
//! write-ahead log (or over its beginning, once all of it is in the file and synced), then the log is synced,
//! and only then are pages copied into the file, which is synced before the log is used anew. So all that a
//! crash can leave in a batch follows from the two files before it and after it:
//!
//! - the file as before, and of what the log has new any part: that is all unsynced, in any order (but for the
//!   header of a log that is used anew, which is synced by itself before the rest);
//! - the log as after, and of what the file has new any part.
//!
//! Parts are sectors of 512 bytes, each old, new, or (in the log, whose frames have checksums) neither; or the
//! cut is at any byte, as where a process is killed between two writes or inside one.

use std::{fs, io, path::Path};

use super::rng::Rng;

const SECTOR: usize = 512;
/// Bytes of the log's header.
const LOG_HEADER: usize = 32;
/// Bytes of a frame of the log: its header and a page.
const FRAME: usize = 24 + 4_096;

/// Both files of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    file: Vec<u8>,
    log: Vec<u8>,
}

impl Image {
    /// Reads the files as they are now.
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        let log = match fs::read(folder.join("engine.db-wal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        Ok(Self {
            file: fs::read(folder.join("engine.db"))?,
            log,
        })
    }

    /// Writes the files into an empty folder.
    pub(crate) fn put(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("engine.db"), &self.file)?;
        fs::write(folder.join("engine.db-wal"), &self.log)
    }
}

/// What a crash left.
#[derive(Debug)]
pub(crate) struct Torn {
    pub(crate) image: Image,
    /// The batch was synced: it has to be there.
    pub(crate) is_synced: bool,
    pub(crate) how: String,
}

/// What a crash somewhere between `before` and `after` may leave.
pub(crate) fn tear(before: &Image, after: &Image, rng: &mut Rng) -> Torn {
    if before.file != after.file && rng.one_in(2) {
        let file = mixed(&before.file, &after.file, rng, false);
        let image = Image {
            file,
            log: after.log.clone(),
        };
        return Torn {
            image,
            is_synced: true,
            how: "in the middle of copying the log into the file".to_owned(),
        };
    }
    let (log, how) = match rng.below(4) {
        0 => (after.log.clone(), "after the sync"),
        1 => {
            let cut = cut(before, after, rng);
            (
                up_to(&before.log, &after.log, cut),
                "between two writes, or in one",
            )
        }
        2 => (
            log_mixed(&before.log, &after.log, rng, false),
            "some sectors are lost",
        ),
        _ => (
            log_mixed(&before.log, &after.log, rng, true),
            "some sectors are lost or garbled",
        ),
    };
    let is_synced = log == after.log;
    Torn {
        image: Image {
            file: before.file.clone(),
            log,
        },
        is_synced,
        how: how.to_owned(),
    }
}

/// Every image between two writes of a batch, and one in the middle of each write.
pub(crate) fn every_write(before: &Image, after: &Image) -> Vec<Torn> {
    let mut torn = Vec::new();
    let first = first_difference(&before.log, &after.log);
    let mut cuts = vec![0, LOG_HEADER / 2, LOG_HEADER];
    let mut at = LOG_HEADER;
    while at < after.log.len() {
        cuts.extend([at + 12, at + 24, at + 24 + 2_048, at + FRAME]);
        at += FRAME;
    }
    for cut in cuts.into_iter().filter(|cut| *cut >= first) {
        let log = up_to(&before.log, &after.log, cut);
        torn.push(Torn {
            is_synced: log == after.log,
            image: Image {
                file: before.file.clone(),
                log,
            },
            how: format!("after {cut} bytes of the log"),
        });
    }
    if before.file != after.file {
        for cut in (0..=after.file.len()).step_by(2_048) {
            torn.push(Torn {
                is_synced: true,
                image: Image {
                    file: up_to(&before.file, &after.file, cut),
                    log: after.log.clone(),
                },
                how: format!("after {cut} bytes of the file"),
            });
        }
    }
    torn
}

/// A place to cut: often one between two writes.
fn cut(before: &Image, after: &Image, rng: &mut Rng) -> usize {
    let first = first_difference(&before.log, &after.log);
    let length = after.log.len().max(first + 1);
    if rng.one_in(3) {
        return first + rng.index(length - first);
    }
    let frames = after.log.len().saturating_sub(LOG_HEADER) / FRAME;
    let at = LOG_HEADER + FRAME * rng.index(frames + 1);
    at.max(first)
}

fn first_difference(old: &[u8], new: &[u8]) -> usize {
    let same = old.iter().zip(new).take_while(|(old, new)| old == new);
    same.count()
}

/// The first `cut` bytes new, the rest old.
fn up_to(old: &[u8], new: &[u8], cut: usize) -> Vec<u8> {
    let cut = cut.min(new.len());
    let mut bytes = new[..cut].to_vec();
    bytes.extend(old.iter().skip(cut));
    bytes
}

/// A log where what was not synced is old or new, or neither. A log that is used anew gets its new header
/// first, which is synced before anything else is written: frames of the old log under the old header would
/// be taken for good until the first that is overwritten.
fn log_mixed(old: &[u8], new: &[u8], rng: &mut Rng, garbled: bool) -> Vec<u8> {
    let is_used_anew = old.len() >= LOG_HEADER && !new.starts_with(&old[..LOG_HEADER]);
    if !is_used_anew {
        return mixed(old, new, rng, garbled);
    }
    if rng.one_in(4) {
        let mut log = old.to_vec();
        let cut = rng.index(LOG_HEADER + 1);
        log[..cut].copy_from_slice(&new[..cut]);
        return log;
    }
    let mut log = mixed(old, new, rng, garbled);
    log[..LOG_HEADER].copy_from_slice(&new[..LOG_HEADER]);
    log
}

/// Each sector that differs is old or new; or, if it may be, neither.
fn mixed(old: &[u8], new: &[u8], rng: &mut Rng, garbled: bool) -> Vec<u8> {
    let mut bytes = old.to_vec();
    // What is before was synced earlier, and stays whole also where it shares a sector with what is written
    // now: SQLite takes that for granted of today's disks ("power-safe overwrite").
    let first = first_difference(old, new);
    // The length is that of the old or of the new file: it is synced, or not, like the rest.
    let length = if rng.one_in(3) {
        old.len()
    } else {
        new.len().max(old.len())
    };
    bytes.resize(length, 0);
    for start in (0..length).step_by(SECTOR) {
        let end = (start + SECTOR).min(length);
        let Some(fresh) = new.get(start..end) else {
            continue;
        };
        if end <= first || (bytes[start..end] == *fresh && start < old.len()) {
            continue;
        }
        match rng.below(if garbled { 3 } else { 2 }) {
            0 => {}
            1 => bytes[start..end].copy_from_slice(fresh),
            _ => {
                for byte in &mut bytes[start.max(first)..end] {
                    *byte = rng.next().to_le_bytes()[0];
                }
            }
        }
    }
    bytes
}
