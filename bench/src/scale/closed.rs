//! Very many closed executions: how long a page of a list takes, and whether new work feels them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;
use temporalio_client::{Client, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, SearchAttributes},
    enums::v1::IndexedValueType,
    operatorservice::v1::AddSearchAttributesRequest,
    workflowservice::v1::ListWorkflowExecutionsRequest,
};

use super::{
    calls::{NAMESPACE, start, terminate},
    deleting::{self, Deletion},
    each,
};
use crate::{
    drive::Load,
    settings::Settings,
    target::{Kind, Target},
    throughput::workflows_of,
    worker::beside_worker,
};

/// A search attribute of the measured executions.
const ATTRIBUTE: &str = "ScaleCustomer";
/// Types, and customers, that the executions are spread over.
const TYPES: usize = 20;
const CUSTOMERS: usize = 1_000;
/// Executions of a page.
const PAGE: i32 = 100;
/// Pages of each list that are read.
const PAGES: usize = 20;

/// What is listed, of executions that were filed between these two times.
fn queries([began, ended]: [SystemTime; 2]) -> Result<Vec<(&'static str, String)>> {
    let nanos = |time: SystemTime| Ok::<_, anyhow::Error>(time.duration_since(UNIX_EPOCH)?.as_nanos());
    let (began, ended) = (nanos(began)?, nanos(ended)?);
    let at = |tenth: u128| began + (ended - began) / 10 * tenth;
    Ok(vec![
        ("all", String::new()),
        ("by type", "WorkflowType = 'Scale7'".to_owned()),
        ("by status", "ExecutionStatus = 'Terminated'".to_owned()),
        ("started after", format!("StartTime > {}", at(1))),
        ("started before", format!("StartTime < {}", at(1))),
        (
            "started between",
            format!("StartTime BETWEEN {} AND {}", at(2), at(3)),
        ),
        ("closed before", format!("CloseTime < {}", at(1))),
        (
            "closed between",
            format!("CloseTime BETWEEN {} AND {}", at(2), at(3)),
        ),
        (
            "executed between",
            format!("ExecutionTime BETWEEN {} AND {}", at(2), at(3)),
        ),
        (
            "by type, status and time",
            format!(
                "WorkflowType = 'Scale7' AND ExecutionStatus = 'Terminated' AND StartTime < {}",
                at(1)
            ),
        ),
        ("by attribute", "ScaleCustomer = 'customer-77'".to_owned()),
    ])
}

/// A list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) list: &'static str,
    /// Pages read, one after the other.
    pub(crate) pages: usize,
    pub(crate) mean_ms: f64,
    pub(crate) most_ms: f64,
}

/// A file full of closed executions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Closed {
    pub(crate) executions: usize,
    pub(crate) lists: Vec<Listed>,
    /// One-activity workflows per second on the empty file, and on the full one.
    pub(crate) per_second_empty: f64,
    pub(crate) per_second_full: f64,
    /// Those of one type are deleted.
    pub(crate) deletion: Deletion,
}

/// Fills a file with closed executions, and measures on it.
///
/// # Errors
/// When a call fails.
pub(crate) async fn measure(executions: usize, settings: &Settings) -> Result<Closed> {
    let target = Target::start(Kind::SegnoGrpc, settings).await?;
    let client = target.client().await?;
    register(&client).await?;
    let per_second_empty = rate(&client, "empty", settings).await?;
    let began = Instant::now();
    each(&client, executions, |client, number| async move {
        let id = format!("closed-{number}");
        let attribute = Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: format!("\"customer-{}\"", number % CUSTOMERS).into_bytes(),
            ..Default::default()
        };
        let attributes = SearchAttributes {
            indexed_fields: [(ATTRIBUTE.to_owned(), attribute)].into(),
        };
        start(
            &client,
            &id,
            Some((format!("Scale{}", number % TYPES), attributes)),
        )
        .await?;
        terminate(&client, &id).await
    })
    .await?;
    let took = began.elapsed();
    eprintln!("  {executions} closed in {:.0} s", took.as_secs_f64());
    let now = SystemTime::now();
    let mut lists = Vec::new();
    for (list, query) in queries([now - took, now])? {
        lists.push(listed(&client, list, &query).await?);
    }
    let per_second_full = rate(&client, "full", settings).await?;
    let deletion = deleting::measure(&target, &client, "WorkflowType = 'Scale3'", settings.limit()).await?;
    target.stop().await;
    Ok(Closed {
        executions,
        lists,
        per_second_empty,
        per_second_full,
        deletion,
    })
}

async fn register(client: &Client) -> Result<()> {
    let request = AddSearchAttributesRequest {
        namespace: NAMESPACE.to_owned(),
        search_attributes: [(ATTRIBUTE.to_owned(), IndexedValueType::Keyword as i32)].into(),
    };
    let mut service = client.connection().operator_service();
    service.add_search_attributes(request.into_request()).await?;
    Ok(())
}

async fn rate(client: &Client, prefix: &'static str, settings: &Settings) -> Result<f64> {
    let load = Load {
        operations: settings.workflows,
        callers: settings.concurrency.first().copied().unwrap_or(50),
        limit: settings.limit(),
    };
    let (work, eager) = (client.clone(), settings.eager_start);
    let sample = beside_worker(client, settings, async move {
        workflows_of(&work, &format!("warm-{prefix}"), load, eager).await?;
        workflows_of(&work, prefix, load, eager).await
    })
    .await?;
    Ok(sample.per_second())
}

async fn listed(client: &Client, list: &'static str, query: &str) -> Result<Listed> {
    let mut service = client.connection().workflow_service();
    let (mut token, mut took) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        let request = ListWorkflowExecutionsRequest {
            namespace: NAMESPACE.to_owned(),
            page_size: PAGE,
            next_page_token: token,
            query: query.to_owned(),
        };
        let began = Instant::now();
        let answer = service.list_workflow_executions(request.into_request()).await;
        took.push(began.elapsed());
        let answer = answer.with_context(|| format!("the list {list}"))?.into_inner();
        anyhow::ensure!(!answer.executions.is_empty(), "the list {list} has nothing");
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let all: Duration = took.iter().sum();
    let most = took.iter().max().copied().unwrap_or_default();
    let listed = Listed {
        list,
        pages: took.len(),
        mean_ms: all.as_secs_f64() * 1_000.0 / crate::drive::count(took.len()),
        most_ms: most.as_secs_f64() * 1_000.0,
    };
    eprintln!(
        "  {list}: {:.1} ms a page, at most {:.1}",
        listed.mean_ms, listed.most_ms
    );
    Ok(listed)
}
