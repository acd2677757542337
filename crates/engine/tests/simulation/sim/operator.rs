//! Who steps in: updates, resets, deletes, activities without a workflow, and schedules.

use temporalio_protos::temporal::api::{
    activity::v1::ActivityOptions,
    common::v1::{ActivityType, RetryPolicy, WorkflowExecution, WorkflowType},
    enums::v1::EventType,
    schedule::v1::{
        IntervalSpec, Schedule, ScheduleAction, SchedulePatch, SchedulePolicies, ScheduleSpec, ScheduleState,
        TriggerImmediatelyRequest, schedule_action::Action,
    },
    update::v1::{Input, Meta, Request, WaitPolicy, outcome::Value},
    workflow::v1::NewWorkflowExecutionInfo,
    workflowservice::v1::{execute_multi_operation_request::operation::Operation, *},
};
use tonic::Status;

use super::{
    client::{CRON, CallKind, NAMESPACE, decoded, execution, name_of},
    ledger::Fate,
    lineage::OF_BATCHES,
    plan::Step,
    rng::Rng,
    updates::REJECTED,
    workflow::{QUEUE, millis, queue},
    world::{Done, World},
};

/// What an answer to an update says: that it is in the history, or was rejected. An error says nothing: the update may
/// have been accepted before.
pub(crate) fn fate_of_update(answer: &Result<Vec<u8>, Status>) -> Done<Fate> {
    let Ok(bytes) = answer else {
        return Ok(Fate::Unknown);
    };
    Ok(fate_of(decoded(bytes)?))
}

fn fate_of(answer: UpdateWorkflowExecutionResponse) -> Fate {
    let outcome = answer.outcome.and_then(|outcome| outcome.value);
    // From `ACCEPTED` on.
    match outcome {
        Some(Value::Failure(failure)) if failure.message == REJECTED => Fate::Refused,
        // A worker had it, and another task of the same run was completed without it.
        Some(Value::Failure(failure)) if failure.message.contains("wasn't processed") => Fate::Refused,
        _ if answer.stage >= 2 => Fate::Done,
        _ => Fate::Unknown,
    }
}

