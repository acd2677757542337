//! Where a peer's program is.

use std::path::{Path, PathBuf};

/// The given program, else the one of this name on `PATH`; none where it is not installed.
pub(crate) fn find(given: Option<&Path>, name: &str) -> Option<PathBuf> {
    if let Some(given) = given {
        return given.is_file().then(|| given.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
