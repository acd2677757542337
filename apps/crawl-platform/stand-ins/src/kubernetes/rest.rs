//! What the API server does with requests for objects.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, http::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    admission::{self, timestamp},
    kinds::{Key, Kind, Target},
    logs::Logs,
    patch,
    selector::Selector,
    status::{Status, json_response},
    store::{Outcome, Store},
    table,
};

/// The parameters of a request's query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value == "true" || value == "1")
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .map(|value| {
                let message = format!("invalid {name}: {value:?}");
                value.parse().map_err(|_| Status::bad_request(message))
            })
            .transpose()
    }
}

/// A request that is no watch.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a Target,
    pub(crate) query: &'a Query,
    pub(crate) accept: &'a str,
    pub(crate) media_type: &'a str,
    pub(crate) body: &'a [u8],
}

/// Does what a request asks for.
pub(crate) fn answer(
    store: &Arc<Store>,
    logs: &Arc<Logs>,
    asked: &Asked<'_>,
) -> Result<Response<Body>, Status> {
    let target = asked.target;
    let kind = target.kind;
    let status = match target.subresource.as_deref() {
        None => false,
        Some("status") if kind.has_status() => true,
        Some("log") if kind == Kind::Pod && asked.method == "GET" => return log(store, logs, asked),
        Some(_) => return Err(Status::no_such_path()),
    };
    let (code, object) = match (asked.method, &target.name) {
        ("GET", None) => return list(store, asked),
        ("POST", None) => (201, create(store, target, asked)?.as_ref().clone()),
        ("DELETE", None) => {
            let options = Options::of(asked)?;
            let selector = selector(asked)?;
            for object in store.list(kind, target.namespace.as_deref()).objects {
                if selector.matches(&object) {
                    // One that is gone by now is what was wanted.
                    let _ = delete(store, &key_of(kind, &object), &options);
                }
            }
            let done = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
            (200, done)
        }
        ("GET", Some(name)) => {
            let object = store
                .get(&target.key(name))
                .ok_or_else(|| Status::not_found(kind, name))?;
            (200, object.as_ref().clone())
        }
        ("PUT", Some(name)) => {
            let given = body(asked)?;
            if given["metadata"]["name"].as_str() != Some(name) {
                return Err(Status::bad_request(
                    "the name of the object does not match the name on the URL",
                ));
            }
            (
                200,
                update(store, &target.key(name), |old| {
                    admission::updated(kind, old, &given, status)
                })?,
            )
        }
        ("PATCH", Some(name)) => {
            let given = body(asked)?;
            let new = update(store, &target.key(name), |old| {
                let patched = patch::patched(old, &given, asked.media_type)?;
                admission::updated(kind, old, &patched, status)
            })?;
            (200, new)
        }
        ("DELETE", Some(name)) if !status => (200, delete(store, &target.key(name), &Options::of(asked)?)?),
        _ => return Err(Status::not_allowed()),
    };
    if table::wanted(asked.accept) && object["kind"] == kind.name() {
        let version = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
        return Ok(json_response(
            code,
            &table::table(kind, std::iter::once(&object), &version, true),
        ));
    }
    Ok(json_response(code, &object))
}

/// The selector of a request.
pub(crate) fn selector(asked: &Asked<'_>) -> Result<Selector, Status> {
    Selector::of(
        asked.target.kind,
        asked.query.get("labelSelector"),
        asked.query.get("fieldSelector"),
    )
}

fn body(asked: &Asked<'_>) -> Result<Value, Status> {
    // A real server reads YAML and protocol buffers, too.
    if !asked.media_type.is_empty() && !asked.media_type.ends_with("json") {
        return Err(Status::unsupported_media_type(asked.media_type));
    }
    serde_json::from_slice(asked.body)
        .map_err(|error| Status::bad_request(format!("the object provided is unrecognized: {error}")))
}

fn key_of(kind: Kind, object: &Value) -> Key {
    let metadata = &object["metadata"];
    Key::new(
        kind,
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap_or_default(),
    )
}

