//! `segno soak`, a short one.

use serde_json::Value;
use tokio::process::Command;

/// Killed on the way, with deliveries that are refused for a while and for good.
#[tokio::test]
async fn nothing_is_lost_and_what_is_never_taken_is_a_dead_letter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(["soak", "--for", "20s", "--rate", "20", "--kill-every", "6s"])
        .args([
            "--refused",
            "0.2",
            "--dead",
            "0.05",
            "--retention",
            "5s",
            "-o",
            "json",
        ])
        .arg("--folder")
        .arg(folder.path())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let count = |name: &str| report[name].as_u64().expect(name);
    assert_eq!(report["wrong"], serde_json::json!([]), "{report:#}");
    assert!(count("kills") > 0 && count("refused") > 0, "{report:#}");
    assert!(count("dead_letters") > 0, "{report:#}");
    assert_eq!(count("accepted"), count("arrived") + count("dead_letters"));
}
