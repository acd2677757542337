//! What happens to an object before it is kept: it is read, given its defaults and checked, as the API server itself
//! does it and as version 1.20 did it: fields that came later are dropped.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Namespace, Pod, ServiceAccount},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{kinds::Kind, status::Status};

/// Fields of a Job that 1.20 did not have, or only behind a feature gate that was off.
const LATER_IN_SPEC: [&str; 9] = [
    "backoffLimitPerIndex",
    "completionMode",
    "managedBy",
    "maxFailedIndexes",
    "podFailurePolicy",
    "podReplacementPolicy",
    "successPolicy",
    "suspend",
    "ttlSecondsAfterFinished",
];
const LATER_IN_STATUS: [&str; 5] = [
    "completedIndexes",
    "failedIndexes",
    "ready",
    "terminating",
    "uncountedTerminatedPods",
];

/// Now, as in the fields of objects: in UTC, to the second.
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0)
        .unwrap_or(at)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// A new object as it is kept.
pub(crate) fn created(
    kind: Kind,
    namespace: Option<&str>,
    given: &Value,
    strict: bool,
) -> Result<Value, Status> {
    let mut object = read(kind, given, strict)?;
    let metadata = metadata(&mut object);
    if metadata
        .get("resourceVersion")
        .is_some_and(|version| version != "")
    {
        return Err(Status::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if let Some(namespace) = namespace {
        match metadata.get("namespace").and_then(Value::as_str) {
            Some(other) if other != namespace => {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            _ => metadata.insert("namespace".to_owned(), json!(namespace)),
        };
    }
    if let (None, Some(prefix)) = (metadata.get("name"), metadata.get("generateName").cloned()) {
        let name = format!("{}{}", prefix.as_str().unwrap_or_default(), suffix());
        metadata.insert("name".to_owned(), json!(name));
    }
    let uid = Uuid::new_v4().to_string();
    metadata.insert("uid".to_owned(), json!(uid));
    metadata.insert(
        "creationTimestamp".to_owned(),
        json!(timestamp(OffsetDateTime::now_utc())),
    );
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"] {
        metadata.remove(field);
    }
    match kind {
        Kind::Job => {
            metadata.insert("generation".to_owned(), json!(1));
            job(&mut object, &uid);
        }
        Kind::Pod => {
            pod_spec(&mut object["spec"]);
            object["status"] = json!({ "phase": "Pending", "qosClass": "BestEffort" });
        }
        Kind::Namespace => {
            object["spec"] = json!({ "finalizers": ["kubernetes"] });
            object["status"] = json!({ "phase": "Active" });
        }
        Kind::Event | Kind::ServiceAccount => {}
    }
    check(kind, &object)?;
    Ok(object)
}

/// An object in place of another. `status`: only its status counts; else everything else does.
pub(crate) fn updated(kind: Kind, old: &Value, given: &Value, status: bool) -> Result<Value, Status> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let new = read(kind, given, false)?;
    if let Some(version) = new["metadata"]["resourceVersion"].as_str()
        && !version.is_empty()
        && old["metadata"]["resourceVersion"] != version
    {
        return Err(Status::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    if new["metadata"]["uid"].is_string() && new["metadata"]["uid"] != old["metadata"]["uid"] {
        let why = "Precondition failed: UID in precondition does not match the one in object meta";
        return Err(Status::conflict(kind, name, why));
    }
    let mut object = old.clone();
    if status {
        object["status"] = new["status"].clone();
        return Ok(object);
    }
    for (field, value) in new.as_object().into_iter().flatten() {
        if field != "status" && field != "metadata" {
            object[field] = value.clone();
        }
    }
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        match new["metadata"].get(field) {
            Some(value) => object["metadata"][field] = value.clone(),
            None => {
                metadata(&mut object).remove(field);
            }
        }
    }
    if kind == Kind::Pod {
        pod_spec(&mut object["spec"]);
    }
    let mut causes = Vec::new();
    let immutable = |field: &str, causes: &mut Vec<_>| {
        let pointer = format!("/{}", field.replace('.', "/"));
        if object.pointer(&pointer) != old.pointer(&pointer) {
            let value = object.pointer(&pointer).cloned().unwrap_or_default();
            causes.push((
                field.to_owned(),
                format!("Invalid value: {value}: field is immutable"),
            ));
        }
    };
    match kind {
        Kind::Job => ["spec.completions", "spec.selector", "spec.template"]
            .iter()
            .for_each(|field| immutable(field, &mut causes)),
        Kind::Pod => {
            let (mut now, mut then) = (object["spec"].clone(), old["spec"].clone());
            for spec in [&mut now, &mut then] {
                for field in ["activeDeadlineSeconds", "tolerations"] {
                    spec.as_object_mut().map(|spec| spec.remove(field));
                }
                for container in spec["containers"].as_array_mut().into_iter().flatten() {
                    container["image"] = Value::Null;
                }
            }
            if now != then {
                let what = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, \
                            `spec.initContainers[*].image`, `spec.activeDeadlineSeconds` or `spec.tolerations`";
                causes.push(("spec".to_owned(), what.to_owned()));
            }
        }
        Kind::Event | Kind::Namespace | Kind::ServiceAccount => {}
    }
    if !causes.is_empty() {
        return Err(Status::invalid(kind, name, &causes));
    }
    check(kind, &object)?;
    if let Some(generation) = object["metadata"]["generation"].as_i64()
        && object["spec"] != old["spec"]
    {
        object["metadata"]["generation"] = json!(generation + 1);
    }
    Ok(object)
}

/// The metadata of an object that was read, so is an object with metadata.
fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(metadata) => metadata,
        _ => unreachable!("set above"),
    }
}