/// Where a list goes on: the name of the last object that was told, and the revision of its first page.
fn list(store: &Store, asked: &Asked<'_>) -> Result<Response<Body>, Status> {
    let kind = asked.target.kind;
    let selector = selector(asked)?;
    let listing = store.list(kind, asked.target.namespace.as_deref());
    let limit = asked
        .query
        .number("limit")?
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0);
    let (mut revision, mut after) = (listing.revision, None);
    if let Some(token) = asked.query.get("continue").filter(|token| !token.is_empty()) {
        let read = BASE64
            .decode(token)
            .ok()
            .and_then(|json| serde_json::from_slice::<(u64, String, String)>(&json).ok());
        let (first, namespace, name) =
            read.ok_or_else(|| Status::bad_request("continue key is not valid"))?;
        store.knows(first)?;
        revision = first;
        after = Some(Key::new(kind, &namespace, &name));
    }
    // What changed since the first page is told as it is now: the names decide what a page has, so none is told twice.
    let mut left = listing.objects.into_iter().filter(|object| {
        selector.matches(object) && after.as_ref().is_none_or(|after| key_of(kind, object) > *after)
    });
    let page = match limit {
        Some(limit) => left.by_ref().take(limit).collect::<Vec<_>>(),
        None => left.by_ref().collect(),
    };
    let remaining = left.count();
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if let (true, Some(last)) = (remaining > 0, page.last()) {
        let key = key_of(kind, last);
        let token = json!([revision, key.namespace, key.name]).to_string();
        metadata["continue"] = json!(BASE64.encode(token));
        metadata["remainingItemCount"] = json!(remaining);
    }
    let objects = page.iter().map(AsRef::as_ref);
    let answer = if table::wanted(asked.accept) {
        table::table(kind, objects, &metadata, true)
    } else {
        json!({
            "kind": format!("{}List", kind.name()), "apiVersion": kind.api_version(), "metadata": metadata,
            "items": objects.collect::<Vec<_>>(),
        })
    };
    Ok(json_response(200, &answer))
}

fn create(store: &Store, target: &Target, asked: &Asked<'_>) -> Result<Arc<Value>, Status> {
    let given = body(asked)?;
    let strict = asked.query.get("fieldValidation") == Some("Strict");
    let object = admission::created(target.kind, target.namespace.as_deref(), &given, strict)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    admit(store, target, &name, &object)?;
    if asked.query.get("dryRun") == Some("All") {
        return Ok(Arc::new(object));
    }
    insert(store, &target.key(&name), object)
}

/// What depends on other objects: the namespace has to be there, and a pod's service account.
fn admit(store: &Store, target: &Target, name: &str, object: &Value) -> Result<(), Status> {
    let Some(namespace) = &target.namespace else {
        return Ok(());
    };
    let found = store
        .get(&Key::new(Kind::Namespace, "", namespace))
        .ok_or_else(|| Status::not_found(Kind::Namespace, namespace))?;
    let forbidden = |why: String| {
        let message = format!("{} \"{name}\" is forbidden: {why}", target.kind.qualified());
        Status::new(403, "Forbidden", message)
    };
    if !found["metadata"]["deletionTimestamp"].is_null() {
        return Err(forbidden(format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        )));
    }
    if target.kind == Kind::Pod {
        let account = object["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        let key = Key::new(Kind::ServiceAccount, namespace, account);
        if store.get(&key).is_none() {
            return Err(forbidden(format!(
                "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
            )));
        }
    }
    Ok(())
}

/// Keeps a new object.
pub(crate) fn insert(store: &Store, key: &Key, object: Value) -> Result<Arc<Value>, Status> {
    store
        .change(key, |old| match old {
            Some(_) => Err(Status::already_exists(key.kind, &key.name)),
            None => Ok(Outcome::Put(object)),
        })
        .and_then(|object| object.ok_or_else(|| Status::not_found(key.kind, &key.name)))
}

