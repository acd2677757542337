//! What a webhook sink is told, as it stands in `segno.toml`.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, de};
use url::Url;

use crate::Secret;

/// Options of a webhook sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where to send: `http` or `https`.
    pub url: Target,
    /// Signs each request.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Further secrets, each of which signs too: while a secret is rotated, the old one.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Headers sent along, e.g. for authorization.
    #[serde(default)]
    pub headers: Headers,
    /// Default `POST`.
    #[serde(default)]
    pub method: Method,
    /// How long one attempt may take, up to the head of the answer. Default 30 s.
    #[serde(default = "default_timeout", deserialize_with = "human_duration")]
    pub timeout: Duration,
    /// Whether addresses that are not public may be reached (see [`guard`](crate::guard)). Default no.
    #[serde(default)]
    pub allow_private: bool,
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn human_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    match humantime::parse_duration(&text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err(de::Error::custom("a time-out is longer than nothing")),
        Err(error) => Err(de::Error::custom(format!("{error} (write e.g. \"30s\")"))),
    }
}

/// An absolute `http` or `https` URL. Path, query and user are not shown by `Debug`: with many services
/// they are the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a text is no [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is no absolute URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// It is one of another scheme.
    #[error("the URL's scheme is not http or https")]
    Scheme,
}

impl Target {
    /// The URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let url = Url::parse(text)?;
        if matches!(url.scheme(), "http" | "https") {
            Ok(Self(url))
        } else {
            Err(TargetError::Scheme)
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/***)", self.0.origin().ascii_serialization())
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Headers that a user adds to requests. `Debug` shows their names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

/// Why a header cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is no name for a header.
    #[error("{0:?} is not a header name")]
    Name(String),
    /// Its value cannot stand in a header.
    #[error("the value of the header {0:?} holds characters that a header cannot hold")]
    Value(String),
    /// It is there twice; case makes no difference.
    #[error("the header {0:?} is given twice")]
    Twice(String),
    /// It is one that each request has of its own.
    #[error("the header {0:?} is set by Segno")]
    Reserved(String),
}

impl HeaderError {
    /// The header's name as it was given.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Value(name) | Self::Twice(name) | Self::Reserved(name) => name,
        }
    }
}

impl Headers {
    /// Headers from names and values; a name may come once, in whatever case.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, in the order given.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<HeaderError>> {
        let (mut map, mut errors) = (HeaderMap::new(), Vec::new());
        for (name, value) in pairs {
            match Self::pair(name, value) {
                Ok((name, _)) if map.contains_key(&name) => {
                    errors.push(HeaderError::Twice(name.to_string()));
                }
                Ok((name, value)) => {
                    map.insert(name, value);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self(map))
        } else {
            Err(errors)
        }
    }

    fn pair(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderError> {
        let parsed: HeaderName = name.parse().map_err(|_| HeaderError::Name(name.to_owned()))?;
        // Those of the connection, and those that make the delivery verifiable.
        const RESERVED: [&str; 8] = [
            "connection",
            "content-length",
            "expect",
            "host",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        if RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("webhook-") {
            return Err(HeaderError::Reserved(name.to_owned()));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| HeaderError::Value(name.to_owned()))?;
        value.set_sensitive(true);
        Ok((parsed, value))
    }

    /// As a map.
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = BTreeMap::<String, String>::deserialize(deserializer)?;
        Self::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(HeaderError::to_string).collect();
            de::Error::custom(errors.join("; "))
        })
    }
}

/// The method of a webhook's requests: one that sends something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(http::Method);

impl Method {
    /// All that [`FromStr`] takes.
    pub const NAMES: [&'static str; 5] = ["POST", "PUT", "PATCH", "DELETE", "GET"];

    /// As the HTTP libraries know it.
    pub fn as_http(&self) -> &http::Method {
        &self.0
    }
}

impl Default for Method {
    fn default() -> Self {
        Self(http::Method::POST)
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::NAMES.contains(&text).then(|| text.parse().ok()).flatten();
        known
            .map(Self)
            .ok_or_else(|| format!("the method is one of {}", Self::NAMES.join(", ")))
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