fn update_request(target: WorkflowExecution, label: &str, completed: bool) -> UpdateWorkflowExecutionRequest {
    UpdateWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: Some(target),
        wait_policy: Some(WaitPolicy {
            lifecycle_stage: if completed { 3 } else { 2 },
        }),
        request: Some(Request {
            meta: Some(Meta {
                update_id: label.to_owned(),
                ..Default::default()
            }),
            input: Some(Input {
                name: "update".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What an answer to an update with a start says of the update, and the start's part of it.
pub(crate) fn fate_of_both(
    answer: &Result<Vec<u8>, Status>,
) -> Done<(Fate, Option<StartWorkflowExecutionResponse>)> {
    use execute_multi_operation_response::response::Response;
    let Ok(bytes) = answer else {
        return Ok((Fate::Unknown, None));
    };
    let answer: ExecuteMultiOperationResponse = decoded(bytes)?;
    let mut both = answer.responses.into_iter().map(|response| response.response);
    match (both.next().flatten(), both.next().flatten()) {
        (Some(Response::StartWorkflow(start)), Some(Response::UpdateWorkflow(update))) => {
            Ok((fate_of(update), Some(start)))
        }
        other => Err(format!("an update with a start is answered {other:?}")),
    }
}

impl World {
    pub(crate) fn operate(&mut self, step: &Step) -> Done {
        match *step {
            Step::Update {
                run,
                completed,
                twice,
            } => self.update(run, completed, twice),
            Step::UpdateWithStart { id, completed, twice } => self.update_with_start(id, completed, twice),
            Step::Batch { id, how } => self.batch(id, how),
            Step::Reset { run, point } => self.reset(run, point),
            Step::Delete { run } => self.delete(run),
            Step::ResetSticky { run } => self.reset_sticky(run),
            Step::ControlActivity { activity, how } => self.control_activity(activity, how),
            Step::StartActivity { id, options } => self.start_activity(id, options),
            Step::EndActivity { activity, how } => self.end_activity(activity, how),
            Step::CreateSchedule { options } => self.create_schedule(options),
            Step::ControlSchedule { schedule, how } => self.control_schedule(schedule, how),
            _ => Err(format!("nobody does {step:?}")),
        }
    }

    fn update(&mut self, run: u64, completed: bool, twice: bool) -> Done {
        let Some(started) = self.started(run) else {
            return Ok(());
        };
        let label = self.ledger.label_at("update", &started.workflow_id);
        let request = update_request(execution(&started), &label, completed);
        let kind = CallKind::Update { label };
        if twice {
            self.send(kind.clone(), "UpdateWorkflowExecution", &request, false)?;
        }
        self.send(kind, "UpdateWorkflowExecution", &request, false)
    }

    /// An update to a workflow, which is started for it where it does not run.
    fn update_with_start(&mut self, id: u64, completed: bool, twice: bool) -> Done {
        let workflow_id = name_of(id % CRON);
        let label = self.ledger.label_at("update", &workflow_id);
        let request_id = format!("request-of-{label}");
        let start = StartWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: workflow_id.clone(),
            workflow_type: Some(WorkflowType {
                name: "Simulated".to_owned(),
            }),
            task_queue: Some(queue(QUEUE)),
            request_id: request_id.clone(),
            // Now and then it may not be there yet.
            workflow_id_conflict_policy: [2, 2, 1][usize::try_from(id % 3).unwrap_or(0)],
            ..Default::default()
        };
        let target = WorkflowExecution {
            workflow_id: workflow_id.clone(),
            run_id: String::new(),
        };
        let update = update_request(target, &label, completed);
        let operations = [Operation::StartWorkflow(start), Operation::UpdateWorkflow(update)];
        let request = ExecuteMultiOperationRequest {
            namespace: NAMESPACE.to_owned(),
            operations: operations
                .into_iter()
                .map(|operation| execute_multi_operation_request::Operation {
                    operation: Some(operation),
                })
                .collect(),
            ..Default::default()
        };
        let kind = CallKind::UpdateWithStart {
            label,
            workflow_id,
            request_id,
        };
        if twice {
            self.send(kind.clone(), "ExecuteMultiOperation", &request, false)?;
        }
        self.send(kind, "ExecuteMultiOperation", &request, false)
    }

    /// All open runs of a workflow id, or of all children, are asked to cancel, or ended.
    fn batch(&mut self, id: u64, how: u64) -> Done {
        let which = match id % 8 {
            7 => "WorkflowId STARTS_WITH 'c'".to_owned(),
            id => format!("WorkflowId = '{}'", name_of(id)),
        };
        let operation = if how.is_multiple_of(2) {
            start_batch_operation_request::Operation::CancellationOperation(Default::default())
        } else {
            start_batch_operation_request::Operation::TerminationOperation(Default::default())
        };
        let request = StartBatchOperationRequest {
            namespace: NAMESPACE.to_owned(),
            visibility_query: format!("{which} AND ExecutionStatus = 'Running'"),
            job_id: self.ledger.label("job"),
            reason: OF_BATCHES.to_owned(),
            operation: Some(operation),
            ..Default::default()
        };
        self.send(CallKind::Other, "StartBatchOperation", &request, false)
    }

    fn reset(&mut self, run: u64, point: u64) -> Done {
        let Some((target, history)) = self.workers.seen(run) else {
            return Ok(());
        };
        // Others come again by themselves, or are a schedule's.
        if !target.workflow_id.starts_with(['w', 'd', 'c']) {
            return Ok(());
        }
        let completed = history
            .iter()
            .filter(|event| event.event_type() == EventType::WorkflowTaskCompleted)
            .map(|event| event.event_id);
        let points: Vec<_> = completed.collect();
        let Some(finish) = points.get(point as usize % points.len().max(1)) else {
            return Ok(());
        };
        let kind = CallKind::Reset {
            workflow_id: target.workflow_id.clone(),
        };
        let request = ResetWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_task_finish_event_id: *finish,
            workflow_execution: Some(target),
            request_id: self.ledger.label("request-of-reset"),
            ..Default::default()
        };
        self.send(kind, "ResetWorkflowExecution", &request, false)
    }

    fn delete(&mut self, run: u64) -> Done {
        let of = |run: &&super::ledger::StartedRun| run.workflow_id.starts_with('d');
        let runs: Vec<_> = self.ledger.started.iter().filter(of).cloned().collect();
        let Some(started) = runs.get(run as usize % runs.len().max(1)) else {
            return Ok(());
        };
        self.ledger.deleted.insert(started.workflow_id.clone());
        let request = DeleteWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(execution(started)),
        };
        self.send(CallKind::Other, "DeleteWorkflowExecution", &request, false)
    }

    fn reset_sticky(&mut self, run: u64) -> Done {
        let Some(started) = self.started(run) else {
            return Ok(());
        };
        let request = ResetStickyTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            execution: Some(execution(&started)),
        };
        self.send(CallKind::Other, "ResetStickyTaskQueue", &request, false)
    }

    fn control_activity(&mut self, activity: u64, how: u64) -> Done {
        let Some((execution, id)) = self.workers.activity_seen(activity) else {
            return Ok(());
        };
        let namespace = NAMESPACE.to_owned();
        let of = (execution.run_id.clone(), id.clone());
        let execution = Some(execution);
        match how % 4 {
            3 => {
                let options = ActivityOptions {
                    start_to_close_timeout: Some(millis(how % 20_000 + 1_000)),
                    heartbeat_timeout: Some(millis(3_000)),
                    ..Default::default()
                };
                let request = UpdateActivityOptionsRequest {
                    namespace,
                    execution,
                    activity: Some(update_activity_options_request::Activity::Id(id)),
                    activity_options: Some(options),
                    update_mask: Some(prost_types::FieldMask {
                        paths: vec![
                            "start_to_close_timeout".to_owned(),
                            "heartbeat_timeout".to_owned(),
                        ],
                    }),
                    ..Default::default()
                };
                self.send(CallKind::Other, "UpdateActivityOptions", &request, false)
            }
            0 => {
                let request = PauseActivityRequest {
                    namespace,
                    execution,
                    activity: Some(pause_activity_request::Activity::Id(id)),
                    ..Default::default()
                };
                self.send(CallKind::Other, "PauseActivity", &request, false)
            }
            1 => {
                let request = UnpauseActivityRequest {
                    namespace,
                    execution,
                    activity: Some(unpause_activity_request::Activity::Id(id)),
                    ..Default::default()
                };
                self.send(CallKind::Other, "UnpauseActivity", &request, false)
            }
            _ => {
                self.ledger.attempts_reset.insert(of);
                let request = ResetActivityRequest {
                    namespace,
                    execution,
                    activity: Some(reset_activity_request::Activity::Id(id)),
                    ..Default::default()
                };
                self.send(CallKind::Other, "ResetActivity", &request, false)
            }
        }
    }

    fn start_activity(&mut self, id: u64, options: u64) -> Done {
        let mut rng = Rng::new(options);
        let activity_id = format!("s{id}");
        let label = self.ledger.label_at("request-of-activity", &activity_id);
        let request = StartActivityExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            activity_id: activity_id.clone(),
            activity_type: Some(ActivityType {
                name: "Act".to_owned(),
            }),
            task_queue: Some(queue(QUEUE)),
            schedule_to_close_timeout: Some(millis(rng.below(60_000) + 1_000)),
            start_to_close_timeout: Some(millis(rng.below(20_000) + 1_000)),
            heartbeat_timeout: rng.one_in(3).then(|| millis(2_000)),
            retry_policy: Some(RetryPolicy {
                maximum_attempts: i32::try_from(rng.below(4)).unwrap_or(0),
                initial_interval: Some(millis(500)),
                ..Default::default()
            }),
            request_id: label.clone(),
            id_reuse_policy: [0, 1, 2, 3][rng.index(4)],
            id_conflict_policy: [0, 1, 2][rng.index(3)],
            ..Default::default()
        };
        let kind = CallKind::StartActivity { activity_id, label };
        self.send(kind, "StartActivityExecution", &request, false)
    }

    fn end_activity(&mut self, activity: u64, how: u64) -> Done {
        let known = &self.ledger.standalone;
        let Some((activity_id, run_id, _)) = known.get(activity as usize % known.len().max(1)).cloned()
        else {
            return Ok(());
        };
        let namespace = NAMESPACE.to_owned();
        match how % 3 {
            0 => {
                let request = RequestCancelActivityExecutionRequest {
                    namespace,
                    activity_id,
                    run_id,
                    request_id: self.ledger.label("request-of-cancel"),
                    ..Default::default()
                };
                self.send(CallKind::Other, "RequestCancelActivityExecution", &request, false)
            }
            1 => {
                let request = TerminateActivityExecutionRequest {
                    namespace,
                    activity_id,
                    run_id,
                    request_id: self.ledger.label("request-of-termination"),
                    ..Default::default()
                };
                self.send(CallKind::Other, "TerminateActivityExecution", &request, false)
            }
            _ => {
                self.ledger.deleted.insert(activity_id.clone());
                let request = DeleteActivityExecutionRequest {
                    namespace,
                    activity_id,
                    run_id,
                };
                self.send(CallKind::Other, "DeleteActivityExecution", &request, false)
            }
        }
    }

    fn create_schedule(&mut self, options: u64) -> Done {
        let mut rng = Rng::new(options);
        let label = self.ledger.label("schedule");
        let workflow = NewWorkflowExecutionInfo {
            workflow_id: format!("action-of-{label}"),
            workflow_type: Some(WorkflowType {
                name: "Simulated".to_owned(),
            }),
            task_queue: Some(queue(QUEUE)),
            ..Default::default()
        };
        let schedule = Schedule {
            spec: Some(ScheduleSpec {
                interval: vec![IntervalSpec {
                    interval: Some(millis((rng.below(30) + 1) * 1_000)),
                    phase: None,
                }],
                jitter: rng.one_in(3).then(|| millis(rng.below(5_000))),
                ..Default::default()
            }),
            action: Some(ScheduleAction {
                action: Some(Action::StartWorkflow(workflow)),
            }),
            policies: Some(SchedulePolicies {
                overlap_policy: i32::try_from(rng.below(7)).unwrap_or(0),
                catchup_window: rng.one_in(2).then(|| millis(rng.below(100_000) + 10_000)),
                pause_on_failure: rng.one_in(4),
                ..Default::default()
            }),
            state: Some(ScheduleState {
                limited_actions: true,
                remaining_actions: i64::try_from(rng.below(4)).unwrap_or(0) + 1,
                paused: rng.one_in(5),
                ..Default::default()
            }),
        };
        let request = CreateScheduleRequest {
            namespace: NAMESPACE.to_owned(),
            schedule_id: label.clone(),
            schedule: Some(schedule),
            request_id: format!("request-of-{label}"),
            ..Default::default()
        };
        self.send(
            CallKind::CreateSchedule { label },
            "CreateSchedule",
            &request,
            false,
        )
    }

    fn control_schedule(&mut self, schedule: u64, how: u64) -> Done {
        let known: Vec<_> = self.ledger.schedules.keys().cloned().collect();
        let Some(label) = known.get(schedule as usize % known.len().max(1)).cloned() else {
            return Ok(());
        };
        let mut patch = SchedulePatch::default();
        match how % 5 {
            0 => {
                self.ledger.triggered.insert(label.clone());
                patch.trigger_immediately = Some(TriggerImmediatelyRequest::default());
            }
            1 => patch.pause = "stop".to_owned(),
            2 | 3 => patch.unpause = "go".to_owned(),
            _ => return self.delete_schedule(label),
        }
        let request = PatchScheduleRequest {
            namespace: NAMESPACE.to_owned(),
            schedule_id: label,
            patch: Some(patch),
            request_id: self.ledger.label("request-of-patch"),
            ..Default::default()
        };
        self.send(CallKind::Other, "PatchSchedule", &request, false)
    }

    fn delete_schedule(&mut self, label: String) -> Done {
        // From now on nobody can say whether it is there, until the answer does.
        self.ledger.schedules.remove(&label);
        let request = DeleteScheduleRequest {
            namespace: NAMESPACE.to_owned(),
            schedule_id: label.clone(),
            ..Default::default()
        };
        self.send(
            CallKind::DeleteSchedule { label },
            "DeleteSchedule",
            &request,
            false,
        )
    }

    /// What goes on by itself ends: schedules, and the workflow with a cron schedule.
    pub(crate) fn end_what_repeats(&mut self, schedules: Vec<String>, open: &[(String, String)]) -> Done {
        for label in schedules {
            self.delete_schedule(label)?;
        }
        for (workflow_id, run_id) in open.iter().filter(|(id, _)| id.starts_with('k')) {
            let request = TerminateWorkflowExecutionRequest {
                namespace: NAMESPACE.to_owned(),
                workflow_execution: Some(WorkflowExecution {
                    workflow_id: workflow_id.clone(),
                    run_id: run_id.clone(),
                }),
                ..Default::default()
            };
            self.send(CallKind::Other, "TerminateWorkflowExecution", &request, false)?;
        }
        Ok(())
    }
}
