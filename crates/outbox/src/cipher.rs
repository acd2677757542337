//! Encryption of what is kept in the outbox.

use std::{collections::BTreeMap, fmt};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};

/// Encrypts payloads on their way into the outbox and decrypts them on their way out. Whoever reads the table or a copy
/// of it sees the attributes of the events and not their data; who gets them published sees both.
pub trait Cipher: fmt::Debug + Send + Sync {
    /// Encrypts `plain`. `context` is not secret: what is decrypted under another context is refused.
    ///
    /// # Errors
    ///
    /// When it cannot; the event is not emitted then.
    fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Sealed, CipherError>;

    /// Decrypts what `seal` made under the key of this id.
    ///
    /// # Errors
    ///
    /// When the key is not known, or bytes or context are not what was sealed. The row is parked with this reason.
    fn open(&self, key_id: &str, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, CipherError>;
}

/// What [`Cipher::seal`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The id of the key, which is kept beside the bytes.
    pub key_id: String,
    /// The bytes, with whatever is needed besides the key to open them.
    pub bytes: Vec<u8>,
}

/// A payload cannot be encrypted or decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// A key is not of 32 bytes.
    #[error("the key {key_id:?} has {length} bytes; AES-256 takes 32")]
    KeyLength {
        /// The key's id.
        key_id: String,
        /// Its length.
        length: usize,
    },
    /// A key's id is empty, or longer than its column.
    #[error("a key's id has 1 to 100 characters")]
    KeyId,
    /// There is no key of this id.
    #[error("there is no key {0:?}: a key is needed until the last row under it is published")]
    UnknownKey(String),
    /// Not what was sealed: another key under the id, or a changed row.
    #[error("the payload does not open with the key {0:?}: the key is another, or the row was changed")]
    Refused(String),
    /// The system gives no random bytes, or the payload is too large.
    #[error("the payload cannot be sealed")]
    Seal,
}

/// [`Cipher`] by AES-256-GCM. New payloads are sealed with one key; older keys still open theirs, so keys are rotated by
/// adding one and making it the current one.
///
/// Each payload gets 96 random bits as its nonce, so a key should seal no more than some billion payloads. The context
/// is the event's source and id: a payload does not open in another row.
pub struct Keyring {
    current: String,
    keys: BTreeMap<String, LessSafeKey>,
    random: SystemRandom,
}

impl Keyring {
    /// A ring of one key of 32 bytes.
    ///
    /// # Errors
    ///
    /// [`CipherError::KeyLength`], [`CipherError::KeyId`].
    pub fn new(key_id: impl Into<String>, key: &[u8]) -> Result<Self, CipherError> {
        let current = key_id.into();
        let mut ring = Self {
            current: current.clone(),
            keys: BTreeMap::new(),
            random: SystemRandom::new(),
        };
        ring.insert(current, key)?;
        Ok(ring)
    }

    /// The same ring with a key that opens what was sealed with it, and seals nothing.
    ///
    /// # Errors
    ///
    /// As those of [`Keyring::new`].
    pub fn and(mut self, key_id: impl Into<String>, key: &[u8]) -> Result<Self, CipherError> {
        self.insert(key_id.into(), key)?;
        Ok(self)
    }

    fn insert(&mut self, key_id: String, key: &[u8]) -> Result<(), CipherError> {
        if key_id.is_empty() || key_id.chars().count() > 100 {
            return Err(CipherError::KeyId);
        }
        let unbound = UnboundKey::new(&AES_256_GCM, key).map_err(|_| CipherError::KeyLength {
            key_id: key_id.clone(),
            length: key.len(),
        })?;
        self.keys.insert(key_id, LessSafeKey::new(unbound));
        Ok(())
    }

    fn key(&self, key_id: &str) -> Result<&LessSafeKey, CipherError> {
        self.keys
            .get(key_id)
            .ok_or_else(|| CipherError::UnknownKey(key_id.to_owned()))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current)
            .field("keys", &self.keys.keys())
            .finish_non_exhaustive()
    }
}

impl Cipher for Keyring {
    fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Sealed, CipherError> {
        let key = self.key(&self.current)?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| CipherError::Seal)?;
        let mut text = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut text)
            .map_err(|_| CipherError::Seal)?;
        Ok(Sealed {
            key_id: self.current.clone(),
            bytes: [&nonce[..], &text].concat(),
        })
    }

    fn open(&self, key_id: &str, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, CipherError> {
        let key = self.key(key_id)?;
        let refused = || CipherError::Refused(key_id.to_owned());
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or_else(refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refused())?;
        let mut text = text.to_vec();
        let plain = key
            .open_in_place(nonce, Aad::from(context), &mut text)
            .map_err(|_| refused())?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    proptest! {
        #[test]
        fn what_is_sealed_opens_again_and_nothing_else_does(
            plain: Vec<u8>, context: Vec<u8>, flip in any::<prop::sample::Index>(),
        ) {
            let ring = Keyring::new("new", &NEW).unwrap();
            let sealed = ring.seal(&plain, &context).unwrap();
            prop_assert_eq!(ring.open("new", &sealed.bytes, &context).unwrap(), plain);
            let mut changed = sealed.bytes.clone();
            changed[flip.index(sealed.bytes.len())] ^= 1;
            prop_assert!(ring.open("new", &changed, &context).is_err());
            prop_assert!(ring.open("new", &sealed.bytes, &[&context[..], b"x"].concat()).is_err());
        }
    }

    #[test]
    fn keys_are_rotated() {
        let old = Keyring::new("old", &OLD).unwrap().seal(b"{}", b"row").unwrap();
        let ring = Keyring::new("new", &NEW).unwrap().and("old", &OLD).unwrap();
        assert_eq!(ring.open(&old.key_id, &old.bytes, b"row").unwrap(), b"{}");
        assert_eq!(ring.seal(b"{}", b"row").unwrap().key_id, "new");
        let without = Keyring::new("new", &NEW).unwrap();
        let unknown = CipherError::UnknownKey("old".to_owned());
        assert_eq!(without.open("old", &old.bytes, b"row"), Err(unknown));
    }

    #[test]
    fn keys_are_of_32_bytes_and_not_shown() {
        let error = Keyring::new("k", &[0; 16]).unwrap_err();
        assert_eq!(error.to_string(), "the key \"k\" has 16 bytes; AES-256 takes 32");
        assert_eq!(Keyring::new("", &NEW).unwrap_err(), CipherError::KeyId);
        let shown = format!("{:?}", Keyring::new("k", &NEW).unwrap());
        assert_eq!(shown, "Keyring { current: \"k\", keys: [\"k\"], .. }");
    }
}
