//! The `temporal` command line's everyday commands, over gRPC.

use serde_json::Value;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use tokio::process::Command;

use crate::{
    bed::{Bed, both_engines},
    sdk::with_worker,
};

/// Runs `temporal workflow …` and answers what it prints as JSON.
async fn command_line(address: &str, bed: &Bed, arguments: &[&str]) -> Value {
    let arguments = [&["workflow"], arguments].concat();
    let (succeeded, printed) = temporal_command(address, bed, &arguments).await;
    assert!(succeeded, "{arguments:?}: {printed}");
    printed
}

/// A client of an engine's gRPC port.
pub(crate) async fn client_over_grpc(address: &str) -> Client {
    let url = url::Url::parse(&format!("http://{address}")).expect("an address");
    let options = ConnectionOptions::new(url).build();
    let connection = Connection::connect(options).await.expect("a connection");
    Client::new(connection, ClientOptions::new("default").build()).expect("a client")
}

/// Runs `temporal …`: whether it succeeded, and what it prints, as JSON where it is.
pub(crate) async fn temporal_command(address: &str, bed: &Bed, arguments: &[&str]) -> (bool, Value) {
    let program = std::env::var("SEGNO_TEMPORAL_BIN").unwrap_or_else(|_| "temporal".to_owned());
    let output = Command::new(program)
        .args(arguments)
        .args(["--address", address, "--namespace", &bed.namespace, "-o", "json"])
        .env_remove("TEMPORAL_ADDRESS")
        .output()
        .await
        .expect("the temporal program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed = serde_json::from_str(&text)
        .unwrap_or_else(|_| Value::String(format!("{text}{}", String::from_utf8_lossy(&output.stderr))));
    (output.status.success(), printed)
}

fn event_types(history: &Value) -> Vec<&str> {
    let events = history["events"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    events
        .iter()
        .filter_map(|event| event["eventType"].as_str())
        .collect()
}

both_engines! {
    async fn a_workflow_is_started_watched_and_ended(bed: &Bed) {
        let address = bed.address().await;
        let run = |arguments: &'static [&'static str]| command_line(&address, bed, arguments);
        let start = ["start", "--type", "Counter", "--task-queue", "queue", "--workflow-id", "w", "--input", "3"];
        let started = command_line(&address, bed, &start).await;
        assert_eq!(started["workflowId"], "w");

        let described = run(&["describe", "-w", "w"]).await;
        let info = &described["workflowExecutionInfo"];
        assert_eq!(info["status"], "WORKFLOW_EXECUTION_STATUS_RUNNING");
        assert_eq!(info["type"]["name"], "Counter");
        bed.eventually("it is listed", || async {
            let listed = run(&["list", "--query", "WorkflowId = 'w'"]).await;
            (listed.as_array().is_some_and(|all| all.len() == 1)).then_some(())
        })
        .await;

        with_worker(bed, async {
            run(&["signal", "-w", "w", "--name", "add", "--input", "2"]).await;
            let answer = run(&["query", "-w", "w", "--type", "total"]).await;
            assert!(answer.to_string().contains('2'), "{answer}");
            run(&["signal", "-w", "w", "--name", "add", "--input", "1"]).await;
            let result = run(&["result", "-w", "w"]).await;
            assert_eq!(result["status"], "COMPLETED", "{result}");
            assert_eq!(result["result"], 3, "{result}");
        })
        .await;
        let shown = run(&["show", "-w", "w"]).await;
        let types = event_types(&shown);
        assert_eq!(types.first(), Some(&"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"), "{shown}");
        assert_eq!(types.last(), Some(&"EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"), "{shown}");
    }

    async fn a_workflow_is_executed_to_its_result(bed: &Bed) {
        let address = bed.address().await;
        with_worker(bed, async {
            let execute =
                ["execute", "--type", "Chain", "--task-queue", "queue", "--workflow-id", "w", "--input", "1"];
            let result = command_line(&address, bed, &execute).await;
            assert_eq!(result["status"], "COMPLETED", "{result}");
            assert_eq!(result["result"], "the last of the chain", "{result}");
        })
        .await;
    }

    async fn workflows_are_canceled_and_terminated(bed: &Bed) {
        let address = bed.address().await;
        for id in ["one", "two"] {
            bed.start(id).await;
        }
        command_line(&address, bed, &["cancel", "-w", "one"]).await;
        assert!(bed.event_types("one").await.contains(&"WorkflowExecutionCancelRequested"));
        command_line(&address, bed, &["terminate", "-w", "two", "--reason", "enough"]).await;
        let described = command_line(&address, bed, &["describe", "-w", "two"]).await;
        assert_eq!(described["workflowExecutionInfo"]["status"], "WORKFLOW_EXECUTION_STATUS_TERMINATED");
    }
}
