//! Histories before the judge: the official SDK.

use temporalio_client::WorkflowHistory;
use temporalio_common::protos::temporal::api::history::v1::{History, HistoryEvent};
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use crate::script::Script;

/// Replays each history with the SDK; what it objects to, if anything.
pub(crate) fn replay(histories: Vec<Vec<HistoryEvent>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        for events in histories {
            let options = WorkflowReplayerOptions::new()
                .register_workflow::<Script>()
                .expect("a workflow")
                .build();
            let replayer = WorkflowReplayer::new(options).map_err(|error| error.to_string())?;
            let told: Vec<_> = events
                .iter()
                .map(|event| event.event_type().as_str_name())
                .collect();
            let history = WorkflowHistory::from(History { events });
            let replayed = replayer.replay_workflow(history).await;
            replayed.map_err(|error| format!("{error:?}\n{told:#?}"))?;
        }
        Ok(())
    })
}
