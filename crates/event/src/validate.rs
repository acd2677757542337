//! The specification's rules, attribute by attribute.

use fluent_uri::{Uri, UriRef};
use serde_json::Value;

use crate::error::shorten;
use crate::{Data, Event, Rule, Violation};

/// The attributes that [`Event`] has fields for, and the members of the JSON format that are no attributes.
pub(crate) const KNOWN: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// How much of an offending value a message repeats, in bytes.
const SHOWN: usize = 80;

/// Every rule that the event breaks.
pub(crate) fn event(event: &Event) -> Result<(), Vec<Violation>> {
    let mut violations = Vec::new();
    let mut check = |attribute: &str, result: Result<(), Rule>| {
        if let Err(rule) = result {
            violations.push(Violation::new(attribute, rule));
        }
    };
    check("id", string(&event.id));
    check("source", source(&event.source));
    check("type", string(&event.ty));
    if let Some(value) = &event.subject {
        check("subject", string(value));
    }
    if let Some(value) = &event.datacontenttype {
        check("datacontenttype", media_type(value));
    }
    if let Some(value) = &event.dataschema {
        check("dataschema", schema(value));
    }
    if let Some(Data::Json(value)) = &event.data {
        check("data", data(event.datacontenttype.as_deref(), value));
    }
    for (name, value) in &event.extensions {
        check(
            name,
            if KNOWN.contains(&name.as_str()) {
                Err(RESERVED)
            } else {
                self::name(name)
            },
        );
        check(name, extension(value));
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations)
    }
}

const RESERVED: Rule = Rule::Reserved {
    instead: "it is no extension, set the event's own field",
};

/// A string attribute: not empty, no characters that CloudEvents excludes.
pub(crate) fn string(value: &str) -> Result<(), Rule> {
    if value.is_empty() {
        Err(Rule::NonEmpty)
    } else {
        characters(value)
    }
}

/// A URI-reference.
pub(crate) fn source(value: &str) -> Result<(), Rule> {
    string(value)?;
    UriRef::parse(value)
        .map(drop)
        .map_err(|error| Rule::UriReference {
            why: error.to_string(),
        })
}

/// An absolute URI: one with a scheme.
pub(crate) fn schema(value: &str) -> Result<(), Rule> {
    string(value)?;
    Uri::parse(value).map(drop).map_err(|error| Rule::AbsoluteUri {
        why: error.to_string(),
    })
}

/// A media type.
pub(crate) fn media_type(value: &str) -> Result<(), Rule> {
    string(value)?;
    match value.parse::<mime::Mime>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Rule::MediaType {
            found: shorten(value, SHOWN),
        }),
    }
}

/// An attribute's name.
pub(crate) fn name(name: &str) -> Result<(), Rule> {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !name.is_empty() && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(Rule::Name)
    }
}

/// An extension attribute's value.
pub(crate) fn extension(value: &Value) -> Result<(), Rule> {
    let found = match value {
        Value::Bool(_) => return Ok(()),
        Value::String(text) => return characters(text),
        Value::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => return Ok(()),
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    };
    Err(Rule::ExtensionValue { found })
}

/// Whether JSON data is what the content type announces: any value if that is JSON, else text.
pub(crate) fn data(datacontenttype: Option<&str>, value: &Value) -> Result<(), Rule> {
    match (datacontenttype, value) {
        (_, Value::String(_)) => Ok(()),
        (Some(found), _) if !is_json(Some(found)) => Err(Rule::TextData {
            datacontenttype: shorten(found, SHOWN),
            found: kind(value),
        }),
        _ => Ok(()),
    }
}

/// Whether data of this content type is JSON: subtype `json`, suffix `+json`, or no content type (JSON format, 3.1).
pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    let suffix = subtype.rsplit('+').next().unwrap_or_default();
    suffix.eq_ignore_ascii_case("json")
}

/// What a value is called in messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Control characters and noncharacters are excluded. Surrogates are too, and no `str` has them.
fn characters(value: &str) -> Result<(), Rule> {
    let excluded = |c: &char| {
        let code = *c as u32;
        c.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
    };
    match value.chars().find(excluded) {
        Some(found) => Err(Rule::Characters { found }),
        None => Ok(()),
    }
}
