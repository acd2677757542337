//! What the `temporal` command line does with activities, task queues and workers, over gRPC.

use serde_json::Value;

use crate::{
    activities::{fail, succeed},
    bed::{Bed, both_engines, commands},
    cli::temporal_command,
};

/// Runs it, and expects it to succeed.
async fn run(bed: &Bed, address: &str, arguments: &[&str]) -> Value {
    let (succeeded, printed) = temporal_command(address, bed, arguments).await;
    assert!(succeeded, "{arguments:?}: {printed}");
    printed
}

const START: [&str; 7] = ["activity", "start", "--type", "Act", "-t", "queue", "-a"];

async fn start(bed: &Bed, address: &str, id: &str) -> Value {
    let arguments = [
        &START[..],
        &[id, "--start-to-close-timeout", "30s", "--input", "\"in\""],
    ]
    .concat();
    run(bed, address, &arguments).await
}

both_engines! {
    async fn a_standalone_activity_is_started_watched_and_done(bed: &Bed) {
        let address = bed.address().await;
        let run = async |arguments: &[&str]| run(bed, &address, arguments).await;
        let started = start(bed, &address, "a").await;
        assert_eq!(started["activityId"], "a");
        let described = run(&["activity", "describe", "-a", "a"]).await;
        let info = &described["info"];
        assert_eq!(info["status"], "ACTIVITY_EXECUTION_STATUS_RUNNING", "{described}");
        assert_eq!(info["runState"], "PENDING_ACTIVITY_STATE_SCHEDULED");
        assert_eq!(info["runId"], started["runId"]);
        assert_eq!(described["input"][0], "in");
        bed.eventually("it is listed", || async {
            let listed = run(&["activity", "list", "-q", "ActivityId = 'a'"]).await;
            (listed[0]["activityId"] == "a").then_some(())
        })
        .await;
        assert_eq!(run(&["activity", "count"]).await["count"], "1");

        let work = async {
            let task = bed.activity_task().await;
            succeed(bed, &task, "out").await;
        };
        let (result, ()) = tokio::join!(run(&["activity", "result", "-a", "a"]), work);
        assert_eq!((&result["status"], &result["result"]), (&"COMPLETED".into(), &"out".into()), "{result}");

        let execute = ["activity", "execute", "--type", "Act", "-t", "queue", "-a", "b", "--start-to-close-timeout", "30s"];
        let work = async {
            let task = bed.activity_task().await;
            fail(bed, &task, commands::failure("broken", true)).await;
        };
        let ((succeeded, result), ()) = tokio::join!(temporal_command(&address, bed, &execute), work);
        assert!(!succeeded && result.to_string().contains("broken"), "{result}");
    }

    async fn standalone_activities_are_ended_and_deleted(bed: &Bed) {
        let address = bed.address().await;
        let run = async |arguments: &[&str]| run(bed, &address, arguments).await;
        for id in ["canceled", "terminated", "completed", "failed", "deleted"] {
            start(bed, &address, id).await;
        }
        run(&["activity", "cancel", "-a", "canceled", "--reason", "no more"]).await;
        run(&["activity", "terminate", "-a", "terminated", "--reason", "enough"]).await;
        run(&["activity", "complete", "-a", "completed", "--result", "\"by hand\""]).await;
        let result = run(&["activity", "result", "-a", "completed"]).await;
        assert_eq!(result["result"], "by hand");
        for (id, message) in [("canceled", "Activity canceled"), ("terminated", "enough")] {
            let (succeeded, result) = temporal_command(&address, bed, &["activity", "result", "-a", id]).await;
            assert!(!succeeded && result.to_string().contains(message), "{result}");
        }
        run(&["activity", "delete", "-a", "deleted", "-y"]).await;
        bed.eventually("it is gone", || async {
            let (succeeded, _) = temporal_command(&address, bed, &["activity", "describe", "-a", "deleted"]).await;
            (!succeeded).then_some(())
        })
        .await;
    }

    async fn activities_are_paused_changed_and_reset(bed: &Bed) {
        let address = bed.address().await;
        let run = async |arguments: &[&str]| run(bed, &address, arguments).await;
        start(bed, &address, "a").await;
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::schedule(commands::activity("a", "nobody"))]).await;
        let state = async |of_workflow: bool| {
            if of_workflow {
                bed.describe("w").await.pending_activities[0].paused
            } else {
                let described = run(&["activity", "describe", "-a", "a"]).await;
                described["info"]["runState"] == "PENDING_ACTIVITY_STATE_PAUSED"
            }
        };
        for of_workflow in [false, true] {
            let target: &[&str] = if of_workflow { &["-a", "a", "-w", "w"] } else { &["-a", "a"] };
            let command = |name: &'static str, more: &[&'static str]| {
                let arguments: Vec<&str> = [&["activity", name], target, more].concat();
                async move { run(&arguments).await }
            };
            command("pause", &["--reason", "to look"]).await;
            assert!(state(of_workflow).await);
            let options = command("update-options", &["--heartbeat-timeout", "7s"]).await;
            assert_eq!(options["HeartbeatTimeout"], 7_000_000_000_i64, "{options}");
            command("unpause", &[]).await;
            assert!(!state(of_workflow).await);
            command("reset", &[]).await;
        }
    }

    async fn task_queues_are_described(bed: &Bed) {
        let address = bed.address().await;
        bed.start("w").await;
        let described = bed.eventually("the backlog shows", || async {
            let described = run(bed, &address, &["task-queue", "describe", "-t", "queue"]).await;
            let stats = described["stats"].as_array().cloned().unwrap_or_default();
            let workflow = stats.into_iter().find(|stats| stats["taskQueueType"] == "workflow")?;
            (workflow["approximateBacklogCount"] == 1).then_some(workflow)
        })
        .await;
        assert_eq!(described["buildId"], "UNVERSIONED");
        bed.task().await;
        let described = bed.eventually("the poller shows", || async {
            let described = run(bed, &address, &["task-queue", "describe", "-t", "queue"]).await;
            described["pollers"][0].as_object().cloned()
        })
        .await;
        assert_eq!(described["identity"], "worker");
        let partitions = run(bed, &address, &["task-queue", "list-partition", "-t", "queue"]).await;
        assert_eq!(partitions["activityTaskQueuePartitions"][0]["key"], "queue");
        let set = ["task-queue", "config", "set", "-t", "queue", "--task-queue-type", "activity", "--queue-rps-limit", "5"];
        let config = run(bed, &address, &set).await;
        assert_eq!(config["config"]["queueRateLimit"]["rateLimit"]["requestsPerSecond"], 5, "{config}");
        let workers = run(bed, &address, &["worker", "list"]).await;
        assert_eq!(workers.as_array().map(Vec::len), Some(0));
    }
}
