//! Contacts, companies, deals, tickets.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Error;

use super::{HubSpot, Problem};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// People, known by `email`.
    Contacts,
    /// Companies, known by `domain` where that is made unique.
    Companies,
    /// Deals.
    Deals,
    /// Tickets.
    Tickets,
}

impl ObjectType {
    /// As paths have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Deals => "deals",
            Self::Tickets => "tickets",
        }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// What it is known by.
    pub id: String,
    /// Those of its properties that were asked for, or written.
    #[serde(default)]
    pub properties: BTreeMap<String, Option<String>>,
    /// After an upsert: whether it was made by it.
    #[serde(default)]
    pub new: Option<bool>,
}

/// An object to be made, or changed if it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upsert {
    /// The value of the property that it is known by.
    pub id: String,
    /// Properties to be set. An empty text clears one.
    pub properties: BTreeMap<String, String>,
}

impl Upsert {
    /// An object known by this value, with nothing to be set.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            properties: BTreeMap::new(),
        }
    }

    /// The same with one property more.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }
}

/// What became of a batch, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<T> {
    /// What was done or found, in no certain order.
    pub results: Vec<T>,
    /// What was not.
    pub refused: Vec<Refused>,
}

/// Objects of a batch that were not done, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({category})")]
pub struct Refused {
    /// The ids, as the batch had them, as far as the service tells.
    pub ids: Vec<String>,
    /// The service's kind of error, such as `VALIDATION_ERROR`, `OBJECT_NOT_FOUND`.
    pub category: String,
    /// The service's reason, for people.
    pub message: String,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let named = |name: &str| {
            let values = problem.context[name].as_array().into_iter().flatten();
            values
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let mut ids = named("objectWriteTraceId");
        ids.extend(named("ids"));
        ids.extend(named("id"));
        ids.sort();
        ids.dedup();
        Self {
            ids,
            category: problem.category.unwrap_or_default(),
            message: crate::error::told(&problem.message, []),
        }
    }
}

impl HubSpot {
    /// Makes objects, or changes those that are there, by the value of a property that is unique. Each is named at most once.
    ///
    /// # Errors
    ///
    /// [`Error`]. Then batches before the one that failed are done; all of it can be repeated.
    pub async fn upsert(
        &self,
        kind: ObjectType,
        id_property: &str,
        objects: &[Upsert],
    ) -> Result<Done<Object>, Error> {
        let path = ["crm", "v3", "objects", kind.as_str(), "batch", "upsert"];
        let body = |objects: &[Upsert]| {
            let inputs = objects.iter().map(|Upsert { id, properties }| {
                // The trace id comes back with an error, so that it says which object it is about.
                json!({
                    "idProperty": id_property, "id": id, "properties": properties, "objectWriteTraceId": id
                })
            });
            json!({ "inputs": inputs.collect::<Vec<_>>() })
        };
        self.batches("upsert objects", &path, objects, body).await
    }

    /// Reads objects by the value of a property that is unique, or by their own ids. Those that are not there are
    /// [`Refused`].
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn read(
        &self,
        kind: ObjectType,
        id_property: Option<&str>,
        ids: &[&str],
        properties: &[&str],
    ) -> Result<Done<Object>, Error> {
        let path = ["crm", "v3", "objects", kind.as_str(), "batch", "read"];
        let body = |ids: &[&str]| {
            let inputs: Vec<_> = ids.iter().map(|id| super::id(id)).collect();
            let mut body = json!({
                "inputs": inputs, "properties": properties, "propertiesWithHistory": []
            });
            if let Some(property) = id_property {
                body["idProperty"] = json!(property);
            }
            body
        };
        self.batches("read objects", &path, ids, body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_which_objects_they_are_about() {
        let problem: Problem = serde_json::from_value(json!({
            "status": "error", "category": "VALIDATION_ERROR", "message": "Email is invalid",
            "context": { "objectWriteTraceId": ["a@"], "ids": ["7", "7"] }
        }))
        .unwrap();
        let refused = Refused::from(problem);
        assert_eq!(refused.ids, ["7", "a@"]);
        assert_eq!(refused.to_string(), "Email is invalid (VALIDATION_ERROR)");
    }
}