/// Five characters that make a generated name unlike others.
pub(crate) fn suffix() -> String {
    const CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    Uuid::new_v4()
        .as_bytes()
        .iter()
        .take(5)
        .map(|byte| char::from(CHARACTERS[usize::from(*byte) % CHARACTERS.len()]))
        .collect()
}

/// Reads an object of a kind. Unknown fields are dropped, or, if `strict`, refused.
fn read(kind: Kind, given: &Value, strict: bool) -> Result<Value, Status> {
    let expected = [("kind", kind.name()), ("apiVersion", kind.api_version())];
    if !given.is_object() {
        return Err(Status::bad_request("the body is not an object"));
    }
    let mut given = given.clone();
    for (field, expected) in expected {
        match given.get(field).and_then(Value::as_str) {
            Some(value) if value != expected => {
                let message = format!(
                    "{} in version {:?} cannot be handled as a {}",
                    given["kind"],
                    given["apiVersion"],
                    kind.name()
                );
                return Err(Status::bad_request(message));
            }
            _ => given[field] = json!(expected),
        }
    }
    fn through<T: DeserializeOwned + Serialize>(value: Value) -> serde_json::Result<Value> {
        serde_json::to_value(serde_json::from_value::<T>(value)?)
    }
    let read = match kind {
        Kind::Event => through::<Event>(given.clone()),
        Kind::Job => through::<Job>(given.clone()),
        Kind::Namespace => through::<Namespace>(given.clone()),
        Kind::Pod => through::<Pod>(given.clone()),
        Kind::ServiceAccount => through::<ServiceAccount>(given.clone()),
    };
    let mut object = read.map_err(|error| {
        let name = kind.name();
        Status::bad_request(format!(
            "{name} in version \"v1\" cannot be handled as a {name}: {error}"
        ))
    })?;
    if strict {
        let mut unknown = Vec::new();
        unknown_fields(&given, &object, "", &mut unknown);
        if !unknown.is_empty() {
            let message = format!("strict decoding error: {}", unknown.join(", "));
            return Err(Status::bad_request(message));
        }
    }
    if kind == Kind::Job {
        for (part, fields) in [("spec", &LATER_IN_SPEC[..]), ("status", &LATER_IN_STATUS[..])] {
            if let Some(part) = object[part].as_object_mut() {
                for field in fields {
                    part.remove(*field);
                }
            }
        }
    }
    Ok(object)
}

