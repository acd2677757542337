//! The `temporal` command line's operations on executions, batches, namespaces and the cluster.

use serde_json::Value;
use tokio::process::Command;

use crate::bed::{Bed, both_engines, commands};

/// Runs `temporal …` and answers what it prints as JSON, or what it complains of.
pub(crate) async fn cli(bed: &Bed, address: &str, arguments: &[&str]) -> Result<Value, String> {
    let program = std::env::var("SEGNO_TEMPORAL_BIN").unwrap_or_else(|_| "temporal".to_owned());
    let output = Command::new(program)
        .args(arguments)
        .args(["--address", address, "-o", "json"])
        .env("TEMPORAL_NAMESPACE", &bed.namespace)
        .env_remove("TEMPORAL_ADDRESS")
        .output()
        .await
        .expect("the temporal program");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) async fn run(bed: &Bed, address: &str, arguments: &[&str]) -> Value {
    let ran = cli(bed, address, arguments).await;
    ran.unwrap_or_else(|complaint| panic!("{arguments:?}: {complaint}"))
}

/// Waits for the end of a batch operation that was just started.
async fn batch(bed: &Bed, address: &str, arguments: &[&str]) -> Value {
    let started = bed
        .eventually("the operation starts", || async {
            match cli(bed, address, arguments).await {
                Ok(started) => Some(started),
                // The real server runs one at a time in a namespace.
                Err(busy) if busy.contains("Max concurrent batch operations") => None,
                Err(other) => panic!("{arguments:?}: {other}"),
            }
        })
        .await;
    let job = started["batchJobId"].as_str().expect("a job id").to_owned();
    bed.eventually("the operation ends", || async {
        let described = cli(bed, address, &["batch", "describe", "--job-id", &job])
            .await
            .ok()?;
        (described["state"] != "BATCH_OPERATION_STATE_RUNNING").then_some(described)
    })
    .await
}

async fn listed(bed: &Bed, address: &str, query: &str, count: usize) {
    bed.eventually(&format!("{query} lists {count}"), || async {
        let list = run(bed, address, &["workflow", "list", "--query", query]).await;
        (list.as_array().map(Vec::len).unwrap_or_default() == count).then_some(())
    })
    .await;
}

async fn completed_tasks(bed: &Bed, count: usize) {
    for _ in 0..count {
        let task = bed.task().await;
        bed.complete(&task, vec![commands::marker("m")]).await;
    }
}

