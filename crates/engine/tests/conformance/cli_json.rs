//! What the `temporal` command line prints as JSON, the same from both engines but for ids, times and sizes.

use serde_json::Value;
use tokio::process::Command;

use crate::bed::Bed;

/// Fields that are of this run, this minute or this engine.
const OWN: [&str; 19] = [
    "runId",
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

/// What the real server tells and this engine does not: which request ids a run has seen, and points to reset to.
const UNTOLD: [&str; 3] = ["requestIdInfos", "autoResetPoints", "prevAutoResetPoints"];

/// What is of one engine: tokens, sizes of its own records, and a time that the real server shows where there is none.
const INTERNAL: [&str; 5] = [
    "conflictToken",
    "longPollToken",
    "stateSizeBytes",
    "link",
    "runExpirationTime",
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
const SCHEDULES: [&str; 14] = [
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
    "schedule update --schedule-id s --calendar {\"hour\":\"3\"} --type T2 --workflow-id sw --task-queue q",
    "schedule describe --schedule-id s",
    "schedule delete --schedule-id s",
    "schedule describe --schedule-id s",
    "schedule create --schedule-id t --interval bad --type T --workflow-id sw --task-queue q",
    "schedule create --schedule-id u --cron bad --type T --workflow-id sw --task-queue q",
];

/// Activities without a workflow, on a queue without workers.
const ACTIVITIES: [&str; 19] = [
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
];

/// Starts of all kinds, and what operators do.
const OPERATIONS: [&str; 29] = [
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
    "workflow start --type T --task-queue q --workflow-id late --start-delay 100s --priority-key 2",
    "workflow describe -w late",
    "workflow show -w late",
    "workflow start --type T --task-queue q --workflow-id x --search-attribute Nothing=1",
    "workflow count --query WorkflowType='T'",
    "workflow list --limit 1 --query WorkflowId='late'",
    "task-queue config set --task-queue q --task-queue-type activity --queue-rps-limit 5 --queue-rps-limit-reason r",
    "task-queue config get --task-queue q --task-queue-type activity",
    "operator search-attribute create --name Colour --type Keyword",
    "operator search-attribute remove --name Nothing --yes",
    "operator search-attribute remove --name WorkflowId --yes",
    "operator cluster health",
    "worker list",
    "worker describe --worker-instance-key nobody",
    "batch describe --job-id nobody",
    "batch terminate --job-id nobody --reason r",
];

/// The JSON that a command prints, masked; of one that fails, that it failed.
async fn printed(bed: &Bed, address: &str, command: &str) -> Value {
    let program = std::env::var("SEGNO_TEMPORAL_BIN").unwrap_or_else(|_| "temporal".to_owned());
    let output = Command::new(program)
        .args(command.split(' '))
        .args(["--address", address, "--namespace", &bed.namespace, "-o", "json"])
        .args(["--identity", "cli"])
        .env_remove("TEMPORAL_ADDRESS")
        .output()
        .await
        .expect("the temporal program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut value = match serde_json::from_str(&text) {
        Ok(value) => value,
        // It has failed, and says why elsewhere; or it prints text.
        Err(_) => Value::from(text),
    };
    mask(&mut value, &bed.namespace);
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
            for (name, value) in fields {
                if OWN.contains(&name.as_str()) {
                    *value = Value::from("MASKED");
                } else {
                    mask(value, namespace);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, namespace)),
        Value::String(text) if text == namespace => *text = "NAMESPACE".to_owned(),
        Value::String(text) if is_time(text) => *text = "TIME".to_owned(),
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
    let reads = ["schedule describe", "activity count", "activity describe"];
    command.contains("--query") || reads.iter().any(|read| command.starts_with(read))
}

async fn compare(commands: &[&str]) {
    let (embedded, temporal) = tokio::join!(Bed::embedded(), Bed::temporal());
    let (ours, theirs) = (embedded.address().await, temporal.address().await);
    let mut differences = Vec::new();
    for command in commands {
        let same = || async {
            let (ours, theirs) = tokio::join!(
                printed(&embedded, &ours, command),
                printed(&temporal, &theirs, command)
            );
            (ours == theirs).then_some(()).ok_or((ours, theirs))
        };
        if is_shown_later(command) {
            embedded.eventually(command, || async { same().await.ok() }).await;
        } else if let Err((ours, theirs)) = same().await {
            differences.push(format!("{command}\nembedded: {ours}\ntemporal: {theirs}"));
        }
    }
    assert!(
        differences.is_empty(),
        "the engines print different things:\n{}",
        differences.join("\n")
    );
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
