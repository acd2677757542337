//! The list of dead letters: failed runs that no other run of their execution follows.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;
use utoipa::ToSchema;

use super::Letter;
use crate::{
    encryption::open,
    run::{self, Recorded, Summary},
};

/// Runs that are looked at side by side.
const CONCURRENT: usize = 16;
/// Failed runs that are looked at for one page: those that were dealt with are passed over.
const MAX_LOOKED_AT: usize = 2_000;

/// Which dead letters. What is left out allows all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadLetterFilter)]
pub(crate) struct Filter {
    /// Name of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    /// Type of the event.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) ty: Option<String>,
    /// Source of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// Subject of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// Failed at this time or later (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// Failed before this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
    /// A visibility query besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<String>,
}

impl Filter {
    /// The filter as a visibility query.
    ///
    /// # Errors
    /// The name of the time that is none.
    pub(crate) fn query(&self) -> Result<String, &'static str> {
        let mut terms = vec!["ExecutionStatus = 'Failed' AND SegnoRoute IS NOT NULL".to_owned()];
        let equals = [
            ("SegnoRoute", &self.route),
            ("SegnoEventType", &self.ty),
            ("SegnoEventSource", &self.source),
            ("SegnoEventSubject", &self.subject),
        ];
        for (attribute, value) in equals {
            if let Some(value) = value {
                terms.push(format!("{attribute} = {}", quoted(value)));
            }
        }
        for (name, comparison, value) in [("since", ">=", &self.since), ("until", "<", &self.until)] {
            if let Some(value) = value {
                let moment = run::parse(value).ok_or(name)?;
                terms.push(format!("CloseTime {comparison} '{}'", run::format(moment)));
            }
        }
        if let Some(query) = self.query.as_deref().filter(|query| !query.trim().is_empty()) {
            terms.push(format!("({query})"));
        }
        Ok(terms.join(" AND "))
    }
}

/// A text as the query language has it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Some dead letters, those that failed last first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) letters: Vec<Letter>,
    /// Where the next page begins; empty on the last.
    pub(crate) next: Vec<u8>,
    /// The runs on it that are no dead letters any more: another run of their execution follows.
    pub(crate) followed: Vec<Followed>,
}

/// A failed run that another one follows.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    /// The run that failed.
    pub(crate) run_id: String,
    /// The latest run of its execution.
    pub(crate) latest: Summary,
}

/// A page of at most `size` of the dead letters that `query` (of [`Filter::query`]) finds. It may be shorter, or even
/// empty, although others follow.
pub(crate) async fn page(client: &Client, query: &str, size: usize, token: Vec<u8>) -> Result<Page, Status> {
    let mut page = Page {
        next: token,
        ..Page::default()
    };
    let mut looked_at = 0;
    loop {
        let (runs, next) = runs(client, query, size - page.letters.len(), page.next).await?;
        page.next = next;
        looked_at += runs.len();
        let found: Vec<_> = stream::iter(runs.into_iter().map(|run| look_at(client, run)))
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        for found in found {
            match found {
                Found::Letter(letter) => page.letters.push(*letter),
                Found::Followed(followed) => page.followed.push(*followed),
                Found::Nothing => {}
            }
        }
        if page.letters.len() >= size || page.next.is_empty() || looked_at >= MAX_LOOKED_AT {
            return Ok(page);
        }
    }
}

/// One page of runs, and where the next begins.
pub(crate) async fn runs(
    client: &Client,
    query: &str,
    size: usize,
    token: Vec<u8>,
) -> Result<(Vec<Summary>, Vec<u8>), Status> {
    let request = ListWorkflowExecutionsRequest {
        namespace: client.namespace(),
        page_size: i32::try_from(size).unwrap_or(i32::MAX),
        next_page_token: token,
        query: query.to_owned(),
    };
    let mut service = client.connection().workflow_service();
    let reply = service
        .list_workflow_executions(request.into_request())
        .await?
        .into_inner();
    let reply = open(client, reply).await;
    let runs = reply.executions.into_iter().map(Summary::of).collect();
    Ok((runs, reply.next_page_token))
}

enum Found {
    Letter(Box<Letter>),
    Followed(Box<Followed>),
    /// It has been deleted since it was listed, or is no event's.
    Nothing,
}

async fn look_at(client: &Client, run: Summary) -> Result<Found, Status> {
    let latest = match Summary::latest(client, &run.workflow_id).await {
        Ok(latest) => latest,
        Err(status) if status.code() == Code::NotFound => return Ok(Found::Nothing),
        Err(status) => return Err(status),
    };
    if latest.run_id != run.run_id {
        return Ok(Found::Followed(Box::new(Followed {
            run_id: run.run_id,
            latest,
        })));
    }
    match Recorded::read(client, &run.workflow_id, &run.run_id).await {
        Ok(recorded) => Ok(Found::Letter(Box::new(Letter::of(&recorded)))),
        Err(run::ReadError::NoEvent(_)) => Ok(Found::Nothing),
        Err(run::ReadError::Encrypted { summary, reason }) => {
            Ok(Found::Letter(Box::new(Letter::encrypted(&summary, &reason))))
        }
        Err(run::ReadError::Engine(status)) if status.code() == Code::NotFound => Ok(Found::Nothing),
        Err(run::ReadError::Engine(status)) => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query() {
        let filter = Filter {
            route: Some("big".into()),
            source: Some("/it's".into()),
            since: Some("2026-01-01T01:00:00+01:00".into()),
            query: Some("StartTime > '2020-01-01' OR SegnoEventType = 'a'".into()),
            ..Filter::default()
        };
        assert_eq!(
            filter.query().unwrap(),
            "ExecutionStatus = 'Failed' AND SegnoRoute IS NOT NULL AND SegnoRoute = 'big' \
             AND SegnoEventSource = '/it\\'s' AND CloseTime >= '2026-01-01T00:00:00Z' \
             AND (StartTime > '2020-01-01' OR SegnoEventType = 'a')"
        );
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        let filter = Filter {
            until: Some("tomorrow".into()),
            ..Filter::default()
        };
        assert_eq!(filter.query(), Err("until"));
    }
}
