//! Times as senders write them.

use serde_json::{Map, Value};
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::well_known::Iso8601,
    format_description::well_known::Rfc3339,
};

use super::{Malformed, take_text};

/// The time in a field, if there is one.
pub(super) fn take(
    map: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Option<OffsetDateTime>, Malformed> {
    let text = take_text(map, field)?.filter(|text| !text.is_empty());
    text.map(|text| parse(field, &text)).transpose()
}

/// RFC 3339, or the same without an offset, which then is UTC: Python's `isoformat` writes that.
pub(super) fn parse(field: &'static str, text: &str) -> Result<OffsetDateTime, Malformed> {
    let rfc3339 = OffsetDateTime::parse(text, &Rfc3339);
    let spaced = || text.replacen(' ', "T", 1);
    rfc3339
        .or_else(|_| OffsetDateTime::parse(&spaced(), &Rfc3339))
        .or_else(|_| {
            PrimitiveDateTime::parse(&spaced(), &Iso8601::DATE_TIME).map(PrimitiveDateTime::assume_utc)
        })
        .map_err(|_| Malformed::wrong_text(field, "a time such as 2030-04-05T17:31:00Z", text))
}
