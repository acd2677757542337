//! The file with a user's JWT and the seed of its NKey, as `nsc` makes it.
//! <https://docs.nats.io/using-nats/developer/connecting/creds>

use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError, ConnectOptions};
use nkeys::KeyPair;

/// Signs in with what the file holds whenever a connection is made: JWTs expire, and the file is replaced before or after.
pub(super) fn signing_in(path: PathBuf) -> ConnectOptions {
    ConnectOptions::with_auth_callback(move |nonce| {
        let signed = sign(&path, &nonce);
        std::future::ready(
            signed
                .map_err(|why| AuthError::new(format!("the file of credentials {}: {why}", path.display()))),
        )
    })
}

/// What a server is answered that has sent this nonce, or what is wrong with the file.
fn sign(path: &Path, nonce: &[u8]) -> Result<Auth, String> {
    // It is small, and read no more often than connections are made.
    let text = std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let (token, seed) = parts(&text).ok_or("it has no JWT with the seed of an NKey behind it")?;
    let key = KeyPair::from_seed(seed).map_err(|_| "its second part is no seed of an NKey")?;
    let signature = key.sign(nonce).map_err(|_| "its seed does not sign")?;
    let mut auth = Auth::new();
    auth.jwt = Some(token.to_owned());
    auth.signature = Some(signature);
    Ok(auth)
}

/// The JWT and the seed: the first two lines that stand alone between lines of hyphens.
fn parts(text: &str) -> Option<(&str, &str)> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let frame = |line: &str| line.starts_with("---");
    let mut found = lines.windows(3).filter_map(|lines| match *lines {
        [before, part, after] if frame(before) && frame(after) && !frame(part) && !part.is_empty() => {
            Some(part)
        }
        _ => None,
    });
    Some((found.next()?, found.next()?))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn the_two_parts_are_found_whatever_is_around_them() {
        let text = "-----BEGIN NATS USER JWT-----\r\na.b.c\r\n------END NATS USER JWT------\r\n\r\n*** keep it ***\r\n\r\n\
            -----BEGIN USER NKEY SEED-----\r\nSUA\r\n------END USER NKEY SEED------";
        assert_eq!(parts(text), Some(("a.b.c", "SUA")));
        for broken in ["", "a.b.c\nSUA", &text[..80], "---\n\n---\n---\n"] {
            assert_eq!(parts(broken), None, "{broken:?}");
        }
    }
}
