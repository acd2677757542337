//! Appending lines so that they are whole and on disk.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Appends to one file, opened anew for each batch: so a file that was moved away is not written to.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
}

impl Writer {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Appends `lines`, each with its line feed, one write each; returns when all are on disk. After an
    /// error, any of them may be there.
    pub(super) fn append<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let mut file = self.open()?;
        // Goes with the file at the end. Without it, a line that another process is just writing would
        // look torn.
        file.lock()?;
        if !ends_with_line_feed(&mut file)? {
            // What was torn by a crash or a full disk stays a line of its own.
            file.write_all(b"\n")?;
        }
        for line in lines {
            file.write_all(line)?;
        }
        file.sync_data()
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).read(true);
        match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let file = options.create(true).open(&self.path)?;
        // A new file is there after a crash only once its folder is on disk.
        File::open(folder)?.sync_all()?;
        Ok(file)
    }
}

fn ends_with_line_feed(file: &mut File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    // Of what is no regular file (a pipe, a device) the end cannot be read.
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_stays_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/lines");
        let writer = Writer::new(path.clone());
        writer.append([b"one\n".as_slice()].into_iter()).unwrap();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"tor")
            .unwrap();
        writer
            .append([b"two\n".as_slice(), b"three\n"].into_iter())
            .unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntor\ntwo\nthree\n");
    }

    #[test]
    fn a_file_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("lines"), folder.path().join("old"));
        let writer = Writer::new(path.clone());
        writer.append([b"one\n".as_slice()].into_iter()).unwrap();
        std::fs::rename(&path, &old).unwrap();
        writer.append([b"two\n".as_slice()].into_iter()).unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }
}
