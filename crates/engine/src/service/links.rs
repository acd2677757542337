//! Links to where a request came from, and callbacks to where its end is reported.

use temporalio_protos::temporal::api::{
    common::v1::{
        Callback, Link, WorkflowExecution, callback,
        link::{
            Variant, Workflow, WorkflowEvent,
            workflow_event::{EventReference, Reference, RequestIdReference},
        },
    },
    enums::v1::EventType,
    update::v1::{Outcome, outcome},
};

use prost::Message as _;

use crate::{core::Run, host::delivery::execution, rpc::RpcError};

/// Links of one request at most, as on the real server.
const MOST_LINKS: usize = 10;
/// Bytes of one link at most.
const LARGEST_LINK: usize = 4_000;
/// Characters of a callback's URL at most.
const LONGEST_URL: usize = 1_000;

fn invalid(message: impl Into<String>) -> RpcError {
    RpcError::InvalidArgument(message.into())
}

/// Checks the links of a request.
pub(super) fn check(links: &[Link]) -> Result<(), RpcError> {
    if links.len() > MOST_LINKS {
        return Err(invalid(format!(
            "cannot attach more than {MOST_LINKS} links per request, got {}",
            links.len()
        )));
    }
    for link in links {
        let size = link.encoded_len();
        if size > LARGEST_LINK {
            return Err(invalid(format!(
                "link exceeds allowed size of {LARGEST_LINK}, got {size}"
            )));
        }
        match &link.variant {
            None => return Err(invalid("unsupported link variant")),
            Some(Variant::WorkflowEvent(event)) => {
                for (field, value) in [
                    ("namespace", &event.namespace),
                    ("workflow ID", &event.workflow_id),
                    ("run ID", &event.run_id),
                ] {
                    if value.is_empty() {
                        return Err(invalid(format!(
                            "workflow event link must not have an empty {field} field"
                        )));
                    }
                }
                if let Some(Reference::EventRef(event)) = &event.reference
                    && event.event_type == 0
                    && event.event_id != 0
                {
                    return Err(invalid(
                        "workflow event link ref cannot have an unspecified event type and a non-zero event ID",
                    ));
                }
            }
            Some(Variant::BatchJob(job)) if job.job_id.is_empty() => {
                return Err(invalid("batch job link must not have an empty job ID"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Refuses callbacks: an address that a callback may call is there only where a server's operator names it, and an engine
/// without Nexus has none. The words are those of a server without any.
pub(super) fn check_callbacks(callbacks: &[Callback]) -> Result<(), RpcError> {
    let Some(callback) = callbacks.first() else {
        return Ok(());
    };
    let Some(callback::Variant::Nexus(nexus)) = &callback.variant else {
        return Err(RpcError::Unimplemented("unknown callback variant: <nil>".into()));
    };
    let url = &nexus.url;
    if url.len() > LONGEST_URL {
        return Err(invalid(format!(
            "invalid url: url length longer than max length allowed of {LONGEST_URL}"
        )));
    }
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("http" | "https") => Err(invalid(format!(
            "invalid url: url does not match any configured callback address: {url}"
        ))),
        Some("temporal") => Err(RpcError::Unimplemented(
            "this engine does not implement completion callbacks".into(),
        )),
        _ => Err(invalid(format!("invalid url: unknown scheme: {url}"))),
    }
}

/// The link to what a start came to: the run's first event, or the event that attached the request to it.
pub(super) fn to_start(namespace: &str, run: &Run, is_new: bool, request_id: &str) -> Link {
    let is_attached = |known: &String| known == request_id;
    let reference = if !is_new && run.state.attached_request_ids.iter().any(is_attached) {
        by_request(request_id, EventType::WorkflowExecutionOptionsUpdated)
    } else {
        Reference::EventRef(EventReference {
            event_id: 1,
            event_type: EventType::WorkflowExecutionStarted as i32,
        })
    };
    to_event(namespace, execution(run), reference)
}

/// The link to the event of a signal.
pub(super) fn to_signal(namespace: &str, run: &Run, request_id: &str) -> Link {
    let reference = by_request(request_id, EventType::WorkflowExecutionSignaled);
    to_event(namespace, execution(run), reference)
}

/// The link to the event by which an update was accepted; to the workflow alone where it was rejected, and where it
/// failed, as the real server cannot tell these apart either.
pub(super) fn to_update(
    namespace: &str,
    execution: WorkflowExecution,
    request_id: &str,
    outcome: Option<&Outcome>,
) -> Link {
    if let Some(outcome::Value::Failure(_)) = outcome.and_then(|outcome| outcome.value.as_ref()) {
        return Link {
            variant: Some(Variant::Workflow(Workflow {
                namespace: namespace.to_owned(),
                workflow_id: execution.workflow_id,
                run_id: execution.run_id,
                reason: "Update rejected".to_owned(),
            })),
        };
    }
    let reference = by_request(request_id, EventType::WorkflowExecutionUpdateAccepted);
    to_event(namespace, execution, reference)
}

fn by_request(request_id: &str, event_type: EventType) -> Reference {
    Reference::RequestIdRef(RequestIdReference {
        request_id: request_id.to_owned(),
        event_type: event_type as i32,
    })
}

fn to_event(namespace: &str, execution: WorkflowExecution, reference: Reference) -> Link {
    Link {
        variant: Some(Variant::WorkflowEvent(WorkflowEvent {
            namespace: namespace.to_owned(),
            workflow_id: execution.workflow_id,
            run_id: execution.run_id,
            reference: Some(reference),
        })),
    }
}
