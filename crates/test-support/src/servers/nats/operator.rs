use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::clock::{now, seconds};

/// Who runs NATS servers in operator mode: it signs for accounts, which sign for users.
/// <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt>
#[derive(Debug)]
pub struct NatsOperator {
    key: KeyPair,
    /// The servers' own account, without which there is no JetStream in this mode.
    system: KeyPair,
    account: KeyPair,
}

impl Default for NatsOperator {
    fn default() -> Self {
        Self {
            key: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }
}

impl NatsOperator {
    /// The file of credentials of a new user of its account, good until then.
    ///
    /// # Panics
    ///
    /// Never: its keys can sign.
    pub fn credentials(&self, until: Option<SystemTime>) -> String {
        let user = KeyPair::new_user();
        let rights = json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user" });
        let token = sign(&self.account, &user, rights, until);
        let seed = user.seed().expect("a key of its own has a seed");
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
            ************************* IMPORTANT *************************\n\
            NKEY Seed printed below can be used to sign and prove identity.\n\n\
            -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }

    /// What a server that trusts it is told.
    pub(super) fn config(&self) -> String {
        let limits = |jetstream: i64| {
            json!({
                "limits": {
                    "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
                    "conn": -1, "leaf": -1, "mem_storage": jetstream, "disk_storage": jetstream,
                    "streams": jetstream, "consumer": jetstream,
                },
                "default_permissions": { "pub": {}, "sub": {} },
                "type": "account",
            })
        };
        let operator = sign(&self.key, &self.key, json!({ "type": "operator" }), None);
        let preload = [(&self.system, 0), (&self.account, -1)].map(|(account, jetstream)| {
            let token = sign(&self.key, account, limits(jetstream), None);
            format!("{}: {token:?}\n", account.public_key())
        });
        format!(
            "operator: {operator:?}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {} }}\n",
            self.system.public_key(),
            preload.concat()
        )
    }
}

/// A JWT of the second version of NATS's claims.
fn sign(issuer: &KeyPair, subject: &KeyPair, mut claims: Value, until: Option<SystemTime>) -> String {
    claims["version"] = json!(2);
    let mut body = json!({
        "jti": uuid::Uuid::new_v4().to_string(), "iat": seconds(now()), "iss": issuer.public_key(),
        "sub": subject.public_key(), "name": "test", "nats": claims,
    });
    if let Some(until) = until {
        body["exp"] = json!(seconds(until));
    }
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!(
        "{}.{}",
        part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })),
        part(&body)
    );
    let signature = issuer.sign(signed.as_bytes()).expect("a key of its own signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
