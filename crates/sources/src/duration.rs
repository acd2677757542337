//! Durations in options: `"30s"`, `"1m 30s"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| de::Error::custom(format_args!("{text:?} is no duration such as \"30s\": {error}")))
}
