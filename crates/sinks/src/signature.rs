//! Signatures of [Standard Webhooks] 1.0.0: HMAC-SHA256 over `id.timestamp.body`.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::Secret;

/// Header with the message's id, the same at every attempt.
pub const ID: &str = "webhook-id";
/// Header with the time of the attempt in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Header with the signatures, separated by spaces, each `v1,` and base64.
pub const SIGNATURE: &str = "webhook-signature";

/// The value of the signature header: one signature for each secret, so that a receiver which knows only
/// the old or only the new secret finds one it can check.
pub fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let one = |secret| {
        format!(
            "v1,{}",
            STANDARD.encode(mac(secret, id, timestamp, body).finalize().into_bytes())
        )
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Why a message does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing, doubled or not of its form.
    #[error("the header {0} is missing or not of its form")]
    Header(&'static str),
    /// The timestamp is further from now than allowed.
    #[error("the timestamp is {0} seconds from now")]
    Timestamp(u64),
    /// No signature fits any of the secrets.
    #[error("no signature fits")]
    Signature,
}

/// Checks a message as its receiver does, in constant time for each signature: the timestamp is at most
/// `tolerance` from `now` (seconds since 1970) in either direction, and one of the signatures is by one of
/// `secrets`. Returns the message's id.
///
/// # Errors
///
/// [`VerifyError`], if the message is not to be trusted.
pub fn verify<'a>(
    secrets: &[Secret],
    headers: &'a HeaderMap,
    body: &[u8],
    now: i64,
    tolerance: Duration,
) -> Result<&'a str, VerifyError> {
    let header = |name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        value
            .filter(|_| values.next().is_none())
            .ok_or(VerifyError::Header(name))
    };
    let id = header(ID)?;
    let timestamp = header(TIMESTAMP)?
        .parse::<i64>()
        .map_err(|_| VerifyError::Header(TIMESTAMP))?;
    let off = now.abs_diff(timestamp);
    if off > tolerance.as_secs() {
        return Err(VerifyError::Timestamp(off));
    }
    let signatures = header(SIGNATURE)?
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"));
    for signature in signatures.filter_map(|signature| STANDARD.decode(signature).ok()) {
        if secrets
            .iter()
            .any(|secret| mac(secret, id, timestamp, body).verify_slice(&signature).is_ok())
        {
            return Ok(id);
        }
    }
    Err(VerifyError::Signature)
}

/// A message id for an idempotency key: visible ASCII without the full stop, which separates the signed
/// parts (`a.1` at time 2 and `a` at time 1 must not sign the same bytes). All else, and the percent sign,
/// is percent-encoded; what gets longer than 256 bytes is `sha256-` and the key's digest in hexadecimal.
/// A UUID stays as it is.
pub fn message_id(key: &str) -> String {
    let mut id = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_graphic() && byte != b'.' && byte != b'%' {
            id.push(char::from(byte));
        } else {
            id.push_str(&format!("%{byte:02X}"));
        }
    }
    if id.len() > 256 {
        let digest = Sha256::digest(key.as_bytes());
        id = digest
            .iter()
            .fold("sha256-".to_owned(), |id, byte| id + &format!("{byte:02x}"));
    }
    id
}

/// What stands for an idempotency key where only a few letters and digits may: 128 bits of its SHA-256 in hexadecimal.
pub fn digest(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::expect_used, reason = "HMAC is defined for keys of any length")]
fn mac(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.key()).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(300);

    fn secret(seed: u8) -> Secret {
        format!("whsec_{}", STANDARD.encode([seed; 32])).parse().unwrap()
    }

    fn headers(id: &str, timestamp: i64, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ID, id.parse().unwrap());
        headers.insert(TIMESTAMP, timestamp.into());
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers
    }

    /// The example in the specification's own reference libraries.
    #[test]
    fn signs_the_known_example() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = sign(
            &[secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn refuses_what_is_missing_old_or_of_another_scheme() {
        let (id, body, now) = ("msg_1", b"{}", 1_700_000_000);
        let good = headers(id, now, &sign(&[secret(1)], id, now, body));
        let check =
            |headers: &HeaderMap, now| verify(&[secret(1)], headers, body, now, TOLERANCE).map(str::to_owned);
        assert_eq!(check(&good, now), Ok(id.to_owned()));
        assert_eq!(check(&good, now + 300), Ok(id.to_owned()));
        assert_eq!(check(&good, now + 301), Err(VerifyError::Timestamp(301)));
        assert_eq!(check(&good, now - 301), Err(VerifyError::Timestamp(301)));
        for name in [ID, TIMESTAMP, SIGNATURE] {
            let mut without = good.clone();
            without.remove(name);
            assert_eq!(check(&without, now), Err(VerifyError::Header(name)));
            let mut twice = good.clone();
            twice.append(name, good[name].clone());
            assert_eq!(check(&twice, now), Err(VerifyError::Header(name)));
        }
        let other = good[SIGNATURE].to_str().unwrap().replace("v1,", "v1a,");
        assert_eq!(check(&headers(id, now, &other), now), Err(VerifyError::Signature));
        assert_eq!(
            verify(&[], &good, body, now, TOLERANCE),
            Err(VerifyError::Signature)
        );
    }

    #[test]
    fn ids_hold_no_full_stop_and_stay_short() {
        let uuid = "8f14e45f-ceea-467f-a5d9-0a1b2c3d4e5f";
        assert_eq!(message_id(uuid), uuid);
        assert_eq!(
            message_id("r/https://a.example/é 1%/t/0"),
            "r/https://a%2Eexample/%C3%A9%201%25/t/0"
        );
        let long = message_id(&"k".repeat(257));
        assert!(long.starts_with("sha256-") && long.len() == 7 + 64, "{long}");
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_nothing_else_does(
            key in "\\PC{1,40}",
            body in proptest::collection::vec(any::<u8>(), 0..200),
            now in 0i64..4_000_000_000,
            flip in any::<prop::sample::Index>(),
            seeds in proptest::collection::vec(1u8..100, 1..4),
        ) {
            let id = message_id(&key);
            let secrets: Vec<_> = seeds.iter().map(|seed| secret(*seed)).collect();
            let signature = sign(&secrets, &id, now, &body);
            let sent = headers(&id, now, &signature);
            // Each receiver knows one of the secrets.
            for secret in &secrets {
                prop_assert_eq!(
                    verify(std::slice::from_ref(secret), &sent, &body, now, TOLERANCE), Ok(id.as_str())
                );
            }
            let refused = |headers: &HeaderMap, body: &[u8]| {
                verify(&secrets, headers, body, now, TOLERANCE) == Err(VerifyError::Signature)
            };
            let mut longer = body.clone();
            longer.push(b' ');
            prop_assert!(refused(&sent, &longer));
            if !body.is_empty() {
                let mut changed = body.clone();
                changed[flip.index(body.len())] ^= 1;
                prop_assert!(refused(&sent, &changed));
            }
            prop_assert!(refused(&headers(&id, now + 1, &signature), &body));
            prop_assert!(refused(&headers(&(id.clone() + "x"), now, &signature), &body));
            let stranger = [secret(200)];
            prop_assert_eq!(
                verify(&stranger, &sent, &body, now, TOLERANCE), Err(VerifyError::Signature)
            );
        }

        #[test]
        fn short_keys_have_ids_of_their_own(a in "[a%.é/2E]{0,12}", b in "[a%.é/2E]{0,12}") {
            prop_assert_eq!(a == b, message_id(&a) == message_id(&b));
        }
    }
}
