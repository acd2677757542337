//! Ids that follow from what they stand for, so that what is done again meets what it made before.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The UUID (version 8) of these words.
pub(crate) fn derived(words: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for word in words {
        // With its length, so that no two lists of words look the same.
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// A fingerprint of a text, in hexadecimal.
pub(crate) fn fingerprint(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_make_the_same_id_and_others_another() {
        assert_eq!(derived(&["a", "b"]), derived(&["a", "b"]));
        assert_ne!(derived(&["a", "b"]), derived(&["ab"]));
        assert_eq!(derived(&["a"]).get_version_num(), 8);
    }
}
