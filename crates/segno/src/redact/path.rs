//! Where in an event a value is.

use std::{fmt, str::FromStr};

use serde_json::Value;

/// A JSON pointer (RFC 6901) into the data of an event, such as `/data/customer/card`. A step `*` is every item of a list
/// or every field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    steps: Vec<String>,
}

/// A text that is no such path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path begins with /data, as what else an event has is searched by and stands in ids")]
pub struct NoPath;

impl FromStr for Path {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let rest = text.strip_prefix("/data").ok_or(NoPath)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err(NoPath);
        }
        let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
        Ok(Self {
            text: text.to_owned(),
            steps: text.split('/').skip(1).map(step).collect(),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Path {
    /// Every value in the event that the path leads to.
    pub(super) fn visit(&self, event: &mut Value, with: &mut dyn FnMut(&mut Value)) {
        visit(&self.steps, event, with);
    }
}

fn visit(steps: &[String], value: &mut Value, with: &mut dyn FnMut(&mut Value)) {
    let Some((step, rest)) = steps.split_first() else {
        return with(value);
    };
    match value {
        Value::Object(fields) if step == "*" => {
            fields.values_mut().for_each(|value| visit(rest, value, with));
        }
        Value::Array(items) if step == "*" => items.iter_mut().for_each(|value| visit(rest, value, with)),
        Value::Object(fields) => {
            if let Some(value) = fields.get_mut(step) {
                visit(rest, value, with);
            }
        }
        Value::Array(items) => {
            let index = step.parse::<usize>().ok();
            if let Some(value) = index.and_then(|index| items.get_mut(index)) {
                visit(rest, value, with);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_the_data() {
        let found = |path: &str| {
            let mut event = json!({"data": {"a/b": [{"c": 1}, {"c": 2}], "~": 3}, "id": 4});
            let mut found = Vec::new();
            let path: Path = path.parse().unwrap();
            path.visit(&mut event, &mut |value: &mut Value| found.push(value.clone()));
            found
        };
        assert_eq!(found("/data/a~1b/*/c"), [json!(1), json!(2)]);
        assert_eq!(found("/data/a~1b/1/c"), [json!(2)]);
        assert_eq!(found("/data/~0"), [json!(3)]);
        assert_eq!(found("/data/*/0"), [json!({"c": 1})]);
        assert!(found("/data/none/c").is_empty());
        assert_eq!(found("/data").len(), 1);
        for wrong in ["", "data", "/id", "/database", "$.data"] {
            assert_eq!(wrong.parse::<Path>(), Err(NoPath), "{wrong}");
        }
    }
}
