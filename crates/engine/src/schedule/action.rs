//! The run that an action starts.

use temporalio_protos::temporal::api::{
    common::v1::{Payload, SearchAttributes},
    workflow::v1::NewWorkflowExecutionInfo,
};

use super::{record::BufferedStart, scheduler::Scheduler};
use crate::{
    clock::{Nanos, SECOND, nanos},
    core::{Inherited, NewRun, retry_policy_with_defaults},
};

/// The run of an action, without what only the host knows: its run id. `namespace` is the name.
pub(crate) fn new_run(
    scheduler: &Scheduler,
    workflow: &NewWorkflowExecutionInfo,
    start: &BufferedStart,
    namespace: &str,
) -> NewRun {
    let record = &scheduler.record;
    let name = |name: Option<String>| name.unwrap_or_default();
    let workflow_id = if scheduler.keeps_workflow_id() {
        workflow.workflow_id.clone()
    } else {
        format!("{}-{}", workflow.workflow_id, rfc3339(start.nominal))
    };
    let (last_completion_result, continued_failure) = if scheduler.is_side_by_side(start) {
        (None, None)
    } else {
        (
            record.last_completion_result.clone(),
            record.continued_failure.clone(),
        )
    };
    let policy = workflow.retry_policy.clone();
    NewRun {
        namespace_key: record.namespace_key,
        workflow_id,
        workflow_type: name(workflow.workflow_type.clone().map(|given| given.name)),
        task_queue: name(workflow.task_queue.clone().map(|given| given.name)),
        input: workflow.input.clone(),
        header: workflow.header.clone(),
        memo: workflow.memo.clone(),
        search_attributes: Some(marked(
            workflow.search_attributes.clone(),
            &record.id,
            start.nominal,
        )),
        execution_timeout: nanos(workflow.workflow_execution_timeout.as_ref()),
        run_timeout: nanos(workflow.workflow_run_timeout.as_ref()),
        task_timeout: nanos(workflow.workflow_task_timeout.as_ref()),
        retry_policy: policy.map(|policy| retry_policy_with_defaults(Some(policy))),
        identity: identity(namespace, &record.id),
        user_metadata: workflow.user_metadata.clone(),
        priority: workflow.priority.clone(),
        inherited: workflow.versioning_override.clone().map(Inherited::of_override),
        last_completion_result,
        continued_failure,
        ..Default::default()
    }
}

/// Who starts, cancels and terminates what a schedule has started.
pub(crate) fn identity(namespace: &str, schedule: &str) -> String {
    format!("temporal-scheduler-{namespace}-{schedule}")
}

/// The action's search attributes, and those by which its schedule finds it again.
fn marked(given: Option<SearchAttributes>, schedule: &str, nominal: Nanos) -> SearchAttributes {
    let mut attributes = given.unwrap_or_default();
    let fields = &mut attributes.indexed_fields;
    fields.insert(
        "TemporalScheduledStartTime".into(),
        json(&rfc3339(nominal), "Datetime"),
    );
    fields.insert("TemporalScheduledById".into(), json(schedule, "Keyword"));
    attributes
}

pub(super) fn json(text: &str, value_type: &str) -> Payload {
    typed(serde_json::Value::from(text).to_string(), value_type)
}

pub(super) fn typed(json: String, value_type: &str) -> Payload {
    let metadata = [("encoding", "json/plain"), ("type", value_type)];
    Payload {
        metadata: metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect(),
        data: json.into_bytes(),
        ..Default::default()
    }
}

/// A time's second as it is part of workflow ids.
pub(super) fn rfc3339(at: Nanos) -> String {
    let second = jiff::Timestamp::from_second(at.div_euclid(SECOND)).unwrap_or_default();
    second.to_string()
}
