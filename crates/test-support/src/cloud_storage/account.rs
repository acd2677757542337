//! A service account, and the tokens that are signed with its key.
//! <https://google.aip.dev/auth/4111>

use std::process::Command;

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::clock::{now, seconds};

/// Any of these lets a token write objects.
const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/devstorage.full_control",
    "https://www.googleapis.com/auth/devstorage.read_write",
];
/// Whom a token without a scope is for.
const AUDIENCE: &str = "https://storage.googleapis.com/";
/// Longest that a token may be good for, and most that clocks may differ, in seconds.
const LONGEST: u64 = 3_600;
const SKEW: u64 = 300;

pub(super) struct Account {
    /// The private key, in PEM form.
    pem: String,
    public: Vec<u8>,
    id: String,
    email: String,
}

impl Account {
    pub(super) fn new() -> Self {
        // `ring` makes no keys of this kind.
        let made = Command::new("openssl")
            .args([
                "genpkey",
                "-quiet",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ])
            .output()
            .expect("`openssl` runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pem = String::from_utf8(made.stdout).expect("a key as text");
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("a key in PEM form");
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("a key of RSA");
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self {
            public: key.public_key().as_ref().to_vec(),
            email: format!("test-{}@project.iam.gserviceaccount.com", &id[..8]),
            pem,
            id,
        }
    }

    pub(super) fn file(&self) -> Value {
        json!({
            "type": "service_account", "project_id": "project", "private_key_id": self.id, "private_key": self.pem,
            "client_email": self.email, "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
        })
    }

    /// Looks for a token that was signed with this account's key, and is good now and for this service.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let told = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = told.and_then(|told| told.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| Refusal::unauthenticated("There is no token."))?;
        self.verify(token).map_err(Refusal::unauthenticated)
    }

    fn verify(&self, token: &str) -> Result<(), &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("The token is no JWT.")?;
        let (head, body) = signed.split_once('.').ok_or("The token is no JWT.")?;
        let (head, body) = (part(head)?, part(body)?);
        if head["alg"] != "RS256" || head["kid"] != *self.id {
            return Err("The token is signed with no key that is known.");
        }
        let signature = URL_SAFE_NO_PAD.decode(signature);
        let signature = signature.map_err(|_| "The signature is no base64.")?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| "The signature is not that of the key.")?;
        if body["iss"] != *self.email || body["sub"] != *self.email {
            return Err("The token is another account's.");
        }
        let (from, until) = body["iat"]
            .as_u64()
            .zip(body["exp"].as_u64())
            .ok_or("The token has no times.")?;
        let now = seconds(now());
        if from > now + SKEW || until + SKEW < now || until.saturating_sub(from) > LONGEST {
            return Err("The token is not good now, or is good for too long.");
        }
        let scopes = body["scope"].as_str().unwrap_or_default();
        let scoped = scopes.split(' ').any(|scope| SCOPES.contains(&scope));
        if scoped || body["aud"] == AUDIENCE {
            Ok(())
        } else {
            Err("The token is for another service.")
        }
    }
}

fn part(text: &str) -> Result<Value, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    let bytes = bytes.map_err(|_| "The token is no base64.")?;
    serde_json::from_slice(&bytes).map_err(|_| "The token is no JSON.")
}