fn unknown_fields(given: &Value, read: &Value, path: &str, unknown: &mut Vec<String>) {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            for (field, value) in given {
                let path = if path.is_empty() {
                    field.clone()
                } else {
                    format!("{path}.{field}")
                };
                match read.get(field) {
                    Some(read) => unknown_fields(value, read, &path, unknown),
                    None if value.is_null() => {}
                    None => unknown.push(format!("unknown field {path:?}")),
                }
            }
        }
        (Value::Array(given), Value::Array(read)) => {
            for (at, (given, read)) in given.iter().zip(read).enumerate() {
                unknown_fields(given, read, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

fn job(object: &mut Value, uid: &str) {
    let name = object["metadata"]["name"].clone();
    let spec = &mut object["spec"];
    default(spec, "parallelism", json!(1));
    default(spec, "completions", json!(1));
    default(spec, "backoffLimit", json!(6));
    if spec["manualSelector"] != true {
        spec["selector"] = json!({ "matchLabels": { "controller-uid": uid } });
        spec["template"]["metadata"]["labels"]["controller-uid"] = json!(uid);
        spec["template"]["metadata"]["labels"]["job-name"] = name;
    }
    pod_spec(&mut spec["template"]["spec"]);
    let labels = spec["template"]["metadata"]["labels"].clone();
    if object["metadata"].get("labels").is_none() {
        object["metadata"]["labels"] = labels;
    }
    object["status"] = json!({});
}

fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        *spec = json!({});
    }
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "schedulerName", json!("default-scheduler"));
    default(spec, "securityContext", json!({}));
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        default(container, "imagePullPolicy", json!("Always"));
        default(container, "resources", json!({}));
        default(container, "terminationMessagePath", json!("/dev/termination-log"));
        default(container, "terminationMessagePolicy", json!("File"));
    }
}

fn default(object: &mut Value, field: &str, value: Value) {
    if object.get(field).is_none_or(Value::is_null) {
        object[field] = value;
    }
}

fn check(kind: Kind, object: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    let mut wrong = |field: &str, what: String| causes.push((field.to_owned(), what));
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        wrong(
            "metadata.name",
            "Required value: name or generateName is required".to_owned(),
        );
    } else if !is_name(name, kind == Kind::Namespace) {
        let what = format!(
            "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
             characters, '-' or '.', and must start and end with an alphanumeric character"
        );
        wrong("metadata.name", what);
    }
    let (pod, path) = match kind {
        Kind::Job => (&object["spec"]["template"], "spec.template."),
        Kind::Pod => (object, ""),
        _ => (&Value::Null, ""),
    };
    for (labels, field) in [
        (&object["metadata"]["labels"], "metadata.labels".to_owned()),
        (&pod["metadata"]["labels"], format!("{path}metadata.labels")),
    ] {
        for (_, value) in labels.as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            if !is_label_value(value) {
                let what = format!(
                    "Invalid value: {value:?}: must be no more than 63 characters of alphanumerics, '-', '_' or '.', \
                     and must start and end with an alphanumeric character"
                );
                wrong(&field, what);
            }
        }
    }
    if !pod.is_null() {
        check_pod(kind, &pod["spec"], path, &mut wrong);
    }
    for field in [
        "activeDeadlineSeconds",
        "backoffLimit",
        "completions",
        "parallelism",
    ] {
        if kind == Kind::Job
            && let Some(number) = object["spec"][field].as_i64()
            && number < 0
        {
            let what = format!("Invalid value: {number}: must be greater than or equal to 0");
            wrong(&format!("spec.{field}"), what);
        }
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid(kind, name, &causes))
    }
}

fn check_pod(kind: Kind, spec: &Value, path: &str, wrong: &mut impl FnMut(&str, String)) {
    let restart = spec["restartPolicy"].as_str().unwrap_or_default();
    let allowed: &[&str] = match kind {
        Kind::Job => &["OnFailure", "Never"],
        _ => &["Always", "OnFailure", "Never"],
    };
    if !allowed.contains(&restart) {
        let allowed = allowed
            .iter()
            .map(|one| format!("{one:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        wrong(
            &format!("{path}spec.restartPolicy"),
            format!("Unsupported value: {restart:?}: supported values: {allowed}"),
        );
    }
    let containers = spec["containers"].as_array().map_or(&[][..], |all| all);
    if containers.is_empty() {
        wrong(&format!("{path}spec.containers"), "Required value".to_owned());
    }
    for (at, container) in containers.iter().enumerate() {
        let place = format!("{path}spec.containers[{at}]");
        if !is_name(container["name"].as_str().unwrap_or_default(), true) {
            wrong(
                &format!("{place}.name"),
                format!("Invalid value: {}", container["name"]),
            );
        }
        if kind == Kind::Pod && container["image"].as_str().is_none_or(str::is_empty) {
            wrong(&format!("{place}.image"), "Required value".to_owned());
        }
        for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
            if variable["name"].as_str().is_none_or(str::is_empty) {
                wrong(&format!("{place}.env[{index}].name"), "Required value".to_owned());
            }
        }
    }
}

