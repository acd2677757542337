//! Sessions: people who have signed in with a browser.
//!
//! A session's id is random and known to the browser alone, in a cookie that no script can read. Sessions are kept in memory: a
//! restart signs everybody out, and processes side by side each have their own (a load balancer keeps a browser at one).

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::{
    Who,
    tokens::{Hash, hash},
};

/// How long a session is good for.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at the same time; past that, the one that ends first gives way.
const MOST: usize = 4_096;

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(crate) struct NoRandomness;

/// A random text of 256 bits.
pub(crate) fn random() -> Result<String, NoRandomness> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What the browser of a new session gets.
pub(crate) struct Opened {
    /// For the cookie.
    pub(crate) id: String,
    /// For the header of each change.
    pub(crate) csrf: String,
}

/// A session that is good.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) who: Who,
    /// What a change has to bring in a header, which a page of another origin cannot know.
    csrf: String,
    ends: Instant,
}

impl Session {
    /// Whether a header has the right text.
    pub(crate) fn is_csrf(&self, given: &[u8]) -> bool {
        bool::from(self.csrf.as_bytes().ct_eq(given))
    }

    pub(crate) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// How long it is good for still.
    pub(crate) fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }
}

/// All sessions of this process, by the hash of their ids: what is in memory opens none.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Hash, Session>>);

impl Sessions {
    /// Opens one.
    pub(crate) fn open(&self, who: Who) -> Result<Opened, NoRandomness> {
        let opened = Opened {
            id: random()?,
            csrf: random()?,
        };
        let session = Session {
            who,
            csrf: opened.csrf.clone(),
            ends: Instant::now() + LIFE,
        };
        let mut sessions = self.0.lock();
        if sessions.len() >= MOST {
            let now = Instant::now();
            sessions.retain(|_, session| session.ends > now);
        }
        if sessions.len() >= MOST
            && let Some(first) = sessions
                .iter()
                .min_by_key(|(_, session)| session.ends)
                .map(|(id, _)| *id)
        {
            sessions.remove(&first);
        }
        sessions.insert(hash(opened.id.as_bytes()), session);
        Ok(opened)
    }

    /// The session of this id, while it is good.
    pub(crate) fn get(&self, id: &str) -> Option<Session> {
        let hash = hash(id.as_bytes());
        let mut sessions = self.0.lock();
        let session = sessions.get(&hash)?;
        if session.left().is_zero() {
            sessions.remove(&hash);
            return None;
        }
        Some(session.clone())
    }

    /// Ends it.
    pub(crate) fn close(&self, id: &str) {
        self.0.lock().remove(&hash(id.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_good_until_it_ends_or_is_closed() {
        let sessions = Sessions::default();
        let open = || sessions.open(Who::new("ann", Role::Viewer)).unwrap();
        let (one, other) = (open(), open());
        assert!(one.id != other.id && one.csrf != other.csrf && one.id.len() == 43);
        let session = sessions.get(&one.id).unwrap();
        assert!(session.is_csrf(one.csrf.as_bytes()) && !session.is_csrf(other.csrf.as_bytes()));
        assert!(!session.is_csrf(b""));
        sessions.close(&one.id);
        assert!(sessions.get(&one.id).is_none() && sessions.get(&other.id).is_some());
        tokio::time::advance(LIFE).await;
        assert!(sessions.get(&other.id).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_push_out_the_oldest() {
        let sessions = Sessions::default();
        let open = || sessions.open(Who::new("ann", Role::Viewer)).unwrap();
        let first = open();
        tokio::time::advance(Duration::from_secs(1)).await;
        let rest: Vec<_> = (0..MOST).map(|_| open()).collect();
        assert!(sessions.get(&first.id).is_none());
        assert!(rest.iter().all(|session| sessions.get(&session.id).is_some()));
        assert_eq!(sessions.0.lock().len(), MOST);
    }
}
