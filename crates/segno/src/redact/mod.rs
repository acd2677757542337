//! Redaction: values of events that only administrators see.
//!
//! What is delivered is whole, and so is what the engine stores: rules hold where something is shown. There the values at
//! a rule's paths are blotted out in the events of an answer, and then wherever else in the same answer the same values
//! stand, such as in payloads that a transform made of them or in the text of a failure.

mod path;

use segno_event::{Event, TypePattern};
use serde_json::Value;

pub use path::{NoPath, Path};

/// What stands in place of a value.
pub const MASK: &str = "[redacted]";

/// Shorter texts are not looked for outside of the paths: they stand everywhere.
const SHORTEST: usize = 4;

/// A rule: of these events these values.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Types of events.
    pub on: Vec<TypePattern>,
    /// Where in an event the values are.
    pub paths: Vec<Path>,
}

/// All rules.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Self {
        Self(rules)
    }
}

impl Rules {
    /// Whether nothing is redacted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something of events of this type is.
    pub(crate) fn holds_for(&self, ty: &str) -> bool {
        self.paths(ty).next().is_some()
    }

    fn paths<'a>(&'a self, ty: &str) -> impl Iterator<Item = &'a Path> {
        let holds = move |rule: &&Rule| rule.on.iter().any(|pattern| pattern.matches(ty));
        let rules: Vec<_> = self.0.iter().filter(holds).collect();
        rules.into_iter().flat_map(|rule| &rule.paths)
    }

    /// Blots out what is not to be seen of an answer: in the events that are in it, and the values of these and of `about`
    /// wherever they stand.
    pub(crate) fn mask(&self, answer: &mut Value, about: &[Event]) {
        let mut values = Values::default();
        for event in about {
            if let Ok(mut event) = serde_json::to_value(event) {
                self.events(&mut event, &mut values);
            }
        }
        self.events(answer, &mut values);
        values.blot(answer);
    }

    /// A text about an event without what is not to be seen of that.
    pub(crate) fn masked(&self, text: &str, event: &Event) -> String {
        let mut text = Value::from(text);
        if self.holds_for(&event.ty) {
            self.mask(&mut text, std::slice::from_ref(event));
        }
        match text {
            Value::String(text) => text,
            _ => MASK.to_owned(),
        }
    }

    /// The path at which the mask itself stands in an event.
    pub(crate) fn mask_in(&self, event: &Event) -> Option<String> {
        let json = serde_json::to_value(event).ok()?;
        let masked = |path: &&Path| {
            let mut found = false;
            path.visit(&mut json.clone(), &mut |value: &mut Value| {
                found |= contains_mask(value)
            });
            found
        };
        self.paths(&event.ty).find(masked).map(ToString::to_string)
    }

    /// Blots the paths out of all events in a value, and collects what stood there.
    fn events(&self, value: &mut Value, values: &mut Values) {
        if let Value::Object(fields) = &*value
            && let Some(Value::String(ty)) = fields.get("type")
            && (fields.contains_key("data") || fields.contains_key("data_base64"))
        {
            let ty = ty.clone();
            for path in self.paths(&ty) {
                path.visit(value, &mut |found: &mut Value| {
                    values.collect(found);
                    *found = MASK.into();
                });
                // Bytes have no paths in them.
                if let Some(bytes) = value.get_mut("data_base64") {
                    values.collect(bytes);
                    *bytes = MASK.into();
                }
            }
        }
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.events(value, values)),
            Value::Array(items) => items.iter_mut().for_each(|value| self.events(value, values)),
            _ => {}
        }
    }
}

fn contains_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text == MASK,
        Value::Array(items) => items.iter().any(contains_mask),
        Value::Object(fields) => fields.values().any(contains_mask),
        _ => false,
    }
}

/// What stood at the paths: texts and numbers.
#[derive(Default)]
struct Values(Vec<String>);

impl Values {
    fn collect(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.add(text.clone());
                // As it stands in JSON that is quoted in a text.
                let quoted = value.to_string();
                // Without the quotes around it, and not those at its own ends.
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                self.add(inner.unwrap_or(&quoted).to_owned());
            }
            Value::Number(number) => self.add(number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(fields) => fields.values().for_each(|value| self.collect(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn add(&mut self, text: String) {
        if text.len() >= SHORTEST && text != MASK && !self.0.contains(&text) {
            self.0.push(text);
            // The longest first: one may be a part of another.
            self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        }
    }

    fn blot(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for secret in &self.0 {
                    if text.contains(secret.as_str()) {
                        *text = text.replace(secret.as_str(), MASK);
                    }
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                if self.0.contains(&text) {
                    *value = MASK.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.blot(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.blot(value));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> Rules {
        let rule = Rule {
            on: vec!["order.*".parse().unwrap()],
            paths: ["/data/card", "/data/items/*/price", "/data/address"]
                .map(|path| path.parse().unwrap())
                .into(),
        };
        vec![rule].into()
    }

    fn order() -> Value {
        json!({
            "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed",
            "data": {
                "card": "4111 \"1111\"", "items": [{"price": 129_900, "n": 2}, {"price": 7}],
                "address": {"street": "Am Graben 3", "floor": 2}, "note": "soon",
            },
        })
    }

    #[test]
    fn values_go_where_the_event_is_and_wherever_else_they_stand() {
        let mut answer = json!({
            "input": {"event": order()},
            "result": {"to": "Am Graben 3", "sum": 129_900, "text": "card 4111 \"1111\", Am Graben 3", "floor": 2},
            "failure": "refused: {\"card\":\"4111 \\\"1111\\\"\"}",
        });
        rules().mask(&mut answer, &[]);
        assert_eq!(
            answer,
            json!({
                "input": {"event": {
                    "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed",
                    "data": {
                        "card": MASK, "items": [{"price": MASK, "n": 2}, {"price": MASK}],
                        "address": MASK, "note": "soon",
                    },
                }},
                // What is as short as the floor stands everywhere.
                "result": {"to": MASK, "sum": MASK, "text": "card [redacted], [redacted]", "floor": 2},
                "failure": "refused: {\"card\":\"[redacted]\"}",
            })
        );
    }

    #[test]
    fn other_events_are_shown_whole() {
        let mut other = order();
        other["type"] = "invoice.sent".into();
        let before = other.clone();
        rules().mask(&mut other, &[]);
        assert_eq!(other, before);
    }

    #[test]
    fn an_answer_about_an_event_need_not_have_it() {
        let event: Event = serde_json::from_value(order()).unwrap();
        let mut answer = json!([{"result": ["Am Graben 3"]}]);
        rules().mask(&mut answer, std::slice::from_ref(&event));
        assert_eq!(answer, json!([{"result": [MASK]}]));
        assert_eq!(rules().masked("to Am Graben 3", &event), "to [redacted]");
    }

    #[test]
    fn bytes_go_as_a_whole() {
        let mut event = json!({"id": "1", "source": "/s", "type": "order.placed", "data_base64": "AAEC"});
        rules().mask(&mut event, &[]);
        assert_eq!(event["data_base64"], MASK);
    }

    #[test]
    fn the_mask_in_an_event_is_found() {
        let mut event = order();
        assert_eq!(
            rules().mask_in(&serde_json::from_value(event.clone()).unwrap()),
            None
        );
        event["data"]["items"][1]["price"] = MASK.into();
        let found = rules().mask_in(&serde_json::from_value(event).unwrap());
        assert_eq!(found.as_deref(), Some("/data/items/*/price"));
    }
}
