//! Texts that nobody is to see: passwords, keys, URLs with either.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, de};

/// A text that is not shown. In a configuration it is a string, or says where the text is: `{ env = "NAME" }` or
/// `{ file = "path" }` (without the file's last line break; a relative path is the process's own).
///
/// ```
/// let password: segno_event::Confidential = serde_json::from_str("\"hunter2\"")?;
/// assert_eq!(format!("{password:?}"), "Confidential(***)");
/// assert_eq!(password.expose(), "hunter2");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Confidential(String);

impl Confidential {
    /// The text itself: for the call that needs it and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Confidential {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confidential(***)")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Place {
    Env(String),
    File(PathBuf),
}

impl<'de> Deserialize<'de> for Confidential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Confidential;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a string, { env = "NAME" } or { file = "path" }"#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Confidential, E> {
                Ok(Confidential(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Confidential, A::Error> {
                let place = Place::deserialize(de::value::MapAccessDeserializer::new(map))?;
                place.read().map(Confidential).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl Place {
    fn read(self) -> Result<String, String> {
        match self {
            Self::Env(name) => {
                std::env::var(&name).map_err(|error| format!("the environment variable {name}: {error}"))
            }
            Self::File(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("the file {}: {error}", path.display()))?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Confidential, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn it_is_read_from_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "hunter2\r\n").unwrap();
        assert_eq!(read(json!({ "file": path })).unwrap().expose(), "hunter2");
        // Set wherever this runs.
        let path = read(json!({ "env": "PATH" })).unwrap();
        assert_eq!(path.expose(), std::env::var("PATH").unwrap());
    }

    #[test]
    fn a_place_without_it_is_named() {
        let error = read(json!({ "env": "SEGNO_NO_SUCH_VARIABLE" })).unwrap_err();
        assert!(error.to_string().contains("SEGNO_NO_SUCH_VARIABLE"), "{error}");
        let error = read(json!({ "file": "/nowhere/at/all" })).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
        assert!(read(json!({ "env": "PATH", "file": "x" })).is_err());
        assert!(read(json!(7)).is_err());
    }
}
