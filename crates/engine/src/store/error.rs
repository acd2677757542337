//! What goes wrong with the engine's file, and how it is mended.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::FORMAT;

/// What goes wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open for writing.
    #[error("{} is in use by another process; stop that one first", path.display())]
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
    #[error(
        "{} has the format {found}, this version reads format {FORMAT}; use the version that wrote it, or a backup of \
         this one's",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// The file cannot be used as it is.
    #[error("{}: {problem}; {}", path.display(), problem.remedy())]
    File {
        /// The file.
        path: PathBuf,
        /// What is the matter.
        problem: Problem,
        /// How that showed.
        #[source]
        source: Box<Error>,
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
    /// A stored message does not decode, or the file is not as the engine leaves it.
    #[error("the engine's file is damaged: {what}")]
    Damaged {
        /// Which record.
        what: String,
    },
    /// An earlier write of the same batch has failed, so the batch will not be written.
    #[error("an earlier write of the batch has failed")]
    BatchFailed(Option<Problem>),
    /// A file is there that is not to be replaced.
    #[error("{} is there already; say `--yes` to replace it, with all that is in it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

/// What is the matter with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No room is left for it.
    #[error("the disk is full")]
    Full,
    /// It may be read and not written.
    #[error("it cannot be written")]
    ReadOnly,
    /// It is there, and it is no file, or may not be opened.
    #[error("it cannot be opened")]
    NoAccess,
    /// Something else than the engine has written it.
    #[error("it is not a file of the engine")]
    NotTheEngines,
    /// Part of it is not what the engine has written.
    #[error("it is damaged")]
    Damaged,
    /// Another program keeps it locked.
    #[error("another program has locked it")]
    Locked,
    /// The disk does not do what it is asked for.
    #[error("the disk fails")]
    Disk,
}

impl Problem {
    /// How it is mended.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Full => "make room: nothing that was answered is lost, and the engine goes on by itself",
            Self::ReadOnly => "let this process write the file and its folder",
            Self::NoAccess => "it has to be a file that this process may read and write, as its folder",
            Self::NotTheEngines => "name another file, or restore a backup with `segno restore`",
            Self::Damaged => "restore a backup with `segno restore`; what is not damaged is served meanwhile",
            Self::Locked => "close what else has the file open",
            Self::Disk => {
                "look at the system's log; nothing that was answered is lost, and the engine tries again"
            }
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite {
            operation: "read or written",
            source,
        }
    }
}

impl Error {
    /// The same, with the file that it is about and what can be done.
    #[must_use]
    pub(crate) fn at(self, path: &Path) -> Self {
        match self.problem() {
            Some(problem) if !matches!(self, Self::File { .. }) => Self::File {
                path: path.to_owned(),
                problem,
                source: Box::new(self),
            },
            _ => self,
        }
    }

    /// What is the matter with the file, where that is what the error means.
    pub fn problem(&self) -> Option<Problem> {
        match self {
            Self::File { problem, .. } => Some(*problem),
            Self::Damaged { .. } => Some(Problem::Damaged),
            Self::Open { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Some(Problem::Full),
                std::io::ErrorKind::ReadOnlyFilesystem => Some(Problem::ReadOnly),
                _ => Some(Problem::NoAccess),
            },
            Self::Sqlite { source, .. } => match source {
                rusqlite::Error::SqliteFailure(error, _) => problem_of(error.code),
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..) => Some(Problem::Damaged),
                _ => None,
            },
            Self::BatchFailed(problem) => *problem,
            Self::InUse { .. } | Self::Format { .. } | Self::Exists { .. } => None,
        }
    }

    /// Whether part of the file is not what the engine has written: to try again does not help.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self.problem(), Some(Problem::Damaged | Problem::NotTheEngines))
    }
}

/// Source: "Result and Error Codes" of SQLite's documentation.
fn problem_of(code: ErrorCode) -> Option<Problem> {
    match code {
        ErrorCode::DiskFull => Some(Problem::Full),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Some(Problem::ReadOnly),
        ErrorCode::CannotOpen => Some(Problem::NoAccess),
        ErrorCode::NotADatabase => Some(Problem::NotTheEngines),
        ErrorCode::DatabaseCorrupt | ErrorCode::TypeMismatch => Some(Problem::Damaged),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Problem::Locked),
        ErrorCode::SystemIoFailure => Some(Problem::Disk),
        _ => None,
    }
}
