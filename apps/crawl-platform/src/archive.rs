//! Supporting files: what a run has fetched, zipped while it is uploaded, so that neither the disk nor the memory holds an
//! archive.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, buffered::BufWriter, local::LocalFileSystem, path::Path as Key,
};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;
use tokio_util::io::SyncIoBridge;
use uuid::Uuid;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::output::Outputs;

/// Bytes between the one that zips and the one that uploads.
const PIPE: usize = 1 << 20;

/// An archive was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A file cannot be read.
    #[error("the supporting files cannot be read: {0}")]
    Read(#[from] io::Error),
    /// They cannot be zipped.
    #[error("the supporting files cannot be zipped: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// The store does not take the archive.
    #[error("the archive cannot be stored: {0}")]
    Store(#[from] object_store::Error),
    /// The location is none.
    #[error("archives cannot be kept at {location:?}: {reason}")]
    Location {
        /// As it is configured.
        location: String,
        /// Why.
        reason: String,
    },
}

/// Keeps archives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    shown: String,
}

impl Archive {
    /// Keeps archives in a folder, or below `s3://bucket/prefix` with the keys and region of the usual variables (`AWS_…`).
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Location`].
    pub fn at(location: &str) -> Result<Self, ArchiveError> {
        let refused = |reason: String| ArchiveError::Location {
            location: location.to_owned(),
            reason,
        };
        if location.starts_with("s3://") {
            if rustls::crypto::CryptoProvider::get_default().is_none() {
                // Another thread may have been quicker, with the same. Without one the store's client panics.
                drop(rustls::crypto::ring::default_provider().install_default());
            }
            let url = url::Url::parse(location).map_err(|error| refused(error.to_string()))?;
            let store = object_store::aws::AmazonS3Builder::from_env()
                .with_url(location)
                .build()
                .map_err(|error| refused(error.to_string()))?;
            let prefix = Key::from_url_path(url.path()).map_err(|error| refused(error.to_string()))?;
            return Ok(Self {
                store: Arc::new(store),
                prefix,
                shown: location.trim_end_matches('/').to_owned(),
            });
        }
        let folder = PathBuf::from(location);
        std::fs::create_dir_all(&folder).map_err(|error| refused(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| refused(error.to_string()))?;
        Ok(Self {
            store: Arc::new(store),
            prefix: Key::default(),
            shown: location.trim_end_matches('/').to_owned(),
        })
    }

    /// Keeps the supporting files of a run as one archive and returns where; None if there are none. Again it writes the same
    /// archive in the place of the one before.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]; then no archive is there.
    pub async fn keep(
        &self,
        outputs: &Outputs,
        run: Uuid,
        processes: u32,
    ) -> Result<Option<String>, ArchiveError> {
        let files = outputs.files(run, processes).await?;
        if files.is_empty() {
            return Ok(None);
        }
        let name = format!("{run}.zip");
        let key = self.prefix.clone().join(name.as_str());
        let (pipe, mut reader) = tokio::io::duplex(PIPE);
        let zipping = tokio::task::spawn_blocking(move || zip(files, SyncIoBridge::new(pipe)));
        let mut writer = BufWriter::new(Arc::clone(&self.store), key);
        let copied = tokio::io::copy(&mut reader, &mut writer).await;
        drop(reader);
        let zipped = zipping.await.map_err(io::Error::other)?;
        // What broke the upload also broke the pipe.
        match copied.map_err(ArchiveError::from).and(zipped) {
            Ok(()) => {
                writer.shutdown().await?;
                Ok(Some(format!("{}/{name}", self.shown)))
            }
            Err(error) => {
                writer.abort().await?;
                Err(error)
            }
        }
    }

    fn key(&self, name: &str) -> Key {
        let parts = name.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// Keeps a file under a name like a path, in the place of one that was there.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Store`].
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), ArchiveError> {
        self.store.put(&self.key(name), bytes.into()).await?;
        Ok(())
    }

    /// What is in a file that was [put](Self::put) here; None if there is none.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Store`].
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, ArchiveError> {
        match self.store.get(&self.key(name)).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the files below a name that were put there before a time; returns how many.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Store`]; some may be removed then.
    pub async fn purge(&self, name: &str, before: OffsetDateTime) -> Result<usize, ArchiveError> {
        let below = self.key(name);
        let listed: Vec<_> = self.store.list(Some(&below)).try_collect().await?;
        let old = listed
            .into_iter()
            .filter(|file| file.last_modified.timestamp() < before.unix_timestamp());
        let mut removed = 0;
        for file in old {
            self.store.delete(&file.location).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Writes the archive; the pipe's end is closed only when it is whole.
fn zip(
    files: Vec<(String, PathBuf)>,
    mut pipe: SyncIoBridge<tokio::io::DuplexStream>,
) -> Result<(), ArchiveError> {
    let mut archive = ZipWriter::new_stream(&mut pipe);
    for (name, path) in files {
        archive.start_file(name, SimpleFileOptions::default())?;
        io::copy(&mut std::fs::File::open(path)?, &mut archive)?;
    }
    archive.finish()?.into_inner().flush()?;
    Ok(())
}
