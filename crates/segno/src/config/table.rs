//! Tables that are read by their types: the first mistake is reported in its place.

use segno_event::Objects;
use serde::Deserialize;
use toml::de::{Error, ValueDeserializer};

use super::reader::{Reader, Value};
use super::{Code, Mistake};

/// The value as a `T`, or a report of the first thing in it that is none.
pub(super) fn read<'t, T: Deserialize<'t>>(reader: &mut Reader<'_>, value: &'t Value<'t>) -> Option<T> {
    read_with(reader, value, T::deserialize)
}

/// The same for what is read by a function.
pub(super) fn read_with<'t, T>(
    reader: &mut Reader<'_>,
    value: &'t Value<'t>,
    read: impl FnOnce(Objects<ValueDeserializer<'t>>) -> Result<T, Error>,
) -> Option<T> {
    match read(Objects(ValueDeserializer::from(value.clone()))) {
        Ok(found) => Some(found),
        Err(error) => {
            let span = error.span().unwrap_or_else(|| value.span());
            let help = "the documentation of this table says what it takes";
            let mistake = Mistake::new(Code::Value, error.message(), help);
            reader.report(mistake.at(span, "here"));
            None
        }
    }
}
