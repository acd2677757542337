//! Reading the log.

use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    workflow::v1::WorkflowExecutionInfo, workflowservice::v1::ListWorkflowExecutionsRequest,
};

use super::{Entry, MEMO, entry::tag, workflow::TYPE};
use crate::{
    dead_letters::quoted,
    encryption::open,
    run::{self, moment},
    search_attributes::{AUDIT, keyword},
};

/// Which entries. What is left out allows all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) who: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) path: Option<String>,
    /// At this time or later (RFC 3339).
    pub(crate) since: Option<String>,
    /// Before this time (RFC 3339).
    pub(crate) until: Option<String>,
}

/// Some entries, the newest first.
pub(crate) struct Page {
    /// Each with its id and the time at which it was written.
    pub(crate) entries: Vec<(String, Option<String>, Entry)>,
    /// Where the next page begins; empty on the last.
    pub(crate) next: Vec<u8>,
}

impl Filter {
    /// The filter as a visibility query.
    ///
    /// # Errors
    /// The name of the time that is none.
    pub(crate) fn query(&self) -> Result<String, &'static str> {
        let mut terms = vec![format!("WorkflowType = '{TYPE}'")];
        let tags = [("who", &self.who), ("action", &self.action), ("path", &self.path)];
        for (kind, value) in tags {
            if let Some(value) = value {
                let tag = keyword(&tag(kind, value));
                terms.push(format!("{} = {}", AUDIT.name(), quoted(&tag)));
            }
        }
        for (name, comparison, value) in [("since", ">=", &self.since), ("until", "<", &self.until)] {
            if let Some(value) = value {
                let moment = run::parse(value).ok_or(name)?;
                terms.push(format!("StartTime {comparison} '{}'", run::format(moment)));
            }
        }
        Ok(terms.join(" AND "))
    }
}

/// A page of at most `size` of the entries that `query` (of [`Filter::query`]) finds.
pub(crate) async fn page(client: &Client, query: &str, size: usize, token: Vec<u8>) -> Result<Page, Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: client.namespace(),
        page_size: i32::try_from(size).unwrap_or(i32::MAX),
        next_page_token: token,
        query: query.to_owned(),
    };
    let mut service = client.connection().workflow_service();
    let reply = service.list_workflow_executions(request.into_request()).await?;
    let reply = open(client, reply.into_inner()).await;
    let (mut infos, next) = (reply.executions, reply.next_page_token);
    // Lists have those that closed last first; entries close in about the order in which they are written.
    infos.sort_by_key(|info| std::cmp::Reverse(info.start_time.as_ref().and_then(moment)));
    Ok(Page {
        entries: infos.into_iter().filter_map(entry).collect(),
        next,
    })
}

fn entry(info: WorkflowExecutionInfo) -> Option<(String, Option<String>, Entry)> {
    let memo = info.memo?;
    let entry = serde_json::from_slice(&memo.fields.get(MEMO)?.data).ok()?;
    let id = info.execution?.workflow_id;
    let id = id.strip_prefix(super::ROOM).unwrap_or(&id).to_owned();
    Some((id, info.start_time.and_then(run::rfc3339), entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query() {
        let filter = Filter {
            who: Some("o'neill".to_owned()),
            action: Some("POST /keys/pause".to_owned()),
            path: None,
            since: Some("2026-01-01T00:00:00Z".to_owned()),
            until: None,
        };
        assert_eq!(
            filter.query().unwrap(),
            "WorkflowType = 'SegnoAudit' AND SegnoAudit = 'who:o\\'neill' AND SegnoAudit = 'action:POST /keys/pause' AND \
             StartTime >= '2026-01-01T00:00:00Z'"
        );
        let wrong = Filter {
            until: Some("yesterday".to_owned()),
            ..Filter::default()
        };
        assert_eq!(wrong.query(), Err("until"));
    }
}
