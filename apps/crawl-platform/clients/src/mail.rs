//! Mails made of templates, by SMTP or, without a server, as `.eml` files in a folder.
//!
//! A mail's `Message-ID` is the caller's, who makes it of what the mail is about ([`MessageId::of_key`]): the mail of a repeated
//! attempt is the same message to those who get it, in a folder it takes the first one's place, and an answer to it tells by
//! `In-Reply-To` which it answers. All mails say that a machine has written them (`Auto-Submitted`, RFC 3834), so that nobody's
//! machine answers them.
//!
//! A template is up to three [parts](Templates): `NAME.subject.txt`, `NAME.txt` and `NAME.html`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use lettre::{
    Address, Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use segno_sinks::{
    Failure,
    mail::{BuildError, SmtpOptions, Transport},
};
use serde::{Deserialize, Serialize};

use crate::Error;

mod message_id;
mod templates;

pub use message_id::{MessageId, MessageIdError};
pub use templates::{Content, Templates, TemplatesError};

/// Options of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Whom mails come from, such as `Platform <no-reply@example.com>`.
    pub from: String,
    /// The server that takes the mails.
    pub smtp: Option<SmtpOptions>,
    /// Without a server, the folder that they are written to. Default `mail`.
    pub folder: Option<PathBuf>,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// There is no such sender.
    #[error("{0:?} is no mail address to send from")]
    From(String),
    /// The way out is not well described.
    #[error(transparent)]
    Transport(#[from] BuildError),
}

/// A client.
#[derive(Debug)]
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
    templates: Templates,
}

/// A file that goes along with a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its type, such as `text/csv`; what is none is taken for bytes.
    pub content_type: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// A mail to be sent to one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail<'a, V> {
    /// What it is known by, the same at each attempt.
    pub id: MessageId,
    /// Whose address it goes to.
    pub to: &'a str,
    /// That person's name.
    pub name: Option<&'a str>,
    /// In place of the client's own, the sender's name: such as "Ann (Platform)". The address is the client's.
    pub from_name: Option<&'a str>,
    /// Where answers go.
    pub reply_to: Option<&'a str>,
    /// The message that it answers.
    pub in_reply_to: Option<MessageId>,
    /// The messages of its thread, the oldest first.
    pub references: Vec<MessageId>,
    /// The template's name.
    pub template: &'a str,
    /// What the template is filled with.
    pub values: V,
    /// What goes along with it.
    pub files: Vec<File>,
}

impl<'a, V> Mail<'a, V> {
    /// A mail that begins a thread.
    pub fn new(id: MessageId, to: &'a str, template: &'a str, values: V) -> Self {
        Self {
            id,
            to,
            name: None,
            from_name: None,
            reply_to: None,
            in_reply_to: None,
            references: Vec::new(),
            template,
            values,
            files: Vec::new(),
        }
    }
}

impl Mailer {
    /// A client with these options and templates; relative paths are taken from `base`. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`OptionsError`].
    pub fn new(options: &Options, templates: Templates, base: &Path) -> Result<Self, OptionsError> {
        let from = options.from.parse();
        Ok(Self {
            from: from.map_err(|_| OptionsError::From(options.from.clone()))?,
            transport: Transport::new(options.smtp.as_ref(), options.folder.as_deref(), base)?,
            templates,
        })
    }

    /// The domain that mails come from, which [`MessageId`]s of ours end with.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Sends a mail. It can be repeated: it is the same message then, though SMTP itself has no way to leave out the second.
    ///
    /// # Errors
    ///
    /// [`Error`]; permanent for a template that fails, an address that is none, and what the server refuses for good.
    pub async fn send<V: Serialize>(&self, mail: &Mail<'_, V>) -> Result<(), Error> {
        let failed = |failure| Error {
            service: "mail",
            operation: "send a mail",
            failure,
        };
        let message = self
            .compose(mail)
            .map_err(|reason| failed(Failure::permanent(reason)))?;
        self.transport
            .send(mail.id.as_str(), message)
            .await
            .map_err(failed)
    }

    fn compose<V: Serialize>(&self, mail: &Mail<'_, V>) -> Result<Message, String> {
        let Content { subject, text, html } = self
            .templates
            .render(mail.template, &mail.values)
            .map_err(|error| error.to_string())?;
        let mut from = self.from.clone();
        if let Some(name) = mail.from_name.map(one_line).filter(|name| !name.is_empty()) {
            from.name = Some(name);
        }
        let mut message = Message::builder()
            .message_id(Some(mail.id.as_str().to_owned()))
            .from(from)
            .to(mailbox(mail.name, mail.to)?)
            .subject(one_line(&subject))
            .raw_header(header("Auto-Submitted", "auto-generated"));
        if let Some(address) = mail.reply_to {
            message = message.reply_to(mailbox(None, address)?);
        }
        if let Some(id) = &mail.in_reply_to {
            message = message.in_reply_to(id.as_str().to_owned());
        }
        if !mail.references.is_empty() {
            let ids: Vec<_> = mail.references.iter().map(MessageId::as_str).collect();
            message = message.references(ids.join(" "));
        }
        let said = match (text, html) {
            (Some(text), Some(html)) => Said::Both(MultiPart::alternative_plain_html(text, html)),
            (Some(text), None) => Said::One(SinglePart::plain(text)),
            (None, html) => Said::One(SinglePart::html(html.unwrap_or_default())),
        };
        let message = match (mail.files.as_slice(), said) {
            ([], Said::Both(parts)) => message.multipart(parts),
            ([], Said::One(part)) => message.singlepart(part),
            (files, said) => {
                let mixed = MultiPart::mixed();
                let mixed = match said {
                    Said::Both(parts) => mixed.multipart(parts),
                    Said::One(part) => mixed.singlepart(part),
                };
                message.multipart(files.iter().map(attached).fold(mixed, MultiPart::singlepart))
            }
        };
        message.map_err(|error| format!("no mail can be made of this: {error}"))
    }
}

/// What a mail says.
enum Said {
    One(SinglePart),
    Both(MultiPart),
}

fn attached(file: &File) -> SinglePart {
    let bytes = || ContentType::parse("application/octet-stream").unwrap_or(ContentType::TEXT_PLAIN);
    let content_type = ContentType::parse(&file.content_type).unwrap_or_else(|_| bytes());
    Attachment::new(one_line(&file.name)).body(file.bytes.to_vec(), content_type)
}

/// A name or a subject as a header can have it.
fn one_line(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn mailbox(name: Option<&str>, address: &str) -> Result<Mailbox, String> {
    // The address is not told: it is somebody's.
    let address: Address = address
        .trim()
        .parse()
        .map_err(|error| format!("the address is no mail address: {error}"))?;
    let name = name.map(one_line).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, address))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
