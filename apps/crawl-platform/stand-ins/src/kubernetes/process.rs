//! Pods that are real processes on this machine.

use std::{io, process::Stdio, sync::Arc};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

use super::logs::Logs;

/// The exit code of a container whose command cannot be started.
pub(crate) const CANNOT_START: i32 = 128;

/// A container's process, in a process group of its own. As in a container, what it has started ends with it; and all of it
/// when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// Also the number of its group.
    id: Option<u32>,
    /// What copies its output.
    outputs: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the command of a container.
    pub(crate) fn start(container: &Value, logs: &Arc<Logs>, pod: &str) -> io::Result<Self> {
        let texts = |field: &str| {
            let all = container[field].as_array().into_iter().flatten();
            all.filter_map(Value::as_str)
        };
        let mut words = texts("command").chain(texts("args"));
        let program = words.next().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a container without a command cannot run here: there are no images",
            )
        })?;
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for variable in container["env"].as_array().into_iter().flatten() {
            if let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) {
                command.env(name, value);
            }
        }
        let mut child = command.spawn()?;
        let mut outputs = Vec::new();
        outputs.extend(child.stdout.take().map(|output| copy(output, logs, pod)));
        outputs.extend(child.stderr.take().map(|output| copy(output, logs, pod)));
        let id = child.id();
        Ok(Self { child, id, outputs })
    }

    /// Tells it to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        if let Some(id) = self.child.id() {
            signal("-TERM", &id.to_string());
        }
    }

    /// Ends it now (SIGKILL).
    pub(crate) async fn kill(&mut self) {
        // It has ended already.
        let _ = self.child.kill().await;
        self.end_rest();
    }

    /// Ends what it has started.
    fn end_rest(&mut self) {
        if let Some(id) = self.id.take() {
            signal("-KILL", &format!("-{id}"));
        }
    }

    async fn ended(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;

        let code = match self.child.wait().await {
            Ok(status) => status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .unwrap_or(CANNOT_START),
            Err(_) => CANNOT_START,
        };
        self.end_rest();
        for output in self.outputs.drain(..) {
            // All that it wrote is in its log before its end is told.
            let _ = output.await;
        }
        code
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_rest();
    }
}

/// Sends a signal, by the program, as it takes unsafe code otherwise. What has ended needs none.
fn signal(name: &str, to: &str) {
    let sent = std::process::Command::new("kill")
        .args([name, "--", to])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = sent {
        tracing::warn!(%error, "no program `kill`: a process is not told to end");
    }
}

/// The exit code of a process when it has ended; never, if there is none.
pub(crate) async fn ended(process: &mut Option<Process>) -> i32 {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

fn copy(output: impl AsyncRead + Unpin + Send + 'static, logs: &Arc<Logs>, pod: &str) -> JoinHandle<()> {
    let (logs, pod) = (Arc::clone(logs), pod.to_owned());
    tokio::spawn(async move {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .await
            .is_ok_and(|read| read > 0)
        {
            logs.write(&pod, &String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}