/// Changes an object. One that waits for its end is removed once nothing holds it.
pub(crate) fn update(
    store: &Store,
    key: &Key,
    new: impl FnOnce(&Value) -> Result<Value, Status>,
) -> Result<Value, Status> {
    let changed = store.change(key, |old| {
        let old = old.ok_or_else(|| Status::not_found(key.kind, &key.name))?;
        let object = new(old)?;
        Ok(if is_over(key.kind, &object) {
            Outcome::Remove
        } else {
            Outcome::Put(object)
        })
    })?;
    changed
        .map(|object| object.as_ref().clone())
        .ok_or_else(|| Status::not_found(key.kind, &key.name))
}

fn is_over(kind: Kind, object: &Value) -> bool {
    let metadata = &object["metadata"];
    let held = metadata["finalizers"]
        .as_array()
        .is_some_and(|all| !all.is_empty());
    let waits = match kind {
        Kind::Pod => metadata["deletionGracePeriodSeconds"] != 0,
        Kind::Namespace => object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        _ => false,
    };
    !metadata["deletionTimestamp"].is_null() && !held && !waits
}

/// How something is to be deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) grace: Option<i64>,
    pub(crate) policy: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) dry_run: bool,
}

impl Options {
    fn of(asked: &Asked<'_>) -> Result<Self, Status> {
        let given = if asked.body.is_empty() {
            Value::Null
        } else {
            body(asked)?
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let policy = text(&given["propagationPolicy"])
            .or_else(|| asked.query.get("propagationPolicy").map(str::to_owned));
        if let Some(policy) = &policy
            && !["Background", "Foreground", "Orphan"].contains(&policy.as_str())
        {
            let message = format!("invalid propagationPolicy: {policy:?}");
            return Err(Status::new(422, "Invalid", message));
        }
        let in_query = asked.query.number("gracePeriodSeconds")?;
        Ok(Self {
            grace: given["gracePeriodSeconds"]
                .as_i64()
                .or_else(|| in_query.and_then(|seconds| i64::try_from(seconds).ok())),
            policy,
            uid: text(&given["preconditions"]["uid"]),
            version: text(&given["preconditions"]["resourceVersion"]),
            dry_run: given["dryRun"][0] == "All" || asked.query.get("dryRun") == Some("All"),
        })
    }
}

/// Deletes an object, or marks it for its end if something has to happen before. Answers what the client is told.
pub(crate) fn delete(store: &Store, key: &Key, options: &Options) -> Result<Value, Status> {
    let kind = key.kind;
    let mut gone = true;
    let object = store.change(key, |old| {
        let old = old.ok_or_else(|| Status::not_found(kind, &key.name))?;
        let metadata = &old["metadata"];
        let meant = |wanted: &Option<String>, field: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| metadata[field] == wanted.as_str())
        };
        if !meant(&options.uid, "uid") || !meant(&options.version, "resourceVersion") {
            let why = "Precondition failed: the object in the precondition is another one";
            return Err(Status::conflict(kind, &key.name, why));
        }
        if options.dry_run {
            return Ok(Outcome::Keep);
        }
        let new = marked(kind, old, options);
        gone = is_over(kind, &new);
        Ok(if gone { Outcome::Remove } else { Outcome::Put(new) })
    })?;
    let object = object.ok_or_else(|| Status::not_found(kind, &key.name))?;
    if !gone || kind == Kind::Pod {
        return Ok(object.as_ref().clone());
    }
    let details = json!({
        "name": key.name, "group": kind.group(), "kind": kind.plural(), "uid": object["metadata"]["uid"],
    });
    Ok(
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details }),
    )
}

