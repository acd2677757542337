//! Watches: the changes of a collection, as they happen.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};

use super::{
    faults::{Delivery, Faults, Told},
    kinds::{Kind, Target},
    rest::{Asked, selector},
    selector::Selector,
    status::Status,
    store::{Change, Store},
    table,
};

struct Watch {
    store: Arc<Store>,
    faults: Arc<Faults>,
    target: Target,
    selector: Selector,
    table: bool,
    /// No columns have been described yet.
    columns: bool,
    bookmarks: bool,
    out: mpsc::UnboundedSender<Bytes>,
}

/// Opens a watch.
pub(crate) fn open(
    store: &Arc<Store>,
    faults: &Arc<Faults>,
    asked: &Asked<'_>,
    bookmark_every: Duration,
) -> Result<Response<Body>, Status> {
    let selector = match &asked.target.name {
        Some(name) => {
            let field = format!("metadata.name={name}");
            Selector::of(asked.target.kind, None, Some(&field))?
        }
        None => selector(asked)?,
    };
    let from = asked.query.number("resourceVersion")?.unwrap_or(0);
    // Real servers close watches after half an hour at the least, too.
    let seconds = asked.query.number("timeoutSeconds")?.unwrap_or(1_800);
    let (out, told) = mpsc::unbounded_channel();
    let mut watch = Watch {
        store: Arc::clone(store),
        faults: Arc::clone(faults),
        target: asked.target.clone(),
        selector,
        table: table::wanted(asked.accept),
        columns: true,
        bookmarks: asked.query.is_true("allowWatchBookmarks"),
        out,
    };
    let until = Instant::now() + Duration::from_secs(seconds);
    tokio::spawn(async move { watch.run(from, until, bookmark_every).await });
    let stream = UnboundedReceiverStream::new(told).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(stream));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

impl Watch {
    async fn run(&mut self, from: u64, until: Instant, bookmark_every: Duration) {
        let (mut revisions, mut cuts) = (self.store.revisions(), self.faults.cuts());
        cuts.mark_unchanged();
        let mut seen = from;
        if from == 0 {
            // Without a version: all that there is, then what happens.
            let listing = self
                .store
                .list(self.target.kind, self.target.namespace.as_deref());
            seen = listing.revision;
            for object in listing.objects {
                if self.selector.matches(&object) {
                    self.tell("ADDED", &object);
                }
            }
        }
        let mut bookmark = Instant::now() + bookmark_every;
        loop {
            match self.store.changes_after(seen) {
                Ok(changes) => {
                    for change in changes {
                        seen = change.revision;
                        if let Some((event, object)) = self.event(&change) {
                            self.tell(event, &object);
                        }
                    }
                }
                Err(expired) => {
                    self.send(&json!({ "type": "ERROR", "object": expired.object() }));
                    return;
                }
            }
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                _ = cuts.changed() => return,
                () = self.out.closed() => return,
                () = sleep_until(until) => {
                    self.bookmark(seen);
                    return;
                }
                () = sleep_until(bookmark) => {
                    self.bookmark(seen);
                    bookmark += bookmark_every;
                }
            }
        }
    }

    /// What a change is to this watch: an object that no longer matches is deleted to it.
    fn event(&self, change: &Change) -> Option<(&'static str, Arc<Value>)> {
        let here = change.key.kind == self.target.kind
            && self
                .target
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == change.key.namespace);
        let seen = |object: &Option<Arc<Value>>| {
            object
                .as_ref()
                .filter(|object| here && self.selector.matches(object))
                .cloned()
        };
        match (seen(&change.before), seen(&change.after)) {
            (None, Some(after)) => Some(("ADDED", after)),
            (Some(_), Some(after)) => Some(("MODIFIED", after)),
            (Some(before), None) => Some(("DELETED", change.after.clone().unwrap_or(before))),
            (None, None) => None,
        }
    }

    fn tell(&mut self, event: &'static str, object: &Arc<Value>) {
        let told = Told {
            event,
            object: object.as_ref().clone(),
        };
        let line = json!({ "type": event, "object": self.as_asked(object) });
        match self.faults.event(&told) {
            Delivery::InTime => self.send(&line),
            Delivery::Never => {}
            Delivery::Twice => {
                self.send(&line);
                self.send(&line);
            }
            Delivery::Late(by) => {
                let (out, line) = (self.out.clone(), text(&line));
                tokio::spawn(async move {
                    sleep(by).await;
                    // Nobody listens any more: then it comes never.
                    let _ = out.send(line);
                });
            }
        }
    }

    fn as_asked(&mut self, object: &Value) -> Value {
        if !self.table {
            return object.clone();
        }
        let columns = std::mem::take(&mut self.columns);
        let version = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
        table::table(self.target.kind, std::iter::once(object), &version, columns)
    }

    fn bookmark(&self, seen: u64) {
        if self.bookmarks && !self.table {
            let kind: Kind = self.target.kind;
            self.send(&json!({ "type": "BOOKMARK", "object": {
                "kind": kind.name(), "apiVersion": kind.api_version(),
                "metadata": { "resourceVersion": seen.to_string(), "creationTimestamp": null },
            } }));
        }
    }

    fn send(&self, line: &Value) {
        // The client is gone: the loop sees it.
        let _ = self.out.send(text(line));
    }
}

fn text(line: &Value) -> Bytes {
    Bytes::from(format!("{line}\n"))
}