both_engines! {
    async fn a_workflow_is_reset_in_all_forms(bed: &Bed) {
        let address = bed.address().await;
        bed.start("w").await;
        completed_tasks(bed, 1).await;
        bed.signal("w", "s").await;
        completed_tasks(bed, 1).await;
        let reset = |arguments: &'static [&'static str]| {
            let address = address.clone();
            async move {
                let all = [&["workflow", "reset", "-w", "w", "--reason", "a test"][..], arguments].concat();
                let reset = run(bed, &address, &all).await;
                reset["runId"].as_str().expect("a run id").to_owned()
            }
        };
        let current = || async { bed.describe("w").await.workflow_execution_info.expect("info").execution.expect("ids").run_id };
        let second = reset(&["--type", "LastWorkflowTask"]).await;
        assert_eq!(second, current().await);
        assert_eq!(bed.history("w").await.len(), 10, "two tasks, a marker and a signal between them");
        completed_tasks(bed, 1).await;
        let third = reset(&["--type", "FirstWorkflowTask"]).await;
        assert_eq!(third, current().await);
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed",
                "WorkflowExecutionSignaled", "WorkflowTaskScheduled"
            ]
        );
        let fourth = reset(&["--event-id", "4", "--reapply-exclude", "All"]).await;
        assert_eq!(fourth, current().await);
        assert!(!bed.event_types("w").await.contains(&"WorkflowExecutionSignaled"));
        let refused = cli(bed, &address, &["workflow", "reset", "-w", "w", "--event-id", "99", "--reason", "r"]);
        let refused = refused.await.expect_err("no such event");
        assert!(refused.contains("Workflow task finish ID must be > 1 && <= workflow last event ID."), "{refused}");
    }

    async fn a_workflow_is_reset_to_where_it_continued_as_new(bed: &Bed) {
        let address = bed.address().await;
        let first = bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::continue_as_new("2")]).await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::marker("m")]).await;
        let arguments = ["workflow", "reset", "-w", "w", "--type", "LastContinuedAsNew", "--reason", "a test"];
        let reset = run(bed, &address, &arguments).await;
        let info = bed.describe("w").await.workflow_execution_info.expect("info");
        assert_eq!(reset["runId"], info.execution.expect("ids").run_id.as_str());
        assert_eq!(info.first_run_id, first);
        // Back in the first run, before it continued.
        assert_eq!(
            bed.event_types("w").await,
            [
                "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed",
                "WorkflowTaskScheduled"
            ]
        );
    }

    async fn a_workflow_is_deleted(bed: &Bed) {
        let address = bed.address().await;
        bed.start("w").await;
        listed(bed, &address, "", 1).await;
        run(bed, &address, &["workflow", "delete", "-w", "w", "--yes"]).await;
        listed(bed, &address, "", 0).await;
        bed.eventually("it is gone", || async {
            let described = cli(bed, &address, &["workflow", "describe", "-w", "w"]).await;
            described.err()?.contains("workflow not found for ID: w").then_some(())
        })
        .await;
        let unknown = cli(bed, &address, &["workflow", "delete", "-w", "nobody", "--yes"]).await.expect_err("unknown");
        assert!(unknown.contains("workflow not found for ID: nobody"), "{unknown}");
    }

    async fn workflows_are_operated_on_by_query(bed: &Bed) {
        let address = bed.address().await;
        for id in ["a", "b", "c"] {
            bed.start(id).await;
        }
        let query = "WorkflowType='Test'";
        listed(bed, &address, query, 3).await;
        let by_query = |command: &'static str, more: &'static [&'static str]| {
            let address = address.clone();
            async move {
                let all = [&["workflow", command, "--query", query, "--reason", "a test", "--yes"][..], more].concat();
                let described = batch(bed, &address, &all).await;
                assert_eq!(described["state"], "BATCH_OPERATION_STATE_COMPLETED", "{described}");
                assert_eq!(described["reason"], "a test");
                assert_eq!(described["query"], query);
                assert!(described["failureOperationCount"].is_null(), "{described}");
                described
            }
        };
        let signaled = by_query("signal", &["--name", "go", "--input", "1"]).await;
        assert_eq!(signaled["operationType"], "BATCH_OPERATION_TYPE_SIGNAL_WORKFLOW");
        assert_eq!(signaled["completeOperationCount"], "3");
        completed_tasks(bed, 3).await;
        let reset = by_query("reset", &["--type", "FirstWorkflowTask"]).await;
        assert_eq!(reset["operationType"], "BATCH_OPERATION_TYPE_RESET_WORKFLOW");
        for id in ["a", "b", "c"] {
            assert!(bed.event_types(id).await.contains(&"WorkflowTaskFailed"), "{id} is reset");
        }
        listed(bed, &address, query, 6).await;
        listed(bed, &address, "ExecutionStatus = 'Running'", 3).await;
        let canceled = by_query("cancel", &[]).await;
        assert_eq!(canceled["completeOperationCount"], "3", "{canceled}");
        let terminated = by_query("terminate", &[]).await;
        assert_eq!(terminated["completeOperationCount"], "3", "{terminated}");
        listed(bed, &address, "ExecutionStatus = 'Terminated'", 6).await;
        let deleted = by_query("delete", &[]).await;
        assert_eq!(deleted["completeOperationCount"], "6", "{deleted}");
        listed(bed, &address, "", 0).await;

        bed.eventually("all operations are listed", || async {
            let list = run(bed, &address, &["batch", "list"]).await;
            (list.as_array()?.len() == 5).then_some(())
        })
        .await;
        let job = deleted["jobId"].as_str().expect("a job id");
        let late = cli(bed, &address, &["batch", "terminate", "--job-id", job, "--reason", "late"]).await;
        assert!(late.expect_err("it has ended").contains("could not find Batch Job"));
    }

    async fn a_namespace_is_operated_on(bed: &Bed) {
        let address = bed.address().await;
        let name = format!("ns-{}", uuid::Uuid::new_v4().simple());
        let on = |command: &'static str, more: &'static [&'static str]| {
            let (address, name) = (address.clone(), name.clone());
            async move {
                let all = [&["operator", "namespace", command, "--namespace", name.as_str()][..], more].concat();
                cli(bed, &address, &all).await
            }
        };
        on("create", &["--retention", "24h", "--description", "one"]).await.expect("a namespace");
        bed.eventually("it is known", || async { on("describe", &[]).await.ok() }).await;
        on("update", &["--retention", "48h", "--description", "two", "--data", "a=b"]).await.expect("an update");
        let described = on("describe", &[]).await.expect("a description");
        assert_eq!(described["namespaceInfo"]["description"], "two");
        assert_eq!(described["namespaceInfo"]["data"]["a"], "b");
        assert_eq!(described["namespaceInfo"]["state"], "NAMESPACE_STATE_REGISTERED");
        assert_eq!(described["config"]["workflowExecutionRetentionTtl"], "172800s");
        on("delete", &["--yes"]).await.expect("a deletion");
        bed.eventually("it is gone", || async { on("describe", &[]).await.err() }).await;
    }

    async fn the_cluster_is_described(bed: &Bed) {
        let address = bed.address().await;
        let health = run(bed, &address, &["operator", "cluster", "health"]).await;
        assert_eq!(health["status"], "SERVING");
        let described = run(bed, &address, &["operator", "cluster", "describe"]).await;
        assert_eq!(described["persistenceStore"], "sqlite");
        assert_eq!(described["historyShardCount"], 1);
        let system = run(bed, &address, &["operator", "cluster", "system"]).await;
        assert_eq!(system["capabilities"]["upsertMemo"], true);
        let clusters = run(bed, &address, &["operator", "cluster", "list"]).await;
        assert_eq!(clusters[0]["clusterName"], described["clusterName"]);
        assert_eq!(clusters[0]["clusterId"], described["clusterId"]);
    }
}
