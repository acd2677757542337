//! What is asked of Jira.

use segno_crawl_clients::{
    Failure,
    jira::{Comment, NewComment, User, Visibility, adf::Document},
};
use serde_json::json;

use super::{BusinessActivities, CommentAsked, CommentView, Reply, TicketPeople, told};
use crate::events::audience::{Author, Contact};

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
        Ok(comment.map(view))
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
        })
    }
}

fn view(comment: Comment) -> CommentView {
    let by_mail = comment.properties.get(AUTHOR);
    let author = by_mail.and_then(|author| serde_json::from_value(author.clone()).ok());
    let internal = comment.is_internal();
    CommentView {
        by_mail: by_mail.is_some(),
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
