//! The mail sink: one mail for each payload, by SMTP or, without a server, as a file in a folder.
//!
//! What the options do not say is taken from the payload: `fullname` and `email` (a text or a list) are whom it goes to,
//! `sender_name` and `sender_email` whom it comes from, beside `subject`, `text`, `html`, `template`, `data`, `cc`, `bcc`,
//! `reply_to`, `headers` and `attachments`. So a payload that was made for a mail service is a mail as it is.
//!
//! A template `welcome` is up to three files in the folder of templates: `welcome.subject.txt`, `welcome.txt` and
//! `welcome.html`, in minijinja's language over `payload`, `data` (the payload's field of this name), `event` and `key`.
//! What is put into HTML is escaped. They are read and checked when the sink is made.
//!
//! `Message-ID` is made of the idempotency key: a mail that is sent again, because the answer to the first was lost, is
//! the same message to those who look at it. SMTP itself has no way to leave out the second.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use lettre::Message;

use crate::{Delivered, Delivery, Failure, Sink};

mod attachments;
mod bodies;
mod compose;
mod folder;
mod options;
mod smtp;

use bodies::Bodies;
use folder::Folder;
use smtp::Smtp;

pub use bodies::BodiesError;
pub use options::{Attachment, HeaderTemplates, Html, Mailbox, Options, SmtpOptions, Tls};
pub use smtp::{BROKEN_OFF, SmtpError};

/// Why a mail sink cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It would go to two places.
    #[error("a mail sink has a `folder` or `smtp`, and this one has both")]
    Both,
    /// Its templates are wrong.
    #[error(transparent)]
    Bodies(#[from] BodiesError),
    /// Its server is not well described.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
}

/// The sink these options describe; relative paths are taken from `base`.
pub(crate) fn build(options: Options, _: &str, base: &Path) -> Result<Arc<dyn Sink>, BuildError> {
    Ok(Arc::new(Mail::new(options, base)?))
}

/// A mail sink.
#[derive(Debug)]
pub struct Mail {
    options: Options,
    bodies: Bodies,
    transport: Transport,
}

/// Where mails go: to a server, or into a folder.
#[derive(Debug)]
pub struct Transport(Way);

#[derive(Debug)]
enum Way {
    Folder(Folder),
    Smtp(Smtp),
}

impl Transport {
    /// To this server or into this folder; without either, into `mail`. Relative paths are taken from `base`. It connects to
    /// nothing yet.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub fn new(smtp: Option<&SmtpOptions>, folder: Option<&Path>, base: &Path) -> Result<Self, BuildError> {
        Ok(Self(match (smtp, folder) {
            (Some(_), Some(_)) => return Err(BuildError::Both),
            (Some(smtp), None) => Way::Smtp(Smtp::new(smtp, base)?),
            (None, folder) => {
                let folder = folder.unwrap_or(Path::new("mail"));
                Way::Folder(Folder::new(base.join(folder)))
            }
        }))
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.0, Way::Folder(_))
    }

    /// Sends one mail to all of its recipients or to none. In a folder, one under the same key takes the other's place.
    ///
    /// # Errors
    ///
    /// [`Failure`], permanent where the server refuses the mail for good.
    pub async fn send(&self, key: &str, mail: Message) -> Result<(), Failure> {
        match &self.0 {
            Way::Folder(folder) => folder.write(key, mail.formatted()).await,
            Way::Smtp(smtp) => smtp.send(mail).await,
        }
    }
}

impl Mail {
    /// The sink these options describe; relative paths are taken from `base`. It reads the templates and connects to nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub fn new(options: Options, base: &Path) -> Result<Self, BuildError> {
        let bodies = Bodies::read(options.templates.as_ref().map(|folder| base.join(folder)))?;
        let transport = Transport::new(options.smtp.as_ref(), options.folder.as_deref(), base)?;
        Ok(Self {
            options,
            bodies,
            transport,
        })
    }
}

#[async_trait]
impl Sink for Mail {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        // In a folder it is to be seen who gets a blind copy; a server is told beside the mail.
        let keep_bcc = self.transport.is_folder();
        let mail = compose::compose(&self.options, &self.bodies, delivery, keep_bcc)?;
        self.transport.send(delivery.key, mail).await?;
        Ok(Delivered { status: None })
    }
}
