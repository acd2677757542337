//! The audit log: every change that people make, who made it, and what became of it.
//!
//! ```text
//! change ── SegnoAudit "@audit/<id>" is started: on disk who wants what ── the change is made
//!                     ▲                                                        │
//!                     └──────────── signal: what became of it ◀────────────────┘── the answer
//! ```
//!
//! An entry is an execution, as all that must not be lost is one. It is durable before the change is made: where it cannot be
//! written nothing is changed. Where the process dies in between, the entry closes by itself and says that nobody knows.

mod entry;
mod list;
mod summary;
mod workflow;

use std::collections::HashMap;

use temporalio_client::{
    Client, UntypedSignal, UntypedWorkflow, WorkflowSignalOptions, errors::WorkflowInteractionError,
    tonic::Status,
};
use temporalio_common::{
    protos::temporal::api::enums::v1::WorkflowIdReusePolicy, search_attributes::SearchAttributes,
};
use uuid::Uuid;

pub(crate) use entry::{Entry, Outcome};
pub(crate) use list::{Filter, page};
pub(crate) use summary::of_request;
pub(crate) use workflow::AuditWorkflow;

use crate::{
    flow::raw,
    run::{Start, json_payload},
    search_attributes::{AUDIT, keyword},
};

/// Where entries are among workflow ids: no route's name has an `@`.
pub(crate) const ROOM: &str = "@audit/";
/// Key of an entry's memo.
const MEMO: &str = "SegnoAudit";

/// Writes the log.
#[derive(Clone)]
pub(crate) struct Audit(Client);

/// An entry that is on disk, and does not say yet what became of the change.
pub(crate) struct Begun {
    client: Client,
    id: String,
}

impl Audit {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Writes who wants to change what, and returns once that is on disk.
    pub(crate) async fn begin(&self, entry: &Entry) -> Result<Begun, Status> {
        let id = format!("{ROOM}{}", Uuid::now_v7());
        let internal = |error: serde_json::Error| Status::internal(error.to_string());
        let tags: Vec<_> = entry.tags().map(|tag| keyword(&tag)).collect();
        let start = Start {
            workflow_id: id.clone(),
            ty: workflow::TYPE.to_owned(),
            input: json_payload(entry).map_err(internal)?,
            request_id: Uuid::new_v4().to_string(),
            reuse: WorkflowIdReusePolicy::RejectDuplicate,
            attributes: Some(SearchAttributes::new([AUDIT.value_set(tags)])),
            memo: HashMap::from([(MEMO.to_owned(), json_payload(entry).map_err(internal)?)]),
            delay: None,
        };
        start.send(&self.0).await?;
        Ok(Begun {
            client: self.0.clone(),
            id,
        })
    }
}

impl Begun {
    /// Writes what became of it, and returns once that is on disk.
    pub(crate) async fn end(self, outcome: &Outcome) -> Result<(), WorkflowInteractionError> {
        let handle = self
            .client
            .get_workflow_handle::<UntypedWorkflow>(self.id.as_str());
        let signal = UntypedSignal::new(workflow::OUTCOME);
        handle
            .signal(signal, raw(outcome), WorkflowSignalOptions::default())
            .await
    }
}
