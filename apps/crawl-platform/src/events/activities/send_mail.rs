//! Mails: one a person, at most once.
//!
//! SMTP has no way to ask whether a mail was taken. So before a mail is handed to the server its `Message-ID` is noted in the
//! platform's database, and after the server's answer again. An attempt that finds the second note does nothing. One that
//! finds the first alone does not know: the worker before it ended in the moment between, or still waits for the server. Then the
//! mail is not sent again, and the execution's result says so: a mail that is missing is seen there, and asked for; one that
//! comes twice is not taken back. A server's refusal takes the first note away, and the next attempt sends.
//!
//! A mail that is written to a folder replaces itself, so there the doubt does no harm, and it is written again.

use async_trait::async_trait;
use segno_crawl_clients::{
    Failure,
    mail::{File, Mail, MessageId},
};
use segno_sinks::mail::BROKEN_OFF;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BusinessActivities, CommentView, TicketFile, told};
use crate::{
    crash::{self, Moment},
    events::payloads::Person,
};

/// A mail to one person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Whom it goes to.
    pub to: Person,
    /// The name of its template.
    pub template: String,
    /// What the template is given.
    pub data: Value,
    /// What it is about, which makes its `Message-ID`.
    pub about: About,
    /// The ticket's files that go along with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<TicketFile>,
}

/// What a mail is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A comment of a ticket. It can be answered.
    Comment {
        /// The ticket.
        ticket: String,
        /// The comment.
        comment: String,
        /// Whether customers do not see it.
        internal: bool,
        /// The mails that the comment came by, the oldest first.
        thread: Vec<String>,
    },
    /// Something else, under this key: one mail a person.
    Single {
        /// The key.
        key: String,
    },
}

impl Letter {
    pub(in crate::events) fn single(key: String, to: &Person, template: &str, data: Value) -> Self {
        Self {
            to: to.clone(),
            template: template.to_owned(),
            data,
            about: About::Single { key },
            files: Vec::new(),
        }
    }

    pub(in crate::events) fn of_comment(
        ticket: &str,
        comment: &CommentView,
        thread: &[String],
        to: Person,
        template: &str,
        data: Value,
        files: Vec<TicketFile>,
    ) -> Self {
        let about = About::Comment {
            ticket: ticket.to_owned(),
            comment: comment.id.clone(),
            internal: comment.internal,
            thread: thread.to_vec(),
        };
        Self {
            to,
            template: template.to_owned(),
            data,
            about,
            files,
        }
    }
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Posted {
    /// The server has it.
    Now,
    /// It had it before.
    Before,
    /// Nobody knows whether it has it; it is not sent again.
    InDoubt,
}

/// What is noted of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is this attempt's to send.
    Mine,
    /// Another attempt was to send it, and has not noted that it did.
    Begun,
    /// It is sent.
    Sent,
}

/// Which mails were sent, kept across crashes and known to all processes.
#[async_trait]
pub trait SentMails: Send + Sync + 'static {
    /// Notes that a mail is about to be sent, unless something is noted of it.
    ///
    /// # Errors
    /// When nothing could be noted.
    async fn claim(&self, message_id: &str) -> Result<Claim, Failure>;

    /// Notes that it is sent.
    ///
    /// # Errors
    /// When it could not be noted.
    async fn sent(&self, message_id: &str) -> Result<(), Failure>;

    /// Notes that it is not: the server has refused it, or was not reached.
    ///
    /// # Errors
    /// When it could not be noted.
    async fn release(&self, message_id: &str) -> Result<(), Failure>;
}

/// The name by which templates know the files that do not go along, each a text.
pub(in crate::events) const LEFT: &str = "files_left";

/// What goes along with a mail, and what its template is given.
struct Enclosed {
    files: Vec<File>,
    data: Value,
}

/// What a mail is known by, and what it hangs together with.
struct Envelope {
    id: String,
    reply_to: Option<String>,
    in_reply_to: Option<String>,
    references: Vec<String>,
}

