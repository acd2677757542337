//! One execution as lists return it.

use prost::Message;
use rusqlite::Row;
use temporalio_protos::temporal::api::common::v1::{Memo, SearchAttributes, WorkflowExecution, WorkflowType};
use temporalio_protos::temporal::api::workflow::v1::WorkflowExecutionInfo;

/// What is kept of an execution. Times are nanoseconds since 1970, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionRow {
    /// The engine's key of the run.
    pub key: i64,
    pub namespace_key: i64,
    pub workflow_id: String,
    pub run_id: String,
    pub workflow_type: String,
    pub task_queue: String,
    /// `WorkflowExecutionStatus`.
    pub status: i32,
    pub start_time: i64,
    /// When the first workflow task was due: the start and any delay of it.
    pub execution_time: i64,
    /// `None` while open.
    pub close_time: Option<i64>,
    /// This and the next two are known once closed.
    pub history_length: Option<i64>,
    pub history_size_bytes: Option<i64>,
    pub state_transition_count: Option<i64>,
    pub parent_workflow_id: Option<String>,
    pub parent_run_id: Option<String>,
    /// `None` where the execution is its own root.
    pub root_workflow_id: Option<String>,
    pub root_run_id: Option<String>,
    /// An encoded `Memo`.
    pub memo: Option<Vec<u8>>,
    /// An encoded `SearchAttributes`.
    pub search_attributes: Option<Vec<u8>>,
}

/// The columns that [`ExecutionRow::read`] expects first.
pub(super) const COLUMNS: &str = "e.key, e.scope, e.workflow_id, e.run_id, e.workflow_type, e.task_queue, e.status, \
     e.start_time, e.execution_time, e.close_time, e.history_length, e.history_size_bytes, e.state_transition_count, \
     e.parent_workflow_id, e.parent_run_id, e.root_workflow_id, e.root_run_id, e.memo, e.search_attributes";
/// How many columns those are.
pub(super) const COLUMN_COUNT: usize = 19;

impl ExecutionRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<ExecutionRow> {
        Ok(ExecutionRow {
            key: row.get(0)?,
            namespace_key: row.get::<_, i64>(1)?.abs(),
            workflow_id: row.get(2)?,
            run_id: row.get(3)?,
            workflow_type: row.get(4)?,
            task_queue: row.get(5)?,
            status: row.get(6)?,
            start_time: row.get(7)?,
            execution_time: row.get(8)?,
            close_time: row.get(9)?,
            history_length: row.get(10)?,
            history_size_bytes: row.get(11)?,
            state_transition_count: row.get(12)?,
            parent_workflow_id: row.get(13)?,
            parent_run_id: row.get(14)?,
            root_workflow_id: row.get(15)?,
            root_run_id: row.get(16)?,
            memo: row.get(17)?,
            search_attributes: row.get(18)?,
        })
    }

    /// The message for clients, with the fields that the real server's lists have.
    ///
    /// # Errors
    /// If memo or search attributes in the file are not what was written there.
    pub fn info(&self) -> Result<WorkflowExecutionInfo, prost::DecodeError> {
        let timestamp = |nanos: i64| prost_types::Timestamp {
            seconds: nanos.div_euclid(1_000_000_000),
            nanos: nanos.rem_euclid(1_000_000_000) as i32,
        };
        let execution = |workflow_id: &str, run_id: &str| WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
        };
        let root_id = self.root_workflow_id.as_ref().unwrap_or(&self.workflow_id);
        let root_run = self.root_run_id.as_ref().unwrap_or(&self.run_id);
        let parent_run = self.parent_run_id.as_deref().unwrap_or_default();
        let duration = self
            .close_time
            .map(|closed| closed.saturating_sub(self.execution_time));
        Ok(WorkflowExecutionInfo {
            execution: Some(execution(&self.workflow_id, &self.run_id)),
            r#type: Some(WorkflowType {
                name: self.workflow_type.clone(),
            }),
            start_time: Some(timestamp(self.start_time)),
            execution_time: Some(timestamp(self.execution_time)),
            close_time: self.close_time.map(timestamp),
            execution_duration: duration.map(|nanos| prost_types::Duration {
                seconds: nanos / 1_000_000_000,
                nanos: (nanos % 1_000_000_000) as i32,
            }),
            status: self.status,
            history_length: self.history_length.unwrap_or_default(),
            history_size_bytes: self.history_size_bytes.unwrap_or_default(),
            state_transition_count: self.state_transition_count.unwrap_or_default(),
            task_queue: self.task_queue.clone(),
            parent_execution: self
                .parent_workflow_id
                .as_deref()
                .map(|id| execution(id, parent_run)),
            root_execution: Some(execution(root_id, root_run)),
            memo: Some(Memo::decode(self.memo.as_deref().unwrap_or_default())?),
            search_attributes: Some(SearchAttributes::decode(
                self.search_attributes.as_deref().unwrap_or_default(),
            )?),
            ..WorkflowExecutionInfo::default()
        })
    }
}
