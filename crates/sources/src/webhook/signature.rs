//! How senders sign. Every comparison takes the same time, whatever is wrong.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{KeyInit, Mac};
use segno_event::Confidential;
use serde::Deserialize;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::{Error, answer::text};

/// Base64 with or without its padding: people copy secrets from many places.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the sender signs. In a configuration a name, or a table with `hmac` or `token`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Standard Webhooks 1.0.0; secrets are `whsec_` and base64.
    Standard,
    /// `X-Hub-Signature-256`.
    Github,
    /// `Stripe-Signature: t=…,v1=…`.
    Stripe,
    /// An HMAC of the body in a header.
    Hmac(Hmac),
    /// The secret itself in a header.
    Token(Token),
}

/// An HMAC of the body in a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// The header.
    pub header: String,
    /// The hash.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How the HMAC is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before it, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
}

/// A hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal digits.
    #[default]
    Hex,
    /// Base64.
    Base64,
}

/// The secret itself in a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The header.
    pub header: String,
}

/// Why a call is not believed. It says nothing that would help to make a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// A header is missing, there twice, or not of its form.
    #[error("the header {0} is missing, there twice or not of its form")]
    Header(String),
    /// The signature is of another time.
    #[error("the signature's time is {0} seconds from now: too old, or the clocks differ")]
    Time(u64),
    /// None of the secrets has signed this.
    #[error("the signature fits none of the secrets")]
    Signature,
}

/// The secrets as keys.
pub(super) struct Keys(Vec<Vec<u8>>);

impl Keys {
    pub(super) fn new(scheme: &Scheme, secrets: &[Confidential]) -> Result<Self, Error> {
        if secrets.is_empty() {
            return Err(Error(
                "`secrets` is empty: whoever knows the path could send anything".to_owned(),
            ));
        }
        let key = |secret: &Confidential| match scheme {
            Scheme::Standard => secret
                .expose()
                .strip_prefix("whsec_")
                .and_then(|encoded| BASE64.decode(encoded).ok())
                .ok_or_else(|| Error("a secret of Standard Webhooks is `whsec_` and base64".to_owned())),
            _ => Ok(secret.expose().as_bytes().to_vec()),
        };
        let keys = secrets.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        match keys.iter().any(Vec::is_empty) {
            true => Err(Error("a secret is empty".to_owned())),
            false => Ok(Self(keys)),
        }
    }

    /// Whether one of the secrets has signed it, at most `tolerance` from `now`, in seconds since 1970.
    pub(super) fn verify(
        &self,
        scheme: &Scheme,
        headers: &HeaderMap,
        body: &[u8],
        now: i64,
        tolerance: Duration,
    ) -> Result<(), Refusal> {
        let header = |name: &str| text(headers, name).ok_or_else(|| Refusal::Header(name.to_owned()));
        let time = |name: &str, text: &str| {
            let time: i64 = text.parse().map_err(|_| Refusal::Header(name.to_owned()))?;
            match now.abs_diff(time) {
                off if off > tolerance.as_secs() => Err(Refusal::Time(off)),
                _ => Ok(()),
            }
        };
        match scheme {
            Scheme::Standard => {
                let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
                time("webhook-timestamp", at)?;
                let signatures = header("webhook-signature")?
                    .split(' ')
                    .filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok());
                let parts = [id.as_bytes(), b".", at.as_bytes(), b".", body];
                self.any(Algorithm::Sha256, &parts, signatures)
            }
            Scheme::Github => {
                let name = "X-Hub-Signature-256";
                let signature = header(name)?
                    .strip_prefix("sha256=")
                    .and_then(|digits| hex::decode(digits).ok());
                let signature = signature.ok_or_else(|| Refusal::Header(name.to_owned()))?;
                self.any(Algorithm::Sha256, &[body], [signature])
            }
            Scheme::Stripe => {
                let name = "Stripe-Signature";
                let parts: Vec<_> = header(name)?
                    .split(',')
                    .filter_map(|part| part.trim().split_once('='))
                    .collect();
                let mut times = parts.iter().filter(|(key, _)| *key == "t");
                let (Some((_, at)), None) = (times.next(), times.next()) else {
                    return Err(Refusal::Header(name.to_owned()));
                };
                time(name, at)?;
                let signatures = parts
                    .iter()
                    .filter(|(key, _)| *key == "v1")
                    .filter_map(|(_, digits)| hex::decode(digits).ok());
                self.any(Algorithm::Sha256, &[at.as_bytes(), b".", body], signatures)
            }
            Scheme::Hmac(hmac) => {
                let signature = header(&hmac.header)?.strip_prefix(&hmac.prefix);
                let signature = signature.and_then(|text| match hmac.encoding {
                    Encoding::Hex => hex::decode(text).ok(),
                    Encoding::Base64 => BASE64.decode(text).ok(),
                });
                let signature = signature.ok_or_else(|| Refusal::Header(hmac.header.clone()))?;
                self.any(hmac.algorithm, &[body], [signature])
            }
            Scheme::Token(token) => {
                let given = header(&token.header)?.as_bytes();
                let fits = self
                    .0
                    .iter()
                    .fold(false, |fits, key| fits | bool::from(key.ct_eq(given)));
                fits.then_some(()).ok_or(Refusal::Signature)
            }
        }
    }

    fn any(
        &self,
        algorithm: Algorithm,
        parts: &[&[u8]],
        signatures: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(), Refusal> {
        for signature in signatures {
            if self.0.iter().any(|key| fits(algorithm, key, parts, &signature)) {
                return Ok(());
            }
        }
        Err(Refusal::Signature)
    }
}

fn fits(algorithm: Algorithm, key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    fn of<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
        let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
            return false;
        };
        parts.iter().for_each(|part| mac.update(part));
        mac.verify_slice(signature).is_ok()
    }
    match algorithm {
        Algorithm::Sha256 => of::<hmac::Hmac<Sha256>>(key, parts, signature),
        Algorithm::Sha384 => of::<hmac::Hmac<Sha384>>(key, parts, signature),
        Algorithm::Sha512 => of::<hmac::Hmac<Sha512>>(key, parts, signature),
    }
}
