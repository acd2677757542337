//! Patches: JSON merge patches, the API server's own strategic ones, and JSON patches.

use serde_json::{Map, Value};

use super::status::Status;

/// Applies a patch of this media type.
pub(crate) fn patched(object: &Value, patch: &Value, media_type: &str) -> Result<Value, Status> {
    match media_type {
        "application/merge-patch+json" => {
            let mut result = object.clone();
            merge(&mut result, patch);
            Ok(result)
        }
        "application/strategic-merge-patch+json" => Ok(strategic(object, patch, "")),
        "application/json-patch+json" => operations(object, patch),
        other => Err(Status::unsupported_media_type(other)),
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (field, value) in patch {
            if value.is_null() {
                target.remove(field);
            } else {
                merge(target.entry(field).or_insert(Value::Null), value);
            }
        }
    }
}

/// By what field the items of a list are told apart, for the lists that are merged.
fn merge_key(field: &str) -> Option<&'static str> {
    match field {
        "conditions" => Some("type"),
        "containers"
        | "ephemeralContainers"
        | "env"
        | "imagePullSecrets"
        | "initContainers"
        | "secrets"
        | "volumes" => Some("name"),
        "ownerReferences" => Some("uid"),
        "ports" => Some("containerPort"),
        "volumeMounts" => Some("mountPath"),
        _ => None,
    }
}

fn strategic(target: &Value, patch: &Value, field: &str) -> Value {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            if patch
                .get("$patch")
                .is_some_and(|directive| directive == "replace")
            {
                return Value::Object(without_directives(patch));
            }
            let mut result = target.clone();
            if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
                result.retain(|key, _| kept.iter().any(|one| one == key));
            }
            for (key, value) in patch {
                if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
                    if let (Some(items), Value::Array(gone)) =
                        (result.get_mut(list).and_then(Value::as_array_mut), value)
                    {
                        items.retain(|item| !gone.contains(item));
                    }
                } else if key.starts_with('$') {
                    // The order of lists decides nothing here.
                } else if value.is_null() {
                    result.remove(key);
                } else {
                    let old = result.get(key).cloned().unwrap_or_default();
                    result.insert(key.clone(), strategic(&old, value, key));
                }
            }
            Value::Object(result)
        }
        (_, Value::Object(patch)) => {
            strategic(&Value::Object(Map::new()), &Value::Object(patch.clone()), field)
        }
        (Value::Array(target), Value::Array(patch)) if field == "finalizers" => {
            let mut result = target.clone();
            for item in patch {
                if !result.contains(item) {
                    result.push(item.clone());
                }
            }
            Value::Array(result)
        }
        (Value::Array(target), Value::Array(patch)) => match merge_key(field) {
            Some(key) => merged_list(target, patch, key),
            None => Value::Array(patch.clone()),
        },
        _ => patch.clone(),
    }
}

fn merged_list(target: &[Value], patch: &[Value], key: &str) -> Value {
    if patch.iter().any(|item| item["$patch"] == "replace") {
        let items = patch.iter().filter(|item| item["$patch"] != "replace");
        return Value::Array(items.cloned().collect());
    }
    let mut result = target.to_vec();
    for item in patch {
        let at = result.iter().position(|old| old[key] == item[key]);
        match (at, item["$patch"] == "delete") {
            (Some(at), true) => {
                result.remove(at);
            }
            (Some(at), false) => result[at] = strategic(&result[at], item, ""),
            (None, true) => {}
            (None, false) => result.push(item.clone()),
        }
    }
    Value::Array(result)
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = patch.clone();
    patch.retain(|key, _| !key.starts_with('$'));
    patch
}

