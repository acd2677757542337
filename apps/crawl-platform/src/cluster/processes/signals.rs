//! Signals to a job's process group, by the system's `kill`.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Tells the group to end, and kills it if it has not after a while. It outlives the platform: what was begun is done.
const END: &str = r#"
kill -s TERM -- "-$2" 2>/dev/null
left=$3
while [ "$left" -gt 0 ]; do
    [ -e "$1/status" ] && exit 0
    sleep 0.1
    left=$((left - 1))
done
[ -e "$1/status" ] && exit 0
[ "$(cut -d' ' -f22 "/proc/$2/stat" 2>/dev/null)" = "$4" ] || exit 0
kill -s KILL -- "-$2" 2>/dev/null
[ -e "$1/status" ] || { echo 137 > "$1/status.killed" && mv "$1/status.killed" "$1/status"; }
"#;

/// The shell around a job's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrapper {
    pub(super) pid: u32,
    /// When it started, in the system's ticks: another process of the same id has another time. Empty where the system
    /// does not say.
    started: String,
}

impl Wrapper {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Some(Self {
            pid: words.next()?.parse().ok().filter(|pid| *pid > 1)?,
            started: words.next().unwrap_or_default().to_owned(),
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        if self.started.is_empty() {
            return signal("0", &self.pid.to_string()).unwrap_or(false);
        }
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        // The second field is a name in parentheses, which may have spaces.
        let Some((_, fields)) = stat.rsplit_once(") ") else {
            return false;
        };
        let fields: Vec<_> = fields.split_whitespace().collect();
        let (state, started) = (fields.first(), fields.get(19));
        state.is_some_and(|state| !matches!(*state, "Z" | "X")) && started == Some(&self.started.as_str())
    }
}

fn signal(signal: &str, target: &str) -> io::Result<bool> {
    let status = Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "kill", signal, target])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}

/// Kills the group.
pub(super) fn kill(wrapper: &Wrapper) -> io::Result<bool> {
    signal("KILL", &format!("-{}", wrapper.pid))
}

/// Has the group told to end, and killed if it has not in time.
pub(super) fn end(folder: &Path, wrapper: &Wrapper, grace: Duration) -> io::Result<()> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", END, "end"])
        .arg(folder)
        .arg(wrapper.pid.to_string())
        .arg(grace.as_millis().div_ceil(100).to_string())
        .arg(&wrapper.started)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    std::thread::Builder::new()
        .name("job-end".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || drop(child.wait()))?;
    Ok(())
}
