//! The event itself.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use crate::Violation;

/// A CloudEvents 1.0 event.
///
/// Serde reads and writes the CloudEvents JSON event format: `specversion` is written as `1.0`, [`Data::Json`] as
/// `data`, [`Data::Binary`] as `data_base64`, extension attributes beside the others. Reading checks the event as
/// [`Event::validate`] does and fails with every violation in the message.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Identifies the event: `source` and `id` together are unique.
    pub id: String,
    /// The context in which the event happened, a URI-reference.
    pub source: String,
    /// The attribute `type`: the kind of event, such as `order.placed`.
    pub ty: String,
    /// What in the context of the source the event is about.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<OffsetDateTime>,
    /// The media type of the data. Absent means JSON.
    pub datacontenttype: Option<String>,
    /// The schema that the data adheres to, an absolute URI.
    pub dataschema: Option<String>,
    /// The payload.
    pub data: Option<Data>,
    /// Extension attributes. The values are booleans, integers of 32 bits and strings, as CloudEvents has no others.
    pub extensions: BTreeMap<String, Value>,
}

/// An event's payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A JSON value. Text of another media type (`text/plain`, `application/xml`) is a JSON string.
    Json(Value),
    /// Bytes. In JSON they are written in base64 as `data_base64`.
    Binary(Vec<u8>),
}

impl Event {
    /// An event with the three attributes that every event has, and nothing else.
    pub fn new(source: impl Into<String>, id: impl Into<String>, ty: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            ty: ty.into(),
            subject: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            data: None,
            extensions: BTreeMap::new(),
        }
    }

    /// The same event with a JSON payload.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(Data::Json(data.into()));
        self
    }

    /// Checks every attribute against the specification.
    ///
    /// # Errors
    /// All violations, in no particular order.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        crate::validate::event(self)
    }
}
