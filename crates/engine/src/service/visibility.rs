//! Lists and counts of executions. They read beside the writer, from what is committed.

use temporalio_protos::temporal::api::{
    common::v1::Payload,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse, ListWorkflowExecutionsRequest,
        ListWorkflowExecutionsResponse, count_workflow_executions_response::AggregationGroup,
    },
};

use super::Service;
use crate::{
    rpc::RpcError,
    store,
    visibility::{self, Count, Query, group_value},
};

/// Executions in a page where the request does not say.
const PAGE: usize = 1_000;

/// How many executions a page has, by what a request says.
pub(super) fn page_size(given: i32) -> usize {
    usize::try_from(given)
        .ok()
        .filter(|size| *size > 0)
        .unwrap_or(PAGE)
        .min(PAGE)
}

/// What a count is of: all, and each group by its value, in whatever message there is for it.
pub(super) fn counted<G>(count: Count, group: impl Fn(Vec<Payload>, i64) -> G) -> (i64, Vec<G>) {
    let groups = count.groups.iter();
    let groups = groups.map(|(value, count)| group(vec![group_value(value)], *count));
    (count.total, groups.collect())
}

/// Why a list fails; tells SQLite's failures from the caller's.
pub(super) struct Failure(RpcError);

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "reading the engine's file failed"
        );
        Self(RpcError::Unavailable("the engine's file cannot be read".into()))
    }
}

impl From<visibility::Error> for Failure {
    fn from(error: visibility::Error) -> Self {
        match error {
            visibility::Error::Sqlite(error) => store::Error::from(error).into(),
            other => Self(RpcError::InvalidArgument(other.to_string())),
        }
    }
}

impl Service {
    pub(super) async fn list_workflows(
        &self,
        request: ListWorkflowExecutionsRequest,
    ) -> Result<ListWorkflowExecutionsResponse, RpcError> {
        let (namespace, query) = self.query(request.namespace, &request.query).await?;
        let size = page_size(request.page_size);
        let token = request.next_page_token;
        let page = self
            .read(move |connection| Ok(visibility::list(connection, namespace, &query, size, &token)?))
            .await?;
        let executions = page
            .executions
            .iter()
            .map(|row| row.info())
            .collect::<Result<_, _>>();
        let executions =
            executions.map_err(|_| RpcError::Internal("a stored execution does not decode".into()))?;
        Ok(ListWorkflowExecutionsResponse {
            executions,
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn count_workflows(
        &self,
        request: CountWorkflowExecutionsRequest,
    ) -> Result<CountWorkflowExecutionsResponse, RpcError> {
        let (namespace, query) = self.query(request.namespace, &request.query).await?;
        let count = self
            .read(move |connection| Ok(visibility::count(connection, namespace, &query)?))
            .await?;
        let (count, groups) = counted(count, |group_values, count| AggregationGroup {
            group_values,
            count,
        });
        Ok(CountWorkflowExecutionsResponse { count, groups })
    }

    /// The namespace's key and the query, checked against the namespace's attributes.
    pub(super) async fn query(&self, namespace: String, text: &str) -> Result<(i64, Query), RpcError> {
        let (key, registry) = self
            .host
            .call(move |host| {
                let key = host.namespaces.key_of(&namespace)?;
                Ok((key, host.namespaces.registry(key)))
            })
            .await?;
        let query =
            Query::parse(text, &*registry).map_err(|error| RpcError::InvalidArgument(error.to_string()))?;
        Ok((i64::from(key), query))
    }

    /// Reads the tables, which are brought up to date before.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, RpcError> {
        self.host
            .call(|host| {
                host.file_with_this_batch();
                Ok(())
            })
            .await?;
        let readers = self.readers.clone();
        let task = tokio::task::spawn_blocking(move || readers.read(read));
        let result = task
            .await
            .map_err(|_| RpcError::Internal("a read did not finish".into()))?;
        result.map_err(|Failure(error)| error)
    }
}