/// RFC 1123: a label, or several with points between.
fn is_name(name: &str, label: bool) -> bool {
    let part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = part.bytes().next().is_some_and(inner) && part.bytes().last().is_some_and(inner);
        ends && part.bytes().all(|byte| inner(byte) || byte == b'-')
    };
    if label {
        name.len() <= 63 && part(name)
    } else {
        name.len() <= 253 && name.split('.').all(part)
    }
}

fn is_label_value(value: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_alphanumeric();
    let ends = value.bytes().next().is_none_or(outer) && value.bytes().last().is_none_or(outer);
    value.len() <= 63
        && ends
        && value
            .bytes()
            .all(|byte| outer(byte) || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job_of(name: &str) -> Value {
        json!({
            "metadata": { "name": name },
            "spec": {
                "suspend": true,
                "template": { "spec": {
                    "restartPolicy": "Never",
                    "containers": [{ "name": "crawler", "image": "crawler:1" }],
                } },
            },
        })
    }

    #[test]
    fn a_job_gets_what_the_server_fills_in() {
        let job = created(Kind::Job, Some("a"), &job_of("one"), false).unwrap();
        let uid = &job["metadata"]["uid"];
        assert_eq!(job["spec"]["selector"]["matchLabels"]["controller-uid"], *uid);
        let labels = &job["spec"]["template"]["metadata"]["labels"];
        assert_eq!(
            (&labels["job-name"], &labels["controller-uid"]),
            (&json!("one"), uid)
        );
        assert_eq!(job["spec"]["backoffLimit"], 6);
        assert!(job["spec"].get("suspend").is_none(), "1.20 does not have it");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        let mut job = job_of("One");
        job["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
        let status = created(Kind::Job, Some("a"), &job, false).unwrap_err().object();
        assert_eq!(
            (&status["code"], &status["reason"]),
            (&json!(422), &json!("Invalid"))
        );
        let fields = status["details"]["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| cause["field"].as_str().unwrap())
            .collect::<Vec<_>>();
        assert_eq!(fields, ["metadata.name", "spec.template.spec.restartPolicy"]);
    }

    #[test]
    fn unknown_fields_are_refused_only_when_asked_to() {
        let mut job = job_of("one");
        job["spec"]["replicas"] = json!(1);
        assert!(created(Kind::Job, Some("a"), &job, false).is_ok());
        let status = created(Kind::Job, Some("a"), &job, true).unwrap_err().object();
        assert!(status["message"].as_str().unwrap().contains("spec.replicas"));
    }

    #[test]
    fn a_template_stays_and_versions_conflict() {
        let old = created(Kind::Job, Some("a"), &job_of("one"), false).unwrap();
        let mut new = old.clone();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = json!("crawler:2");
        let status = updated(Kind::Job, &old, &new, false).unwrap_err().object();
        assert_eq!(status["code"], 422);
        let mut stale = old.clone();
        stale["metadata"]["resourceVersion"] = json!("1");
        let status = updated(Kind::Job, &old, &stale, false).unwrap_err().object();
        assert_eq!(status["reason"], "Conflict");
    }

    #[test]
    fn a_status_is_written_alone() {
        let old = created(Kind::Job, Some("a"), &job_of("one"), false).unwrap();
        let mut new = old.clone();
        new["status"]["succeeded"] = json!(1);
        new["spec"]["backoffLimit"] = json!(1);
        let by_status = updated(Kind::Job, &old, &new, true).unwrap();
        assert_eq!(
            (
                &by_status["status"]["succeeded"],
                &by_status["spec"]["backoffLimit"]
            ),
            (&json!(1), &json!(6))
        );
        let by_rest = updated(Kind::Job, &old, &new, false).unwrap();
        assert!(by_rest["status"]["succeeded"].is_null());
        assert_eq!(
            (
                &by_rest["spec"]["backoffLimit"],
                &by_rest["metadata"]["generation"]
            ),
            (&json!(1), &json!(2))
        );
    }
}
