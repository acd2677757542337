//! Finding events in the order in which they were taken in.
//!
//! Lists come in an order of their own, and a cluster's cannot always be told another. So the time is cut into pieces
//! that hold no more than fits on a page, by counting, and each piece is put in order here.

use std::collections::HashSet;

use temporalio_client::{
    Client, NamespacedClient,
    tonic::{IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::workflowservice::v1::CountWorkflowExecutionsRequest;
use time::{Duration, OffsetDateTime};

use crate::{
    dead_letters::runs,
    run::{Summary, format},
    search_attributes::{EVENT_ID, EVENT_SOURCE},
};

/// The shortest piece of time: what began within it goes on one page, however much it is.
const SHORTEST: Duration = Duration::milliseconds(1);
/// Executions that one call lists.
const LISTED: usize = 500;

/// A page of the executions of events, the event that was taken in first first.
pub(super) struct Found {
    /// Each event once.
    pub(super) runs: Vec<Summary>,
    /// Where the next page begins; none on the last.
    pub(super) next: Option<OffsetDateTime>,
}

/// The next executions from `from` on, before `to`: about `size` at most.
pub(super) async fn page(
    client: &Client,
    query: &str,
    mut from: OffsetDateTime,
    to: OffsetDateTime,
    size: usize,
) -> Result<Found, Status> {
    let mut end = to;
    loop {
        if from >= end {
            return Ok(Found {
                runs: Vec::new(),
                next: None,
            });
        }
        let within = within(query, from, end);
        let count = count(client, &within).await?;
        if count == 0 {
            // Nothing began in it: the time after it is looked at whole.
            (from, end) = (end, to);
            continue;
        }
        if count <= size as i64 || end - from <= SHORTEST {
            let runs = in_order(all(client, &within).await?);
            let next = (end < to).then_some(end);
            return Ok(Found { runs, next });
        }
        end = middle(from, end);
    }
}

fn within(query: &str, from: OffsetDateTime, end: OffsetDateTime) -> String {
    format!(
        "{query} AND StartTime >= '{}' AND StartTime < '{}'",
        format(from),
        format(end)
    )
}

/// A moment between the two: whole microseconds, as some stores know no finer.
fn middle(from: OffsetDateTime, end: OffsetDateTime) -> OffsetDateTime {
    let half: Duration = (end - from) / 2;
    from + Duration::microseconds(i64::try_from(half.whole_microseconds()).unwrap_or(i64::MAX))
}

pub(super) async fn count(client: &Client, query: &str) -> Result<i64, Status> {
    let request = CountWorkflowExecutionsRequest {
        namespace: client.namespace(),
        query: query.to_owned(),
    };
    let mut service = client.connection().workflow_service();
    let reply = service.count_workflow_executions(request.into_request()).await?;
    Ok(reply.into_inner().count)
}

async fn all(client: &Client, query: &str) -> Result<Vec<Summary>, Status> {
    let mut all = Vec::new();
    let mut token = Vec::new();
    loop {
        let (mut found, next) = runs(client, query, LISTED, token).await?;
        all.append(&mut found);
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
}

/// First runs in the order of their starts, one for each event.
fn in_order(mut runs: Vec<Summary>) -> Vec<Summary> {
    // A run that follows a dead letter is no acceptance.
    runs.retain(|run| run.after.is_none());
    runs.sort_by(|a, b| (a.started, &a.workflow_id).cmp(&(b.started, &b.workflow_id)));
    let mut seen = HashSet::new();
    runs.retain(|run| {
        let event = (run.attributes.get(&EVENT_SOURCE), run.attributes.get(&EVENT_ID));
        // Without an id in the attributes it is not known whether it is the same event; then its execution's id counts.
        let event = match event {
            (Some(source), Some(id)) => (source, id),
            _ => (String::new(), run.workflow_id.clone()),
        };
        seen.insert(event)
    });
    runs
}

#[cfg(test)]
mod tests {
    use temporalio_common::{
        protos::temporal::api::enums::v1::WorkflowExecutionStatus, search_attributes::SearchAttributes,
    };

    use super::*;

    fn run(id: &str, route: &str, second: i64) -> Summary {
        Summary {
            workflow_id: format!("{route}//s/{id}"),
            run_id: String::new(),
            ty: String::new(),
            status: WorkflowExecutionStatus::Completed,
            started: OffsetDateTime::from_unix_timestamp(second).ok(),
            begins: None,
            closed: None,
            attributes: SearchAttributes::new([
                EVENT_SOURCE.value_set("/s".to_owned()),
                EVENT_ID.value_set(id.to_owned()),
            ]),
            after: None,
            origin: None,
        }
    }

    #[test]
    fn each_event_comes_once_where_it_came_first() {
        let ordered = in_order(vec![
            run("2", "a", 20),
            run("1", "b", 30),
            run("1", "a", 10),
            run("3", "a", 25),
        ]);
        let ids: Vec<_> = ordered.iter().map(|run| run.workflow_id.as_str()).collect();
        assert_eq!(ids, ["a//s/1", "a//s/2", "a//s/3"]);
    }

    #[test]
    fn pieces_get_shorter_and_never_empty() {
        let from = OffsetDateTime::UNIX_EPOCH;
        let mut end = from + Duration::days(20_000);
        let mut steps = 0;
        while end - from > SHORTEST {
            let half = middle(from, end);
            assert!(from < half && half < end, "{half}");
            (end, steps) = (half, steps + 1);
        }
        assert!(steps < 50, "{steps}");
    }
}
