//! What callers ask for: request bodies, checked by the rules of the original service, all mistakes at once.

use std::{collections::BTreeMap, time::Duration};

use segno_sinks::{guard, webhook};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Deadline, Timer};

mod check;
mod issue;
mod when;

use check::Check;
pub use issue::Issue;
pub use when::When;

/// A timer to make, checked.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct NewTimer {
    /// When to fire.
    pub when: When,
    url: String,
    method: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl NewTimer {
    /// Reads the body of `POST /timers`.
    ///
    /// # Errors
    ///
    /// Every mistake in it; there is at least one.
    pub fn parse(body: &[u8], allow_private: bool) -> Result<Self, Vec<Issue>> {
        let value = object(body)?;
        let mut check = Check::new(&value);
        let when = when::parse(&mut check).unwrap_or(When::In(Duration::ZERO));
        let url = check.url("url", allow_private);
        let method = check.method("method");
        let mut headers = check.headers("headers");
        let body = match check.take("body") {
            None => String::new(),
            Some(Value::String(text)) => {
                default_content_type(&mut headers, "text/plain; charset=utf-8");
                text.clone()
            }
            Some(Value::Null) => {
                check.report(Issue::invalid("body", &Value::Null));
                String::new()
            }
            Some(json) => {
                default_content_type(&mut headers, "application/json");
                json.to_string()
            }
        };
        check.finish()?;
        Ok(Self {
            when,
            url,
            method,
            headers,
            body,
        })
    }

    /// The timer that this asks for at `now`.
    pub fn into_timer(self, now: Deadline) -> Timer {
        let Self {
            when,
            url,
            method,
            headers,
            body,
        } = self;
        Timer {
            deadline: when.from(now),
            url,
            method,
            headers,
            body,
        }
    }

    /// A digest in hexadecimal that tells this request from another under the same idempotency key.
    pub fn fingerprint(&self) -> String {
        // A structure of strings and numbers can always be written.
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(&json)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Scheme, host and port of its URL, which hold no secret.
    pub fn origin(&self) -> String {
        let target = self.url.parse::<webhook::Target>();
        target
            .map(|target| target.as_url().origin().ascii_serialization())
            .unwrap_or_default()
    }
}

/// Reads the body of `PUT /timers/{id}/deadline`: when to fire, in one of the ways of `POST /timers`, of
/// which there must be one.
///
/// # Errors
///
/// Every mistake in it; there is at least one.
pub(crate) fn parse_rearm(body: &[u8]) -> Result<When, Vec<Issue>> {
    let value = object(body)?;
    let mut check = Check::new(&value);
    let when = when::parse(&mut check);
    if when.is_none() {
        check.report(Issue::missing(&when::KEYS));
    }
    check.finish()?;
    Ok(when.unwrap_or(When::In(Duration::ZERO)))
}

fn object(body: &[u8]) -> Result<serde_json::Map<String, Value>, Vec<Issue>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(vec![Issue::not_an_object(None, &other)]),
        Err(error) => Err(vec![Issue::not_json(&error)]),
    }
}

fn default_content_type(headers: &mut BTreeMap<String, String>, value: &str) {
    if !headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("content-type"))
    {
        headers.insert("content-type".to_owned(), value.to_owned());
    }
}

impl Check<'_> {
    /// A required URL that leads to the public internet, unless others may be called.
    fn url(&mut self, key: &'static str, allow_private: bool) -> String {
        let Some(value) = self.take(key) else {
            self.report(Issue::required(key));
            return String::new();
        };
        let Some(text) = self.string(key, value) else {
            return String::new();
        };
        match text.parse::<webhook::Target>() {
            Ok(target) if !allow_private => {
                if let Err(why) = guard::check_url(target.as_url()) {
                    self.report(Issue::private(key, value, &why.to_string()));
                }
            }
            Ok(_) => {}
            Err(webhook::TargetError::Scheme) => self.report(Issue::scheme(key, value)),
            Err(webhook::TargetError::Url(_)) => self.report(Issue::uri(key, value)),
        }
        text.to_owned()
    }

    fn method(&mut self, key: &'static str) -> String {
        let names = webhook::Method::NAMES;
        match self.take(key) {
            None => "POST".to_owned(),
            Some(Value::String(text)) if names.contains(&text.as_str()) => text.clone(),
            Some(other) => {
                self.report(Issue::any_only(key, other, &names));
                String::new()
            }
        }
    }

    fn headers(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let pairs = match self.take(key) {
            None => return BTreeMap::new(),
            Some(Value::Object(pairs)) => pairs,
            Some(other) => {
                self.report(Issue::not_an_object(Some(key), other));
                return BTreeMap::new();
            }
        };
        let mut headers = BTreeMap::new();
        for (name, value) in pairs {
            match value {
                Value::String(value) => drop(headers.insert(name.clone(), value.clone())),
                other => self.report(Issue::not_a_string(&[key, name], other)),
            }
        }
        let checked = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        if let Err(errors) = webhook::Headers::new(checked) {
            for error in errors {
                self.report(Issue::header(key, error.name(), &error.to_string()));
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests;
