//! `temporal schedule …`, over gRPC.

use serde_json::Value;
use tokio::process::Command;

use crate::bed::{Bed, both_engines};

/// Runs `temporal schedule …` and answers what it prints, and whether it succeeded.
async fn try_command_line(address: &str, bed: &Bed, arguments: &[&str]) -> (bool, String) {
    let program = std::env::var("SEGNO_TEMPORAL_BIN").unwrap_or_else(|_| "temporal".to_owned());
    let output = Command::new(program)
        .arg("schedule")
        .args(arguments)
        .args(["--address", address, "--namespace", &bed.namespace, "-o", "json"])
        .env_remove("TEMPORAL_ADDRESS")
        .output()
        .await
        .expect("the temporal program");
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

async fn command_line(address: &str, bed: &Bed, arguments: &[&str]) -> Value {
    let (is_success, text) = try_command_line(address, bed, arguments).await;
    assert!(is_success, "{arguments:?}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Describes the schedule until it is so.
async fn described(address: &str, bed: &Bed, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    bed.eventually(what, || async {
        let (is_success, text) = try_command_line(address, bed, &["describe", "-s", "s"]).await;
        let found: Value = serde_json::from_str(&text).ok()?;
        (is_success && is_so(&found)).then_some(found)
    })
    .await
}

both_engines! {
    async fn a_schedule_is_made_described_and_listed(bed: &Bed) {
        let address = bed.address().await;
        let create = [
            "create", "-s", "s", "--cron", "30 12 * * Fri # lunch", "--interval", "6h/5h",
            "--calendar", r#"{"dayOfWeek":"Fri","hour":"17","minute":"5"}"#, "--time-zone", "Europe/Berlin",
            "--workflow-id", "job", "--task-queue", "queue", "--type", "Test", "--input", "1",
            "--overlap-policy", "BufferAll", "--catchup-window", "1h", "--pause-on-failure",
            "--notes", "a note", "--schedule-memo", "owner=\"me\"", "--jitter", "3s",
        ];
        command_line(&address, bed, &create).await;
        let found = described(&address, bed, "it is there", |_| true).await;
        let schedule = &found["schedule"];
        assert_eq!(schedule["spec"]["timezoneName"], "Europe/Berlin", "{found}");
        assert_eq!(schedule["spec"]["jitter"], "3s", "{found}");
        let calendars = schedule["spec"]["structuredCalendar"].as_array().expect("calendars");
        let hours: Vec<_> = calendars.iter().map(|calendar| calendar["hour"][0]["start"].clone()).collect();
        assert_eq!(hours, [12, 17], "{found}");
        assert_eq!(calendars[0]["comment"], "lunch", "{found}");
        assert_eq!(schedule["spec"]["interval"][0]["phase"], "18000s", "{found}");
        assert_eq!(schedule["policies"]["overlapPolicy"], "SCHEDULE_OVERLAP_POLICY_BUFFER_ALL", "{found}");
        assert_eq!(schedule["policies"]["catchupWindow"], "3600s", "{found}");
        assert_eq!(schedule["policies"]["pauseOnFailure"], true, "{found}");
        assert_eq!(schedule["state"]["notes"], "a note", "{found}");
        assert_eq!(schedule["action"]["startWorkflow"]["workflowId"], "job", "{found}");
        assert_eq!(found["info"]["futureActionTimes"].as_array().map(Vec::len), Some(10), "{found}");
        assert_eq!(found["conflictToken"], "AAAAAAAAAAE=", "{found}");
        assert!(found["memo"]["fields"]["owner"].is_object(), "{found}");
        bed.eventually("it is listed", || async {
            let (_, text) = try_command_line(&address, bed, &["list"]).await;
            let listed: Value = serde_json::from_str(&text).ok()?;
            let entry = listed.as_array()?.first()?;
            (entry["scheduleId"] == "s" && entry["info"]["workflowType"]["name"] == "Test").then_some(())
        })
        .await;
        let (is_success, text) = try_command_line(&address, bed, &create).await;
        assert!(!is_success && text.contains("already registered"), "{text}");
    }

    async fn a_schedule_is_triggered_backfilled_toggled_updated_and_deleted(bed: &Bed) {
        let address = bed.address().await;
        let run = |arguments: &'static [&'static str]| command_line(&address, bed, arguments);
        run(&[
            "create", "-s", "s", "--cron", "0 0 1 1 * 2099", "--workflow-id", "job", "--task-queue", "queue",
            "--type", "Test", "--overlap-policy", "AllowAll",
        ])
        .await;
        run(&["trigger", "-s", "s"]).await;
        let count = |found: &Value| found["info"]["actionCount"].as_str().map(str::to_owned);
        let found = described(&address, bed, "one is taken", |found| count(found).as_deref() == Some("1")).await;
        let action = &found["info"]["recentActions"][0];
        assert_eq!(action["startWorkflowStatus"], "WORKFLOW_EXECUTION_STATUS_RUNNING", "{found}");
        run(&["toggle", "-s", "s", "--pause", "--reason", "holidays"]).await;
        let found = described(&address, bed, "it is paused", |found| found["schedule"]["state"]["paused"] == true).await;
        assert_eq!(found["schedule"]["state"]["notes"], "holidays", "{found}");
        run(&["toggle", "-s", "s", "--unpause", "--reason", "back"]).await;
        described(&address, bed, "it goes on", |found| found["schedule"]["state"]["notes"] == "back").await;
        run(&[
            "update", "-s", "s",             "--cron",
            "0 0-2 1 1 * 2030",
 "--workflow-id", "other", "--task-queue", "queue", "--type",
            "Test", "--overlap-policy", "AllowAll",
        ])
        .await;
        let is_new = |found: &Value| found["schedule"]["spec"]["structuredCalendar"][0]["hour"][0]["end"] == 2;
        let found = described(&address, bed, "it is updated", is_new).await;
        assert_eq!(found["schedule"]["action"]["startWorkflow"]["workflowId"], "other", "{found}");
        assert_eq!(found["schedule"]["spec"]["structuredCalendar"].as_array().map(Vec::len), Some(1), "{found}");
        run(&[
            "backfill", "-s", "s", "--start-time", "2030-01-01T00:00:00Z", "--end-time", "2030-01-01T02:00:00Z",
            "--overlap-policy", "AllowAll",
        ])
        .await;
        let found = described(&address, bed, "three more", |found| count(found).as_deref() == Some("4")).await;
        let last = &found["info"]["recentActions"][3]["startWorkflowResult"]["workflowId"];
        assert_eq!(*last, "other-2030-01-01T02:00:00Z", "{found}");
        run(&["delete", "-s", "s"]).await;
        let (is_success, _) = try_command_line(&address, bed, &["describe", "-s", "s"]).await;
        assert!(!is_success);
    }
}
