//! The objects and their history: what etcd is to a real API server.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{
    kinds::{Key, Kind},
    status::Status,
};

/// How many changes are remembered for watches. Who asks for older ones gets `410 Gone`.
const REMEMBERED: usize = 20_000;

/// All objects.
pub(crate) struct Store {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
    /// What the controllers look at.
    changed: mpsc::UnboundedSender<Key>,
}

struct State {
    objects: BTreeMap<Key, Arc<Value>>,
    changes: VecDeque<Change>,
    revision: u64,
    /// Of the newest change that is forgotten.
    compacted: u64,
}

/// A change of an object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Value>>,
    /// `None`: it is gone.
    pub(crate) after: Option<Arc<Value>>,
}

/// What becomes of an object.
pub(crate) enum Outcome {
    Put(Value),
    Remove,
    Keep,
}

/// The objects of a collection at one moment.
pub(crate) struct Listing {
    pub(crate) objects: Vec<Arc<Value>>,
    pub(crate) revision: u64,
}

impl Store {
    /// An empty one, and what tells of each change.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Key>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let store = Self {
            state: Mutex::new(State {
                objects: BTreeMap::new(),
                changes: VecDeque::new(),
                revision: 1,
                compacted: 0,
            }),
            revision: watch::Sender::new(1),
            changed,
        };
        (store, changes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision of the newest change, and what tells of newer ones.
    pub(crate) fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.state().objects.get(key).cloned()
    }

    /// The objects of a kind, of one namespace or of all, in the order of their keys.
    pub(crate) fn list(&self, kind: Kind, namespace: Option<&str>) -> Listing {
        let state = self.state();
        let from = Key::new(kind, namespace.unwrap_or_default(), "");
        let objects = state
            .objects
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(|(key, _)| key.kind == kind && namespace.is_none_or(|one| key.namespace == one))
            .map(|(_, object)| Arc::clone(object))
            .collect();
        Listing {
            objects,
            revision: state.revision,
        }
    }

    /// Decides about one object and does it, with nothing between. Answers the object as it is then, or as it was if
    /// it was removed.
    pub(crate) fn change(
        &self,
        key: &Key,
        decide: impl FnOnce(Option<&Value>) -> Result<Outcome, Status>,
    ) -> Result<Option<Arc<Value>>, Status> {
        let mut state = self.state();
        let before = state.objects.get(key).cloned();
        let revision = state.revision + 1;
        let stamped = |mut object: Value| {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.insert("resourceVersion".to_owned(), json!(revision.to_string()));
            }
            Arc::new(object)
        };
        let after = match decide(before.as_deref())? {
            Outcome::Keep => return Ok(before),
            Outcome::Put(object) => {
                // A write that changes nothing makes no new version.
                if before.as_deref().is_some_and(|before| *before == object) {
                    return Ok(before);
                }
                let object = stamped(object);
                state.objects.insert(key.clone(), Arc::clone(&object));
                Some(object)
            }
            Outcome::Remove => {
                if state.objects.remove(key).is_none() {
                    return Ok(None);
                }
                None
            }
        };
        state.revision = revision;
        let last = match (&after, &before) {
            (Some(after), _) => Some(Arc::clone(after)),
            (None, Some(before)) => Some(stamped(before.as_ref().clone())),
            (None, None) => None,
        };
        state.changes.push_back(Change {
            revision,
            key: key.clone(),
            // Watches tell of a deletion with the version of the deletion.
            before: if after.is_none() { last.clone() } else { before },
            after,
        });
        if state.changes.len() > REMEMBERED
            && let Some(oldest) = state.changes.pop_front()
        {
            state.compacted = oldest.revision;
        }
        drop(state);
        self.revision.send_replace(revision);
        // Nobody listens where no controllers run.
        let _ = self.changed.send(key.clone());
        Ok(last)
    }

    /// The changes after this revision, oldest first.
    pub(crate) fn changes_after(&self, revision: u64) -> Result<Vec<Change>, Status> {
        let state = self.state();
        if revision < state.compacted {
            return Err(Status::expired(revision, state.compacted));
        }
        let from = state
            .changes
            .partition_point(|change| change.revision <= revision);
        Ok(state.changes.range(from..).cloned().collect())
    }

    /// Whether the state at this revision can still be told.
    pub(crate) fn knows(&self, revision: u64) -> Result<(), Status> {
        let compacted = self.state().compacted;
        if revision < compacted {
            return Err(Status::expired(revision, compacted));
        }
        Ok(())
    }

    /// Forgets all changes until now.
    pub(crate) fn compact(&self) {
        let mut state = self.state();
        state.changes.clear();
        state.compacted = state.revision;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, name: &str, labels: &Value) {
        let key = Key::new(Kind::Pod, "a", name);
        let object = json!({ "metadata": { "name": name, "labels": labels } });
        store.change(&key, |_| Ok(Outcome::Put(object))).unwrap();
    }

    #[test]
    fn each_change_has_a_higher_version_and_is_told() {
        let (store, mut told) = Store::new();
        put(&store, "one", &json!({}));
        put(&store, "two", &json!({}));
        let key = Key::new(Kind::Pod, "a", "one");
        store.change(&key, |_| Ok(Outcome::Remove)).unwrap();
        let changes = store.changes_after(1).unwrap();
        let seen = changes
            .iter()
            .map(|change| (change.revision, change.after.is_some()))
            .collect::<Vec<_>>();
        assert_eq!(seen, [(2, true), (3, true), (4, false)]);
        let gone = changes[2].before.as_deref().unwrap();
        assert_eq!(gone["metadata"]["resourceVersion"], "4");
        assert_eq!(told.try_recv().unwrap().name, "one");
        assert_eq!(store.list(Kind::Pod, Some("a")).objects.len(), 1);
        assert_eq!(store.list(Kind::Pod, Some("b")).objects.len(), 0);
    }

    #[test]
    fn what_was_compacted_is_gone() {
        let (store, _told) = Store::new();
        put(&store, "one", &json!({}));
        store.compact();
        assert!(store.changes_after(1).is_err());
        assert!(store.changes_after(2).unwrap().is_empty());
        assert!(store.knows(1).is_err());
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let (store, _told) = Store::new();
        let key = Key::new(Kind::Pod, "a", "one");
        let refused = store.change(&key, |_| Err(Status::not_found(Kind::Pod, "one")));
        assert!(refused.is_err());
        assert!(store.changes_after(1).unwrap().is_empty());
    }
}
