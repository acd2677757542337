//! The rules of CloudEvents 1.0.2 that an event can break.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use thiserror::Error;

/// One rule that one attribute breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{attribute}: {rule}")]
pub struct Violation {
    /// The attribute's name as CloudEvents has it (`type`, not `ty`), `data` or `data_base64` for the payload.
    pub attribute: String,
    /// The rule.
    pub rule: Rule,
}

impl Violation {
    pub(crate) fn new(attribute: impl Into<String>, rule: Rule) -> Self {
        Self {
            attribute: attribute.into(),
            rule,
        }
    }
}

/// Written as `{"attribute": …, "rule": code, "message": text}`.
impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Violation", 3)?;
        out.serialize_field("attribute", &self.attribute)?;
        out.serialize_field("rule", self.rule.code())?;
        out.serialize_field("message", &self.rule.to_string())?;
        out.end()
    }
}

/// A rule of the specification. `Display` says what the rule asks for and, where it helps, what was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rule {
    /// `id`, `source`, `specversion` and `type` are on every event (core, "REQUIRED Attributes").
    #[error("is required and missing")]
    Required,
    /// An attribute that is there is not empty (core, each attribute's constraints).
    #[error("must not be empty")]
    NonEmpty,
    /// `specversion` is `1.0` (core, "specversion").
    #[error("must be \"1.0\", found {found}")]
    SpecVersion {
        /// What was found.
        found: String,
    },
    /// The attribute's value is a string (JSON format, 2.2 "Type System Mapping").
    #[error("must be a string, found {found}")]
    StringValue {
        /// The JSON type that was found.
        found: &'static str,
    },
    /// Names are lower-case ASCII letters and digits (core, "Attribute Naming Convention").
    #[error("attribute names consist of lower-case letters a to z and digits 0 to 9")]
    Name,
    /// A name that the format itself uses for something else (core, "Attribute Naming Convention"; HTTP binding, 3.1.1).
    #[error("is not an attribute that can be given here: {instead}")]
    Reserved {
        /// What to do instead.
        instead: &'static str,
    },
    /// Strings have no control characters and no Unicode noncharacters (core, "Type System").
    #[error("must not contain control characters or Unicode noncharacters, found U+{:04X}", *found as u32)]
    Characters {
        /// The first character that is not allowed.
        found: char,
    },
    /// `source` is a URI-reference (core, "source", RFC 3986 section 4.1).
    #[error("must be a URI-reference (RFC 3986), with everything else percent-encoded: {why}")]
    UriReference {
        /// What the URI parser says.
        why: String,
    },
    /// `dataschema` is an absolute URI (core, "dataschema", RFC 3986).
    #[error("must be an absolute URI (RFC 3986) such as https://example.com/schema.json: {why}")]
    AbsoluteUri {
        /// What the URI parser says.
        why: String,
    },
    /// `time` is a timestamp (core, "time", RFC 3339).
    #[error("must be a timestamp (RFC 3339) such as 2030-04-05T17:31:00Z, found {found:?}")]
    Timestamp {
        /// What was found.
        found: String,
    },
    /// `datacontenttype` is a media type (core, "datacontenttype", RFC 2046).
    #[error("must be a media type (RFC 2046) such as application/json, found {found:?}")]
    MediaType {
        /// What was found.
        found: String,
    },
    /// Extension attributes are booleans, 32-bit integers or strings (core, "Type System"; JSON format, 2.2).
    #[error("extension attributes are booleans, integers of 32 bits or strings, found {found}")]
    ExtensionValue {
        /// What was found.
        found: String,
    },
    /// An event has `data` or `data_base64` and never both (JSON format, 3.1).
    #[error("an event has either data or data_base64, not both")]
    OneData,
    /// `data_base64` is base64 (JSON format, 3.1.1; RFC 4648 section 4).
    #[error("must be base64 (RFC 4648): {why}")]
    Base64 {
        /// What the decoder says.
        why: String,
    },
    /// `data` is a string unless the data is JSON (JSON format, 3.1).
    #[error("must be a string, as datacontenttype is {datacontenttype} and not JSON, found {found}")]
    TextData {
        /// The event's `datacontenttype`.
        datacontenttype: String,
        /// The JSON type that was found.
        found: &'static str,
    },
    /// A body whose content type is JSON, or that has none, is JSON (HTTP binding, 3.1.2; JSON format, 3.1).
    #[error("the body must be JSON, as its content type is {content_type}: {why}")]
    JsonData {
        /// The content type, or that there is none.
        content_type: String,
        /// What the JSON parser says.
        why: String,
    },
    /// A header is given once (HTTP binding, 3.1.3).
    #[error("is given more than once")]
    Once,
    /// Header values are percent-encoded UTF-8 (HTTP binding, 3.1.3.2).
    #[error("the header's value must be percent-encoded UTF-8")]
    HeaderEncoding,
    /// An event in JSON is an object (JSON format, 3).
    #[error("an event must be a JSON object, found {found}")]
    Object {
        /// The JSON type that was found.
        found: &'static str,
    },
}

impl Rule {
    /// A short name of the rule that programs can compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::NonEmpty => "non-empty",
            Self::SpecVersion { .. } => "specversion",
            Self::StringValue { .. } => "string",
            Self::Name => "name",
            Self::Reserved { .. } => "reserved",
            Self::Characters { .. } => "characters",
            Self::UriReference { .. } => "uri-reference",
            Self::AbsoluteUri { .. } => "absolute-uri",
            Self::Timestamp { .. } => "timestamp",
            Self::MediaType { .. } => "media-type",
            Self::ExtensionValue { .. } => "extension-value",
            Self::OneData => "one-data",
            Self::Base64 { .. } => "base64",
            Self::TextData { .. } => "text-data",
            Self::JsonData { .. } => "json-data",
            Self::Once => "once",
            Self::HeaderEncoding => "header-encoding",
            Self::Object { .. } => "object",
        }
    }
}
