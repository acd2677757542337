//! Which flows are full: intake refuses what would wait in them.
//!
//! A flow says so by a search attribute. Each process lists the full ones once a second: so what is taken in costs nothing
//! more, and a flow may become a second's worth of events fuller than it should. One that becomes far too full takes no note
//! of what arrives, and its executions ask again later.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;
use tokio_util::sync::CancellationToken;

use super::WORKFLOW_TYPE;
use crate::search_attributes::FULL;

/// How often the full ones are listed.
const PERIOD: Duration = Duration::from_secs(1);
/// How many are listed at once.
const PAGE: i32 = 1_000;

/// The workflow ids of full flows, as this process knows them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Full(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ids: RwLock<BTreeSet<String>>,
    watched: AtomicBool,
}

impl Full {
    /// Whether a flow is full.
    pub(crate) fn contains(&self, flow: &str) -> bool {
        self.0.ids.read().contains(flow)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.ids.read().len()
    }

    /// Waits until a flow is not full.
    pub(crate) async fn room(&self, flow: &str) {
        while self.contains(flow) {
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Lists them once a second until it is stopped. A second call changes nothing.
    pub(crate) fn watch(&self, client: Client, stop: CancellationToken) {
        if self.0.watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let full = self.clone();
        tokio::spawn(async move {
            loop {
                match listed(&client).await {
                    Ok(listed) => *full.0.ids.write() = listed,
                    // What was known holds on.
                    Err(status) => tracing::debug!(%status, "full flows cannot be listed"),
                }
                if stop
                    .run_until_cancelled(tokio::time::sleep(PERIOD))
                    .await
                    .is_none()
                {
                    return;
                }
            }
        });
    }
}

async fn listed(client: &Client) -> Result<BTreeSet<String>, Status> {
    let (mut full, mut token) = (BTreeSet::new(), Vec::new());
    loop {
        let request = ListWorkflowExecutionsRequest {
            namespace: client.namespace(),
            page_size: PAGE,
            next_page_token: token,
            query: format!(
                "WorkflowType = '{WORKFLOW_TYPE}' AND ExecutionStatus = 'Running' AND {} = true",
                FULL.name()
            ),
        };
        let mut service = client.connection().workflow_service();
        let page = service
            .list_workflow_executions(request.into_request())
            .await?
            .into_inner();
        let ids = page
            .executions
            .into_iter()
            .filter_map(|info| Some(info.execution?.workflow_id));
        full.extend(ids);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(full);
        }
    }
}
