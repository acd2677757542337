//! What the activities take and give. It is in histories, so fields are added and none is taken away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::{
    audience::{Author, Contact},
    payloads::{MailFile, Person},
    thread::address,
};

/// Which comment is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommentAsked {
    /// The ticket.
    pub ticket: String,
    /// The comment's id; without one, the latest is.
    pub comment: Option<String>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommentView {
    /// Its id.
    pub id: String,
    /// Who wrote it. Of one that came by mail: who wrote the mail.
    pub author: Author,
    /// What it says.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// Whether customers do not see it.
    pub internal: bool,
    /// Whether it came by mail.
    pub by_mail: bool,
    /// The files that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<TicketFile>,
}

/// A file of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub content_type: String,
    /// Its bytes.
    pub size: u64,
}

/// Files that came with an answer, to be attached to its ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttachFiles {
    /// They are attached once under this key.
    pub key: String,
    /// The ticket.
    pub ticket: String,
    /// Which.
    pub files: Vec<MailFile>,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedFiles {
    /// Those that are in the ticket.
    pub files: Vec<TicketFile>,
    /// Those that are not, each with the reason.
    pub left: Vec<String>,
}

/// A ticket, and who has to do with it in Jira.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketPeople {
    /// Its title.
    pub summary: String,
    /// Who watches it.
    pub watchers: Vec<Contact>,
    /// Who takes part in it.
    pub participants: Vec<Contact>,
}

impl TicketPeople {
    /// Watchers, then participants.
    pub fn all(&self) -> Vec<Contact> {
        self.watchers.iter().chain(&self.participants).cloned().collect()
    }

    /// The account that has this address.
    pub fn account_of(&self, email: &str) -> Option<String> {
        let mut all = self.watchers.iter().chain(&self.participants);
        let found = all.find(|contact| contact.email.as_deref().map(address) == Some(address(email)));
        found.map(|contact| contact.account.clone())
    }
}

/// An answer to a mail, to be added to its ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// It is added once under this key.
    pub key: String,
    /// The ticket.
    pub ticket: String,
    /// Who wrote it.
    pub author: Author,
    /// Whether they have to do with the ticket.
    pub known: bool,
    /// Whether customers are not to see it.
    pub internal: bool,
    /// What they wrote.
    pub text: String,
    /// The names of files that came with it and are not in the ticket.
    pub attachments: Vec<String>,
    /// The files that came with it and are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<TicketFile>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectView {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The ticket that it is handled by.
    pub ticket: Option<String>,
    /// What is known about it.
    pub metadata: BTreeMap<String, String>,
    /// The name of the account that it belongs to.
    pub account: Option<String>,
    /// The address of who looks after the account.
    pub manager: Option<String>,
}

/// What users may be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Comments of tickets.
    Tickets,
    /// Runs.
    Runs,
    /// Deliveries of data.
    Deliveries,
    /// Changes of the project.
    Project,
}

/// Whose users are wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProjectUsers {
    /// The project.
    pub project: String,
    /// What they are or are not subscribed to.
    pub topic: Topic,
}

/// A report, as the search index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: String,
}

/// A run, as a report's page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// Its status.
    pub status: String,
    /// Why it did not complete.
    pub reason: String,
    /// Records that it brought.
    pub records: u64,
    /// When it began, as in RFC 3339.
    pub started_at: Option<String>,
}

impl RunView {
    /// A run with this status.
    pub fn new(run: &str, status: &str) -> Self {
        Self {
            run: run.to_owned(),
            status: status.to_owned(),
            reason: String::new(),
            records: 0,
            started_at: None,
        }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }

    /// The same with so many records.
    #[must_use]
    pub fn with(mut self, records: u64) -> Self {
        self.records = records;
        self
    }

    /// The same with the time when it began.
    #[must_use]
    pub fn started(mut self, at: &str) -> Self {
        self.started_at = Some(at.to_owned());
        self
    }
}

/// A report's latest run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetRun {
    /// It is set once under this key.
    pub key: String,
    /// The report.
    pub report: String,
    /// The run.
    pub run: RunView,
}

/// A ticket that the support service is to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncTicket {
    /// It is done once under this key.
    pub key: String,
    /// The ticket.
    pub ticket: String,
}

/// Where a ticket's properties are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The ticket in Jira.
    Jira,
    /// Its record in HubSpot.
    Hubspot,
}

impl Target {
    /// As people know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jira => "Jira",
            Self::Hubspot => "HubSpot",
        }
    }
}

/// A ticket whose properties are to be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncProperties {
    /// It is done once under this key.
    pub key: String,
    /// The ticket.
    pub ticket: String,
    /// Where to.
    pub targets: Vec<Target>,
}

/// A ticket to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewTicket {
    /// It is made once under this key.
    pub key: String,
    /// The board.
    pub board: String,
    /// Its title.
    pub summary: String,
    /// What it is about.
    pub description: String,
    /// Whom it is from.
    pub reporter: Person,
    /// Its labels.
    pub labels: Vec<String>,
    /// Kept with it.
    pub properties: BTreeMap<String, String>,
}

/// A schema of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncSchema {
    /// It is done once under this key.
    pub key: String,
    /// The report.
    pub report: String,
    /// Its version.
    pub version: u64,
    /// The JSON Schema.
    pub schema: Value,
}

/// A project that is to be written to the search index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncProject {
    /// It is done once under this key.
    pub key: String,
    /// The project.
    pub project: String,
}

/// Attributes of a project's object in the search index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordUpdate {
    /// The object's id: the project's UUID.
    pub object: String,
    /// What is set.
    pub attributes: Value,
}

/// An event for the front end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Push {
    /// The channel.
    pub channel: String,
    /// The event's name.
    pub event: String,
    /// Its data.
    pub data: Value,
}

/// A contact of HubSpot's, known by its address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContactUpdate {
    /// The address.
    pub email: String,
    /// What is set.
    pub properties: BTreeMap<String, String>,
}
