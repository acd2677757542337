//! What is asked of Jira.

use segno_crawl_clients::{
    Failure,
    jira::{Attachment, Comment, NewComment, Upload, User, Visibility, adf::Document},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    AttachFiles, AttachedFiles, BusinessActivities, CommentAsked, CommentView, Reply, TicketFile,
    TicketPeople, told,
};
use crate::{
    crash::{self, Moment},
    events::{
        audience::{Author, Contact},
        thread::hex,
    },
};

/// The property of comments that came by mail: who wrote them.
const AUTHOR: &str = "segno.author";

impl BusinessActivities {
    pub(super) async fn get_comment(&self, asked: &CommentAsked) -> Result<Option<CommentView>, Failure> {
        let jira = &self.systems.jira;
        let latest = jira.latest_comment(&asked.ticket).await.map_err(told)?;
        let comment = match (&asked.comment, latest) {
            // Another one was written meanwhile; it has an event of its own.
            (Some(id), latest) if latest.as_ref().is_none_or(|latest| latest.id != *id) => {
                jira.comment(&asked.ticket, id).await.map_err(told)?
            }
            (_, latest) => latest,
        };
        let Some(comment) = comment else {
            return Ok(None);
        };
        let files = match comment.body.has_files() {
            true => jira
                .attachments_of(&asked.ticket, &comment.id)
                .await
                .map_err(told)?,
            false => Vec::new(),
        };
        let mut view = view(comment);
        view.files = files.into_iter().map(file).collect();
        Ok(Some(view))
    }

    /// Attaches files under names that have a mark of their mail: so they are known again, and no other file of the ticket is
    /// taken for one of them.
    pub(super) async fn put_files(&self, asked: &AttachFiles) -> Result<AttachedFiles, Failure> {
        let mut attached = AttachedFiles::default();
        for (number, file) in asked.files.iter().enumerate() {
            let name = marked(&file.name, &asked.key, number);
            let Some(bytes) = self.files.get(&file.place).await? else {
                attached
                    .left
                    .push(format!("{} (not kept for so long)", file.name));
                continue;
            };
            let upload = Upload {
                name: &name,
                content_type: &file.content_type,
                bytes: &bytes,
            };
            match self.systems.jira.attach_once(&asked.ticket, upload).await {
                Ok(done) => attached.files.push(self::file(done.attachment)),
                // The ticket is not lost for a file.
                Err(error) if error.failure.status() == Some(413) => {
                    let left = format!("{} ({}; Jira takes none so large)", file.name, size(file.size));
                    attached.left.push(left);
                }
                Err(error) => return Err(told(error)),
            }
            crash::at(Moment::After, "attach");
        }
        Ok(attached)
    }

    pub(super) async fn get_people(&self, ticket: &str) -> Result<TicketPeople, Failure> {
        let jira = &self.systems.jira;
        let issue = jira.issue(ticket, &["summary"], &[]).await.map_err(told)?;
        let watchers = jira.watchers(ticket).await.map_err(told)?;
        let participants = jira.participants(ticket).await.map_err(told)?;
        Ok(TicketPeople {
            summary: issue.summary().unwrap_or_default().to_owned(),
            watchers: watchers.into_iter().map(contact).collect(),
            participants: participants.into_iter().map(contact).collect(),
        })
    }

    /// Jira takes no comment in the name of somebody else. So the comment begins with who wrote it, for people, and has the
    /// same in a property, by which it is known as theirs.
    pub(super) async fn put_reply(&self, reply: &Reply) -> Result<CommentView, Failure> {
        let email = reply.author.email.as_deref().unwrap_or_default();
        let mut text = format!(
            "{} ({email}) answered by mail:\n\n{}",
            reply.author.name, reply.text
        );
        if !reply.known {
            text = format!(
                "Not shown to the customer: the sender has nothing to do with this ticket.\n\n{text}"
            );
        }
        if !reply.files.is_empty() {
            let names: Vec<_> = reply.files.iter().map(|file| file.name.as_str()).collect();
            text = format!("{text}\n\nAttached: {}", names.join(", "));
        }
        if !reply.attachments.is_empty() {
            text = format!("{text}\n\nNot taken over: {}", reply.attachments.join(", "));
        }
        let visibility = if reply.internal {
            Visibility::Internal
        } else {
            Visibility::Public
        };
        let comment = NewComment::text(&text, visibility).property(AUTHOR, json!(reply.author));
        let jira = &self.systems.jira;
        let added = jira
            .add_comment_once(&reply.ticket, &reply.key, &comment)
            .await
            .map_err(told)?;
        Ok(CommentView {
            id: added.comment.id,
            author: reply.author.clone(),
            text: reply.text.clone(),
            html: Document::from_text(&reply.text).to_html(),
            internal: reply.internal,
            by_mail: true,
            files: reply.files.clone(),
        })
    }
}

fn file(attachment: Attachment) -> TicketFile {
    TicketFile {
        id: attachment.id,
        name: attachment.filename,
        content_type: attachment.mime_type,
        size: attachment.size,
    }
}

/// A name with a mark before its end: `prices.csv` as `prices (1f3b9c).csv`.
fn marked(name: &str, key: &str, number: usize) -> String {
    let mark = hex(&Sha256::digest(format!("{key}\n{number}"))[..3]);
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => format!("{stem} ({mark}).{end}"),
        _ => format!("{name} ({mark})"),
    }
}

/// Bytes as people write them.
pub(in crate::events) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

fn view(comment: Comment) -> CommentView {
    let by_mail = comment.properties.get(AUTHOR);
    let author = by_mail.and_then(|author| serde_json::from_value(author.clone()).ok());
    let internal = comment.is_internal();
    CommentView {
        by_mail: by_mail.is_some(),
        files: Vec::new(),
        author: author.unwrap_or_else(|| comment.author.map(author_of).unwrap_or_default()),
        text: comment.body.to_text(),
        html: comment.body.to_html(),
        internal,
        id: comment.id,
    }
}

fn author_of(user: User) -> Author {
    Author {
        name: user.display_name,
        account: Some(user.account_id),
        email: user.email_address,
    }
}

fn contact(user: User) -> Contact {
    Contact {
        account: user.account_id,
        name: user.display_name,
        email: user.email_address,
        active: user.active,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_again_by_its_name() {
        let name = marked("prices.csv", "a@b.example", 0);
        assert!(name.starts_with("prices (") && name.ends_with(").csv"), "{name}");
        assert_eq!(name, marked("prices.csv", "a@b.example", 0));
        assert_ne!(name, marked("prices.csv", "a@b.example", 1));
        assert_ne!(name, marked("prices.csv", "b@b.example", 0));
        assert!(marked("README", "a", 0).starts_with("README ("));
        assert!(marked(".env", "a", 0).starts_with(".env ("));
    }

    #[test]
    fn sizes_are_written_for_people() {
        for (bytes, text) in [(7, "7 bytes"), (20_400, "20 kB"), (31_490_000, "31.4 MB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
