//! Copies of the file: made while an engine has it open, and checked before they are said to be done.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{Error, Lock, check_format, journal};
use crate::core::RunKey;

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Runs of executions, open and closed.
    pub executions: u64,
    /// The file's size.
    pub bytes: u64,
}

/// Copies the engine's file at `from` to `to`, also while an engine has it open: all that was answered
/// before is in the copy, and of what comes meanwhile nothing in part. A copy that is there already is
/// replaced once the new one is complete, checked and on disk.
///
/// Blocks, for as long as reading the whole file twice takes.
///
/// # Errors
/// When the file cannot be read or is damaged, or the copy cannot be written; then there is none.
pub fn backup(from: &Path, to: &Path) -> Result<Copied, Error> {
    refuse_itself(from, to)?;
    // What an engine has open is no copy to be replaced.
    let _lock = beside(to, ".lock").exists().then(|| Lock::take(to)).transpose()?;
    let part = Part::of(to)?;
    let copied = copy(from, &part.path)?;
    part.put(to)?;
    Ok(copied)
}

/// Puts a backup into the place of an engine's file. With `overwrite`, one that is there is replaced, with
/// all that is in it.
///
/// # Errors
/// When an engine has the file open, when there is a file and it is not to be replaced, when the backup
/// is damaged, or when the file cannot be written; then what was there is there still.
pub fn restore(from: &Path, to: &Path, overwrite: bool) -> Result<Copied, Error> {
    refuse_itself(from, to)?;
    fs::create_dir_all(folder_of(to)).map_err(|source| unopened(to, source))?;
    let _lock = Lock::take(to)?;
    if !overwrite && to.exists() {
        return Err(Error::Exists { path: to.to_owned() });
    }
    let part = Part::of(to)?;
    let copied = copy(from, &part.path)?;
    drop_log(to)?;
    part.put(to)?;
    Ok(copied)
}

/// Copies what one look at `from` sees into the new file `to`, and checks that.
fn copy(from: &Path, to: &Path) -> Result<Copied, Error> {
    if !from.is_file() {
        return Err(unopened(from, io::ErrorKind::NotFound.into()));
    }
    let name = to
        .to_str()
        .ok_or_else(|| unopened(to, io::Error::other("its name is not UTF-8")))?;
    let copied = || -> Result<(), Error> {
        // Not through `File`: to close that would take this process's locks off the file, an engine's too.
        let source = open(from)?;
        check_format(&source, from, true)?;
        source.execute("VACUUM INTO ?1", [name])?;
        Ok(())
    };
    copied().map_err(|error| match error.problem() {
        // Which of the two has no room or cannot be written is not the one that is read.
        Some(super::Problem::Full | super::Problem::ReadOnly | super::Problem::NoAccess) => error.at(to),
        _ => error.at(from),
    })?;
    check(to).map_err(|error| error.at(from))
}

/// Checks a complete copy.
fn check(copy: &Path) -> Result<Copied, Error> {
    let connection = open(copy)?;
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Error::Damaged { what: found });
    }
    check_format(&connection, copy, true)?;
    let filed: i64 = connection.query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
    let mut executions = filed.unsigned_abs();
    // Those that have no rows yet.
    let written: HashSet<RunKey> = journal::read(&connection)?
        .0
        .into_iter()
        .map(|change| change.key)
        .collect();
    let mut filed_as = connection.prepare("SELECT 1 FROM run WHERE key = ?1")?;
    for key in written {
        executions += u64::from(!filed_as.exists([key])?);
    }
    let bytes = fs::metadata(copy).map_err(|source| unopened(copy, source))?.len();
    Ok(Copied { executions, bytes })
}

fn open(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

/// Takes the write-ahead log of a file that is to be replaced away: it would be taken for the new file's.
/// Its content goes into the old file first, so that one stays whole until it is replaced.
fn drop_log(of: &Path) -> Result<(), Error> {
    if of.exists() {
        let into_file = Connection::open(of)
            .and_then(|old| old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if let Err(error) = into_file {
            // It is damaged, and goes in a moment.
            tracing::debug!(%error, "the replaced file cannot be put in order");
        }
    }
    for end in ["-wal", "-shm"] {
        match fs::remove_file(beside(of, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unopened(of, error)),
            _ => {}
        }
    }
    sync_folder(of)
}

/// A copy under way, under a name of its own. It goes if it is not put in its place.
struct Part {
    path: PathBuf,
}

impl Part {
    fn of(to: &Path) -> Result<Self, Error> {
        let mut name = OsString::from(".");
        name.push(to.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let path = folder_of(to).join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unopened(&path, error)),
            _ => Ok(Self { path }),
        }
    }

    /// Gives the complete copy its name, once it is on disk.
    fn put(self, to: &Path) -> Result<(), Error> {
        let failed = |source| unopened(to, source);
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        fs::rename(&self.path, to).map_err(failed)?;
        sync_folder(to)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already, if all went well.
        let _ = fs::remove_file(&self.path);
    }
}

fn sync_folder(of: &Path) -> Result<(), Error> {
    File::open(folder_of(of))
        .and_then(|folder| folder.sync_all())
        .map_err(|source| unopened(of, source))
}

fn refuse_itself(from: &Path, to: &Path) -> Result<(), Error> {
    let is_same = matches!((from.canonicalize(), to.canonicalize()), (Ok(from), Ok(to)) if from == to);
    if is_same {
        let what = "a file cannot be copied over itself";
        return Err(unopened(to, io::Error::new(io::ErrorKind::InvalidInput, what)));
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn unopened(path: &Path, source: io::Error) -> Error {
    Error::Open {
        path: path.to_owned(),
        source,
    }
}
