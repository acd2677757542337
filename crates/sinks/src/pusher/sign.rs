//! Signatures of requests, as [Pusher's documentation] describes them ("Authentication").
//!
//! [Pusher's documentation]: https://pusher.com/docs/channels/library_auth_reference/rest-api/#authentication

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;

/// The query of a POST to `path` with this body at this time (seconds since 1970). The parameters are in the order of
/// their names, as they are signed.
pub fn query(
    key: &str,
    secret: &str,
    path: &str,
    body: &[u8],
    timestamp: u64,
) -> [(&'static str, String); 5] {
    let parameters = [
        ("auth_key", key.to_owned()),
        ("auth_timestamp", timestamp.to_string()),
        ("auth_version", "1.0".to_owned()),
        ("body_md5", hex::encode(Md5::digest(body))),
    ];
    let query: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut mac = mac(secret);
    mac.update(format!("POST\n{path}\n{}", query.join("&")).as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let [key, timestamp, version, md5] = parameters;
    [key, ("auth_signature", signature), timestamp, version, md5]
}

#[expect(clippy::expect_used, reason = "HMAC is defined for keys of any length")]
fn mac(secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the documentation.
    #[test]
    fn signs_as_the_documentation_does() {
        let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let query = query(
            "278d425bdf160c739803",
            "7ad3773142a6692b25b8",
            "/apps/3/events",
            body,
            1_353_088_179,
        );
        let value = |name| &query.iter().find(|(other, _)| *other == name).unwrap().1;
        assert_eq!(value("body_md5"), "ec365a775a4cd0599faeb73354201b6f");
        assert_eq!(
            value("auth_signature"),
            "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
    }
}
