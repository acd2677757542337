//! One job as a folder.

use std::{
    fs, io,
    io::{Read, Seek, SeekFrom, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Deployed, Job, JobState, Phase, modified,
    signals::{self, Wrapper},
};
use crate::cluster::Pod;

/// Exit status of what SIGKILL has ended.
const KILLED: i32 = 128 + 9;
/// Exit status of what was told to end before it has started.
const NEVER_STARTED: i32 = 128 + 15;
/// Bytes at the end of a log that are looked at for its last lines.
const TAIL: u64 = 64 * 1024;

/// What runs a job's process: starts it if nobody has, says who it is, waits, and writes its exit status down. A signal to
/// the group reaches the process; the shell itself only looks whether it has ended.
const WRAPPER: &str = r#"
cd "$1" || exit 1
shift
mkdir started 2>/dev/null || exit 0
trap : TERM
echo "$$ $(cut -d' ' -f22 "/proc/$$/stat" 2>/dev/null)" > pid.new && mv pid.new pid
"$@" >> log 2>&1 < /dev/null &
child=$!
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
done
echo "$code" > status.new && mv status.new status
"#;

/// What is written of a job.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    job: Job,
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

#[derive(Debug)]
pub(super) struct JobFolder(PathBuf);

impl JobFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the job, unless it is there.
    pub(super) fn make(&self, job: &Job) -> io::Result<Deployed> {
        if let Some(made) = self.made()? {
            return Ok(Deployed {
                id: made.id.to_string(),
                created: false,
            });
        }
        fs::create_dir_all(&self.0)?;
        let made = Made {
            job: job.clone(),
            id: Uuid::new_v4(),
            created_at: OffsetDateTime::now_utc(),
        };
        // Whole or not at all; of two that make it at once the first is the one.
        let beside = self.file(&format!("job.{}.new", made.id));
        let mut file = fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec(&made)?)?;
        file.sync_all()?;
        let linked = fs::hard_link(&beside, self.file("job.json"));
        fs::remove_file(&beside)?;
        match linked {
            Ok(()) => Ok(Deployed {
                id: made.id.to_string(),
                created: true,
            }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let made = self.made()?.ok_or(error)?;
                Ok(Deployed {
                    id: made.id.to_string(),
                    created: false,
                })
            }
            Err(error) => Err(error),
        }
    }

    fn made(&self) -> io::Result<Option<Made>> {
        match read(&self.file("job.json"))? {
            Some(text) => Ok(Some(serde_json::from_str(&text)?)),
            None => Ok(None),
        }
    }

    /// Starts the job's process. Whoever is second starts nothing.
    pub(super) fn start(&self, program: &Path) -> io::Result<()> {
        let Some(made) = self.made()? else {
            return Ok(());
        };
        let job = made.job;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(WRAPPER).arg("job").arg(&self.0);
        match job.command.split_first() {
            Some((program, args)) => command.arg(program).args(args),
            None => command.arg(program),
        };
        let mut child = command
            .args(&job.args)
            .envs(&job.env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        // It is waited for so that nothing stays of it in the system's table while this process lives.
        std::thread::Builder::new()
            .name("job".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || drop(child.wait()))?;
        // Until it has the right to start, the next look would start it again.
        let started = self.file("started");
        for _ in 0..500 {
            if started.exists() {
                break;
            }
            pause();
        }
        Ok(())
    }

    /// The job as it is.
    pub(super) fn state(&self) -> io::Result<Option<JobState>> {
        let Some(made) = self.made()? else {
            return Ok(None);
        };
        let wrapper = self.wrapper()?;
        let alive = wrapper.as_ref().is_some_and(Wrapper::is_alive);
        // Read after that look: a wrapper that has ended in between has written it.
        let status = self.status()?;
        let started = self.file("started").exists();
        let phase = match status {
            Some(0) => Phase::Succeeded,
            Some(_) => Phase::Failed,
            None if !started => Phase::Pending,
            None if alive => Phase::Running,
            // It has the right to start, and has not said who it is.
            None if wrapper.is_none() && self.is_young() => Phase::Running,
            None => Phase::Failed,
        };
        let failure = match (phase, status) {
            (Phase::Failed, Some(NEVER_STARTED)) if wrapper.is_none() => {
                Some("told to end before it has started".to_owned())
            }
            (Phase::Failed, Some(KILLED)) => Some("killed".to_owned()),
            (Phase::Failed, Some(code)) => Some(format!("exit status {code}")),
            (Phase::Failed, None) => Some("its process is gone and has left no exit status".to_owned()),
            _ => None,
        };
        Ok(Some(JobState {
            name: made.job.name,
            id: made.id.to_string(),
            run: Some(made.job.run),
            task: Some(made.job.task),
            phase,
            pending: None,
            stopping: !phase.has_ended() && self.file("stop").exists(),
            pod: wrapper.as_ref().map(|wrapper| Pod {
                name: wrapper.pid.to_string(),
                node: None,
                restarts: 0,
            }),
            exit_code: status,
            failure,
            created_at: made.created_at,
            started_at: wrapper.is_some().then(|| modified(&self.file("pid"))).flatten(),
            ended_at: phase
                .has_ended()
                .then(|| modified(&self.file("status")).unwrap_or_else(OffsetDateTime::now_utc)),
        }))
    }

    /// Whether it has got the right to start only now.
    fn is_young(&self) -> bool {
        modified(&self.file("started"))
            .is_some_and(|at| OffsetDateTime::now_utc() - at < time::Duration::seconds(5))
    }

    fn status(&self) -> io::Result<Option<i32>> {
        let text = read(&self.file("status"))?;
        Ok(text.and_then(|text| text.trim().parse().ok()))
    }

    fn wrapper(&self) -> io::Result<Option<Wrapper>> {
        Ok(read(&self.file("pid"))?.and_then(|text| Wrapper::parse(&text)))
    }

    /// Ends a job that has not started: nobody else has the right to start it any more. False if somebody has.
    fn end_unstarted(&self) -> io::Result<bool> {
        match fs::create_dir(self.file("started")) {
            Ok(()) => {
                self.write_status(NEVER_STARTED)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write_status(&self, status: i32) -> io::Result<()> {
        let beside = self.file(&format!("status.{}.new", Uuid::new_v4()));
        fs::write(&beside, format!("{status}\n"))?;
        fs::rename(&beside, self.file("status"))
    }

    /// Its process, if there may be one: waited for if it has the right to start and has not said who it is.
    fn running(&self) -> io::Result<Option<Wrapper>> {
        for _ in 0..500 {
            if self.status()?.is_some() {
                return Ok(None);
            }
            if let Some(wrapper) = self.wrapper()? {
                return Ok(wrapper.is_alive().then_some(wrapper));
            }
            if !self.is_young() {
                return Ok(None);
            }
            pause();
        }
        Ok(None)
    }

    pub(super) fn stop(&self, grace: Duration) -> io::Result<bool> {
        if self.made()?.is_none() || self.status()?.is_some() {
            return Ok(false);
        }
        fs::write(self.file("stop"), "")?;
        if self.end_unstarted()? {
            return Ok(true);
        }
        let Some(wrapper) = self.running()? else {
            return Ok(false);
        };
        signals::end(&self.0, &wrapper, grace)?;
        Ok(true)
    }

    pub(super) fn kill(&self) -> io::Result<bool> {
        if self.made()?.is_none() || self.status()?.is_some() {
            return Ok(false);
        }
        fs::write(self.file("stop"), "")?;
        if self.end_unstarted()? {
            return Ok(true);
        }
        let Some(wrapper) = self.running()? else {
            return Ok(false);
        };
        signals::kill(&wrapper)?;
        if self.status()?.is_none() {
            self.write_status(KILLED)?;
        }
        Ok(true)
    }

    pub(super) fn remove(&self) -> io::Result<bool> {
        if self.made()?.is_none() {
            return Ok(false);
        }
        self.kill()?;
        match fs::remove_dir_all(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn log_tail(&self, lines: usize) -> io::Result<String> {
        let mut file = match fs::File::open(self.file("log")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<_> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    }
}

/// Between two looks at what another process is about to write.
#[expect(
    clippy::disallowed_methods,
    reason = "all of this runs on threads that may block, and files tell nobody"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
