//! Tickets, and what people write about them.

use serde_json::json;
use temporalio_sdk::WorkflowTermination;

use super::steps::Steps;
use crate::events::{
    activities::{
        AttachFiles, BusinessActivities, CommentAsked, CommentView, LEFT, Letter, ProjectUsers, ProjectView,
        Reply, SyncProperties, SyncTicket, Target, TicketFile, TicketPeople, Topic, size,
    },
    audience::{Author, Member, Question, audience, belongs},
    mail_in::DELIMITER,
    payloads::{ContactMessageReplied, TicketCommented, TicketCreated, TicketTransitioned, TicketUpdated},
};

type Done = Result<(), WorkflowTermination>;

/// What is known of a ticket when somebody has written about it.
struct Ticket {
    people: TicketPeople,
    project: Option<ProjectView>,
    members: Vec<Member>,
}

/// Watchers and participants from Jira, the project from the platform, its users with their subscriptions.
async fn ticket<W: 'static>(steps: &Steps<W>, key: &str) -> Result<Ticket, WorkflowTermination> {
    let people = steps
        .run(BusinessActivities::ticket_people, key.to_owned())
        .await?;
    let project = steps
        .run(BusinessActivities::ticket_project, key.to_owned())
        .await?;
    let members = match &project {
        None => Vec::new(),
        Some(project) => {
            let asked = ProjectUsers {
                project: project.id.clone(),
                topic: Topic::Tickets,
            };
            steps.run(BusinessActivities::project_users, asked).await?
        }
    };
    Ok(Ticket {
        people,
        project,
        members,
    })
}

/// Tells the people of a ticket of a comment. `thread`: the mails that the comment answers, if it came as one.
async fn tell<W: 'static>(
    steps: &Steps<W>,
    key: &str,
    comment: &CommentView,
    ticket: &Ticket,
    thread: &[String],
) -> Done {
    let terms = steps.terms();
    let told = audience(&Question {
        author: &comment.author,
        internal_note: comment.internal,
        contacts: &ticket.people.all(),
        members: &ticket.members,
        domains: &terms.internal_domains,
        mail_domain: &terms.mail_domain,
    });
    let (files, left) = enclosed(&comment.files, terms.largest_files);
    let data = json!({
        "ticket": key,
        "summary": ticket.people.summary,
        "project": ticket.project.as_ref().map(|project| &project.name),
        "author": comment.author.name,
        "text": comment.text,
        "html": comment.html,
        "delimiter": DELIMITER,
        LEFT: left,
    });
    let letters = |people: Vec<crate::events::payloads::Person>, template: &'static str| {
        let (data, files) = (&data, &files);
        people.into_iter().map(move |to| {
            Letter::of_comment(key, comment, thread, to, template, data.clone(), files.clone())
        })
    };
    let internal = if comment.internal {
        "note-internal"
    } else {
        "comment-internal"
    };
    let all = letters(told.internal, internal).chain(letters(told.external, "comment-external"));
    steps.post(all.collect()).await
}

/// The files that go along with a mail, in their order as long as there is room; and the others, by name and size.
fn enclosed(files: &[TicketFile], largest: u64) -> (Vec<TicketFile>, Vec<String>) {
    let (mut room, mut enclosed, mut left) = (largest, Vec::new(), Vec::new());
    for file in files {
        match room.checked_sub(file.size) {
            Some(rest) => {
                room = rest;
                enclosed.push(file.clone());
            }
            None => left.push(format!(
                "{} ({}, too large; it is in the ticket)",
                file.name,
                size(file.size)
            )),
        }
    }
    (enclosed, left)
}

/// Somebody has commented: the ticket's people are mailed, unless the comment came by mail and they were told then.
pub(in crate::events) async fn ticket_commented<W: 'static>(
    steps: &Steps<W>,
    event: TicketCommented,
) -> Done {
    let asked = CommentAsked {
        ticket: event.ticket.clone(),
        comment: event.comment,
    };
    let Some(comment) = steps.run(BusinessActivities::comment, asked).await? else {
        steps.note("the comment is not there any more");
        return Ok(());
    };
    if comment.by_mail {
        steps.note("the comment came by mail, and its readers were told then");
        return Ok(());
    }
    let ticket = ticket(steps, &event.ticket).await?;
    tell(steps, &event.ticket, &comment, &ticket, &[]).await
}

