//! What the `temporal` command line prints as JSON, the same from both engines but for ids, times and sizes.

use serde_json::Value;
use tokio::process::Command;

use crate::bed::Bed;

/// Fields that are of this run, this minute or this engine.
const OWN: [&str; 20] = [
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
    "runExpirationTime",
    "executionExpirationTime",
    "workflowExecutionExpirationTime",
    "historySizeBytes",
    "stateTransitionCount",
    "scheduledTime",
    "originalScheduledTime",
];

/// What the real server tells and this engine does not: which request ids a run has seen, and points to reset to.
const UNTOLD: [&str; 3] = ["requestIdInfos", "autoResetPoints", "prevAutoResetPoints"];

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
            fields.retain(|name, value| !UNTOLD.contains(&name.as_str()) && value != "0s");
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
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_print_the_same() {
    let (embedded, temporal) = tokio::join!(Bed::embedded(), Bed::temporal());
    let (ours, theirs) = (embedded.address().await, temporal.address().await);
    let mut differences = Vec::new();
    for command in COMMANDS {
        let is_visibility = command.contains("--query");
        let same = || async {
            let (ours, theirs) = tokio::join!(
                printed(&embedded, &ours, command),
                printed(&temporal, &theirs, command)
            );
            (ours == theirs).then_some(()).ok_or((ours, theirs))
        };
        if is_visibility {
            // The real server's lists come a moment later.
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
