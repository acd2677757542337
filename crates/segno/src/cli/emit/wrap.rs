//! From values to events.

use std::{cell::RefCell, collections::HashMap};

use segno_event::{CompileError, Event, Transform};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How values that are no events become some.
pub(super) struct Wrap {
    ty: Option<String>,
    source: String,
    map: Option<Transform>,
    /// How often each value has been there.
    seen: RefCell<HashMap<[u8; 32], usize>>,
}

impl Wrap {
    pub(super) fn new(ty: Option<String>, source: String, map: Option<&str>) -> Result<Self, CompileError> {
        Ok(Self {
            ty,
            source,
            map: map.map(Transform::compile).transpose()?,
            seen: RefCell::default(),
        })
    }

    /// The events of a value as JSON, each of which is valid; or why it is none.
    pub(super) fn events(&self, value: Value) -> Result<Vec<Value>, String> {
        if value.get("specversion").is_some() {
            return check(value).map(|event| vec![event]);
        }
        let id = self.id(&value);
        if let Some(ty) = &self.ty {
            let event = json!({
                "specversion": "1.0", "id": id, "source": self.source, "type": ty, "data": value,
            });
            return check(event).map(|event| vec![event]);
        }
        let Some(map) = &self.map else {
            return Err(
                "this is no CloudEvent: it has no `specversion`; give its `--type`, or a `--map`".to_owned(),
            );
        };
        let outputs = map
            .apply_to(&value)
            .map_err(|error| format!("--map fails: {error}"))?;
        let several = outputs.len() > 1;
        let events = outputs.into_iter().enumerate().map(|(n, mut output)| {
            let Some(event) = output.as_object_mut() else {
                return Err("--map must yield objects".to_owned());
            };
            event.entry("specversion").or_insert_with(|| "1.0".into());
            event
                .entry("source")
                .or_insert_with(|| self.source.as_str().into());
            event.entry("id").or_insert_with(|| match several {
                true => format!("{id}/{n}").into(),
                false => id.as_str().into(),
            });
            check(output)
        });
        events.collect()
    }

    /// A digest of the value, with its number among equal ones: the same input has the same ids.
    fn id(&self, value: &Value) -> String {
        let digest: [u8; 32] = Sha256::digest(sorted(value).to_string()).into();
        let mut seen = self.seen.borrow_mut();
        let times = seen.entry(digest).or_default();
        *times += 1;
        let digest = digest[..16]
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        match times {
            1 => digest,
            times => format!("{digest}-{times}"),
        }
    }
}

/// The value with its keys in order, however this program was built.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            pairs.into_iter().collect()
        }
        other => other.clone(),
    }
}

fn check(event: Value) -> Result<Value, String> {
    match serde_json::from_value::<Event>(event.clone()) {
        Ok(_) => Ok(event),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_input_has_the_same_ids() {
        let ids = || {
            let wrap = Wrap::new(Some("t".to_owned()), "/s".to_owned(), None).unwrap();
            [json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), json!(7)]
                .map(|value| wrap.events(value).unwrap()[0]["id"].as_str().unwrap().to_owned())
        };
        assert_eq!(ids(), ids());
        let [first, second, third] = ids();
        assert_eq!(second, format!("{first}-2"));
        assert_ne!(first, third);
    }

    #[test]
    fn events_are_checked_and_values_mapped() {
        let plain = Wrap::new(None, "/s".to_owned(), None).unwrap();
        assert!(plain.events(json!({"a": 1})).unwrap_err().contains("--type"));
        let error = plain
            .events(json!({"specversion": "1.0", "id": "1"}))
            .unwrap_err();
        assert!(error.contains("source: is required"), "{error}");
        let map = Wrap::new(None, "/s".to_owned(), Some(".[] | {type: \"n\", data: .}")).unwrap();
        let events = map.events(json!({"a": 1, "b": 2})).unwrap();
        assert_eq!(events.len(), 2);
        assert_ne!(events[0]["id"], events[1]["id"]);
        assert!(Wrap::new(None, "/s".to_owned(), Some(".[")).is_err());
    }
}
