//! Timer ids: UUIDs that show whether a timer of that id was ever made.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What the checksum is taken over, before the payload: no other use of SHA-256 meets it.
const ID_DOMAIN: &[u8] = b"segno timer id\0";
/// The same for the payload of an id that comes from an idempotency key.
const KEY_DOMAIN: &[u8] = b"segno timer idempotency key\0";

const PAYLOAD_BITS: u32 = 82;
const CHECKSUM_BITS: u32 = 40;

/// A timer's id: a version 4 UUID.
///
/// Of its 122 free bits the first 82 are random and the last 40 are a checksum of these. So an id that the
/// engine no longer holds is known to be one that was given out, without keeping anything: of other UUIDs
/// one in 2^40 passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId(Uuid);

/// The text is not a UUID in its usual form (`8-4-4-4-12` hexadecimal digits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAUuid;

impl TimerId {
    /// A new random id.
    pub fn random() -> Self {
        Self::from_payload(rand::random::<u128>())
    }

    /// The id that belongs to an idempotency key: always the same one.
    pub fn from_key(key: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(KEY_DOMAIN)
            .chain_update(key)
            .finalize();
        Self::from_payload(leading_bits(&digest, PAYLOAD_BITS))
    }

    /// Whether an id like this is given out at all; what is not was never a timer's.
    pub fn is_genuine(&self) -> bool {
        let bits = self.0.as_u128();
        let free = (bits >> 80) << 74 | (bits >> 64 & 0xfff) << 62 | bits & ((1 << 62) - 1);
        Self::from_payload(free >> CHECKSUM_BITS) == *self
    }

    /// The id with the lowest 82 bits of `payload`.
    fn from_payload(payload: u128) -> Self {
        let payload = payload & ((1 << PAYLOAD_BITS) - 1);
        let digest = Sha256::new()
            .chain_update(ID_DOMAIN)
            .chain_update(payload.to_be_bytes())
            .finalize();
        let free = payload << CHECKSUM_BITS | leading_bits(&digest, CHECKSUM_BITS);
        // 48 bits, the version, 12 bits, the variant, 62 bits (RFC 9562, 5.4).
        let bits =
            (free >> 74) << 80 | 0x4 << 76 | (free >> 62 & 0xfff) << 64 | 0b10 << 62 | free & ((1 << 62) - 1);
        Self(Uuid::from_u128(bits))
    }
}

fn leading_bits(digest: &[u8], count: u32) -> u128 {
    let leading = digest
        .iter()
        .take(16)
        .fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
    leading >> (128 - count)
}

impl FromStr for TimerId {
    type Err = NotAUuid;

    fn from_str(text: &str) -> Result<Self, NotAUuid> {
        // The other forms that the parser knows (without hyphens, in braces, as URN) have other lengths.
        let uuid = if text.len() == 36 {
            Uuid::try_parse(text).ok()
        } else {
            None
        };
        uuid.map(Self).ok_or(NotAUuid)
    }
}

impl fmt::Display for TimerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::{Variant, Version};

    use super::*;

    #[test]
    fn ids_are_genuine_v4_uuids_and_differ() {
        let (one, two) = (TimerId::random(), TimerId::random());
        assert_ne!(one, two);
        for id in [one, two, TimerId::from_key(b"a")] {
            assert_eq!(id.0.get_version(), Some(Version::Random));
            assert_eq!(id.0.get_variant(), Variant::RFC4122);
            assert!(id.is_genuine());
        }
        assert_eq!(TimerId::from_key(b"a"), TimerId::from_key(b"a"));
        assert_ne!(TimerId::from_key(b"a"), TimerId::from_key(b"b"));
    }

    #[test]
    fn reads_the_usual_form_alone() {
        let id = TimerId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        for text in [
            "",
            "1",
            &id.0.simple().to_string(),
            &id.0.urn().to_string(),
            &format!("{id}0"),
        ] {
            assert_eq!(text.parse::<TimerId>(), Err(NotAUuid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn other_uuids_are_not_genuine(bits in any::<u128>()) {
            prop_assert!(!TimerId(Uuid::from_u128(bits)).is_genuine());
            let v4 = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
            prop_assert!(!TimerId(v4).is_genuine());
        }

        #[test]
        fn a_changed_bit_is_noticed(payload in any::<u128>(), bit in 0u32..128) {
            let id = TimerId::from_payload(payload);
            prop_assert!(id.is_genuine());
            prop_assert!(!TimerId(Uuid::from_u128(id.0.as_u128() ^ 1 << bit)).is_genuine());
        }
    }
}
