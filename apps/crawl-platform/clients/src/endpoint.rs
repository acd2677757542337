//! Where a service is.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};
use url::Url;

/// A service's `http` or `https` URL, without a name or a password in it, a query or a fragment.
///
/// ```
/// let endpoint: segno_crawl_clients::Endpoint = "https://example.atlassian.net/".parse()?;
/// assert_eq!(endpoint.to_string(), "https://example.atlassian.net/");
/// assert!("ftp://example.com".parse::<segno_crawl_clients::Endpoint>().is_err());
/// # Ok::<(), segno_crawl_clients::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("no URL: {0}")]
    Url(#[from] url::ParseError),
    /// It is a URL of something else.
    #[error("a service's URL begins with http:// or https://")]
    Scheme,
    /// It has what would be lost, or shown to others.
    #[error("a service's URL has no name, password, query or fragment")]
    More,
}

impl Endpoint {
    /// This URL with further segments of its path, whatever characters they have.
    pub(crate) fn with(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        // It fails for URLs that have no path, which these are not.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        let more = url.query().is_some() || url.fragment().is_some();
        if more || !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::More);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A number of seconds, with fractions, as a time-out.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(seconds) = Option::<f64>::deserialize(deserializer)? else {
        return Ok(None);
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(Some(duration)),
        _ => Err(de::Error::custom(format_args!(
            "{seconds} is no time-out: it is a number of seconds above 0"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_of_services_only() {
        let place = |text: &str| text.parse::<Endpoint>();
        assert_eq!(place("mailto:a@b.c"), Err(EndpointError::Scheme));
        assert_eq!(place("https://a:b@example.com"), Err(EndpointError::More));
        assert_eq!(place("https://example.com?a=b"), Err(EndpointError::More));
        assert!(matches!(place("example"), Err(EndpointError::Url(_))));
    }

    #[test]
    fn segments_stay_segments() {
        let place: Endpoint = "http://127.0.0.1:8000/ex/jira".parse().unwrap();
        let url = place.with(&["issue", "A/../B?c#d", "é"]);
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:8000/ex/jira/issue/A%2F..%2FB%3Fc%23d/%C3%A9"
        );
    }
}