/// Somebody has answered a mail about a ticket: the answer becomes a comment of theirs, and the ticket's other people are
/// mailed. Who has nothing to do with the ticket has got the mail from somebody else; their words are kept as an internal note,
/// so that nobody writes into customers' tickets with a mail that was passed on.
pub(in crate::events) async fn contact_message_replied<W: 'static>(
    steps: &Steps<W>,
    event: ContactMessageReplied,
) -> Done {
    let ticket = ticket(steps, &event.ticket).await?;
    let contacts = ticket.people.all();
    let known = belongs(
        &event.from.email,
        &contacts,
        &ticket.members,
        &steps.terms().internal_domains,
    );
    let account = ticket.people.account_of(&event.from.email);
    let author = Author {
        name: event
            .from
            .name
            .clone()
            .unwrap_or_else(|| event.from.email.clone()),
        account,
        email: Some(event.from.email.clone()),
    };
    if !known {
        steps.note("the sender has nothing to do with the ticket: kept as an internal note");
    }
    // Whom nobody knows puts no file into a ticket.
    let mut left: Vec<_> = event.attachments.clone();
    let mut files = Vec::new();
    if known && !event.files.is_empty() {
        let asked = AttachFiles {
            key: event.message_id.clone(),
            ticket: event.ticket.clone(),
            files: event.files.clone(),
        };
        let attached = steps.run(BusinessActivities::attach_files, asked).await?;
        steps.note(format!("{} files attached", attached.files.len()));
        left.extend(attached.left);
        files = attached.files;
    } else {
        left.extend(event.files.iter().map(|file| file.name.clone()));
    }
    let reply = Reply {
        // Of the mail and not of the event: a gateway that hands the mail in twice makes one comment.
        key: event.message_id.clone(),
        ticket: event.ticket.clone(),
        author: author.clone(),
        known,
        internal: event.internal || !known,
        text: event.text.clone(),
        attachments: left,
        files,
    };
    let comment = steps.run(BusinessActivities::add_reply, reply).await?;
    steps.note(format!("comment {}", comment.id));
    let mut thread = event.references;
    thread.extend(event.in_reply_to);
    thread.push(event.message_id);
    thread.dedup();
    tell(steps, &event.ticket, &comment, &ticket, &thread).await
}

/// A ticket was made: the properties of its project go to it and to HubSpot.
pub(in crate::events) async fn ticket_created<W: 'static>(steps: &Steps<W>, event: TicketCreated) -> Done {
    sync_properties(steps, event.ticket, vec![Target::Jira, Target::Hubspot]).await
}

/// A ticket was changed: the support service reads it, and writes its properties to HubSpot.
pub(in crate::events) async fn ticket_updated<W: 'static>(steps: &Steps<W>, event: TicketUpdated) -> Done {
    let asked = SyncTicket {
        key: steps.key("sync-ticket"),
        ticket: event.ticket.clone(),
    };
    steps.run(BusinessActivities::sync_ticket, asked).await?;
    steps.note(format!("{} in the support service", event.ticket));
    sync_properties(steps, event.ticket, vec![Target::Hubspot]).await
}

/// A ticket has another status: HubSpot learns of it.
pub(in crate::events) async fn ticket_transitioned<W: 'static>(
    steps: &Steps<W>,
    event: TicketTransitioned,
) -> Done {
    sync_properties(steps, event.ticket, vec![Target::Hubspot]).await
}

pub(super) async fn sync_properties<W: 'static>(
    steps: &Steps<W>,
    ticket: String,
    targets: Vec<Target>,
) -> Done {
    let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
    let note = format!("the properties of {ticket} in {}", names.join(" and "));
    let asked = SyncProperties {
        key: steps.key("sync-properties"),
        ticket,
        targets,
    };
    steps.run(BusinessActivities::sync_properties, asked).await?;
    steps.note(note);
    Ok(())
}