/// RFC 6902, without `move` and `copy`.
fn operations(object: &Value, patch: &Value) -> Result<Value, Status> {
    let wrong =
        |what: String| Status::new(422, "Invalid", format!("the server rejected our request: {what}"));
    let mut result = object.clone();
    for operation in patch.as_array().into_iter().flatten() {
        let (name, path) = (
            operation["op"].as_str().unwrap_or_default(),
            operation["path"].as_str().unwrap_or_default(),
        );
        let (parent, last) = path
            .rsplit_once('/')
            .ok_or_else(|| wrong(format!("{path:?} is no path")))?;
        let last = last.replace("~1", "/").replace("~0", "~");
        let missing = || wrong(format!("there is nothing at {path}"));
        if name == "test" {
            if result.pointer(path) != Some(&operation["value"]) {
                return Err(wrong(format!("testing value {path} failed")));
            }
            continue;
        }
        match (name, result.pointer_mut(parent).ok_or_else(missing)?) {
            ("add" | "replace", Value::Object(fields)) => {
                if name == "replace" && !fields.contains_key(&last) {
                    return Err(missing());
                }
                fields.insert(last, operation["value"].clone());
            }
            ("remove", Value::Object(fields)) => {
                fields.remove(&last).ok_or_else(missing)?;
            }
            ("add", Value::Array(items)) if last == "-" => items.push(operation["value"].clone()),
            (_, Value::Array(items)) => {
                let at = last
                    .parse::<usize>()
                    .ok()
                    .filter(|at| *at < items.len())
                    .ok_or_else(missing)?;
                match name {
                    "add" => items.insert(at, operation["value"].clone()),
                    "replace" => items[at] = operation["value"].clone(),
                    "remove" => {
                        items.remove(at);
                    }
                    _ => return Err(wrong(format!("{name:?} is not done here"))),
                }
            }
            _ => return Err(wrong(format!("{name:?} is not done here"))),
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(object: &Value, patch: &Value, kind: &str) -> Value {
        patched(object, patch, &format!("application/{kind}+json")).unwrap()
    }

    #[test]
    fn a_merge_patch_replaces_lists_and_removes_nulls() {
        let object = json!({ "a": { "b": 1, "c": [1, 2] }, "d": 1 });
        let patch = json!({ "a": { "c": [3] }, "d": null, "e": { "f": null } });
        assert_eq!(
            apply(&object, &patch, "merge-patch"),
            json!({ "a": { "b": 1, "c": [3] }, "e": {} })
        );
    }

    #[test]
    fn a_strategic_patch_merges_lists_by_their_keys() {
        let object = json!({
            "conditions": [{ "type": "A", "status": "False", "reason": "r" }, { "type": "B", "status": "True" }],
            "args": [1, 2],
        });
        let patch = json!({
            "$setElementOrder/conditions": [{ "type": "A" }],
            "conditions": [{ "type": "A", "status": "True" }, { "$patch": "delete", "type": "B" }, { "type": "C" }],
            "args": [3],
        });
        assert_eq!(
            apply(&object, &patch, "strategic-merge-patch"),
            json!({
                "conditions": [{ "type": "A", "status": "True", "reason": "r" }, { "type": "C" }],
                "args": [3],
            })
        );
        let finalizers = json!({ "finalizers": ["a", "b"] });
        assert_eq!(
            apply(
                &finalizers,
                &json!({ "finalizers": ["c"] }),
                "strategic-merge-patch"
            ),
            json!({ "finalizers": ["a", "b", "c"] })
        );
        let gone = json!({ "$deleteFromPrimitiveList/finalizers": ["a"] });
        assert_eq!(
            apply(&finalizers, &gone, "strategic-merge-patch"),
            json!({ "finalizers": ["b"] })
        );
    }

    #[test]
    fn a_json_patch_does_its_operations_in_turn() {
        let object = json!({ "a": { "x/y": 1 }, "b": [1, 2] });
        let patch = json!([
            { "op": "test", "path": "/a/x~1y", "value": 1 },
            { "op": "remove", "path": "/a/x~1y" },
            { "op": "add", "path": "/b/-", "value": 3 },
            { "op": "replace", "path": "/b/0", "value": 0 },
        ]);
        assert_eq!(
            apply(&object, &patch, "json-patch"),
            json!({ "a": {}, "b": [0, 2, 3] })
        );
        let failing = json!([{ "op": "test", "path": "/b/0", "value": 7 }]);
        assert!(patched(&object, &failing, "application/json-patch+json").is_err());
    }

    #[test]
    fn other_patches_are_refused() {
        assert!(patched(&json!({}), &json!({}), "application/apply-patch+yaml").is_err());
    }
}
