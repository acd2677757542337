//! What clients ask, and what they make of the answers.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use temporalio_protos::temporal::api::{
    common::v1::{RetryPolicy, WorkflowExecution, WorkflowType},
    query::v1::WorkflowQuery,
    workflowservice::v1::*,
};
use tonic::{Code, Status};

use super::{
    ledger::{Fate, StartedRun},
    plan::Step,
    rng::Rng,
    workflow::{QUEUE, millis, queue, text_of},
    world::{Done, World},
};

pub(crate) const NAMESPACE: &str = "default";

/// A request as it went out, to be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) in_process: bool,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum CallKind {
    Start {
        workflow_id: String,
        request_id: String,
    },
    Signal {
        label: String,
        run_id: String,
    },
    SignalWithStart {
        label: String,
        workflow_id: String,
        request_id: String,
    },
    Cancel {
        run_id: String,
    },
    Terminate {
        run_id: String,
    },
    Query {
        must_see: BTreeSet<String>,
    },
    PollWorkflow {
        worker: usize,
    },
    PollActivity {
        worker: usize,
    },
    Decide {
        worker: usize,
        run_id: String,
        /// Empty where it leaves none.
        marker: String,
    },
    FailTask,
    Finish {
        label: String,
    },
    Heartbeat {
        of: (String, String, i32),
        number: u64,
    },
    /// The update's id is the label.
    Update {
        label: String,
    },
    /// The update's id is the label.
    UpdateWithStart {
        label: String,
        workflow_id: String,
        request_id: String,
    },
    Reset {
        workflow_id: String,
    },
    StartActivity {
        activity_id: String,
        label: String,
    },
    CreateSchedule {
        label: String,
    },
    DeleteSchedule {
        label: String,
    },
    Other,
}

impl CallKind {
    /// What is to be in the file if the call succeeds.
    pub(crate) fn label(&self) -> Option<&str> {
        match self {
            Self::Signal { label, .. } | Self::SignalWithStart { label, .. } | Self::Finish { label } => {
                Some(label)
            }
            // Without a marker, a completion leaves nothing to look for.
            Self::Decide { marker, .. } => (!marker.is_empty()).then_some(marker),
            Self::Update { label } | Self::UpdateWithStart { label, .. } => Some(label),
            _ => None,
        }
    }

    /// The worker that would get a task with the answer.
    pub(crate) fn worker(&self) -> Option<usize> {
        match self {
            Self::PollWorkflow { worker } | Self::PollActivity { worker } | Self::Decide { worker, .. } => {
                Some(*worker)
            }
            _ => None,
        }
    }

