//! What the processes of runs leave behind: a folder for each, `<base>/<run>/<process>`, that the platform can read. On
//! Kubernetes it is a volume that all of them mount.
//!
//! | file | is |
//! |---|---|
//! | `records.jsonl` | the records, one JSON value a line |
//! | `stats.json` | how far the process is, written anew now and then |
//! | `metadata.json` | the count that the process has made of its records, written at its end |
//! | `files/` | supporting files: what was fetched |

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use uuid::Uuid;

/// The name of the records' file.
pub const RECORDS: &str = "records.jsonl";
/// The name of the file of statistics.
pub const STATS: &str = "stats.json";
/// The name of the file of metadata.
pub const METADATA: &str = "metadata.json";
/// The name of the folder of supporting files.
pub const FILES: &str = "files";

/// How far a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Pages that it has fetched.
    pub pages: u64,
    /// Records that it has written.
    pub records: u64,
    /// Pages that it could not fetch.
    pub errors: u64,
}

/// What a process has counted at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Records that it has written.
    pub records: u64,
}

/// The folders of all runs.
#[derive(Clone, Debug)]
pub struct Outputs {
    base: PathBuf,
}

impl Outputs {
    /// Folders below this one.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// The folder of a run.
    pub fn of_run(&self, run: Uuid) -> PathBuf {
        self.base.join(run.to_string())
    }

    /// The folder of a run's process.
    pub fn of(&self, run: Uuid, process: u32) -> PathBuf {
        self.of_run(run).join(process.to_string())
    }

    /// How far a process is; None if it has said nothing (that can be read) yet.
    pub async fn stats(&self, run: Uuid, process: u32) -> Option<Stats> {
        read_json(&self.of(run, process).join(STATS)).await.ok().flatten()
    }

    /// The count that a process has made; None if it has not.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read.
    pub async fn metadata(&self, run: Uuid, process: u32) -> io::Result<Option<Metadata>> {
        read_json(&self.of(run, process).join(METADATA)).await
    }

    /// The records of a process. One without the file has none.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub async fn records(&self, run: Uuid, process: u32) -> io::Result<Records> {
        let path = self.of(run, process).join(RECORDS);
        let lines = match tokio::fs::File::open(&path).await {
            Ok(file) => Some(BufReader::new(file).lines()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Records {
            path,
            lines,
            count: 0,
        })
    }

    /// The supporting files of a run: the process, the path below its folder, and where the file is.
    ///
    /// # Errors
    ///
    /// When a folder cannot be read.
    pub async fn files(&self, run: Uuid, processes: u32) -> io::Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for process in 0..processes {
            let root = self.of(run, process).join(FILES);
            let mut folders = vec![root.clone()];
            while let Some(folder) = folders.pop() {
                let mut entries = match tokio::fs::read_dir(&folder).await {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                while let Some(entry) = entries.next_entry().await? {
                    let ty = entry.file_type().await?;
                    if ty.is_dir() {
                        folders.push(entry.path());
                    } else if ty.is_file() {
                        let path = entry.path();
                        let below = path.strip_prefix(&root).unwrap_or(&path);
                        let name = below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
                        files.push((format!("{process}/{name}"), path));
                    }
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

/// The records of a process, one after the other.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    lines: Option<Lines<BufReader<tokio::fs::File>>>,
    count: u64,
}

impl Records {
    /// The next record, as JSON; None after the last.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a line is no JSON ([`io::ErrorKind::InvalidData`]).
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        while let Some(line) = lines.next_line().await? {
            self.count += 1;
            if line.is_empty() {
                continue;
            }
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&line) {
                let text = format!("{}, line {}: {error}", self.path.display(), self.count);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            return Ok(Some(line));
        }
        Ok(None)
    }
}

async fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match tokio::fs::read(path).await {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file so that readers see the old one or the new one, whole.
///
/// # Errors
///
/// When the disk does not take it.
pub async fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = tokio::fs::File::create(&beside).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&beside, path).await
}
