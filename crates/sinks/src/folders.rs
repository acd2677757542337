//! Making folders that are there after a crash.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Makes a folder and those above it where they are missing. Each new name is on disk when this returns.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        create(above)?;
    }
    match fs::create_dir(path) {
        // Another was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_what_is_missing_and_names_what_is_in_the_way() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b/c");
        create(&path).unwrap();
        create(&path).unwrap();
        assert!(path.is_dir());
        fs::write(path.join("file"), "x").unwrap();
        create(&path.join("file/d")).unwrap_err();
    }
}
