//! What a mail is known by (RFC 5322, 3.6.4).

use std::{fmt, str::FromStr};

use segno_sinks::signature::digest;
use serde::{Deserialize, Serialize, de};

/// Longest one that is taken, in bytes: a line of a mail has 998.
const LONGEST: usize = 900;

/// A `Message-ID`, with its angle brackets.
///
/// ```
/// use segno_crawl_clients::mail::MessageId;
///
/// let id = MessageId::of_key("ticket/SUP-12/comment/10007/ann@example.org", "mail.example.com");
/// assert_eq!(id, MessageId::of_key("ticket/SUP-12/comment/10007/ann@example.org", "mail.example.com"));
/// assert_eq!(id.domain(), "mail.example.com");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MessageId(String);

/// Why a text is no [`MessageId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message id is written <LEFT@RIGHT>, without spaces")]
pub struct MessageIdError;

impl MessageId {
    /// The one that stands for a key: the same for the same key and domain, and telling nothing of the key.
    pub fn of_key(key: &str, domain: &str) -> Self {
        Self(format!("<{}@{}>", digest(key), domain.to_ascii_lowercase()))
    }

    /// With its angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is right of the `@`. Who has made it is told by this.
    pub fn domain(&self) -> &str {
        let (_, domain) = self.0.rsplit_once('@').unwrap_or_default();
        domain.trim_end_matches('>')
    }

    /// All of a header such as `References`; what is none is left out.
    pub fn list(header: &str) -> Vec<Self> {
        let parts = header
            .split_inclusive('>')
            .filter_map(|part| part.find('<').map(|start| &part[start..]));
        parts.filter_map(|part| part.parse().ok()).collect()
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        let inner = text
            .trim()
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'))
            .ok_or(MessageIdError)?;
        let (left, right) = inner.rsplit_once('@').ok_or(MessageIdError)?;
        let fits = inner
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte));
        if !fits || left.is_empty() || right.is_empty() || inner.len() > LONGEST {
            return Err(MessageIdError);
        }
        Ok(Self(format!("<{inner}>")))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ids_only() {
        for wrong in [
            "",
            "a@b",
            "<a>",
            "<@b>",
            "<a@>",
            "<a b@c>",
            "<a@b><c@d>",
            "<a@b\r\nBcc: x>",
            "<é@b>",
        ] {
            assert_eq!(wrong.parse::<MessageId>(), Err(MessageIdError), "{wrong:?}");
        }
        let long = format!("<{}@b>", "a".repeat(LONGEST));
        assert!(long.parse::<MessageId>().is_err());
    }

    #[test]
    fn lists_are_read_leniently() {
        let list = MessageId::list("<a@b>\r\n  <c@d><e@f>, nonsense <g> (a comment) <h@i");
        let texts: Vec<_> = list.iter().map(MessageId::as_str).collect();
        assert_eq!(texts, ["<a@b>", "<c@d>", "<e@f>"]);
    }
}
