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
pub use smtp::SmtpError;

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
    way: Way,
}

/// Where its mails go.
#[derive(Debug)]
enum Way {
    Folder(Folder),
    Smtp(Smtp),
}

impl Mail {
    /// The sink these options describe; relative paths are taken from `base`. It reads the templates and connects to nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub fn new(options: Options, base: &Path) -> Result<Self, BuildError> {
        let bodies = Bodies::read(options.templates.as_ref().map(|folder| base.join(folder)))?;
        let way = match (&options.smtp, &options.folder) {
            (Some(_), Some(_)) => return Err(BuildError::Both),
            (Some(smtp), None) => Way::Smtp(Smtp::new(smtp, base)?),
            (None, folder) => {
                let folder = folder.as_deref().unwrap_or(Path::new("mail"));
                Way::Folder(Folder::new(base.join(folder)))
            }
        };
        Ok(Self { options, bodies, way })
    }
}

#[async_trait]
impl Sink for Mail {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        // In a folder it is to be seen who gets a blind copy; a server is told beside the mail.
        let keep_bcc = matches!(self.way, Way::Folder(_));
        let mail = compose::compose(&self.options, &self.bodies, delivery, keep_bcc)?;
        match &self.way {
            Way::Folder(folder) => folder.write(delivery.key, mail.formatted()).await?,
            Way::Smtp(smtp) => smtp.send(mail).await?,
        }
        Ok(Delivered { status: None })
    }
}