    /// Whether a client may send the same once more and mean the same. By workflow id alone a request may
    /// find another run by then.
    pub(crate) fn may_be_sent_again(&self) -> bool {
        match self {
            Self::Signal { run_id, .. } => !run_id.is_empty(),
            Self::Cancel { .. } | Self::Terminate { .. } | Self::Update { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Start { .. } => 1,
            Self::Signal { .. } => 2,
            Self::SignalWithStart { .. } => 3,
            Self::Cancel { .. } => 4,
            Self::Terminate { .. } => 5,
            Self::Query { .. } => 6,
            Self::PollWorkflow { .. } => 7,
            Self::PollActivity { .. } => 8,
            Self::Decide { .. } => 9,
            Self::FailTask => 10,
            Self::Finish { .. } => 11,
            Self::Heartbeat { .. } => 12,
            Self::Update { .. } => 14,
            Self::Reset { .. } => 15,
            Self::StartActivity { .. } => 16,
            Self::CreateSchedule { .. } => 17,
            Self::DeleteSchedule { .. } => 18,
            Self::UpdateWithStart { .. } => 19,
            Self::Other => 13,
        }
    }
}

pub(crate) fn decoded<M: Message + Default>(bytes: &[u8]) -> Done<M> {
    M::decode(bytes).map_err(|error| format!("an answer does not decode: {error}"))
}

impl World {
    /// What clients and workers do.
    pub(crate) fn act(&mut self, step: &Step) -> Done {
        match *step {
            Step::Start { id, options, twice } => self.start(id, options, twice),
            Step::Signal { id, by_run, twice } => self.signal(id, by_run, twice),
            Step::SignalWithStart { id, twice } => self.signal_with_start(id, twice),
            Step::Cancel { run } => {
                let Some(started) = self.started(run) else {
                    return Ok(());
                };
                let request = RequestCancelWorkflowExecutionRequest {
                    namespace: NAMESPACE.to_owned(),
                    workflow_execution: Some(execution(&started)),
                    request_id: self.ledger.label("cancel"),
                    ..Default::default()
                };
                let kind = CallKind::Cancel {
                    run_id: started.run_id,
                };
                self.send(kind, "RequestCancelWorkflowExecution", &request, false)
            }
            Step::Terminate { run } => {
                let Some(started) = self.started(run) else {
                    return Ok(());
                };
                self.terminate(&started)
            }
            Step::Query { run } => {
                let Some(started) = self.started(run) else {
                    return Ok(());
                };
                let request = QueryWorkflowRequest {
                    namespace: NAMESPACE.to_owned(),
                    execution: Some(execution(&started)),
                    query: Some(WorkflowQuery {
                        query_type: "signals".to_owned(),
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                let must_see = self.ledger.signals.get(&started.run_id).cloned();
                let kind = CallKind::Query {
                    must_see: must_see.unwrap_or_default(),
                };
                self.send(kind, "QueryWorkflow", &request, false)
            }
            Step::Update { .. }
            | Step::UpdateWithStart { .. }
            | Step::Batch { .. }
            | Step::Reset { .. }
            | Step::Delete { .. }
            | Step::ResetSticky { .. }
            | Step::ControlActivity { .. }
            | Step::StartActivity { .. }
            | Step::EndActivity { .. }
            | Step::CreateSchedule { .. }
            | Step::ControlSchedule { .. } => self.operate(step),
            _ => self.labour(step),
        }
    }

    pub(crate) fn started(&self, run: u64) -> Option<StartedRun> {
        let started = &self.ledger.started;
        started.get(run as usize % started.len().max(1)).cloned()
    }

    fn start(&mut self, id: u64, options: u64, twice: bool) -> Done {
        let mut rng = Rng::new(options);
        let workflow_id = name_of(id);
        let request_id = self.ledger.label("start");
        let request = StartWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: workflow_id.clone(),
            workflow_type: Some(WorkflowType {
                name: "Simulated".to_owned(),
            }),
            task_queue: Some(queue(QUEUE)),
            request_id: request_id.clone(),
            identity: "client".to_owned(),
            workflow_id_reuse_policy: [0, 1, 2, 3][rng.index(4)],
            workflow_id_conflict_policy: [0, 1, 2, 3][rng.index(4)],
            retry_policy: rng.one_in(3).then(|| RetryPolicy {
                maximum_attempts: 3,
                ..Default::default()
            }),
            workflow_run_timeout: rng.one_in(4).then(|| millis(rng.below(60_000) + 1_000)),
            workflow_execution_timeout: rng.one_in(6).then(|| millis(rng.below(90_000) + 1_000)),
            workflow_start_delay: (rng.one_in(6) && id != CRON).then(|| millis(rng.below(9_000) + 1)),
            cron_schedule: if id == CRON {
                "@every 5s".to_owned()
            } else {
                String::new()
            },
            ..Default::default()
        };
        let kind = CallKind::Start {
            workflow_id,
            request_id,
        };
        if twice {
            self.send(kind.clone(), "StartWorkflowExecution", &request, false)?;
        }
        self.send(kind, "StartWorkflowExecution", &request, false)
    }

    fn signal(&mut self, id: u64, by_run: bool, twice: bool) -> Done {
        let Some(started) = self.started(id) else {
            return Ok(());
        };
        let run_id = if by_run { started.run_id } else { String::new() };
        self.signal_run(started.workflow_id, run_id, twice)
    }

    pub(crate) fn signal_run(&mut self, workflow_id: String, run_id: String, twice: bool) -> Done {
        let label = self.ledger.label_at("signal", &workflow_id);
        let request = SignalWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id,
                run_id: run_id.clone(),
            }),
            signal_name: label.clone(),
            request_id: format!("request-of-{label}"),
            ..Default::default()
        };
        let kind = CallKind::Signal { label, run_id };
        if twice {
            self.send(kind.clone(), "SignalWorkflowExecution", &request, false)?;
        }
        self.send(kind, "SignalWorkflowExecution", &request, false)
    }

