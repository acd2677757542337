//! What the `temporal` command line prints as JSON, the same from both engines but for ids, times and sizes. Here is
//! what needs no worker; the rest is in `cli_json_work`.
//!
//! Not compared: `env` and `workflow fix-history-json`, which ask no server; `operator cluster describe`, `list` and
//! `system`, which tell of the server itself (see `cli_operations`); `workflow trace`, which prints no JSON; and what is
//! of Nexus.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{process::Command, time::Instant};

use crate::bed::Bed;

/// Fields that are of this run, this minute or this engine.
const OWN: [&str; 30] = [
    "runId",
    "id",
    "jobId",
    "batchJobId",
    "actionTime",
    "actualTime",
    "scheduleTime",
    "expirationTime",
    "nextRunTime",
    "durationMillis",
    "heartbeatTime",
    "elapsedSinceLastHeartbeat",
    "firstRunId",
    "firstExecutionRunId",
    "originalExecutionRunId",
    "requestId",
    "eventTime",
    "taskId",
    "version",
    "startTime",
    "closeTime",
    "executionTime",
    "executionDuration",
    "originalStartTime",
    "executionExpirationTime",
    "workflowExecutionExpirationTime",
    "historySizeBytes",
    "stateTransitionCount",
    "scheduledTime",
    "originalScheduledTime",
];

/// What is not compared here: which request ids a run has seen (of those that a server makes itself only the real one
/// tells), and points to reset to, of which it says when they are gone.
const UNTOLD: [&str; 3] = ["requestIdInfos", "autoResetPoints", "prevAutoResetPoints"];

/// What is of one engine: tokens, sizes of its own records, and a time that the real server shows where there is none.
const INTERNAL: [&str; 6] = [
    "conflictToken",
    "longPollToken",
    "stateSizeBytes",
    "link",
    "runExpirationTime",
    "TemporalNamespaceDivision",
];

/// In this order, on workflows that no worker runs.
const COMMANDS: [&str; 17] = [
    "workflow start --type T --task-queue q --workflow-id w --input 3 --memo k=1 --execution-timeout 1h",
    "workflow signal -w w --name s --input 2",
    "workflow describe -w w",
    "workflow show -w w",
    "workflow list --query WorkflowId='w'",
    "workflow count --query WorkflowType='T'",
    "workflow signal-with-start --signal-name s --type T --task-queue q --workflow-id v --input 1",
    "workflow show -w v",
    "workflow cancel -w w",
    "workflow show -w w",
    "workflow terminate -w w --reason enough",
    "workflow describe -w w",
    "workflow result -w w",
    "workflow terminate -w v --reason enough",
    "workflow show -w v",
    "workflow count --query ExecutionStatus='Terminated'",
    "workflow describe -w nobody",
];

/// What a schedule is told, and what it comes to.
const SCHEDULES: [&str; 20] = [
    "schedule create --schedule-id s --interval 1h --type T --workflow-id sw --task-queue q --notes n \
     --overlap-policy BufferAll --catchup-window 100s --pause-on-failure --remaining-actions 9",
    "schedule describe --schedule-id s",
    "schedule create --schedule-id s --interval 1h --type T --workflow-id sw --task-queue q",
    "schedule toggle --schedule-id s --pause --reason because",
    "schedule describe --schedule-id s",
    "schedule backfill --schedule-id s --start-time 2024-01-01T00:00:00Z --end-time 2024-01-01T02:00:00Z \
     --overlap-policy AllowAll",
    "schedule describe --schedule-id s",
    "schedule toggle --schedule-id s --unpause --reason more",
    "schedule list",
    "schedule list-matching-times --schedule-id s --start-time 2024-01-01T00:00:00Z --end-time 2024-01-01T02:00:00Z",
    "schedule trigger --schedule-id s --overlap-policy AllowAll",
    "schedule trigger --schedule-id nobody",
    "schedule describe --schedule-id s",
    "schedule list --query TemporalSchedulePaused=false",
    "schedule update --schedule-id s --calendar {\"hour\":\"3\"} --type T2 --workflow-id sw --task-queue q",
    "schedule describe --schedule-id s",
    "schedule delete --schedule-id s",
    "schedule describe --schedule-id s",
    "schedule create --schedule-id t --interval bad --type T --workflow-id sw --task-queue q",
    "schedule create --schedule-id u --cron bad --type T --workflow-id sw --task-queue q",
];

