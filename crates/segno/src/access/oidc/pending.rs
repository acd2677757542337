//! Those who have been sent to the provider and are not back yet.

use std::{num::NonZeroUsize, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use url::Url;

use crate::access::tokens::{Hash, hash};

/// How long somebody may take to sign in.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Sign-ins at the same time; past that, the oldest has to begin again.
const MOST: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// Somebody who is signing in.
pub(super) struct Waiting {
    /// Of the text that the browser has in a cookie.
    binding: Hash,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) callback: Url,
    pub(super) next: String,
    ends: Instant,
}

impl Waiting {
    pub(super) fn new(binding: &str, nonce: String, verifier: String, callback: Url, next: String) -> Self {
        Self {
            binding: hash(binding.as_bytes()),
            nonce,
            verifier,
            callback,
            next,
            ends: Instant::now() + PATIENCE,
        }
    }
}

/// All of them, by the hash of their state.
pub(super) struct Pending(Mutex<LruCache<Hash, Waiting>>);

impl Default for Pending {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Pending {
    pub(super) fn put(&self, state: &str, waiting: Waiting) {
        self.0.lock().put(hash(state.as_bytes()), waiting);
    }

    /// The one of this state, if it is this browser's and not too late. A state is good for once.
    pub(super) fn take(&self, state: &str, binding: &str) -> Option<Waiting> {
        let waiting = self.0.lock().pop(&hash(state.as_bytes()))?;
        let is_same = bool::from(waiting.binding.ct_eq(&hash(binding.as_bytes())));
        (is_same && waiting.ends > Instant::now()).then_some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_state_is_good_once_in_one_browser_for_some_time() {
        let pending = Pending::default();
        let put = |state: &str| {
            let callback = "https://segno.example.com/".parse().unwrap();
            let waiting = Waiting::new("mine", "n".to_owned(), "v".to_owned(), callback, "/".to_owned());
            pending.put(state, waiting);
        };
        put("a");
        assert!(pending.take("b", "mine").is_none());
        assert!(pending.take("a", "mine").is_some());
        assert!(pending.take("a", "mine").is_none());
        put("a");
        assert!(pending.take("a", "another's").is_none());
        assert!(pending.take("a", "mine").is_none());
        put("a");
        tokio::time::advance(PATIENCE).await;
        assert!(pending.take("a", "mine").is_none());
    }
}
