//! Webhook signing secrets.

use std::{fmt, str::FromStr};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Deserialize, Deserializer, de};

/// Base64 with or without its padding: people copy secrets from many places.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signing secret: 24 to 64 bytes, written `whsec_` and their base64 (Standard Webhooks 1.0.0, "Signature
/// scheme").
///
/// It never shows what it holds:
///
/// ```
/// let secret: segno_sinks::Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// assert_eq!(format!("{secret} {secret:?}"), "whsec_*** Secret(***)");
/// # Ok::<(), segno_sinks::SecretError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The key of the HMAC.
    pub(crate) fn key(&self) -> &[u8] {
        &self.0
    }
}

/// Why a text is no [`Secret`]. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It does not begin with `whsec_`.
    #[error("a webhook secret begins with \"whsec_\"")]
    Prefix,
    /// What follows is not base64.
    #[error("a webhook secret is base64 after \"whsec_\"")]
    Base64,
    /// It has this many bytes.
    #[error("a webhook secret has 24 to 64 bytes and this one has {0}")]
    Length(usize),
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SecretError::Prefix)?;
        let key = BASE64.decode(encoded).map_err(|_| SecretError::Base64)?;
        if (24..=64).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(SecretError::Length(key.len()))
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_standard_describes_only() {
        assert!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse::<Secret>().is_ok());
        let padded: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA==".parse().unwrap();
        assert_eq!(Ok(padded), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA".parse());
        for (text, error) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::Prefix),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", SecretError::Base64),
            ("whsec_", SecretError::Length(0)),
            ("whsec_c2hvcnQ=", SecretError::Length(5)),
        ] {
            assert_eq!(text.parse::<Secret>(), Err(error));
        }
        let long = format!("whsec_{}", BASE64.encode([7; 65]));
        assert_eq!(long.parse::<Secret>(), Err(SecretError::Length(65)));
    }

    #[test]
    fn an_error_does_not_show_it() {
        let error = serde_json::from_str::<Secret>("\"hunter2\"").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
