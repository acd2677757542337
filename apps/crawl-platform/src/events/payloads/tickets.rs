//! Tickets in Jira, and what people write about them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Person, payload};

/// Somebody has commented on a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketCommented {
    /// The ticket's key, such as `WD-12`.
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]+-[0-9]+$"))]
    pub ticket: String,
    /// The comment's id. Without it the ticket's latest comment is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
payload!(
    TicketCommented,
    "TicketCommentedEvent",
    "phoenix-webhooks",
    ticket,
    Self {
        ticket: "WD-12".to_owned(),
        comment: Some("10045".to_owned()),
    }
);

/// Somebody has answered a mail that told of a comment on a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactMessageReplied {
    /// The ticket's key.
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]+-[0-9]+$"))]
    pub ticket: String,
    /// Who has answered.
    pub from: Person,
    /// The answer's `Message-ID`, without angle brackets.
    pub message_id: String,
    /// The `Message-ID` of the mail that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// The thread so far, the oldest first.
    #[serde(default)]
    pub references: Vec<String>,
    /// The subject.
    #[serde(default)]
    pub subject: String,
    /// What was written, without what it quotes.
    #[schemars(length(min = 1))]
    pub text: String,
    /// Whether the mail that is answered was about an internal note: the answer is one too.
    #[serde(default)]
    pub internal: bool,
    /// The names of files that came with the answer and were not kept: they are named in the ticket.
    #[serde(default)]
    pub attachments: Vec<String>,
    /// The files that came with the answer and were kept: they are attached to the ticket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<MailFile>,
}

/// A file that came with a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailFile {
    /// Its name.
    pub name: String,
    /// Its type, such as `text/csv`.
    pub content_type: String,
    /// Its bytes.
    pub size: u64,
    /// Where the platform keeps it.
    pub place: String,
}
payload!(
    ContactMessageReplied,
    "ContactMessageRepliedEvent",
    "phoenix-webhooks",
    ticket,
    Self {
        ticket: "WD-12".to_owned(),
        from: Person::new("Carla Customer", "carla@shop.example"),
        message_id: "b7c1@mail.shop.example".to_owned(),
        in_reply_to: None,
        references: Vec::new(),
        subject: "Re: [WD-12] Prices are missing".to_owned(),
        text: "They are there now, thank you.".to_owned(),
        internal: false,
        attachments: Vec::new(),
        files: Vec::new(),
    }
);

/// A ticket was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketCreated {
    /// The ticket's key.
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]+-[0-9]+$"))]
    pub ticket: String,
}
payload!(
    TicketCreated,
    "TicketCreatedEvent",
    "phoenix-webhooks",
    ticket,
    Self {
        ticket: "WD-12".to_owned(),
    }
);

/// Fields of a ticket were changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketUpdated {
    /// The ticket's key.
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]+-[0-9]+$"))]
    pub ticket: String,
    /// The change's id in Jira's changelog: each is handled once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The fields that were changed.
    #[serde(default)]
    pub fields: Vec<String>,
}
payload!(
    TicketUpdated,
    "TicketUpdatedEvent",
    "phoenix-webhooks",
    ticket,
    Self {
        ticket: "WD-12".to_owned(),
        change: Some("20017".to_owned()),
        fields: vec!["priority".to_owned()],
    }
);

/// A ticket has another status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketTransitioned {
    /// The ticket's key.
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]+-[0-9]+$"))]
    pub ticket: String,
    /// The change's id in Jira's changelog: each is handled once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The status before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The status now.
    pub to: String,
}
payload!(
    TicketTransitioned,
    "TicketTransitionedEvent",
    "phoenix-webhooks",
    ticket,
    Self {
        ticket: "WD-12".to_owned(),
        change: Some("20018".to_owned()),
        from: Some("To Do".to_owned()),
        to: "In Progress".to_owned(),
    }
);
