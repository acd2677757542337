//! Namespaces in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use temporalio_protos::temporal::api::enums::v1::NamespaceState;

use crate::{
    clock::{Nanos, SECOND},
    host::Host,
    rpc::RpcError,
    store::{self, NamespaceRecord, Store},
    visibility::Registry,
};

/// The namespace that is always there.
const DEFAULT: &str = "default";
/// The namespace of the server's own workflows, which tools expect to be listed.
const SYSTEM: &str = "temporal-system";
/// How long closed runs are kept in the namespaces that are always there, unless somebody says otherwise.
/// Long, because a failed run is a dead letter that people have to get round to, and because as long as a
/// run is kept its workflow id is known not to be new.
const DEFAULT_RETENTION: Nanos = 30 * 24 * 3_600 * SECOND;

/// A namespace and its number in the file.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    pub(crate) key: u32,
    pub(crate) record: NamespaceRecord,
    /// Its custom search attributes.
    registry: Arc<Registry>,
    names: Arc<NamespaceNames>,
}

/// What events say of a namespace.
#[derive(Debug, Default)]
pub(crate) struct NamespaceNames {
    pub(crate) name: String,
    pub(crate) id: String,
}

impl Namespace {
    fn load(store: &Store, key: u32, record: NamespaceRecord) -> Result<Self, store::Error> {
        let registry = Registry::load(store.connection(), i64::from(key), &record.name)?;
        Ok(Self {
            key,
            names: Arc::new(NamespaceNames {
                name: record.name.clone(),
                id: record.id.clone(),
            }),
            record,
            registry: Arc::new(registry),
        })
    }
}

impl Namespace {
    /// Its contents are being deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.record.state == NamespaceState::Deleted as i32
    }
}

/// All namespaces.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    by_key: BTreeMap<u32, Namespace>,
    by_name: HashMap<String, u32>,
}

impl Namespaces {
    /// Reads them, and makes the ones that are always there.
    pub(super) fn load(store: &mut Store) -> Result<Self, store::Error> {
        let mut all = Self::default();
        for (key, record) in store.namespaces()? {
            all.insert(Namespace::load(store, key, record)?);
        }
        for (name, description) in [
            (SYSTEM, "Temporal internal system namespace"),
            (DEFAULT, "Default namespace"),
        ] {
            if !all.by_name.contains_key(name) {
                let record = new_record(name.to_owned(), description.to_owned());
                let namespace = Namespace::load(store, all.next_key(), record)?;
                store.put_namespace(namespace.key, &namespace.record)?;
                all.insert(namespace);
            }
        }
        Ok(all)
    }

    fn insert(&mut self, namespace: Namespace) {
        self.by_name.insert(namespace.record.name.clone(), namespace.key);
        self.by_key.insert(namespace.key, namespace);
    }

    fn next_key(&self) -> u32 {
        self.by_key.keys().next_back().map_or(1, |last| last + 1)
    }

