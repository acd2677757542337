//! People: users, and those who may become some.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Person, payload};

/// A user has signed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserCreated {
    /// The user's id.
    #[schemars(length(min = 1))]
    pub user: String,
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// The company, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
}
payload!(
    UserCreated,
    "UserCreatedEvent",
    "phoenix-account-service",
    user,
    Self {
        user: "u-31".to_owned(),
        person: Person::new("Carla Customer", "carla@shop.example"),
        company: Some("Shop".to_owned()),
    }
);

/// Somebody is invited to a team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserTeamInvited {
    /// The invitation's id.
    #[schemars(length(min = 1))]
    pub invitation: String,
    /// Who is invited.
    #[serde(flatten)]
    pub person: Person,
    /// The team's name.
    pub team: String,
    /// Who invites.
    pub invited_by: Person,
    /// Where the invitation is accepted.
    #[schemars(url)]
    pub link: String,
}
payload!(
    UserTeamInvited,
    "UserTeamInvitedEvent",
    "phoenix-account-service",
    invitation,
    Self {
        invitation: "i-7".to_owned(),
        person: Person::new("Kim Colleague", "kim@shop.example"),
        team: "Shop".to_owned(),
        invited_by: Person::new("Carla Customer", "carla@shop.example"),
        link: "https://app.webdata.example/invitations/i-7".to_owned(),
    }
);

/// A user wants a new password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordResetRequested {
    /// The request's id.
    #[schemars(length(min = 1))]
    pub request: String,
    /// The user's id.
    pub user: String,
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// Where the new password is set. It is good once.
    #[schemars(url)]
    pub link: String,
    /// Minutes until the link is good no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_minutes: Option<u32>,
}
payload!(
    PasswordResetRequested,
    "PasswordResetRequestedEvent",
    "phoenix-account-service",
    user,
    Self {
        request: "r-5".to_owned(),
        user: "u-31".to_owned(),
        person: Person::new("Carla Customer", "carla@shop.example"),
        link: "https://app.webdata.example/password/r-5".to_owned(),
        valid_minutes: Some(30),
    }
);

/// A user has not been seen for long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InactiveUserDetected {
    /// The user's id.
    #[schemars(length(min = 1))]
    pub user: String,
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// Days since the user was seen.
    pub days: u32,
    /// Whether the user takes mails that are no answers to what they do.
    #[serde(default)]
    pub subscribed: bool,
}
payload!(
    InactiveUserDetected,
    "InactiveUserDetectedEvent",
    "phoenix-account-service",
    user,
    Self {
        user: "u-31".to_owned(),
        person: Person::new("Carla Customer", "carla@shop.example"),
        days: 60,
        subscribed: true,
    }
);

/// The mail with which a user signs in has arrived at their mail server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginEmailDelivered {
    /// The user's id.
    #[schemars(length(min = 1))]
    pub user: String,
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// The mail's `Message-ID`.
    pub message_id: String,
    /// When, as in RFC 3339.
    pub delivered_at: String,
}
payload!(
    LoginEmailDelivered,
    "LoginEmailDeliveredEvent",
    "phoenix-account-service",
    user,
    Self {
        user: "u-31".to_owned(),
        person: Person::new("Carla Customer", "carla@shop.example"),
        message_id: "login-5@mail.webdata.example".to_owned(),
        delivered_at: "2026-03-02T09:00:00Z".to_owned(),
    }
);

/// Somebody has filled in the contact form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactFormSubmitted {
    /// The submission's id.
    #[schemars(length(min = 1))]
    pub submission: String,
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// The company, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// What they wrote.
    pub message: String,
}
payload!(
    ContactFormSubmitted,
    "ContactFormSubmittedEvent",
    "phoenix-webhooks",
    submission,
    Self {
        submission: "f-9".to_owned(),
        person: Person::new("Lee Lead", "lee@prospect.example"),
        company: Some("Prospect".to_owned()),
        message: "Can you crawl prices once a day?".to_owned(),
    }
);

/// Somebody has chosen a time for a meeting on the web site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeetingScheduled {
    /// The meeting's id.
    #[schemars(length(min = 1))]
    pub meeting: String,
    /// Who it is with.
    #[serde(flatten)]
    pub person: Person,
    /// Their company, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// When it begins, as in RFC 3339.
    pub starts_at: String,
    /// What they want to talk about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}
payload!(
    MeetingScheduled,
    "MeetingScheduledEvent",
    "phoenix-webhooks",
    meeting,
    Self {
        meeting: "m-4".to_owned(),
        person: Person::new("Lee Lead", "lee@prospect.example"),
        company: Some("Prospect".to_owned()),
        starts_at: "2026-03-05T14:00:00Z".to_owned(),
        notes: Some("Prices of 2,000 products".to_owned()),
    }
);
