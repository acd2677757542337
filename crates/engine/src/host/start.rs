//! Starts, by the rules of workflow ids: what happens when the id is taken.

use temporalio_protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution},
    enums::v1::{WorkflowExecutionStatus as Status, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
    workflow::v1::OnConflictOptions,
};

use super::Host;
use crate::{
    core::{NewRun, RunKey},
    rpc::RpcError,
};

/// What a start may do where the workflow id is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdPolicy {
    /// Where the last run of the id has closed.
    pub(crate) reuse: WorkflowIdReusePolicy,
    /// Where it is running.
    pub(crate) conflict: WorkflowIdConflictPolicy,
}

/// The run that a start ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) key: RunKey,
    /// It was made by this very request, now or when the request came the first time.
    pub(crate) is_new: bool,
}

impl IdPolicy {
    /// The policies as a client named them, with the old spelling of "terminate if running" resolved.
    ///
    /// # Errors
    /// When they contradict each other.
    pub(crate) fn resolve(
        reuse: WorkflowIdReusePolicy,
        conflict: WorkflowIdConflictPolicy,
    ) -> Result<Self, RpcError> {
        use WorkflowIdConflictPolicy as Conflict;
        use WorkflowIdReusePolicy as Reuse;
        let terminates = |reuse| reuse == 4; // WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING, deprecated
        if terminates(reuse as i32) {
            if conflict != Conflict::Unspecified {
                return Err(RpcError::InvalidArgument(
                    "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together with a WorkflowIDConflictPolicy".into(),
                ));
            }
            return Ok(Self {
                reuse: Reuse::AllowDuplicate,
                conflict: Conflict::TerminateExisting,
            });
        }
        if conflict == Conflict::TerminateExisting && reuse == Reuse::RejectDuplicate {
            return Err(RpcError::InvalidArgument(
                "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING".into(),
            ));
        }
        let reuse = if reuse == Reuse::Unspecified {
            Reuse::AllowDuplicate
        } else {
            reuse
        };
        let conflict = if conflict == Conflict::Unspecified {
            Conflict::Fail
        } else {
            conflict
        };
        Ok(Self { reuse, conflict })
    }
}

impl Host {
    /// Starts a run, or finds the one that stands for it.
    ///
    /// # Errors
    /// When the id is taken and the policy does not allow what that would need.
    pub(crate) fn start(&mut self, new: NewRun, policy: IdPolicy) -> Result<Started, RpcError> {
        let Some(existing) = self.current(new.namespace_key, &new.workflow_id)? else {
            return Ok(Started {
                key: self.create(new)?,
                is_new: true,
            });
        };
        let run = self.run(existing)?;
        if !new.request_id.is_empty() && run.state.start_request_id == new.request_id {
            return Ok(Started {
                key: existing,
                is_new: true,
            });
        }
        if !new.request_id.is_empty() && run.state.attached_request_ids.contains(&new.request_id) {
            return Ok(Started {
                key: existing,
                is_new: false,
            });
        }
        let (status, is_running) = (run.state.status, run.is_running());
        let taken = |message: &str| RpcError::AlreadyStarted {
            message: message.to_owned(),
            start_request_id: run.state.start_request_id.clone(),
            run_id: run.state.run_id.clone(),
            first_run_id: run.state.first_run_id.clone(),
        };
        if is_running {
            match policy.conflict {
                WorkflowIdConflictPolicy::UseExisting => {
                    if let Some(options) = new.on_conflict {
                        self.attach(existing, options, new)?;
                    }
                    return Ok(Started {
                        key: existing,
                        is_new: false,
                    });
                }
                WorkflowIdConflictPolicy::TerminateExisting => {
                    let identity = "history-service".to_owned();
                    let reason = "TerminateIfRunning WorkflowIdReusePolicy".to_owned();
                    let details = json_text(&format!("terminated by new runID: {}", new.run_id));
                    self.change(existing, |run, now| {
                        run.terminate(now, reason, Some(details), identity)
                    })?;
                }
                _ => {
                    return Err(taken(
                        "Workflow execution is already running. WorkflowId: {id}, RunId: {run}."
                            .replace("{id}", &run.state.workflow_id)
                            .replace("{run}", &run.state.run_id)
                            .as_str(),
                    ));
                }
            }
        } else {
            let finished = "Workflow execution already finished";
            match policy.reuse {
                WorkflowIdReusePolicy::RejectDuplicate => {
                    return Err(taken(&format!(
                        "{finished}. WorkflowId: {}, RunId: {}. Workflow Id reuse policy: reject duplicate workflow Id.",
                        run.state.workflow_id, run.state.run_id
                    )));
                }
                WorkflowIdReusePolicy::AllowDuplicateFailedOnly if !has_failed(status) => {
                    return Err(taken(&format!(
                        "{finished} successfully. WorkflowId: {}, RunId: {}. Workflow Id reuse policy: allow duplicate workflow Id if last run failed.",
                        run.state.workflow_id, run.state.run_id
                    )));
                }
                _ => {}
            }
        }
        Ok(Started {
            key: self.create(new)?,
            is_new: true,
        })
    }

    /// Attaches to a running execution what the start that found it wants attached.
    fn attach(&mut self, key: RunKey, options: OnConflictOptions, new: NewRun) -> Result<(), RpcError> {
        let request_id = if options.attach_request_id {
            new.request_id
        } else {
            String::new()
        };
        let links = if options.attach_links {
            new.links
        } else {
            Vec::new()
        };
        self.change(key, |run, now| {
            run.attach(now, request_id, links);
            Ok(())
        })
    }

    /// The newest run of a workflow id, if the id was ever used.
    pub(crate) fn current(&self, namespace: u32, workflow_id: &str) -> Result<Option<RunKey>, RpcError> {
        let execution = WorkflowExecution {
            workflow_id: workflow_id.to_owned(),
            run_id: String::new(),
        };
        match self.find(namespace, &execution) {
            Ok(key) => Ok(Some(key)),
            Err(RpcError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether a closed run counts as failed for `ALLOW_DUPLICATE_FAILED_ONLY`.
fn has_failed(status: i32) -> bool {
    [
        Status::Failed,
        Status::Canceled,
        Status::Terminated,
        Status::TimedOut,
    ]
    .iter()
    .any(|failed| *failed as i32 == status)
}

/// A string as SDKs write it.
fn json_text(text: &str) -> Payloads {
    Payloads {
        payloads: vec![Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: serde_json::Value::from(text).to_string().into_bytes(),
            ..Default::default()
        }],
    }
}
