//! What a token of the provider says, once its signature and its time are judged.

use jsonwebtoken::{
    DecodingKey, Header, Validation, decode, decode_header,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};
use serde_json::{Map, Value};

use super::{Error, crypto};
use crate::{
    access::{Role, Who},
    config::Oidc,
};

/// Seconds by which clocks may differ.
const LEEWAY: u64 = 60;

/// The claims of a token.
pub(super) type Claims = Map<String, Value>;

/// The header of a text that looks like a token; none if it is something else.
pub(super) fn header(token: &str) -> Option<Header> {
    decode_header(token).ok()
}

/// Whether no key could have signed it.
pub(super) fn is_signer_missing(keys: &JwkSet, header: &Header) -> bool {
    candidates(keys, header).next().is_none()
}

fn candidates<'a>(keys: &'a JwkSet, header: &'a Header) -> impl Iterator<Item = &'a Jwk> {
    keys.keys.iter().filter(move |key| {
        let is_named = header.kid.is_none() || key.common.key_id == header.kid;
        is_named && key.common.public_key_use != Some(PublicKeyUse::Encryption)
    })
}

/// The claims of a token that this issuer has signed for this audience, and that is good now.
pub(super) fn verify(
    token: &str,
    header: &Header,
    keys: &JwkSet,
    issuer: &str,
    audience: &str,
) -> Result<Claims, Error> {
    crypto::install();
    if !crypto::ALGORITHMS.contains(&header.alg) {
        return Err(Error::Token(
            "it is signed by an algorithm that is not taken".to_owned(),
        ));
    }
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY;
    let mut why = "it is signed by no key of the provider's".to_owned();
    for key in candidates(keys, header) {
        let Ok(key) = DecodingKey::from_jwk(key) else {
            continue;
        };
        match decode::<Claims>(token, &key, &validation) {
            Ok(token) => return Ok(token.claims),
            Err(error) => why = error.to_string(),
        }
    }
    Err(Error::Token(why))
}

/// Who this is, and in which role.
pub(super) fn who(config: &Oidc, claims: &Claims) -> Result<Who, Error> {
    let text = |claim: &str| {
        claims
            .get(claim)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    // An address that the provider has not made sure of names nobody.
    let is_doubtful =
        config.name_claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false));
    let name = text(&config.name_claim)
        .filter(|_| !is_doubtful)
        .or_else(|| text("sub"));
    let name = name.ok_or_else(|| Error::Token("it says of whom it is not".to_owned()))?;
    let role = role(config, claims).ok_or_else(|| Error::NoRole(name.to_owned()))?;
    Ok(Who::new(name, role))
}

/// The strongest role that the claim gives.
fn role(config: &Oidc, claims: &Claims) -> Option<Role> {
    let claim = config.role_claim.as_deref().and_then(|path| find(claims, path));
    let has = |wanted: &String| match claim {
        Some(Value::String(value)) => value.split(' ').any(|value| value == wanted) || value == wanted,
        Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(wanted)),
        _ => false,
    };
    let given = config.roles.iter().find(|(_, values)| values.iter().any(has));
    given.map(|(role, _)| *role).or(config.default_role)
}

/// A claim by its name, or by the names on the way to it, such as `realm_access.roles`.
fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Oidc {
        Oidc {
            issuer: "https://login.example.com".parse().unwrap(),
            client_id: "segno".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            audience: "segno".to_owned(),
            url: None,
            name_claim: "email".to_owned(),
            role_claim: Some("realm_access.roles".to_owned()),
            roles: vec![
                (Role::Admin, vec!["root".to_owned()]),
                (Role::Viewer, vec!["staff".to_owned()]),
            ],
            default_role: None,
        }
    }

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_strongest_role_of_the_claim_counts() {
        let who = |roles: Value| {
            let claims =
                claims(json!({ "sub": "1", "email": "ann@example.com", "realm_access": { "roles": roles } }));
            who(&config(), &claims).map(|who| who.role).ok()
        };
        assert_eq!(who(json!(["staff", "root"])), Some(Role::Admin));
        assert_eq!(who(json!(["staff"])), Some(Role::Viewer));
        assert_eq!(who(json!("other staff")), Some(Role::Viewer));
        assert_eq!(who(json!(["rooted"])), None);
        assert_eq!(who(json!(7)), None);
    }

    #[test]
    fn an_address_that_is_not_verified_names_nobody() {
        let mut config = config();
        config.default_role = Some(Role::Viewer);
        let name = |value: Value| who(&config, &claims(value)).map(|who| who.name.to_string()).ok();
        let ann = json!({ "sub": "1", "email": "ann@example.com", "email_verified": true });
        assert_eq!(name(ann).as_deref(), Some("ann@example.com"));
        let eve = json!({ "sub": "2", "email": "ann@example.com", "email_verified": false });
        assert_eq!(name(eve).as_deref(), Some("2"));
        assert_eq!(name(json!({ "email_verified": true })), None);
    }
}