impl BusinessActivities {
    pub(super) async fn post(&self, letter: &Letter, attempt: u32) -> Result<Posted, Failure> {
        let envelope = self.envelope(letter);
        // Before it is noted that the mail is about to be sent: this takes time, in which a worker may end.
        let enclosed = self.enclosed(letter).await?;
        let doubtful = match self.sent.claim(&envelope.id).await? {
            Claim::Sent => return Ok(Posted::Before),
            Claim::Begun if !self.systems.mail_replaces => {
                tracing::warn!(message_id = %envelope.id, "a mail may have been sent, and is not sent again");
                return Ok(Posted::InDoubt);
            }
            Claim::Begun => true,
            Claim::Mine => false,
        };
        crash::at(Moment::After, "claim");
        if let Err(failure) = self.deliver(letter, &envelope, enclosed).await {
            if is_certain(&failure) {
                self.sent.release(&envelope.id).await?;
            }
            return Err(failure);
        }
        // A worker may die here.
        crash::at(Moment::After, "deliver_mail");
        if self.faulty("send_mail/unrecorded", attempt) {
            return Err(Failure::retryable(
                "the attempt is made to fail before it is recorded",
            ));
        }
        self.sent.sent(&envelope.id).await?;
        Ok(if doubtful { Posted::Before } else { Posted::Now })
    }

    fn envelope(&self, letter: &Letter) -> Envelope {
        let threads = &self.threads;
        match &letter.about {
            About::Comment {
                ticket,
                comment,
                internal,
                thread,
            } => {
                let root = threads.root(ticket);
                let mut references = vec![root.clone()];
                references.extend(thread.iter().filter(|id| **id != root).cloned());
                Envelope {
                    id: threads.message_id(ticket, comment, *internal, &letter.to.email),
                    reply_to: Some(threads.reply_to(ticket, *internal)),
                    in_reply_to: references.last().cloned(),
                    references,
                }
            }
            About::Single { key } => Envelope {
                id: threads.single(key, &letter.to.email),
                reply_to: None,
                in_reply_to: None,
                references: Vec::new(),
            },
        }
    }

    /// What goes along with a letter, as it is in the ticket now.
    async fn enclosed(&self, letter: &Letter) -> Result<Enclosed, Failure> {
        let mut enclosed = Enclosed {
            files: Vec::new(),
            data: letter.data.clone(),
        };
        for file in &letter.files {
            match self.systems.jira.attachment_content(&file.id).await {
                Ok(bytes) => enclosed.files.push(File {
                    name: file.name.clone(),
                    content_type: file.content_type.clone(),
                    bytes,
                }),
                // Somebody has removed it meanwhile.
                Err(error) if error.is_not_found() => {
                    let left = Value::from(format!("{} (it is removed)", file.name));
                    match &mut enclosed.data[LEFT] {
                        Value::Array(others) => others.push(left),
                        none => *none = Value::Array(vec![left]),
                    }
                }
                Err(error) => return Err(told(error)),
            }
        }
        Ok(enclosed)
    }

    async fn deliver(&self, letter: &Letter, envelope: &Envelope, enclosed: Enclosed) -> Result<(), Failure> {
        let id = message_id(&envelope.id).ok_or_else(|| Failure::permanent("the mail's id is none"))?;
        let mut mail = Mail::new(id, &letter.to.email, &letter.template, &enclosed.data);
        mail.files = enclosed.files;
        mail.name = letter.to.name.as_deref();
        mail.reply_to = envelope.reply_to.as_deref();
        // Other people's programs may have made ids that are none.
        mail.in_reply_to = envelope.in_reply_to.as_deref().and_then(message_id);
        mail.references = envelope
            .references
            .iter()
            .filter_map(|id| message_id(id))
            .collect();
        self.systems.mail.send(&mail).await.map_err(told)
    }
}

fn message_id(id: &str) -> Option<MessageId> {
    format!("<{id}>").parse().ok()
}

/// Whether a mail was not taken for sure: the server has said so, or was not reached, or the mail was never made. When a
/// conversation breaks off, it may have been taken.
fn is_certain(failure: &Failure) -> bool {
    match failure {
        Failure::Permanent { .. } => true,
        Failure::Retryable { reason, .. } => !reason.contains(BROKEN_OFF),
    }
}
