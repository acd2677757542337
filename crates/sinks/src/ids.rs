//! Idempotency keys as ids of a target, which are short and of few characters.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The text in visible ASCII and at most `limit` bytes: all else, and the percent sign, is percent-encoded; what gets too long is the
/// text's SHA-256 in hexadecimal. Different texts stay different.
pub(crate) fn id(text: &str, limit: usize) -> String {
    let mut id = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            id.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(id, "%{byte:02X}");
        }
    }
    if id.len() <= limit {
        return id;
    }
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .fold(String::new(), |id, byte| id + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_visible_and_different() {
        assert_eq!(id("route//shop/1/tell/0", 128), "route//shop/1/tell/0");
        assert_eq!(id("a b%é", 128), "a%20b%25%C3%A9");
        let long = id(&"k".repeat(129), 128);
        assert_eq!(long.len(), 64);
        assert_ne!(long, id(&"k".repeat(130), 128));
    }
}
