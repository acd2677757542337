//! The keys, and what they do to one payload.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

/// Metadata that says how a payload is encoded.
const ENCODING: &str = "encoding";
/// The encoding of what is encrypted.
const ENCRYPTED: &[u8] = b"binary/encrypted";
/// Metadata that names the key.
const KEY_ID: &str = "encryption-key-id";

/// Keys by name. The first encrypts, and each decrypts what is encrypted by it; without any, nothing is encrypted.
#[derive(Clone, Default)]
pub struct Keyring(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    name: String,
    key: LessSafeKey,
}

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is neither base64 nor hex.
    #[error("it is neither base64 nor hexadecimal")]
    Text,
    /// It is too short or too long.
    #[error("it has {0} bytes, and a key has 32")]
    Length(usize),
}

/// A payload that cannot be decrypted here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("encrypted with key {0:?}, which is not configured")]
    NoKey(String),
    #[error("encrypted with key {0:?}, but not with the one that is configured under this name, or damaged")]
    WrongKey(String),
}

impl Keyring {
    /// Adds a key of 32 bytes, written in base64 or hexadecimal; spaces and line ends around it do not count.
    ///
    /// # Errors
    /// [`KeyError`], which never quotes the text.
    pub fn with(self, name: &str, text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        // 64 hexadecimal digits are base64 too, of 48 bytes.
        let bytes = match hex(text) {
            Some(bytes) if bytes.len() == 32 => bytes,
            _ => STANDARD.decode(text).map_err(|_| KeyError::Text)?,
        };
        let length = |_| KeyError::Length(bytes.len());
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(length)?;
        let added = Key {
            name: name.to_owned(),
            key: LessSafeKey::new(key),
        };
        let keys = self.0.iter().cloned().chain([added]);
        Ok(Self(keys.collect()))
    }

    /// Whether there is no key: nothing is encrypted then.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, that of the key which encrypts first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.name.as_str())
    }

    /// The payload as it is stored. One that is encrypted already stays as it is.
    pub(crate) fn encrypt(&self, payload: Payload) -> Result<Payload, Failed> {
        match self.0.first() {
            Some(key) if key_of(&payload).is_none() => key.encrypt(&payload),
            _ => Ok(payload),
        }
    }

    /// The same by the key of this name.
    pub(super) fn encrypt_by(&self, name: &str, payload: &Payload) -> Option<Result<Payload, Failed>> {
        let key = self.0.iter().find(|key| key.name == name)?;
        Some(key.encrypt(payload))
    }

    /// The payload as it was before. One that is not encrypted stays as it is.
    pub(crate) fn decrypt(&self, payload: Payload) -> Result<Payload, Unreadable> {
        let Some(name) = key_of(&payload) else {
            return Ok(payload);
        };
        match self.0.iter().find(|key| key.name == name) {
            Some(key) => key.decrypt(&payload).ok_or(Unreadable::WrongKey(name)),
            None => Err(Unreadable::NoKey(name)),
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// The name of the key that a payload is encrypted with; none if it is not.
pub(super) fn key_of(payload: &Payload) -> Option<String> {
    if payload.metadata.get(ENCODING).map(Vec::as_slice) != Some(ENCRYPTED) {
        return None;
    }
    let name = payload
        .metadata
        .get(KEY_ID)
        .map(Vec::as_slice)
        .unwrap_or_default();
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The system gives no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the payload cannot be encrypted: the system gives no random numbers")]
pub(crate) struct Failed;

impl Key {
    /// A random nonce, then the ciphertext of the whole payload, metadata included, then its tag.
    fn encrypt(&self, payload: &Payload) -> Result<Payload, Failed> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Failed)?;
        let mut text = payload.encode_to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
            .map_err(|_| Failed)?;
        let mut data = Vec::with_capacity(NONCE_LEN + text.len());
        data.extend_from_slice(&nonce);
        data.append(&mut text);
        let metadata = [
            (ENCODING.to_owned(), ENCRYPTED.to_vec()),
            (KEY_ID.to_owned(), self.name.clone().into_bytes()),
        ];
        Ok(Payload {
            metadata: metadata.into(),
            data,
            ..Default::default()
        })
    }

    fn decrypt(&self, payload: &Payload) -> Option<Payload> {
        let (nonce, text) = payload.data.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        Payload::decode(&*plain).ok()
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(names: &[(&str, u8)]) -> Keyring {
        names.iter().fold(Keyring::default(), |ring, (name, byte)| {
            ring.with(name, &STANDARD.encode([*byte; 32])).unwrap()
        })
    }

    fn payload(data: &[u8]) -> Payload {
        Payload {
            metadata: [(ENCODING.to_owned(), b"json/plain".to_vec())].into(),
            data: data.to_vec(),
            ..Default::default()
        }
    }

    proptest! {
        #[test]
        fn what_is_encrypted_is_decrypted(data in prop::collection::vec(any::<u8>(), 0..300)) {
            let (ring, payload) = (ring(&[("a", 1), ("b", 2)]), payload(&data));
            let stored = ring.encrypt(payload.clone()).unwrap();
            prop_assert_eq!(&stored.metadata[KEY_ID], b"a");
            prop_assert_eq!(ring.encrypt(stored.clone()).unwrap(), stored.clone());
            prop_assert_eq!(ring.decrypt(stored).unwrap(), payload);
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0_usize..60, by in 1_u8..) {
            let ring = ring(&[("a", 1)]);
            let mut stored = ring.encrypt(payload(b"some data, long enough for that")).unwrap();
            stored.data[at] ^= by;
            prop_assert_eq!(ring.decrypt(stored), Err(Unreadable::WrongKey("a".into())));
        }
    }

    #[test]
    fn each_key_reads_what_it_wrote() {
        let old = ring(&[("a", 1)]).encrypt(payload(b"1")).unwrap();
        assert_eq!(
            ring(&[("b", 2), ("a", 1)]).decrypt(old.clone()).unwrap(),
            payload(b"1")
        );
        let unknown = ring(&[("b", 2)]).decrypt(old.clone()).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "encrypted with key \"a\", which is not configured"
        );
        assert_eq!(
            ring(&[("a", 2)]).decrypt(old),
            Err(Unreadable::WrongKey("a".into()))
        );
        // The same twice is not the same.
        let twice = ring(&[("a", 1)]);
        assert_ne!(
            twice.encrypt(payload(b"1")).unwrap().data,
            twice.encrypt(payload(b"1")).unwrap().data
        );
    }

    #[test]
    fn without_keys_all_stays_as_it_is() {
        let none = Keyring::default();
        assert_eq!(none.encrypt(payload(b"1")).unwrap(), payload(b"1"));
        assert_eq!(none.decrypt(payload(b"1")).unwrap(), payload(b"1"));
    }

    #[test]
    fn keys_are_base64_or_hexadecimal() {
        let stored = ring(&[("a", 0xab)]).encrypt(payload(b"1")).unwrap();
        let hex = Keyring::default()
            .with("a", &format!(" {}\n", "aB".repeat(32)))
            .unwrap();
        assert_eq!(hex.decrypt(stored).unwrap(), payload(b"1"));
        for (text, error) in [
            ("swordfish!", KeyError::Text),
            ("", KeyError::Length(0)),
            (&STANDARD.encode([0; 16]), KeyError::Length(16)),
            (&"ab".repeat(33), KeyError::Text),
        ] {
            assert_eq!(Keyring::default().with("a", text).unwrap_err(), error, "{text}");
        }
        assert_eq!(format!("{:?}", ring(&[("a", 1)])), "[\"a\"]");
    }
}
