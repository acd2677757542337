//! Associations between objects.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Error;

use super::{Done, HubSpot, ObjectType, id};

/// Two objects to be associated, by their own ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The one.
    pub from: String,
    /// The other.
    pub to: String,
}

/// An object and those associated with it, by their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Associated {
    /// The one.
    pub from: String,
    /// The others.
    pub to: Vec<String>,
}

#[derive(Deserialize)]
struct Listed {
    from: Id,
    to: Vec<To>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct To {
    to_object_id: Value,
}

impl HubSpot {
    /// Associates objects without a label. What is associated stays so: this can be repeated.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn associate(
        &self,
        from: ObjectType,
        to: ObjectType,
        pairs: &[Pair],
    ) -> Result<Done<Value>, Error> {
        let path = [
            "crm",
            "v4",
            "associations",
            from.as_str(),
            to.as_str(),
            "batch",
            "associate",
            "default",
        ];
        let body = |pairs: &[Pair]| {
            let inputs = pairs
                .iter()
                .map(|Pair { from, to }| json!({ "from": id(from), "to": id(to) }));
            json!({ "inputs": inputs.collect::<Vec<_>>() })
        };
        self.batches("associate objects", &path, pairs, body).await
    }

    /// What objects are associated with. One that has no association is not in the results.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn associated(
        &self,
        from: ObjectType,
        to: ObjectType,
        ids: &[&str],
    ) -> Result<Vec<Associated>, Error> {
        let path = [
            "crm",
            "v4",
            "associations",
            from.as_str(),
            to.as_str(),
            "batch",
            "read",
        ];
        let body = |ids: &[&str]| json!({ "inputs": ids.iter().map(|one| id(one)).collect::<Vec<_>>() });
        let listed: Done<Listed> = self.batches("read associations", &path, ids, body).await?;
        let mut all = BTreeMap::<String, Vec<String>>::new();
        for Listed { from, to } in listed.results {
            let to = to.into_iter().map(|to| match to.to_object_id {
                Value::String(id) => id,
                other => other.to_string(),
            });
            all.entry(from.id).or_default().extend(to);
        }
        Ok(all
            .into_iter()
            .map(|(from, to)| Associated { from, to })
            .collect())
    }
}
