//! What the columns of a row get.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{COLUMNS, KEY, Name, OptionError};
use crate::{Delivery, Failure, Template, batch::Item, ids::id};

/// The columns of a table without `columns`.
const PAYLOAD: &str = "payload";
const DELIVERED_AT: &str = "delivered_at";

/// What a column gets: a template as a string, or a table with one of `pointer` and `json`.
///
/// A template's text and a pointer's value are read by the database as the column's type: texts as they are, numbers by their digits,
/// objects and arrays as JSON.
#[derive(Clone, Debug)]
pub enum Column {
    /// A text.
    Template(Template),
    /// The part of the payload that the JSON pointer (RFC 6901) names; NULL where there is none.
    Pointer(String),
    /// The same as JSON whatever it is, for columns of JSON. PostgreSQL's and MySQL's are known by their type; MariaDB has none.
    Json(String),
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Named {
            Pointer(String),
            Json(String),
        }

        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Column;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(r#"a template, { pointer = "/a/b" } or { json = "/a/b" }"#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Column, E> {
                text.parse().map(Column::Template).map_err(de::Error::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Column, A::Error> {
                let named = Named::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(match named {
                    Named::Pointer(pointer) => Column::Pointer(pointer),
                    Named::Json(pointer) => Column::Json(pointer),
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Clone, Debug)]
enum Source {
    Key,
    Now,
    Column(Column),
}

/// One value of a row, as it came.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    /// The time at which the statement runs, by the database's clock.
    Now,
    Bool(bool),
    /// A text, or a number's digits.
    Text(String),
    /// A string of the payload: a text, or JSON in a column of JSON.
    String(String),
    Json(String),
}

impl Cell {
    fn of(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::Null,
            Some(Value::Bool(flag)) => Self::Bool(*flag),
            Some(Value::String(text)) => Self::String(text.clone()),
            Some(Value::Number(number)) => Self::Text(number.to_string()),
            Some(value) => Self::Json(value.to_string()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Now | Self::Bool(_) => 4,
            Self::Text(text) | Self::String(text) | Self::Json(text) => text.len(),
        }
    }

    /// The text that a column of JSON takes, or another one.
    pub(super) fn text(&self, json: bool) -> Option<String> {
        match self {
            Self::Null | Self::Now => None,
            Self::Bool(flag) => Some(flag.to_string()),
            Self::String(text) if json => Some(Value::from(text.as_str()).to_string()),
            Self::Text(text) | Self::String(text) | Self::Json(text) => Some(text.clone()),
        }
    }
}

/// One row.
#[derive(Debug)]
pub(super) struct Row(pub(super) Vec<Cell>);

impl Item for Row {
    fn bytes(&self) -> usize {
        self.0.iter().map(Cell::bytes).sum()
    }
}

/// The columns and what they get.
#[derive(Debug)]
pub(super) struct Columns(Vec<(Name, Source)>);

impl Columns {
    pub(super) fn new(columns: Option<BTreeMap<String, Column>>, key: &Name) -> Result<Self, OptionError> {
        let mut all: Vec<(Name, Source)> = Vec::new();
        match columns {
            Some(columns) => {
                for (name, column) in columns {
                    if let Column::Pointer(pointer) | Column::Json(pointer) = &column
                        && !pointer.is_empty()
                        && !pointer.starts_with('/')
                    {
                        return Err(OptionError::Pointer(pointer.clone()));
                    }
                    all.push((Name::column(&name)?, Source::Column(column)));
                }
                if all.is_empty() {
                    return Err(OptionError::Columns(0));
                }
            }
            None => all.extend([
                (
                    Name::column(PAYLOAD)?,
                    Source::Column(Column::Json(String::new())),
                ),
                (Name::column(DELIVERED_AT)?, Source::Now),
            ]),
        }
        if !all.iter().any(|(name, _)| name == key) {
            all.insert(0, (key.clone(), Source::Key));
        }
        if all.len() > COLUMNS {
            return Err(OptionError::Columns(all.len()));
        }
        Ok(Self(all))
    }

    pub(super) fn names(&self) -> Vec<Name> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether the key's column holds the idempotency key itself.
    pub(super) fn own_key(&self) -> bool {
        self.0.iter().any(|(_, source)| matches!(source, Source::Key))
    }

    pub(super) fn row(&self, delivery: Delivery<'_>) -> Result<Row, Failure> {
        let cell = |(_, source): &(Name, Source)| {
            Ok(match source {
                Source::Key => Cell::Text(id(delivery.key, KEY)),
                Source::Now => Cell::Now,
                Source::Column(Column::Template(template)) => Cell::Text(template.render(delivery)?),
                Source::Column(Column::Pointer(pointer)) => Cell::of(delivery.payload.pointer(pointer)),
                Source::Column(Column::Json(pointer)) => match delivery.payload.pointer(pointer) {
                    Some(value) => Cell::Json(value.to_string()),
                    None => Cell::Null,
                },
            })
        };
        self.0.iter().map(cell).collect::<Result<_, _>>().map(Row)
    }
}