    /// The namespace of this name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn named(&self, name: &str) -> Result<&Namespace, RpcError> {
        if name.is_empty() {
            return Err(RpcError::InvalidArgument("Namespace not set on request.".into()));
        }
        let key = self.by_name.get(name);
        key.and_then(|key| self.by_key.get(key))
            .ok_or_else(|| RpcError::NamespaceNotFound(name.to_owned()))
    }

    /// The key of the namespace of this name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn key_of(&self, name: &str) -> Result<u32, RpcError> {
        if name.is_empty() {
            return Err(RpcError::InvalidArgument("Namespace is empty.".into()));
        }
        Ok(self.named(name)?.key)
    }

    /// The namespace of this id.
    pub(crate) fn with_id(&self, id: &str) -> Option<&Namespace> {
        self.by_key.values().find(|namespace| namespace.record.id == id)
    }

    pub(crate) fn name_of(&self, key: u32) -> String {
        self.by_key
            .get(&key)
            .map(|namespace| namespace.record.name.clone())
            .unwrap_or_default()
    }

    /// Name and id of a namespace.
    pub(crate) fn names(&self, key: u32) -> Arc<NamespaceNames> {
        self.by_key
            .get(&key)
            .map(|namespace| namespace.names.clone())
            .unwrap_or_default()
    }

    /// Whether the namespace is there and is not being deleted.
    pub(super) fn goes_on(&self, key: u32) -> bool {
        self.by_key
            .get(&key)
            .is_some_and(|namespace| !namespace.is_deleted())
    }

    /// The custom search attributes of a namespace.
    pub(crate) fn registry(&self, key: u32) -> Arc<Registry> {
        self.by_key
            .get(&key)
            .map(|namespace| namespace.registry.clone())
            .unwrap_or_default()
    }

    pub(super) fn set_registry(&mut self, key: u32, registry: Arc<Registry>) {
        if let Some(namespace) = self.by_key.get_mut(&key) {
            namespace.registry = registry;
        }
    }

    /// Forgets a namespace that holds nothing any more.
    pub(super) fn remove(&mut self, key: u32) {
        if let Some(namespace) = self.by_key.remove(&key) {
            self.by_name.remove(&namespace.record.name);
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Namespace> {
        self.by_key.values()
    }
}

impl Host {
    /// Registers a namespace.
    ///
    /// # Errors
    /// When there is one of this name.
    pub(crate) fn register_namespace(&mut self, mut record: NamespaceRecord) -> Result<(), RpcError> {
        if record.name.is_empty() {
            return Err(RpcError::InvalidArgument("Namespace not set on request.".into()));
        }
        if self.namespaces.by_name.contains_key(&record.name) {
            return Err(RpcError::NamespaceAlreadyExists(record.name));
        }
        record.id = uuid::Uuid::new_v4().to_string();
        let key = self.namespaces.next_key();
        let namespace = Namespace::load(&self.store, key, record).map_err(super::unreadable)?;
        self.store
            .put_namespace(key, &namespace.record)
            .map_err(super::unwritable)?;
        self.namespaces.insert(namespace);
        Ok(())
    }

    /// Changes what is said of a namespace.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(crate) fn change_namespace(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut NamespaceRecord),
    ) -> Result<&Namespace, RpcError> {
        let mut namespace = self.namespaces.named(name)?.clone();
        change(&mut namespace.record);
        let key = namespace.key;
        self.store
            .put_namespace(key, &namespace.record)
            .map_err(super::unwritable)?;
        self.namespaces.by_name.remove(name);
        self.namespaces.insert(namespace);
        // A shorter retention may make closed runs due.
        self.cleaning.look_soon();
        let name = self.namespaces.name_of(key);
        self.namespaces.named(&name)
    }

    /// Deletes a namespace: its name is free at once, and what it holds goes in steps. Answers the
    /// name that it has until then.
    ///
    /// # Errors
    /// When there is none of this name, or it is the system's own.
    pub(crate) fn delete_namespace(&mut self, name: &str) -> Result<String, RpcError> {
        let namespace = self.namespaces.named(name)?;
        if name == SYSTEM {
            return Err(RpcError::FailedPrecondition(
                "unable to delete system namespace".into(),
            ));
        }
        let id = namespace.record.id.get(..5).unwrap_or_default();
        let deleted = format!("{name}-deleted-{id}");
        let changed = self.change_namespace(name, |record| {
            record.name.clone_from(&deleted);
            record.state = NamespaceState::Deleted as i32;
        })?;
        let key = changed.key;
        self.batch_operations.forget_namespace(key);
        Ok(deleted)
    }
}

fn new_record(name: String, description: String) -> NamespaceRecord {
    NamespaceRecord {
        name,
        id: uuid::Uuid::new_v4().to_string(),
        description,
        retention: DEFAULT_RETENTION,
        ..Default::default()
    }
}
