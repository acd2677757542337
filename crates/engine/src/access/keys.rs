//! API keys: who may do what in which namespace.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sha2::{Digest, Sha256};

/// Characters that a key has at least, so that nobody guesses it.
const SHORTEST: usize = 16;

/// What an API key lets its holder do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// A name for logs and errors, which never have the key.
    pub name: String,
    /// The namespaces that it is good for; none: all.
    pub namespaces: Option<BTreeSet<String>>,
    /// Whether it may also register, change and delete these namespaces, and use the operator's service.
    pub is_admin: bool,
}

impl Grant {
    /// Whether it is good for this namespace.
    pub(crate) fn covers(&self, namespace: &str) -> bool {
        self.namespaces
            .as_ref()
            .is_none_or(|namespaces| namespaces.contains(namespace))
    }
}

/// The keys that the gRPC port takes, as metadata `authorization: Bearer KEY`.
///
/// Only their SHA-256 is kept. A key is looked up by it, so the time that takes says nothing of how much of a key was
/// right. SHA-256 by itself is enough here because keys are random, and not words that people remember.
#[derive(Clone, Default)]
pub struct ApiKeys {
    by_hash: HashMap<[u8; 32], Arc<Grant>>,
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.by_hash.values()).finish()
    }
}

/// An API key that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It is empty or can be guessed.
    #[error(
        "the API key {name:?} has {length} characters, and fewer than {SHORTEST} can be guessed; make one by: openssl \
         rand -hex 32"
    )]
    Short {
        /// The name of the grant.
        name: String,
        /// How long it is.
        length: usize,
    },
    /// It cannot be sent as metadata.
    #[error(
        "the API key {name:?} has characters that cannot be sent; use letters, digits and punctuation of ASCII, as in: \
         openssl rand -hex 32"
    )]
    Characters {
        /// The name of the grant.
        name: String,
    },
    /// Two grants have the same key.
    #[error("the API keys {one:?} and {other:?} are the same key; give each its own")]
    Twice {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// It is good for nothing.
    #[error("the API key {name:?} is good for no namespace; name one, or all")]
    Useless {
        /// The name of the grant.
        name: String,
    },
}

impl ApiKeys {
    /// Without any key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one more key. Spaces and line ends around it are left out, as files have them.
    ///
    /// # Errors
    /// When it cannot be a key.
    pub fn add(&mut self, key: &str, grant: Grant) -> Result<(), ApiKeyError> {
        let key = key.trim();
        let name = grant.name.clone();
        if grant.namespaces.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(ApiKeyError::Useless { name });
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiKeyError::Characters { name });
        }
        if key.len() < SHORTEST {
            let length = key.len();
            return Err(ApiKeyError::Short { name, length });
        }
        let hash = hash(key.as_bytes());
        if let Some(other) = self.by_hash.get(&hash) {
            let other = other.name.clone();
            return Err(ApiKeyError::Twice { one: name, other });
        }
        self.by_hash.insert(hash, Arc::new(grant));
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// What this key is good for, if it is one.
    pub(crate) fn grant(&self, key: &[u8]) -> Option<&Arc<Grant>> {
        self.by_hash.get(&hash(key))
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn grant(name: &str) -> Grant {
        Grant {
            name: name.to_owned(),
            namespaces: Some(["orders".to_owned()].into()),
            is_admin: false,
        }
    }

    #[test]
    fn a_key_opens_what_it_is_for() {
        let mut keys = ApiKeys::new();
        keys.add(&format!("{KEY}\n"), grant("a")).unwrap();
        let found = keys.grant(KEY.as_bytes()).unwrap();
        assert!(found.covers("orders") && !found.covers("default") && !found.covers(""));
        assert!(keys.grant(b"0123456789abcdeF").is_none() && keys.grant(b"").is_none());
        let all = Grant {
            namespaces: None,
            ..grant("all")
        };
        assert!(all.covers("orders") && all.covers(""));
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_showing_it() {
        let mut keys = ApiKeys::new();
        keys.add(KEY, grant("a")).unwrap();
        let none = Grant {
            namespaces: Some(BTreeSet::new()),
            ..grant("none")
        };
        let refused = [
            ("swordfish", grant("short")),
            ("", grant("empty")),
            ("sword fish sword fish", grant("spaces")),
            ("schwertfisch schön", grant("umlaut")),
            (KEY, grant("twice")),
            ("another-key-of-some-length", none),
        ];
        for (key, grant) in refused {
            let error = keys.add(key, grant).unwrap_err().to_string();
            assert!(key.is_empty() || !error.contains(key), "{error}");
        }
        let shown = format!("{keys:?}");
        assert!(shown.contains("orders") && !shown.contains(KEY), "{shown}");
    }
}
