//! Projects: what a customer has data collected for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Person, payload};

/// A project was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectCreated {
    /// The project's UUID.
    #[schemars(length(min = 1))]
    pub project: String,
    /// Who has made it, if a person has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Person>,
}
payload!(
    ProjectCreated,
    "ProjectCreatedEvent",
    "phoenix-projects-service",
    project,
    Self {
        project: "p-1".to_owned(),
        created_by: Some(Person::new("Carla Customer", "carla@shop.example")),
    }
);

/// A project was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectUpdated {
    /// The project's UUID.
    #[schemars(length(min = 1))]
    pub project: String,
    /// Counts the project's changes: each is handled once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}
payload!(
    ProjectUpdated,
    "ProjectUpdatedEvent",
    "phoenix-projects-service",
    project,
    Self {
        project: "p-1".to_owned(),
        revision: Some(4),
    }
);

/// Metadata of a project were changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetadataUpdated {
    /// The project's UUID.
    #[schemars(length(min = 1))]
    pub project: String,
    /// Counts the project's changes: each is handled once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The metadata that are others now, and what they are.
    pub metadata: BTreeMap<String, Value>,
}
payload!(
    MetadataUpdated,
    "MetadataUpdatedEvent",
    "phoenix-projects-service",
    project,
    Self {
        project: "p-1".to_owned(),
        revision: Some(5),
        metadata: BTreeMap::from([("industry".to_owned(), "retail".into())]),
    }
);

/// A user may work on a project now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserProjectAdded {
    /// The project's UUID.
    #[schemars(length(min = 1))]
    pub project: String,
    /// The user's id.
    pub user: String,
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// Who has added the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_by: Option<Person>,
}
payload!(
    UserProjectAdded,
    "UserProjectAddedEvent",
    "phoenix-account-service",
    project,
    Self {
        project: "p-1".to_owned(),
        user: "u-32".to_owned(),
        person: Person::new("Kim Colleague", "kim@shop.example"),
        added_by: Some(Person::new("Carla Customer", "carla@shop.example")),
    }
);

/// A project belongs to another customer now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CustomerProjectTransferred {
    /// The transfer's id.
    #[schemars(length(min = 1))]
    pub transfer: String,
    /// The project's UUID.
    #[schemars(length(min = 1))]
    pub project: String,
    /// Whose it was.
    pub from: Person,
    /// Whose it is.
    pub to: Person,
}
payload!(
    CustomerProjectTransferred,
    "CustomerProjectTransferredEvent",
    "phoenix-projects-service",
    project,
    Self {
        transfer: "t-3".to_owned(),
        project: "p-1".to_owned(),
        from: Person::new("Carla Customer", "carla@shop.example"),
        to: Person::new("Nico Newowner", "nico@market.example"),
    }
);
