//! What a mail sink is told.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use lettre::message::header::{ContentType, HeaderName};
use serde::{Deserialize, Deserializer, de};

use super::{BuildError, smtp};
use crate::{Confidential, Template, Templates, options::checked};

/// Options of a mail sink. All but `from` are optional.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// Whom mails come from, such as `"Shop <shop@example.com>"`. A payload's `sender_email` and `sender_name` take the place of the
    /// address and the name.
    pub from: Template,
    /// Whom they go to, each address by itself or several with commas. Default: the payload's `fullname` and `email`.
    pub to: Option<Templates>,
    /// Default: the payload's `cc`.
    pub cc: Option<Templates>,
    /// Who gets it without the others seeing it. Default: the payload's `bcc`.
    pub bcc: Option<Templates>,
    /// Where answers go. Default: the payload's `reply_to`.
    pub reply_to: Option<Templates>,
    /// Default: the payload's `subject`, else the template's.
    pub subject: Option<Template>,
    /// The body as text. Default, if there is no `html` either: the template's, else the payload's `text`.
    pub text: Option<Template>,
    /// The body as HTML. Default, if there is no `text` either: the template's, else the payload's `html`.
    pub html: Option<Html>,
    /// The folder of the templates.
    pub templates: Option<PathBuf>,
    /// The name of the template. Default: the payload's `template`.
    pub template: Option<Template>,
    /// Further headers, beside those in the payload's `headers`.
    #[serde(default)]
    pub headers: HeaderTemplates,
    /// Files that go along, beside those in the payload's `attachments`.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// The server that takes the mails.
    pub smtp: Option<SmtpOptions>,
    /// Without a server, the folder that they are written to. Default `mail`.
    pub folder: Option<PathBuf>,
}

checked!(Options);

impl Options {
    /// What can be told without a look at files.
    fn check(&self) -> Result<(), BuildError> {
        match &self.smtp {
            Some(_) if self.folder.is_some() => Err(BuildError::Both),
            Some(smtp) => smtp::check(smtp).map_err(BuildError::Smtp),
            None => Ok(()),
        }
    }
}

/// A [`Template`] of HTML: what is put into it is escaped.
#[derive(Clone, Debug)]
pub struct Html(pub Template);

impl<'de> Deserialize<'de> for Html {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Template::html(&text).map(Self).map_err(de::Error::custom)
    }
}

/// A mailbox, as text.
pub type Mailbox = lettre::message::Mailbox;

/// A file that goes along. It has a `text` or a `base64`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The file's name.
    pub filename: Template,
    /// What it is, such as `"application/pdf"`. Default: text for a `text`, else bytes of no type.
    #[serde(default, deserialize_with = "content_type")]
    pub content_type: Option<String>,
    /// Its content, as text.
    pub text: Option<Template>,
    /// Its content, as the base64 of it.
    pub base64: Option<Template>,
}

fn content_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match ContentType::parse(&text) {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err(de::Error::custom(format_args!(
            "{text:?} is no content type (write e.g. \"application/pdf\")"
        ))),
    }
}

/// Headers by name.
#[derive(Clone, Debug, Default)]
pub struct HeaderTemplates(pub(super) Vec<(HeaderName, Template)>);

/// The name of a header that a mail may be given.
///
/// # Errors
///
/// Why it is none, for people.
pub(super) fn header_name(name: &str) -> Result<HeaderName, String> {
    const RESERVED: [&str; 11] = [
        "bcc",
        "cc",
        "date",
        "from",
        "message-id",
        "mime-version",
        "received",
        "reply-to",
        "return-path",
        "subject",
        "to",
    ];
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("content-") {
        return Err(format!("the header {name:?} is made by Segno"));
    }
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 70 || !name.bytes().all(token) {
        return Err(format!("{name:?} is no name of a header"));
    }
    HeaderName::new_from_ascii(name.to_owned()).map_err(|_| format!("{name:?} is no name of a header"))
}

impl<'de> Deserialize<'de> for HeaderTemplates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = BTreeMap::<String, Template>::deserialize(deserializer)?;
        let named = pairs
            .into_iter()
            .map(|(name, template)| Ok((header_name(&name).map_err(de::Error::custom)?, template)));
        named.collect::<Result<_, _>>().map(Self)
    }
}

/// A server that takes mails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpOptions {
    /// Its name or address.
    pub host: String,
    /// Default: 587, with `tls = "implicit"` 465, with `tls = "none"` 25.
    pub port: Option<u16>,
    /// Default: `none` on this machine, `implicit` on port 465, else `starttls`.
    pub tls: Option<Tls>,
    /// A file with the certificates (PEM) of the authorities that it is trusted by, in place of the public ones.
    pub ca: Option<PathBuf>,
    /// Who signs in, if anybody has to.
    pub username: Option<Confidential>,
    /// With this password.
    pub password: Option<Confidential>,
    /// How this machine calls itself. Default: its host name.
    pub hello: Option<String>,
    /// How long one exchange with the server may take. Default 30 s.
    #[serde(default, deserialize_with = "crate::limits::duration")]
    pub timeout: Option<Duration>,
    /// Most mails on their way at once, each on a connection. Default 10.
    pub connections: Option<std::num::NonZeroU32>,
}

/// How a connection is made safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all. Passwords are not sent this way, except on this machine.
    None,
    /// By the command `STARTTLS`, without which nothing is sent (RFC 3207).
    StartTls,
    /// From its first byte (RFC 8314).
    Implicit,
}

impl FromStr for Tls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "starttls" => Ok(Self::StartTls),
            "implicit" => Ok(Self::Implicit),
            _ => Err(format!(
                "{text:?} is none of \"none\", \"starttls\" and \"implicit\""
            )),
        }
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
        })
    }
}

impl<'de> Deserialize<'de> for Tls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
