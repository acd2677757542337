//! What the API server says about itself: its version, its groups and kinds, and what its kinds' endpoints take.

use serde_json::{Value, json};

use super::kinds::Kind;

/// The document at this path, if there is one.
pub(crate) fn document(path: &str) -> Option<Value> {
    Some(match path.trim_end_matches('/') {
        "/version" => json!({
            "major": "1", "minor": "20", "gitVersion": "v1.20.15-stand-in", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2022-01-19T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
        }),
        "/api" => json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        "/apis" => json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [group()] }),
        "/apis/batch" => group(),
        "/api/v1" => resources("", "v1"),
        "/apis/batch/v1" => resources("batch", "batch/v1"),
        "/openapi/v3" => json!({ "paths": {
            "api/v1": { "serverRelativeURL": "/openapi/v3/api/v1" },
            "apis/batch/v1": { "serverRelativeURL": "/openapi/v3/apis/batch/v1" },
        } }),
        "/openapi/v3/api/v1" => openapi("", "/api/v1"),
        "/openapi/v3/apis/batch/v1" => openapi("batch", "/apis/batch/v1"),
        _ => return None,
    })
}

fn group() -> Value {
    let version = json!({ "groupVersion": "batch/v1", "version": "v1" });
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": "batch",
        "versions": [version], "preferredVersion": version,
    })
}

fn resources(group: &str, group_version: &str) -> Value {
    let mut all = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.group() == group) {
        let singular = kind.name().to_lowercase();
        all.push(json!({
            "name": kind.plural(), "singularName": singular, "namespaced": kind.namespaced(), "kind": kind.name(),
            "shortNames": kind.short_names(), "categories": categories(kind),
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }));
        if kind.has_status() {
            all.push(json!({
                "name": format!("{}/status", kind.plural()), "singularName": "", "kind": kind.name(),
                "namespaced": kind.namespaced(), "verbs": ["get", "patch", "update"],
            }));
        }
        if kind == Kind::Pod {
            all.push(json!({
                "name": "pods/log", "singularName": "", "kind": "Pod", "namespaced": true, "verbs": ["get"],
            }));
        }
    }
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": all })
}

fn categories(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Job | Kind::Pod => &["all"],
        _ => &[],
    }
}

/// As much as `kubectl` looks for: that unknown fields are found by the server. (1.20 itself had only version 2 of these
/// documents, in a binary form.) The schemas of the kinds are not part of it.
fn openapi(group: &str, root: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.group() == group) {
        let gvk = json!({ "group": group, "version": "v1", "kind": kind.name() });
        let parameters = json!([{
            "name": "fieldValidation", "in": "query", "schema": { "type": "string", "uniqueItems": true },
        }]);
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk, "parameters": parameters,
                "requestBody": { "content": { "application/merge-patch+json": { "schema": {} } } },
                "responses": { "200": { "description": "OK" } },
            })
        };
        let place = if kind.namespaced() {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        paths.insert(
            format!("{root}{place}/{}", kind.plural()),
            json!({ "post": operation("post") }),
        );
        paths.insert(
            format!("{root}{place}/{}/{{name}}", kind.plural()),
            json!({ "patch": operation("patch"), "put": operation("put") }),
        );
    }
    json!({
        "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "v1.20.15" },
        "paths": paths, "components": { "schemas": {} },
    })
}
