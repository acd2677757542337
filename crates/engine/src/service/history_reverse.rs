//! `GetWorkflowExecutionHistoryReverse`: a history from its end.

use prost::Message as _;
use temporalio_protos::temporal::api::{
    history::v1::History,
    workflowservice::v1::{
        GetWorkflowExecutionHistoryReverseRequest, GetWorkflowExecutionHistoryReverseResponse,
    },
};

use super::Service;
use crate::{
    core::RunKey,
    host::{
        Host,
        delivery::{self, PAGE_EVENTS},
    },
    rpc::RpcError,
    token::{self, HistoryToken},
};

impl Service {
    pub(super) async fn get_history_reverse(
        &self,
        request: GetWorkflowExecutionHistoryReverseRequest,
    ) -> Result<GetWorkflowExecutionHistoryReverseResponse, RpcError> {
        let limit = match usize::try_from(request.maximum_page_size) {
            Ok(given) if given > 0 => given.min(PAGE_EVENTS),
            _ => PAGE_EVENTS,
        };
        let place: Option<HistoryToken> = if request.next_page_token.is_empty() {
            None
        } else {
            Some(token::parse(&request.next_page_token, "NextPageToken")?)
        };
        let execution = request.execution.unwrap_or_default();
        self.host
            .call(move |host| match place {
                Some(place) => {
                    place.check(host, &request.namespace, &execution)?;
                    page(host, place.run, place.next_event_id, limit)
                }
                None => {
                    let namespace = host.namespaces.key_of(&request.namespace)?;
                    let key = host.find(namespace, &execution)?;
                    page(host, key, i64::MAX, limit)
                }
            })
            .await
    }
}

/// The events from `from` on, backwards.
fn page(
    host: &mut Host,
    key: RunKey,
    from: i64,
    limit: usize,
) -> Result<GetWorkflowExecutionHistoryReverseResponse, RpcError> {
    let run = host.run(key)?;
    let end = usize::try_from(from).unwrap_or(usize::MAX).min(run.history.len());
    let sizes = (0..end)
        .rev()
        .map(|index| run.history.encoded(index..index + 1).len());
    let (taken, has_more) = delivery::page(sizes, limit);
    let events: Vec<_> = (end - taken..end)
        .rev()
        .filter_map(|index| run.history.get(index))
        .collect();
    let next_page_token = match events.last() {
        Some(last) if has_more => HistoryToken {
            run: key,
            next_event_id: last.event_id - 1,
            until: 0,
        }
        .encode_to_vec(),
        _ => Vec::new(),
    };
    Ok(GetWorkflowExecutionHistoryReverseResponse {
        history: Some(History { events }),
        next_page_token,
    })
}
