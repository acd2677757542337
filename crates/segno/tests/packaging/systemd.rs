//! The unit of systemd.

use std::{fs, process::Command};

use super::{read, tools::SYSTEMD_ANALYZE};

const UNIT: &str = "packaging/systemd/segno.service";
/// Ten times the exposure that `systemd-analyze security` may see, of 100: "OK" ends at 40.
const EXPOSURE: &str = "--threshold=15";

/// A copy of the unit that starts the program that was built here.
fn unit() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segno.service");
    let unit = read(UNIT);
    assert!(unit.contains("ExecStart=/usr/local/bin/segno up "));
    let unit = unit.replace("/usr/local/bin/segno", env!("CARGO_BIN_EXE_segno"));
    fs::write(&path, unit).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn systemd_understands_all_of_it() {
    let (_folder, unit) = unit();
    let output = SYSTEMD_ANALYZE.output(&["verify", "--man=no", &unit], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn it_is_exposed_to_little() {
    let (_folder, unit) = unit();
    SYSTEMD_ANALYZE.run(&["security", "--offline=true", EXPOSURE, &unit], "");
}

#[test]
fn it_is_started_again_reloaded_and_stopped_in_time() {
    let unit = read(UNIT);
    for line in [
        "Restart=always",
        "StartLimitIntervalSec=0",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "KillSignal=SIGTERM",
        "TimeoutStopSec=30",
        "DynamicUser=yes",
        "StateDirectory=segno",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}

/// The variables in the example are the program's, or Temporal's.
#[test]
fn the_example_has_variables_that_there_are() {
    let help = Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(["up", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let example = read("packaging/systemd/segno.env.example");
    let names = example
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("SEGNO_") && *name != "SEGNO_LOG");
    let mut count = 0;
    for name in names {
        count += 1;
        assert!(help.contains(&format!("[env: {name}=")), "{name}");
    }
    assert!(count >= 3);
}
