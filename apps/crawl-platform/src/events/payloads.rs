//! What the data of each business event is: one type an event, one file a family.
//!
//! Readers take fields that they do not know, so that senders can add some; what is required is all that a workflow cannot do
//! without, and the rest it asks the systems for.

mod crawler;
mod people;
mod projects;
mod reports;
mod tickets;

pub use crawler::{
    CrawlerIncident, CrawlerRunStarted, CrawlerSummaryCalculated, HistoryStatsAdded, Severity,
};
pub use people::{
    ContactFormSubmitted, InactiveUserDetected, LoginEmailDelivered, MeetingScheduled,
    PasswordResetRequested, UserCreated, UserTeamInvited,
};
pub use projects::{
    CustomerProjectTransferred, MetadataUpdated, ProjectCreated, ProjectUpdated, UserProjectAdded,
};
pub use reports::{
    DataDeliveryFailed, ReportCanceled, ReportCreated, ReportDeliveryInitiated, ReportRunFailed,
    ReportRunStopped, ReportSchemaGenerated, ReportUpdated,
};
use schemars::JsonSchema;
use segno::Event;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
pub use tickets::{
    ContactMessageReplied, MailFile, TicketCommented, TicketCreated, TicketTransitioned, TicketUpdated,
};

/// Somebody with an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The name, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The mail address.
    #[schemars(length(min = 3))]
    pub email: String,
}

impl Person {
    /// Somebody.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            email: email.into(),
        }
    }
}

/// The data of one type of business event.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The type of its events, such as `TicketCommentedEvent`.
    const TYPE: &'static str;
    /// The `source` of its events: the service that emits them first of all.
    const SOURCE: &'static str;

    /// What the event is about: the ticket, run, report, project or person. It becomes the event's `subject`.
    fn subject(&self) -> &str;

    /// One as it may come.
    fn example() -> Self;

    /// The event that tells of this. Two events of one id are one event, so an id is made of what happened and not at random.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn event(&self, id: impl Into<String>) -> Result<Event, serde_json::Error> {
        let mut event = Event::new(Self::SOURCE, id, Self::TYPE).with_data(serde_json::to_value(self)?);
        event.subject = Some(self.subject().to_owned());
        Ok(event)
    }
}

/// The constants of a payload, and its subject.
macro_rules! payload {
    ($payload:ident, $ty:literal, $source:literal, $subject:ident, $example:expr) => {
        impl $crate::events::payloads::Payload for $payload {
            const TYPE: &'static str = $ty;
            const SOURCE: &'static str = $source;

            #[allow(
                clippy::misnamed_getters,
                reason = "each payload has a name of its own for it"
            )]
            fn subject(&self) -> &str {
                &self.$subject
            }

            fn example() -> Self {
                $example
            }
        }
    };
}
use payload;
