//! Label and field selectors.

use serde_json::Value;

use super::{kinds::Kind, status::Status};

/// What a request asks of the objects of a collection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<(String, Wanted)>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Clone, Debug)]
enum Wanted {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Reads the parameters `labelSelector` and `fieldSelector`.
    pub(crate) fn of(kind: Kind, labels: Option<&str>, fields: Option<&str>) -> Result<Self, Status> {
        Ok(Self {
            labels: requirements(labels.unwrap_or_default())
                .into_iter()
                .map(|text| label(text.trim()))
                .collect::<Result<_, _>>()?,
            fields: fields
                .unwrap_or_default()
                .split(',')
                .filter(|text| !text.is_empty())
                .map(|text| field(kind, text))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let labelled = self.labels.iter().all(|(key, wanted)| {
            let value = labels[key].as_str();
            match wanted {
                Wanted::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
                Wanted::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
                Wanted::Exists => value.is_some(),
                Wanted::Absent => value.is_none(),
            }
        });
        labelled
            && self.fields.iter().all(|(path, wanted, equal)| {
                let value = path.split('.').fold(object, |value, part| &value[part]);
                (value.as_str().unwrap_or_default() == wanted) == *equal
            })
    }
}

/// Parts between commas that are not in parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn label(text: &str) -> Result<(String, Wanted), Status> {
    let wrong = || Status::bad_request(format!("unable to parse requirement: {text:?}"));
    let values = |list: &str| {
        let inner = list.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(
            inner
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let (key, wanted) = if let Some(key) = text.strip_prefix('!') {
        (key, Wanted::Absent)
    } else if let Some((key, list)) = text.split_once(" notin ") {
        (key, Wanted::NotIn(values(list).ok_or_else(wrong)?))
    } else if let Some((key, list)) = text.split_once(" in ") {
        (key, Wanted::In(values(list).ok_or_else(wrong)?))
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Wanted::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Wanted::In(vec![value.trim().to_owned()]))
    } else {
        (text, Wanted::Exists)
    };
    let key = key.trim();
    if key.is_empty() || key.contains([' ', '(', ')', '=', '!']) {
        return Err(wrong());
    }
    Ok((key.to_owned(), wanted))
}

fn field(kind: Kind, text: &str) -> Result<(String, String, bool), Status> {
    let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (path, value, true)
    } else {
        return Err(Status::bad_request(format!("invalid selector: {text:?}")));
    };
    let of_kind: &[&str] = match kind {
        Kind::Pod => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        // `status.successful` is a number, which no one selects by.
        Kind::Job => &[],
        Kind::Namespace => &["status.phase"],
        Kind::Event => &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "source",
            "type",
        ],
        Kind::ServiceAccount => &[],
    };
    if !["metadata.name", "metadata.namespace"].contains(&path) && !of_kind.contains(&path) {
        let message = format!("field label not supported: {path}");
        return Err(Status::bad_request(message));
    }
    Ok((path.to_owned(), value.to_owned(), equal))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selects(labels: &str, fields: &str) -> Option<bool> {
        let object = json!({
            "metadata": { "name": "one", "labels": { "run": "7", "tier": "crawl" } },
            "status": { "phase": "Running" },
        });
        Selector::of(Kind::Pod, Some(labels), Some(fields))
            .ok()
            .map(|selector| selector.matches(&object))
    }

    #[test]
    fn labels_select() {
        for (text, expected) in [
            ("", true),
            ("run=7", true),
            ("run==7,tier=crawl", true),
            ("run=8", false),
            ("run!=8", true),
            ("other!=8", true),
            ("run in (6, 7)", true),
            ("run in (6),tier", false),
            ("run notin (6,8)", true),
            ("!run", false),
            ("!other, tier", true),
        ] {
            assert_eq!(selects(text, ""), Some(expected), "{text}");
        }
        for wrong in ["run in 7", "=7", "run in (7", "a b"] {
            assert_eq!(selects(wrong, ""), None, "{wrong}");
        }
    }

    #[test]
    fn fields_select() {
        assert_eq!(selects("", "metadata.name=one,status.phase!=Failed"), Some(true));
        assert_eq!(selects("", "status.phase=Failed"), Some(false));
        assert_eq!(selects("", "spec.image=x"), None);
        assert_eq!(selects("", "status.phase"), None);
    }
}