/// Activities without a workflow, on a queue without workers.
const ACTIVITIES: [&str; 24] = [
    "activity start --activity-id a --type A --task-queue aq --start-to-close-timeout 10s --input 1",
    "activity start --activity-id a --type A --task-queue aq --start-to-close-timeout 10s",
    "activity describe --activity-id a",
    "activity count",
    "activity pause --activity-id a --reason r",
    "activity describe --activity-id a",
    "activity unpause --activity-id a",
    "activity update-options --activity-id a --start-to-close-timeout 20s",
    "activity reset --activity-id a",
    "activity complete --activity-id a --result 5",
    "activity result --activity-id a",
    "activity cancel --activity-id a --reason late",
    "activity terminate --activity-id nobody --reason r",
    "activity fail --activity-id nobody --reason r",
    "activity start --activity-id b --type A --task-queue aq --start-to-close-timeout 10s",
    "activity cancel --activity-id b --reason why",
    "activity describe --activity-id b",
    "activity terminate --activity-id b --reason late",
    "activity result --activity-id b",
    "activity start --activity-id c --type A --task-queue aq --start-to-close-timeout 10s",
    "activity fail --activity-id c --reason broken --detail 7",
    "activity list --query ActivityId='c'",
    "activity delete --activity-id c --yes",
    "activity delete --activity-id nobody --yes",
];

/// Starts of all kinds, and what operators do.
const OPERATIONS: [&str; 32] = [
    "workflow start --type T --task-queue q --workflow-id w --static-summary short --static-details long",
    "workflow start --type T --task-queue q --workflow-id w --id-conflict-policy UseExisting",
    "workflow start --type T --task-queue q --workflow-id w",
    "workflow describe -w w",
    "workflow update start -w w --name u --wait-for-stage accepted --update-id u --run-id bad",
    "workflow update describe -w w --update-id nothing",
    "workflow update result -w w --update-id nothing",
    "workflow reset -w w --event-id 3 --reason r",
    "workflow reset -w w --type FirstWorkflowTask --reason r",
    "workflow reset -w nobody --event-id 3 --reason r",
    "workflow update-options -w w --versioning-override-behavior auto_upgrade",
    "workflow describe -w w",
    "workflow pause -w w",
    "workflow unpause -w w",
    "workflow delete -w nobody --yes",
    "workflow start --type T --task-queue q --workflow-id late --start-delay 100s --priority-key 2",
    "workflow describe -w late",
    "workflow show -w late",
    "workflow start --type T --task-queue q --workflow-id x --search-attribute Nothing=1",
    "workflow count --query WorkflowType='T'",
    "workflow list --limit 1 --query WorkflowId='late'",
    "task-queue config set --task-queue q --task-queue-type activity --queue-rps-limit 5 --queue-rps-limit-reason r",
    "task-queue config get --task-queue q --task-queue-type activity",
    "operator search-attribute create --name Colour --type Keyword",
    "operator search-attribute list",
    "operator search-attribute remove --name Nothing --yes",
    "operator search-attribute remove --name WorkflowId --yes",
    "operator cluster health",
    "worker list",
    "worker describe --worker-instance-key nobody",
    "batch describe --job-id nobody",
    "batch terminate --job-id nobody --reason r",
];

/// The JSON that a command prints, masked; of one that fails, that it failed. `{job}` in the command is the batch
/// operation that a command has started last.
async fn printed(side: &Side, command: &str) -> Value {
    let Side { bed, address, job } = side;
    let program = std::env::var("SEGNO_TEMPORAL_BIN").unwrap_or_else(|_| "temporal".to_owned());
    let command = command.replace("{job}", &job.lock().expect("a job"));
    let output = Command::new(program)
        .args(command.split(' '))
        .args(["--address", address, "--namespace", &bed.namespace, "-o", "json"])
        .args(["--identity", "cli"])
        .env_remove("TEMPORAL_ADDRESS")
        .output()
        .await
        .expect("the temporal program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut value: Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        // It has failed, and says why elsewhere; or it prints text.
        Err(_) => Value::from(text),
    };
    if let Some(started) = value["batchJobId"].as_str() {
        started.clone_into(&mut job.lock().expect("a job"));
    }
    mask(&mut value, &bed.namespace);
    if command.starts_with("worker list")
        && let Some(workers) = value.as_array_mut()
    {
        // In no order.
        workers.sort_by_key(Value::to_string);
    }
    serde_json::json!({ "success": output.status.success(), "printed": value })
}