/// An object that is to be deleted, with what is to happen before.
fn marked(kind: Kind, old: &Value, options: &Options) -> Value {
    let mut new = old.clone();
    let now = OffsetDateTime::now_utc();
    let marked = !old["metadata"]["deletionTimestamp"].is_null();
    if kind == Kind::Pod {
        let ended = ["Succeeded", "Failed"]
            .map(Value::from)
            .contains(&old["status"]["phase"]);
        let own = old["spec"]["terminationGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(30);
        // What no node has, no node has to end.
        let grace = if ended || old["spec"]["nodeName"].is_null() {
            0
        } else {
            options.grace.unwrap_or(own).max(0)
        };
        let before = old["metadata"]["deletionGracePeriodSeconds"].as_i64();
        if before.is_none_or(|before| grace < before) {
            new["metadata"]["deletionTimestamp"] = json!(timestamp(now + Duration::seconds(grace)));
            new["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        }
        return new;
    }
    if !marked {
        new["metadata"]["deletionTimestamp"] = json!(timestamp(now));
        new["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    }
    let finalizer = match (kind, options.policy.as_deref()) {
        (_, Some("Foreground")) => Some("foregroundDeletion"),
        // Jobs of `batch/v1` leave their pods alone unless told otherwise.
        (_, Some("Orphan")) | (Kind::Job, None) => Some("orphan"),
        _ => None,
    };
    let mut finalizers = new["metadata"]["finalizers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    finalizers.retain(|one| one != "foregroundDeletion" && one != "orphan");
    finalizers.extend(finalizer.map(Value::from));
    new["metadata"]["finalizers"] = json!(finalizers);
    if kind == Kind::Namespace {
        new["status"]["phase"] = json!("Terminating");
    }
    new
}

fn log(store: &Arc<Store>, logs: &Arc<Logs>, asked: &Asked<'_>) -> Result<Response<Body>, Status> {
    let name = asked.target.name.as_deref().unwrap_or_default();
    let pod = store
        .get(&asked.target.key(name))
        .ok_or_else(|| Status::not_found(Kind::Pod, name))?;
    if pod["spec"]["nodeName"].is_null() {
        return Err(Status::bad_request(format!(
            "pod {name} does not have a host assigned"
        )));
    }
    let containers = pod["spec"]["containers"].as_array().map_or(&[][..], |all| all);
    let first = containers
        .first()
        .and_then(|one| one["name"].as_str())
        .unwrap_or_default();
    let container = asked.query.get("container").unwrap_or(first);
    if containers.iter().all(|one| one["name"] != container) {
        return Err(Status::bad_request(format!(
            "container {container} is not valid for pod {name}"
        )));
    }
    if let Some(reason) = pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str() {
        return Err(Status::bad_request(format!(
            "container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"
        )));
    }
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let (lines, bytes) = (
        asked.query.number("tailLines")?,
        asked.query.number("limitBytes")?,
    );
    let (text, end) = logs.tail(uid, lines, bytes);
    // Nobody follows and wants so many bytes.
    let body = if asked.query.is_true("follow") && bytes.is_none() {
        follow(store, logs, &asked.target.key(name), uid, (text, end))
    } else {
        Body::from(text)
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(
        axum::http::header::CONTENT_TYPE,
        axum::http::HeaderValue::from_static("text/plain"),
    );
    Ok(response)
}

/// What a pod has written, and what it writes from then on, until it has ended or is gone.
fn follow(store: &Arc<Store>, logs: &Arc<Logs>, key: &Key, uid: &str, begin: (String, usize)) -> Body {
    let (store, logs, key, uid) = (Arc::clone(store), Arc::clone(logs), key.clone(), uid.to_owned());
    let (out, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (mut written, mut revisions) = (logs.written(), store.revisions());
        let (mut text, mut seen) = begin;
        loop {
            if !text.is_empty() && out.send(Ok::<_, Infallible>(Bytes::from(text))).is_err() {
                return;
            }
            // All that it wrote is there before its end is told.
            let runs = store.get(&key).is_some_and(|pod| {
                let phase = pod["status"]["phase"].as_str().unwrap_or_default();
                pod["metadata"]["uid"] == uid && !matches!(phase, "Succeeded" | "Failed")
            });
            (text, seen) = logs.after(&uid, seen);
            if !text.is_empty() {
                continue;
            }
            if !runs {
                return;
            }
            tokio::select! {
                changed = written.changed() => if changed.is_err() { return },
                changed = revisions.changed() => if changed.is_err() { return },
                () = out.closed() => return,
            }
        }
    });
    Body::from_stream(UnboundedReceiverStream::new(told))
}
