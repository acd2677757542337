//! The fields of an entry.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Layout, OptionError};
use crate::{Delivery, Failure, Template};

/// Most top-level fields of a payload. A script takes some thousands of arguments.
const MOST: usize = 1_000;

#[derive(Debug)]
pub(super) struct Fields {
    layout: Layout,
    key: String,
    payload: String,
    more: BTreeMap<String, Template>,
}

impl Fields {
    pub(super) fn new(
        layout: Layout,
        key: String,
        payload: String,
        more: BTreeMap<String, Template>,
    ) -> Result<Self, OptionError> {
        let mut names = BTreeSet::from([key.as_str()]);
        let own = (layout == Layout::Json).then_some(payload.as_str());
        let twice = own
            .into_iter()
            .chain(more.keys().map(String::as_str))
            .find(|name| !names.insert(name));
        if let Some(name) = twice {
            return Err(OptionError::Field(name.to_owned()));
        }
        Ok(Self {
            layout,
            key,
            payload,
            more,
        })
    }

    /// The fields for this delivery: the key, those of the options, the payload's.
    pub(super) fn of(&self, delivery: Delivery<'_>) -> Result<Vec<(String, String)>, Failure> {
        let mut fields = vec![(self.key.clone(), delivery.key.to_owned())];
        for (name, template) in &self.more {
            fields.push((name.clone(), template.render(delivery)?));
        }
        match (self.layout, delivery.payload) {
            (Layout::Json, payload) => fields.push((self.payload.clone(), payload.to_string())),
            (Layout::Fields, Value::Object(payload)) => {
                if payload.len() > MOST {
                    let n = payload.len();
                    return Err(Failure::permanent(format!(
                        "the payload has {n} fields, and an entry takes {MOST}: let the transform leave some out"
                    )));
                }
                for (name, value) in payload {
                    if *name == self.key || self.more.contains_key(name) {
                        return Err(Failure::permanent(format!(
                            "the payload's field {name:?} has the name of one that the sink sets"
                        )));
                    }
                    let text = match value {
                        Value::String(text) => text.clone(),
                        value => value.to_string(),
                    };
                    fields.push((name.clone(), text));
                }
            }
            (Layout::Fields, _) => {
                return Err(Failure::permanent(
                    "the payload is no object, and so has no fields for an entry",
                ));
            }
        }
        Ok(fields)
    }
}