fn mask(value: &mut Value, namespace: &str) {
    match value {
        Value::Object(fields) => {
            // No time and a time of 0 say the same.
            let is_told = |name: &str| !UNTOLD.contains(&name) && !INTERNAL.contains(&name);
            fields.retain(|name, value| is_told(name) && value != "0s");
            if fields
                .get("workflowExecutionInfo")
                .is_some_and(|info| info.get("closeTime").is_some())
            {
                // The real server still shows what was pending when the run closed.
                fields.remove("pendingWorkflowTask");
            }
            if fields
                .get("state")
                .is_some_and(|state| state == "BATCH_OPERATION_STATE_FAILED")
            {
                // How far it was when it was ended.
                fields.remove("completeOperationCount");
            }
            if let Some(Value::Array(pending)) = fields.get_mut("pendingActivities") {
                // In no order.
                pending.sort_by_key(|activity| activity["activityId"].to_string());
            }
            for (name, value) in fields.iter_mut() {
                if OWN.contains(&name.as_str()) {
                    *value = Value::from("MASKED");
                } else {
                    mask(value, namespace);
                }
            }
            fields.retain(|name, value| name != "indexedFields" || *value != Value::Object(Map::new()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, namespace)),
        Value::String(text) if text == namespace => *text = "NAMESPACE".to_owned(),
        // The real server's batch operations cancel in a name of their own, and not in the operator's.
        Value::String(text) if text.ends_with('@') => *text = "cli".to_owned(),
        Value::String(text) => {
            // A schedule puts the time behind the id of the workflow that it starts.
            let begins = text.len().saturating_sub("0000-00-00T00:00:00Z".len());
            if is_time(text) {
                *text = "TIME".to_owned();
            } else if text.get(begins..).is_some_and(is_time) {
                text.replace_range(begins.., "TIME");
            }
        }
        _ => {}
    }
}

/// Whether a text is a time and no more.
fn is_time(text: &str) -> bool {
    let shape = text
        .bytes()
        .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    let shape: Vec<u8> = shape.collect();
    shape.starts_with(b"0000-00-00T00:00:00") && shape.ends_with(b"Z")
}

/// Whether a command reads what the real server shows a moment after it was written.
fn is_shown_later(command: &str) -> bool {
    let reads = [
        "schedule describe",
        "schedule list",
        "activity count",
        "activity describe",
        "activity list",
        "batch describe",
        "batch list",
        "workflow list",
        "workflow count",
        "worker list",
    ];
    reads.iter().any(|read| command.starts_with(read))
}

/// One of the two engines, and how the command line reaches it.
pub(crate) struct Side {
    pub(crate) bed: Bed,
    address: String,
    /// The batch operation that was started last.
    job: Mutex<String>,
}

/// Both engines, and where they have not printed the same.
pub(crate) struct Pair {
    pub(crate) embedded: Arc<Side>,
    pub(crate) temporal: Arc<Side>,
    differences: Vec<String>,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let (embedded, temporal) = tokio::join!(Bed::embedded(), Bed::temporal());
        let (ours, theirs) = (embedded.address().await, temporal.address().await);
        let side = |bed, address| {
            let job = Mutex::default();
            Arc::new(Side { bed, address, job })
        };
        Self {
            embedded: side(embedded, ours),
            temporal: side(temporal, theirs),
            differences: Vec::new(),
        }
    }

    /// Runs the command on both.
    pub(crate) async fn run(&mut self, command: &str) {
        let (embedded, temporal) = (&self.embedded, &self.temporal);
        let same = || async {
            let (ours, theirs) = tokio::join!(printed(embedded, command), printed(temporal, command));
            (ours == theirs).then_some(()).ok_or((ours, theirs))
        };
        let deadline = Instant::now() + Duration::from_secs(if is_shown_later(command) { 30 } else { 0 });
        while let Err((ours, theirs)) = same().await {
            if Instant::now() >= deadline {
                let difference = format!("{command}\nembedded: {ours}\ntemporal: {theirs}");
                self.differences.push(difference);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn check(self) {
        assert!(
            self.differences.is_empty(),
            "the engines print different things:\n{}",
            self.differences.join("\n")
        );
    }
}

async fn compare(commands: &[&str]) {
    let mut pair = Pair::start().await;
    for command in commands {
        pair.run(command).await;
    }
    pair.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_print_the_same() {
    compare(&COMMANDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_print_the_same_of_schedules() {
    compare(&SCHEDULES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_print_the_same_of_activities() {
    compare(&ACTIVITIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_print_the_same_of_operations() {
    compare(&OPERATIONS).await;
}
