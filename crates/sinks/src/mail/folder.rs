//! Mails as files.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{Failure, signature::digest};

/// A folder of `.eml` files, each named after its idempotency key: a mail that is written again replaces itself.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes one mail; returns when it is on disk.
    pub(super) async fn write(&self, key: &str, mail: Vec<u8>) -> Result<(), Failure> {
        let (folder, name) = (self.0.clone(), digest(key));
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &mail)).await;
        written
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| Failure::retryable(format!("the mail cannot be written to its folder: {error}")))
    }
}

/// Under another name first, so that who looks at `.eml` files sees whole ones.
fn write(folder: &Path, name: &str, mail: &[u8]) -> io::Result<()> {
    crate::folders::create(folder)?;
    // Of its own for each write: two attempts may overlap, when one is given up and still writes.
    let mut file = tempfile(folder, name)?;
    let written = file.1.write_all(mail).and_then(|()| file.1.sync_all());
    let renamed = written.and_then(|()| fs::rename(&file.0, folder.join(format!("{name}.eml"))));
    if let Err(error) = renamed {
        // Whether it can be removed changes nothing about what went wrong.
        let _ = fs::remove_file(&file.0);
        return Err(error);
    }
    // The new name is there after a crash only once its folder is on disk.
    File::open(folder)?.sync_all()
}

fn tempfile(folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let mut n = 0_u32;
    loop {
        let path = folder.join(format!(".{name}.{n}.tmp"));
        match File::create_new(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < 1_000 => n += 1,
            Err(error) => return Err(error),
        }
    }
}