    fn signal_with_start(&mut self, id: u64, twice: bool) -> Done {
        let workflow_id = name_of(id);
        let label = self.ledger.label_at("signal", &workflow_id);
        let request_id = format!("request-of-{label}");
        let request = SignalWithStartWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: workflow_id.clone(),
            workflow_type: Some(WorkflowType {
                name: "Simulated".to_owned(),
            }),
            task_queue: Some(queue(QUEUE)),
            signal_name: label.clone(),
            request_id: request_id.clone(),
            ..Default::default()
        };
        let kind = CallKind::SignalWithStart {
            label,
            workflow_id,
            request_id,
        };
        if twice {
            self.send(kind.clone(), "SignalWithStartWorkflowExecution", &request, false)?;
        }
        self.send(kind, "SignalWithStartWorkflowExecution", &request, false)
    }

    pub(crate) fn terminate(&mut self, started: &StartedRun) -> Done {
        let request = TerminateWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(execution(started)),
            ..Default::default()
        };
        let kind = CallKind::Terminate {
            run_id: started.run_id.clone(),
        };
        self.send(kind, "TerminateWorkflowExecution", &request, false)
    }

    /// An answer has come.
    pub(crate) fn answered(&mut self, kind: CallKind, asked: Asked, answer: Result<Vec<u8>, Status>) -> Done {
        let fate = match &kind {
            CallKind::Update { .. } => super::operator::fate_of_update(&answer)?,
            CallKind::UpdateWithStart { .. } => super::operator::fate_of_both(&answer)?.0,
            _ => Fate::of(&answer),
        };
        if let Some(label) = kind.label() {
            self.ledger.answered(label, fate);
        }
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(status) => {
                if status.code() == Code::Unavailable && kind.may_be_sent_again() {
                    self.ask_later(kind, asked);
                }
                return Ok(());
            }
        };
        match kind {
            CallKind::Start {
                workflow_id,
                request_id,
            } => {
                let answer: StartWorkflowExecutionResponse = decoded(&bytes)?;
                self.was_started(workflow_id, answer.run_id, request_id, answer.started)
            }
            CallKind::SignalWithStart {
                label,
                workflow_id,
                request_id,
            } => {
                let answer: SignalWithStartWorkflowExecutionResponse = decoded(&bytes)?;
                let signals = &mut self.ledger.signals;
                signals.entry(answer.run_id.clone()).or_default().insert(label);
                self.was_started(workflow_id, answer.run_id, request_id, answer.started)
            }
            CallKind::Signal { label, run_id } => {
                if !run_id.is_empty() {
                    self.ledger.signals.entry(run_id).or_default().insert(label);
                }
                Ok(())
            }
            CallKind::Cancel { run_id } => {
                self.ledger.canceled.insert(run_id);
                Ok(())
            }
            CallKind::Terminate { run_id } => {
                self.ledger.terminated.insert(run_id);
                Ok(())
            }
            CallKind::Query { must_see } => {
                let answer: QueryWorkflowResponse = decoded(&bytes)?;
                let Some(seen) = text_of(answer.query_result.as_ref()) else {
                    return Ok(());
                };
                let seen: BTreeSet<_> = seen.split(' ').map(ToOwned::to_owned).collect();
                match must_see.difference(&seen).next() {
                    Some(missing) => Err(format!("a query does not see {missing}, acknowledged before it")),
                    None => Ok(()),
                }
            }
            CallKind::UpdateWithStart {
                workflow_id,
                request_id,
                ..
            } => match super::operator::fate_of_both(&Ok(bytes))?.1 {
                Some(start) => self.was_started(workflow_id, start.run_id, request_id, start.started),
                None => Ok(()),
            },
            CallKind::Reset { workflow_id } => {
                let answer: ResetWorkflowExecutionResponse = decoded(&bytes)?;
                let request_id = self.ledger.label("reset");
                self.was_started(workflow_id, answer.run_id, request_id, false)
            }
            CallKind::StartActivity { activity_id, label } => {
                let answer: StartActivityExecutionResponse = decoded(&bytes)?;
                self.ledger.standalone.push((activity_id, answer.run_id, label));
                Ok(())
            }
            CallKind::CreateSchedule { label } => {
                self.ledger.schedules.insert(label, true);
                Ok(())
            }
            CallKind::DeleteSchedule { label } => {
                self.ledger.schedules.insert(label, false);
                Ok(())
            }
            other => self.worker_answered(other, &bytes),
        }
    }

    fn was_started(&mut self, workflow_id: String, run_id: String, request_id: String, is_new: bool) -> Done {
        let same = self
            .ledger
            .started
            .iter()
            .find(|run| run.request_id == request_id);
        if let Some(same) = same
            && same.is_new
            && is_new
            && same.run_id != run_id
        {
            return Err(format!("{request_id} has started two runs"));
        }
        self.ledger.started.push(StartedRun {
            workflow_id,
            run_id,
            request_id,
            is_new,
        });
        Ok(())
    }
}

/// The id of the workflow with a cron schedule.
pub(crate) const CRON: u64 = 6;

/// A workflow id. One of them may be deleted, and one has a cron schedule.
pub(crate) fn name_of(id: u64) -> String {
    match id {
        5 => "d0".to_owned(),
        CRON => "k0".to_owned(),
        _ => format!("w{id}"),
    }
}

pub(crate) fn execution(started: &StartedRun) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: started.workflow_id.clone(),
        run_id: started.run_id.clone(),
    }
}
