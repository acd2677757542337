//! Associations between objects, and their labels.
//!
//! Two objects are associated by one or more *types*, each a number of a category. One of these has no label, and is there as
//! soon as they are associated at all; the others say what the one is to the other, such as "Decision maker". From the other
//! side the same association has the type that is the inverse of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
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

/// Who has defined a type of associations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Category {
    /// The service.
    HubspotDefined,
    /// People of the account.
    UserDefined,
    /// An app.
    IntegratorDefined,
    /// Others, which the service may add.
    #[serde(other)]
    Other,
}

/// A type of associations from one kind of object to another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssociationType {
    /// Who has defined it.
    pub category: Category,
    /// Its number, unique in its category.
    pub type_id: u32,
    /// What people call it; none of the type that every association has.
    #[serde(default)]
    pub label: Option<String>,
}

/// Two objects to be associated under labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledPair {
    /// The objects.
    pub pair: Pair,
    /// What the second is to the first: at least one type, as [`HubSpot::association_types`] lists them.
    pub types: Vec<AssociationType>,
}

/// An object that another is associated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its id.
    pub id: String,
    /// By which types.
    pub types: Vec<AssociationType>,
}

/// An object and those associated with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Associated {
    /// The one, by its id.
    pub from: String,
    /// The others.
    pub to: Vec<Other>,
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
    #[serde(default)]
    association_types: Vec<AssociationType>,
}

#[derive(Deserialize)]
struct Types {
    results: Vec<AssociationType>,
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

    /// The types of associations from one kind of object to another, those with labels among them.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn association_types(
        &self,
        from: ObjectType,
        to: ObjectType,
    ) -> Result<Vec<AssociationType>, Error> {
        let path = ["crm", "v4", "associations", from.as_str(), to.as_str(), "labels"];
        let types: Types = self.get("list the types of associations", &path).await?;
        Ok(types.results)
    }

    /// Associates objects under labels; what is associated stays so, under its other labels too: this can be repeated.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn associate_as(
        &self,
        from: ObjectType,
        to: ObjectType,
        pairs: &[LabelledPair],
    ) -> Result<Done<Value>, Error> {
        let path = [
            "crm",
            "v4",
            "associations",
            from.as_str(),
            to.as_str(),
            "batch",
            "create",
        ];
        self.batches("associate objects under labels", &path, pairs, labelled)
            .await
    }

    /// Takes labels away; the objects stay associated, under their other types. This can be repeated.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn remove_labels(
        &self,
        from: ObjectType,
        to: ObjectType,
        pairs: &[LabelledPair],
    ) -> Result<(), Error> {
        let path = [
            "crm",
            "v4",
            "associations",
            from.as_str(),
            to.as_str(),
            "batch",
            "labels",
            "archive",
        ];
        for pairs in pairs.chunks(super::BATCH) {
            self.tell("take labels of associations away", &path, labelled(pairs))
                .await?;
        }
        Ok(())
    }

    /// What objects are associated with, and by which types. One that has no association is not in the results.
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
        let mut all = BTreeMap::<String, Vec<Other>>::new();
        for Listed { from, to } in listed.results {
            let to = to.into_iter().map(|to| Other {
                id: match to.to_object_id {
                    Value::String(id) => id,
                    other => other.to_string(),
                },
                types: to.association_types,
            });
            all.entry(from.id).or_default().extend(to);
        }
        Ok(all
            .into_iter()
            .map(|(from, to)| Associated { from, to })
            .collect())
    }
}

/// A batch of pairs with their types.
fn labelled(pairs: &[LabelledPair]) -> Value {
    let inputs = pairs.iter().map(|LabelledPair { pair, types }| {
        let types: Vec<_> = types
            .iter()
            .map(|ty| json!({ "associationCategory": ty.category, "associationTypeId": ty.type_id }))
            .collect();
        json!({ "from": id(&pair.from), "to": id(&pair.to), "types": types })
    });
    json!({ "inputs": inputs.collect::<Vec<_>>() })
}
