//! Schedules read: `DescribeSchedule`, `ListSchedules`, `CountSchedules`, `ListScheduleMatchingTimes`.

use temporalio_protos::temporal::api::{
    common::v1::SearchAttributes,
    schedule::v1::{ScheduleListEntry, schedule_action::Action},
    workflowservice::v1::{
        CountSchedulesRequest, CountSchedulesResponse, DescribeScheduleRequest, DescribeScheduleResponse,
        ListScheduleMatchingTimesRequest, ListScheduleMatchingTimesResponse, ListSchedulesRequest,
        ListSchedulesResponse, count_schedules_response::AggregationGroup,
    },
};

use super::{Service, schedules::token};
use crate::{
    clock::{Nanos, nanos_of},
    host::schedules::schedule_of_row,
    rpc::RpcError,
    schedule::{DIVISION, Scheduler},
    store::load_schedule,
    visibility::{self, IndexedAttributes, Query, Registry, group_value},
};

/// Schedules in a page where the request does not say.
const PAGE: usize = 1_000;

impl Service {
    pub(super) async fn describe_schedule(
        &self,
        request: DescribeScheduleRequest,
    ) -> Result<DescribeScheduleResponse, RpcError> {
        let (scheduler, now, registry) = self.schedule(request.namespace, request.schedule_id).await?;
        let info = {
            let scheduler = scheduler.clone();
            compute(move || scheduler.info(now)).await?
        };
        let typed =
            |given: &SearchAttributes| IndexedAttributes::accepted(given, &*registry).message().clone();
        let record = scheduler.record;
        let mut schedule = record.schedule.unwrap_or_default();
        let action = schedule.action.as_mut().and_then(|action| action.action.as_mut());
        if let Some(Action::StartWorkflow(workflow)) = action {
            workflow.search_attributes = workflow.search_attributes.as_ref().map(typed);
        }
        Ok(DescribeScheduleResponse {
            schedule: Some(schedule),
            info: Some(info),
            memo: record.memo,
            search_attributes: record.search_attributes.as_ref().map(typed),
            conflict_token: token(record.conflict_token),
        })
    }

    pub(super) async fn list_schedule_matching_times(
        &self,
        request: ListScheduleMatchingTimesRequest,
    ) -> Result<ListScheduleMatchingTimesResponse, RpcError> {
        let (Some(start), Some(end)) = (&request.start_time, &request.end_time) else {
            return Err(RpcError::InvalidArgument("missing or invalid query".into()));
        };
        let (start, end) = (nanos_of(start), nanos_of(end));
        let (scheduler, _, _) = self.schedule(request.namespace, request.schedule_id).await?;
        let start_time = compute(move || scheduler.matching_times(start, end)).await?;
        Ok(ListScheduleMatchingTimesResponse { start_time })
    }

    pub(super) async fn list_schedules(
        &self,
        request: ListSchedulesRequest,
    ) -> Result<ListSchedulesResponse, RpcError> {
        let (namespace, query, now, registry) =
            self.schedule_query(request.namespace, &request.query).await?;
        let size = usize::try_from(request.maximum_page_size)
            .ok()
            .filter(|size| *size > 0)
            .unwrap_or(PAGE)
            .min(PAGE);
        let token = request.next_page_token;
        self.read(move |connection| {
            let page = visibility::list(connection, namespace, &query, size, &token)?;
            let mut schedules = Vec::with_capacity(page.executions.len());
            for row in &page.executions {
                // A schedule that has been deleted since the page was read is left out.
                if let Some((record, _)) = load_schedule(connection, schedule_of_row(row.key))? {
                    schedules.push(entry(&Scheduler::load(record), &registry, now));
                }
            }
            Ok(ListSchedulesResponse {
                schedules,
                next_page_token: page.next_page_token,
            })
        })
        .await
    }

    pub(super) async fn count_schedules(
        &self,
        request: CountSchedulesRequest,
    ) -> Result<CountSchedulesResponse, RpcError> {
        let (namespace, query, _, _) = self.schedule_query(request.namespace, &request.query).await?;
        let count = self
            .read(move |connection| Ok(visibility::count(connection, namespace, &query)?))
            .await?;
        let groups = count.groups.into_iter();
        Ok(CountSchedulesResponse {
            count: count.total,
            groups: groups
                .map(|(value, count)| AggregationGroup {
                    group_values: vec![group_value(&value)],
                    count,
                })
                .collect(),
        })
    }

    /// A schedule as it is now, to be looked at outside of the host.
    async fn schedule(
        &self,
        namespace: String,
        id: String,
    ) -> Result<(Scheduler, Nanos, std::sync::Arc<Registry>), RpcError> {
        self.host
            .call(move |host| {
                let namespace = host.namespaces.key_of(&namespace)?;
                let key = host.find_schedule(namespace, &id)?;
                let now = host.now();
                let registry = host.namespaces.registry(namespace);
                Ok((host.schedule(key)?.clone(), now, registry))
            })
            .await
    }

    async fn schedule_query(
        &self,
        namespace: String,
        text: &str,
    ) -> Result<(i64, Query, Nanos, std::sync::Arc<Registry>), RpcError> {
        let (key, registry, now) = self
            .host
            .call(move |host| {
                let key = host.namespaces.key_of(&namespace)?;
                let now = host.now();
                Ok((key, host.namespaces.registry(key), now))
            })
            .await?;
        let query = Query::parse_schedules(text, DIVISION, &*registry)
            .map_err(|error| RpcError::InvalidArgument(error.to_string()))?;
        Ok((i64::from(key), query, now, registry))
    }
}

/// Looking for times may take a while where much is excluded.
async fn compute<R: Send + 'static>(compute: impl FnOnce() -> R + Send + 'static) -> Result<R, RpcError> {
    tokio::task::spawn_blocking(compute)
        .await
        .map_err(|_| RpcError::Internal("the times of a schedule could not be found".into()))
}

fn entry(scheduler: &Scheduler, registry: &Registry, now: Nanos) -> ScheduleListEntry {
    let record = &scheduler.record;
    let attributes = record.search_attributes.as_ref();
    ScheduleListEntry {
        schedule_id: record.id.clone(),
        // There always is one in a list.
        memo: Some(record.memo.clone().unwrap_or_default()),
        search_attributes: attributes
            .map(|given| IndexedAttributes::accepted(given, registry).message().clone()),
        info: Some(scheduler.list_info(now)),
    }
}
