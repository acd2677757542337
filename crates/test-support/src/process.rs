//! A child process that ends with this one, however this one ends.

use std::{
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use tempfile::NamedTempFile;

/// Runs the command given as arguments and kills it when standard input closes, which the operating
/// system does for a test process that was itself killed. Ends with the command.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
(cat <&3 >/dev/null; kill -KILL "$server") 2>/dev/null &
wait "$server"
"#;

/// A running program under the watchdog; dropping it kills the program and waits for its end.
#[derive(Debug)]
pub(crate) struct Process {
    watchdog: Child,
    /// Open as long as the program is to run.
    lifeline: Option<ChildStdin>,
    log: NamedTempFile,
}

impl Process {
    /// Starts `program`; what it prints goes to a temporary file.
    ///
    /// # Panics
    ///
    /// When there is no shell or no temp folder.
    pub(crate) fn start(program: &Path, arguments: &[String]) -> Self {
        let log = NamedTempFile::new().expect("a temporary file");
        let write = || Stdio::from(log.reopen().expect("the temporary file opens again"));
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(write())
            .stderr(write())
            .spawn()
            .expect("/bin/sh starts");
        let lifeline = watchdog.stdin.take();
        Self {
            watchdog,
            lifeline,
            log,
        }
    }

    /// How the program ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.watchdog.try_wait().ok().flatten()
    }

    /// Kills the program and returns what it printed.
    pub(crate) fn into_log(mut self) -> String {
        self.kill();
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    fn kill(&mut self) {
        drop(self.lifeline.take());
        // It ends at once: the program was killed.
        let _ = self.watchdog.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        time::Duration,
    };

    use tokio::time::Instant;

    use super::*;

    /// The pid that a `sh -c 'echo $$; sleep'` under test prints into the log.
    fn pid(log: &Path) -> u32 {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let text = std::fs::read_to_string(log).unwrap();
            if let Some(line) = text.strip_suffix('\n') {
                return line.parse().unwrap();
            }
            assert!(Instant::now() < end, "no pid in {text:?}");
            std::thread::yield_now();
        }
    }

    fn runs(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}/cmdline")).exists()
            && !std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .unwrap_or_default()
                .contains(") Z ")
    }

    fn sleeper() -> Process {
        Process::start(
            Path::new("/bin/sh"),
            &["-c".to_owned(), "echo $$; exec sleep 1000".to_owned()],
        )
    }

    #[test]
    fn dropping_it_ends_the_program() {
        let mut process = sleeper();
        let pid = pid(process.log.path());
        assert!(runs(pid) && process.ended().is_none());
        drop(process);
        assert!(!runs(pid));
    }

    #[test]
    fn a_panic_ends_the_program() {
        let (send, receive) = std::sync::mpsc::channel();
        let panicked = std::thread::spawn(move || {
            let process = sleeper();
            send.send(pid(process.log.path())).unwrap();
            panic!("on purpose");
        })
        .join();
        assert!(panicked.is_err());
        assert!(!runs(receive.recv().unwrap()));
    }

    #[test]
    fn a_program_that_ends_is_seen() {
        let mut process = Process::start(Path::new("/bin/sh"), &["-c".to_owned(), "exit 3".to_owned()]);
        let end = Instant::now() + Duration::from_secs(10);
        let status = loop {
            if let Some(status) = process.ended() {
                break status;
            }
            assert!(Instant::now() < end);
            std::thread::yield_now();
        };
        assert_eq!(status.code(), Some(3));
    }

    /// The owner is a shell that is killed with SIGKILL and so runs nothing of its own at the end.
    #[test]
    fn the_program_ends_when_its_owner_is_killed() {
        let fifo = tempfile::tempdir().unwrap();
        let fifo = fifo.path().join("lifeline");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let mut owner = Command::new("/bin/sh")
            .args(["-c", "exec sleep 1000 >\"$1\"", "owner"])
            .arg(&fifo)
            .spawn()
            .unwrap();
        let mut watchdog = Command::new("/bin/sh")
            .args([
                "-c",
                WATCHDOG,
                "watchdog",
                "/bin/sh",
                "-c",
                "echo $$; exec sleep 1000",
            ])
            .stdin(std::fs::File::open(&fifo).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(watchdog.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        assert!(runs(pid));
        owner.kill().unwrap();
        owner.wait().unwrap();
        watchdog.wait().unwrap();
        assert!(!runs(pid));
    }
}
