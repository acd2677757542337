//! Files that came with mails, kept from when a mail is taken in until they are in its ticket: an event is too small for them.
//!
//! A file lies under a name that is made of its mail's `Message-ID` and its place in the mail: a mail that is handed in again has
//! its files where they are. They stay for a while after, so that an event that has failed can be tried again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use segno_crawl_clients::Failure;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::thread::hex;
use crate::archive::{Archive, ArchiveError};

/// Where they lie in the archive.
const FOLDER: &str = "mail";
/// How long they stay.
const KEPT: time::Duration = time::Duration::days(30);
/// How often those are looked for that have been there for that long.
const SWEEP: Duration = Duration::from_secs(3600);

/// Where the file at this place of a mail is kept, from 0.
pub fn place(message_id: &str, number: usize) -> String {
    let digest = Sha256::digest(message_id);
    format!("{FOLDER}/{}/{number}", hex(&digest[..16]))
}

/// Keeps files of mails. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MailFiles {
    archive: Archive,
    swept: Arc<Mutex<Option<Instant>>>,
}

impl MailFiles {
    /// Keeps them beside the supporting files of runs.
    pub fn new(archive: Archive) -> Self {
        Self {
            archive,
            swept: Arc::default(),
        }
    }

    /// Keeps one; also removes those that have been here for long, now and then.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn keep(&self, place: &str, bytes: Bytes) -> Result<(), ArchiveError> {
        self.archive.put(place, bytes).await?;
        if self.is_due() {
            let before = OffsetDateTime::now_utc() - KEPT;
            // The mail is kept all the same.
            if let Err(error) = self.archive.purge(FOLDER, before).await {
                tracing::warn!(%error, "old files of mails are not removed");
            }
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = swept.is_none_or(|at| at.elapsed() >= SWEEP);
        if due {
            *swept = Some(Instant::now());
        }
        due
    }

    /// One, if it is there.
    ///
    /// # Errors
    /// When the archive does not answer.
    pub(super) async fn get(&self, place: &str) -> Result<Option<Bytes>, Failure> {
        let found = self.archive.get(place).await;
        found.map_err(|error| Failure::retryable(format!("a file of a mail cannot be read: {error}")))
    }
}
