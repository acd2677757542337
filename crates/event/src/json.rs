//! The CloudEvents JSON event format.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::validate::{self, KNOWN};
use crate::{Data, Event, Rule, Violation};

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("specversion", "1.0")?;
        out.serialize_entry("id", &self.id)?;
        out.serialize_entry("source", &self.source)?;
        out.serialize_entry("type", &self.ty)?;
        for (name, value) in [
            ("subject", &self.subject),
            ("datacontenttype", &self.datacontenttype),
            ("dataschema", &self.dataschema),
        ] {
            if let Some(value) = value {
                out.serialize_entry(name, value)?;
            }
        }
        if let Some(time) = self.time {
            out.serialize_entry("time", &time.format(&Rfc3339).map_err(S::Error::custom)?)?;
        }
        for (name, value) in &self.extensions {
            out.serialize_entry(name, value)?;
        }
        match &self.data {
            None => {}
            Some(Data::Json(value)) => out.serialize_entry("data", value)?,
            Some(Data::Binary(bytes)) => out.serialize_entry("data_base64", &BASE64.encode(bytes))?,
        }
        out.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        decode(Map::deserialize(deserializer)?).map_err(|violations| {
            let list: Vec<_> = violations.iter().map(Violation::to_string).collect();
            D::Error::custom(format_args!("not a CloudEvent: {}", list.join("; ")))
        })
    }
}

/// The event in a JSON value, which has to be an object. The data is moved, not copied.
pub(crate) fn decode_value(value: Value) -> Result<Event, Vec<Violation>> {
    match value {
        Value::Object(map) => decode(map),
        other => Err(vec![Violation::new(
            "(event)",
            Rule::Object {
                found: validate::kind(&other),
            },
        )]),
    }
}

fn decode(mut map: Map<String, Value>) -> Result<Event, Vec<Violation>> {
    let mut decoder = Decoder::new();
    match map.remove("specversion") {
        Some(Value::String(version)) if version == "1.0" => {}
        None | Some(Value::Null) => decoder.report("specversion", Rule::Required),
        Some(found) => decoder.report(
            "specversion",
            Rule::SpecVersion {
                found: found.to_string(),
            },
        ),
    }
    let data = decoder.data(map.remove("data"), map.remove("data_base64"));
    let mut event = Event {
        id: decoder.required("id", map.remove("id")),
        source: decoder.required("source", map.remove("source")),
        ty: decoder.required("type", map.remove("type")),
        subject: decoder.optional("subject", map.remove("subject")),
        time: None,
        datacontenttype: decoder.optional("datacontenttype", map.remove("datacontenttype")),
        dataschema: decoder.optional("dataschema", map.remove("dataschema")),
        data,
        extensions: BTreeMap::new(),
    };
    event.time = decoder
        .optional("time", map.remove("time"))
        .and_then(|text| decoder.time(text));
    // A null attribute is an absent one (JSON format, 2.2).
    event.extensions = map.into_iter().filter(|(_, value)| !value.is_null()).collect();
    decoder.finish(event)
}

/// Collects violations while an event is put together.
pub(crate) struct Decoder {
    violations: Vec<Violation>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            violations: Vec::new(),
        }
    }

    pub(crate) fn report(&mut self, attribute: &str, rule: Rule) {
        self.violations.push(Violation::new(attribute, rule));
    }

    fn required(&mut self, name: &str, value: Option<Value>) -> String {
        let missing = matches!(value, None | Some(Value::Null));
        if missing {
            self.report(name, Rule::Required);
        }
        self.optional(name, value).unwrap_or_default()
    }

    fn optional(&mut self, name: &str, value: Option<Value>) -> Option<String> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.report(
                    name,
                    Rule::StringValue {
                        found: validate::kind(&other),
                    },
                );
                None
            }
        }
    }

    pub(crate) fn time(&mut self, text: String) -> Option<OffsetDateTime> {
        let time = OffsetDateTime::parse(&text, &Rfc3339);
        if time.is_err() {
            self.report(
                "time",
                Rule::Timestamp {
                    found: crate::error::shorten(&text, 80),
                },
            );
        }
        time.ok()
    }

    fn data(&mut self, data: Option<Value>, base64: Option<Value>) -> Option<Data> {
        match (data, base64) {
            (Some(_), Some(found)) if !found.is_null() => {
                self.report("data", Rule::OneData);
                None
            }
            (_, Some(Value::String(text))) => match BASE64.decode(text) {
                Ok(bytes) => Some(Data::Binary(bytes)),
                Err(error) => {
                    self.report(
                        "data_base64",
                        Rule::Base64 {
                            why: error.to_string(),
                        },
                    );
                    None
                }
            },
            (data, None | Some(Value::Null)) => data.map(Data::Json),
            (_, Some(other)) => {
                self.report(
                    "data_base64",
                    Rule::StringValue {
                        found: validate::kind(&other),
                    },
                );
                None
            }
        }
    }

    /// The event, if neither putting it together nor [`Event::validate`] found anything.
    pub(crate) fn finish(mut self, event: Event) -> Result<Event, Vec<Violation>> {
        for found in event.validate().err().unwrap_or_default() {
            // An attribute that could not be read is empty by now: the first reason is the one that counts.
            let known = KNOWN.contains(&found.attribute.as_str());
            if !known
                || self
                    .violations
                    .iter()
                    .all(|earlier| earlier.attribute != found.attribute)
            {
                self.violations.push(found);
            }
        }
        if self.violations.is_empty() {
            Ok(event)
        } else {
            Err(self.violations)
        }
    }
}
