//! Signature Version 4, from the side of the service.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::{PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{Key, put_events::Failure};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "events";
/// How far a signature's time may be from now, in seconds.
const SKEW: u64 = 300;
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// A request as it was signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The path as it came, percent-encoded.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What the header `Authorization` says.
struct Authorization<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed: Vec<&'a str>,
    signature: Vec<u8>,
}

/// Checks that the request is signed by one of the keys, at a time near `now`, in seconds since 1970.
pub(super) fn verify(request: &Request<'_>, keys: &[Key], now: i64) -> Result<(), Failure> {
    let headers = request.headers;
    let given = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| {
            Failure::new(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
        })?;
    let incomplete = |what: &str| {
        let message = format!("The Authorization header is not one of Signature Version 4: {what}.");
        Failure::new("IncompleteSignatureException", message)
    };
    let authorization = parse(given).map_err(incomplete)?;
    let at = headers
        .get("x-amz-date")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| incomplete("X-Amz-Date is missing"))?;
    check_scope(&authorization, at).map_err(invalid)?;
    check_time(at, now)?;
    check_signed(&authorization.signed, headers).map_err(invalid)?;

    // The key is looked up by its id, which is no secret.
    let key = keys
        .iter()
        .find(|key| key.access_key_id.expose() == authorization.access_key);
    let key = key.ok_or_else(|| {
        Failure::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    })?;
    let token = headers.get("x-amz-security-token").map(|value| value.as_bytes());
    let wanted = key.session_token.as_ref().map(|token| token.expose().as_bytes());
    let same = match (token, wanted) {
        (None, None) => true,
        (Some(token), Some(wanted)) => bool::from(token.ct_eq(wanted)),
        _ => false,
    };
    if !same {
        let message = "The security token included in the request is invalid.";
        return Err(Failure::new("UnrecognizedClientException", message));
    }
    let body = hex::encode(Sha256::digest(request.body));
    if let Some(announced) = headers.get("x-amz-content-sha256")
        && announced.as_bytes() != body.as_bytes()
    {
        return Err(invalid("The body is not the one that X-Amz-Content-Sha256 is of"));
    }
    let canonical = canonical(request, &authorization.signed, &body)
        .ok_or_else(|| invalid("A signed header is missing or not text"))?;
    let scope = format!(
        "{}/{}/{SERVICE}/aws4_request",
        authorization.date, authorization.region
    );
    let text = format!(
        "{ALGORITHM}\n{at}\n{scope}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let secret = format!("AWS4{}", key.secret_access_key.expose());
    let mut derived = mac(secret.as_bytes(), authorization.date.as_bytes());
    for part in [authorization.region, SERVICE, "aws4_request"] {
        derived = mac(&derived, part.as_bytes());
    }
    let expected = mac(&derived, text.as_bytes());
    match bool::from(expected.ct_eq(authorization.signature.as_slice())) {
        true => Ok(()),
        false => Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method",
        )),
    }
}

fn invalid(message: &str) -> Failure {
    Failure::new("InvalidSignatureException", format!("{message}."))
}

fn parse(text: &str) -> Result<Authorization<'_>, &'static str> {
    let rest = text.strip_prefix(ALGORITHM).ok_or("the algorithm is another")?;
    let (mut credential, mut signed, mut signature) = (None, None, None);
    for part in rest.split(',') {
        match part.trim().split_once('=') {
            Some(("Credential", value)) => credential = Some(value),
            Some(("SignedHeaders", value)) => signed = Some(value),
            Some(("Signature", value)) => signature = hex::decode(value).ok(),
            _ => return Err("it has an unknown part"),
        }
    }
    // The id of a key may have slashes; what follows does not.
    let mut scope = credential.ok_or("Credential is missing")?.rsplitn(5, '/');
    let (terminator, service, region, date, access_key) = (
        scope.next(),
        scope.next(),
        scope.next(),
        scope.next(),
        scope.next(),
    );
    let complete = date.zip(region).zip(service).zip(access_key);
    let (((date, region), service), access_key) = complete.ok_or("Credential has five parts")?;
    if terminator != Some("aws4_request") {
        return Err("Credential ends with aws4_request");
    }
    let signed = signed.ok_or("SignedHeaders is missing")?;
    Ok(Authorization {
        access_key,
        date,
        region,
        service,
        signed: signed.split(';').collect(),
        signature: signature.ok_or("Signature is missing")?,
    })
}

fn check_scope(authorization: &Authorization<'_>, at: &str) -> Result<(), &'static str> {
    if authorization.service != SERVICE {
        return Err("Credential should be scoped to the service 'events'");
    }
    match at.starts_with(authorization.date) && authorization.date.len() == 8 {
        true => Ok(()),
        false => {
            Err("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
        }
    }
}

fn check_time(at: &str, now: i64) -> Result<(), Failure> {
    let time = PrimitiveDateTime::parse(at, DATE).map_err(|_| invalid("X-Amz-Date is not of its form"))?;
    let time = time.assume_utc().unix_timestamp();
    if now.abs_diff(time) <= SKEW {
        return Ok(());
    }
    // AWS's clients know by these words that their clock is wrong, and correct it.
    let now = time::OffsetDateTime::from_unix_timestamp(now)
        .ok()
        .and_then(|now| now.format(DATE).ok());
    let now = now.unwrap_or_default();
    Err(match time < 0 || at < now.as_str() {
        true => invalid(&format!(
            "Signature expired: {at} is now earlier than {now} - 5 min"
        )),
        false => invalid(&format!(
            "Signature not yet current: {at} is still later than {now} + 5 min"
        )),
    })
}

/// The host and everything of AWS's has to be signed: else it could be exchanged.
fn check_signed(signed: &[&str], headers: &HeaderMap) -> Result<(), &'static str> {
    if !signed.is_sorted()
        || signed
            .iter()
            .any(|name| name.bytes().any(|byte| byte.is_ascii_uppercase()))
    {
        return Err("SignedHeaders are not in order and lower case");
    }
    let is = |name: &str| signed.contains(&name);
    let unsigned = headers
        .keys()
        .any(|name| name.as_str().starts_with("x-amz-") && !is(name.as_str()));
    match is("host") && !unsigned {
        true => Ok(()),
        false => Err("'Host' and every header of AWS's must be a signed header"),
    }
}

fn canonical(request: &Request<'_>, signed: &[&str], body: &str) -> Option<String> {
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        encode_path(request.path),
        sort_query(request.query)
    );
    for name in signed {
        let mut values = Vec::new();
        for value in request.headers.get_all(*name) {
            let words: Vec<_> = value.to_str().ok()?.split_ascii_whitespace().collect();
            values.push(words.join(" "));
        }
        if values.is_empty() {
            return None;
        }
        text.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    text.push_str(&format!("\n{}\n{body}", signed.join(";")));
    Some(text)
}

/// A path that is percent-encoded is encoded once more, but for S3.
fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn sort_query(query: &str) -> String {
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

#[expect(clippy::expect_used, reason = "HMAC is defined for keys of any length")]
fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests;
