//! Search attributes: what a namespace has, whether given ones fit, and the rows that lists are made from.

use std::{borrow::Cow, sync::Arc};

use prost::Message as _;
use rusqlite::Connection;
use temporalio_protos::temporal::api::{common::v1::SearchAttributes, enums::v1::WorkflowExecutionStatus};

use super::Host;
use crate::{
    core::Run,
    rpc::RpcError,
    store,
    visibility::{
        AttributeType, ClosedExecution, IndexedAttributes, Registry, RegistryError, StartedExecution,
        activity_namespace, note_types, replace_attributes, replace_memo, update_close, update_open_status,
        upsert_start,
    },
};

impl Host {
    /// Checks the search attributes of a request, and notes the types of those that come without.
    ///
    /// # Errors
    /// When one is unknown, of the wrong type, or too large.
    pub(crate) fn accept_attributes(
        &self,
        namespace: u32,
        given: Option<&mut SearchAttributes>,
    ) -> Result<(), RpcError> {
        let Some(given) = given else { return Ok(()) };
        self.attribute_gate(namespace)(given).map_err(RpcError::InvalidArgument)
    }

    /// What says whether search attributes fit a namespace, and notes their types: clients that read them from a history or
    /// a description take no notice of those without.
    pub(crate) fn attribute_gate(
        &self,
        namespace: u32,
    ) -> impl Fn(&mut SearchAttributes) -> Result<(), String> + use<> {
        let registry = self.namespaces.registry(namespace);
        let limits = self.cache.limits();
        move |given: &mut SearchAttributes| {
            IndexedAttributes::new(given, &*registry, &limits).map_err(|error| error.to_string())?;
            note_types(given, &*registry);
            Ok(())
        }
    }

    /// Registers and removes custom search attributes of a namespace.
    ///
    /// # Errors
    /// When a name is taken by a built-in attribute or another type.
    pub(crate) fn alter_attributes(
        &mut self,
        namespace: u32,
        add: &[(String, AttributeType)],
        remove: &[String],
    ) -> Result<(), RpcError> {
        let mut registry = Registry::clone(&self.namespaces.registry(namespace));
        self.store.begin().map_err(super::unwritable)?;
        let connection = self.store.connection();
        let altered = all_or_nothing(connection, || {
            for (name, attribute_type) in add {
                registry.add(connection, name, *attribute_type)?;
            }
            for name in remove {
                // One that is not there is as good as removed.
                match registry.remove(connection, name) {
                    Err(RegistryError::Reserved(name)) => {
                        return Ok(Err(RpcError::InvalidArgument(format!(
                            "Unable to remove non-custom search attributes: {name}."
                        ))));
                    }
                    removed => drop(removed?),
                }
            }
            Ok(Ok(()))
        });
        match altered {
            Ok(Ok(())) => {
                self.namespaces.set_registry(namespace, Arc::new(registry));
                Ok(())
            }
            Ok(Err(refused)) => Err(refused),
            Err(RegistryError::Sqlite(error)) => {
                let error = store::Error::from(error);
                self.store.fail(error.problem());
                Err(super::unwritable(error.at(self.store.path())))
            }
            Err(refused) => Err(RpcError::InvalidArgument(refused.to_string())),
        }
    }
}

/// Does all that `alter` writes, or none of it where it is refused: what others of the batch wrote stays.
fn all_or_nothing(
    connection: &Connection,
    alter: impl FnOnce() -> Result<Result<(), RpcError>, RegistryError>,
) -> Result<Result<(), RpcError>, RegistryError> {
    connection.execute_batch("SAVEPOINT attributes")?;
    let altered = alter();
    if !matches!(altered, Ok(Ok(()))) {
        connection.execute_batch("ROLLBACK TO attributes")?;
    }
    connection.execute_batch("RELEASE attributes")?;
    altered
}

/// Files a run that has no row yet; it may have closed meanwhile.
pub(super) fn file_started(connection: &Connection, run: &Run, registry: &Registry) -> rusqlite::Result<()> {
    let state = &run.state;
    let memo = state.memo.as_ref().map(prost::Message::encode_to_vec);
    let parent = state.parent.as_ref().and_then(|parent| parent.execution.as_ref());
    let root = state.root.as_ref().filter(|root| root.run_id != state.run_id);
    let started = StartedExecution {
        key: run.key,
        namespace_key: if run.is_standalone() {
            activity_namespace(state.namespace_key)
        } else {
            i64::from(state.namespace_key)
        },
        workflow_id: &state.workflow_id,
        run_id: &state.run_id,
        workflow_type: &state.workflow_type,
        task_queue: &state.task_queue,
        status: open_status(run) as i32,
        start_time: state.start_time,
        execution_time: state.execution_time,
        parent: parent.map(|parent| (parent.workflow_id.as_str(), parent.run_id.as_str())),
        root: root.map(|root| (root.workflow_id.as_str(), root.run_id.as_str())),
        memo: memo.as_deref(),
        closed: (!run.is_running()).then(|| closed(run)),
    };
    upsert_start(connection, &started, &indexed(run, registry))
}

/// Files that a run has closed.
pub(super) fn file_closed(connection: &Connection, run: &Run) -> rusqlite::Result<()> {
    update_close(connection, run.key, &closed(run)).map(drop)
}

fn closed(run: &Run) -> ClosedExecution {
    let state = &run.state;
    ClosedExecution {
        status: state.status,
        close_time: state.close_time,
        history_length: state.next_event_id - 1,
        history_size_bytes: state.history_size,
        state_transition_count: state.transition_count,
    }
}

/// Files a run's changed memo and search attributes.
pub(super) fn file_attributes(
    connection: &Connection,
    run: &Run,
    registry: &Registry,
) -> rusqlite::Result<()> {
    if run.is_standalone() {
        let status = open_status(run);
        return update_open_status(connection, run.key, status as i32).map(drop);
    }
    let memo = run.state.memo.as_ref().map(|memo| memo.encode_to_vec());
    replace_memo(connection, run.key, memo.as_deref())?;
    replace_attributes(connection, run.key, &indexed(run, registry)).map(drop)
}

/// The status that a run has in lists.
pub(super) fn listed_status(run: &Run) -> i32 {
    match run.is_running() {
        true => open_status(run) as i32,
        false => run.state.status,
    }
}

fn open_status(run: &Run) -> WorkflowExecutionStatus {
    if run.is_standalone() && run.is_paused_activity() {
        WorkflowExecutionStatus::Paused
    } else {
        WorkflowExecutionStatus::Running
    }
}

fn indexed(run: &Run, registry: &Registry) -> IndexedAttributes {
    let state = &run.state;
    let all = match state.has_own_attributes() {
        true => Cow::Owned(state.listed_search_attributes().unwrap_or_default()),
        false => match &state.search_attributes {
            Some(attributes) => Cow::Borrowed(attributes),
            None => return IndexedAttributes::default(),
        },
    };
    IndexedAttributes::accepted(&all, registry)
}
