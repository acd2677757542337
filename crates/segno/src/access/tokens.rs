//! Tokens: what programs send with each request, and people sign in with.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::Who;
use crate::config::{KeySource, Token};

/// Characters that a token has at least, so that nobody guesses it.
const SHORTEST: usize = 16;

/// A token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// An environment variable is missing.
    #[error(
        "the environment variable {variable} of the token {name:?} is not set, or is no text; set it to the token, or \
         take the token out of [[http.tokens]]"
    )]
    Variable {
        /// The token's name.
        name: String,
        /// The variable.
        variable: String,
    },
    /// A file cannot be read.
    #[error(
        "the file {} of the token {name:?} cannot be read: {source}; check the path, and that this user may read the file",
        path.display()
    )]
    File {
        /// The token's name.
        name: String,
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is empty or can be guessed.
    #[error(
        "the token {name:?} has {length} characters, and fewer than {SHORTEST} can be guessed; make one by: openssl rand \
         -hex 32"
    )]
    Short {
        /// Its name.
        name: String,
        /// How long it is.
        length: usize,
    },
    /// It cannot be sent in a header.
    #[error(
        "the token {name:?} has characters that cannot be sent; use letters, digits and punctuation of ASCII, as in: \
         openssl rand -hex 32"
    )]
    Characters {
        /// Its name.
        name: String,
    },
    /// Two have the same text.
    #[error("the tokens {one:?} and {other:?} are the same; give each its own")]
    Twice {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
}

/// SHA-256 of a secret. By itself it is enough, because tokens are random, and not words that people remember.
pub(super) type Hash = [u8; 32];

pub(super) fn hash(secret: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    hash
}

/// The tokens of the configuration. Only their hashes are kept.
#[derive(Default)]
pub(super) struct Tokens(Vec<(Hash, Who)>);

impl Tokens {
    /// Reads them from where they are.
    pub(super) fn read(configured: &[Token]) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        for token in configured {
            tokens.add(&text_of(token)?, Who::new(&token.name, token.role))?;
        }
        Ok(tokens)
    }

    /// Takes one more. Spaces and line ends around it are left out, as files have them.
    fn add(&mut self, text: &str, who: Who) -> Result<(), TokenError> {
        let text = text.trim();
        let name = who.name.to_string();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters { name });
        }
        if text.len() < SHORTEST {
            let length = text.len();
            return Err(TokenError::Short { name, length });
        }
        let hash = hash(text.as_bytes());
        if let Some((_, other)) = self.0.iter().find(|(other, _)| *other == hash) {
            let other = other.name.to_string();
            return Err(TokenError::Twice { one: name, other });
        }
        self.0.push((hash, who));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token this is. All are compared, each in the same time however much of it is right.
    pub(super) fn who(&self, text: &str) -> Option<&Who> {
        let hash = hash(text.as_bytes());
        let mut found = None;
        for (other, who) in &self.0 {
            if bool::from(hash.ct_eq(other)) {
                found = Some(who);
            }
        }
        found
    }
}

fn text_of(token: &Token) -> Result<String, TokenError> {
    let name = || token.name.clone();
    match &token.source {
        KeySource::Env(variable) => std::env::var(variable).map_err(|_| TokenError::Variable {
            name: name(),
            variable: variable.clone(),
        }),
        KeySource::File(path) => std::fs::read_to_string(path).map_err(|source| TokenError::File {
            name: name(),
            path: path.clone(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    #[test]
    fn a_token_is_known_by_its_whole_text() {
        let mut tokens = Tokens::default();
        tokens
            .add("0123456789abcdef\n", Who::new("ops", Role::Operator))
            .unwrap();
        tokens
            .add("0123456789abcdeF", Who::new("root", Role::Admin))
            .unwrap();
        assert_eq!(tokens.who("0123456789abcdef").unwrap().role, Role::Operator);
        assert_eq!(tokens.who("0123456789abcdeF").unwrap().role, Role::Admin);
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789abcdef\n"] {
            assert!(tokens.who(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_told_without_it() {
        let mut tokens = Tokens::default();
        let who = || Who::new("ops", Role::Operator);
        for (text, code) in [
            ("swordfish", "fewer than 16"),
            ("sword fish sword fish", "characters"),
        ] {
            let error = tokens.add(text, who()).unwrap_err().to_string();
            assert!(error.contains(code) && !error.contains("sword"), "{error}");
        }
        tokens.add("0123456789abcdef", who()).unwrap();
        let error = tokens.add("0123456789abcdef", Who::new("other", Role::Viewer));
        assert!(error.unwrap_err().to_string().contains("the same"));
    }
}
