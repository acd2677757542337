//! What a server's SQLite file takes on disk.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};

/// Bytes of the file and of what belongs to it, after its log has been written back into it. The server
/// may run meanwhile, but should be idle.
pub(crate) fn settled_bytes(file: &Path) -> Result<u64> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .with_context(|| format!("opening {}", file.display()))?;
    connection.busy_timeout(Duration::from_secs(10))?;
    // In a journal mode without a log this does nothing.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let mut bytes = 0;
    for suffix in ["", "-wal", "-journal"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::metadata(&name) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// A size as a number to divide.
#[allow(clippy::cast_precision_loss, reason = "sizes here are far below 2^52")]
pub(crate) fn as_number(bytes: u64) -> f64 {
    bytes as f64
}
