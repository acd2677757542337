//! Jobs as processes of this machine: the embedded default, with nothing to install.
//!
//! A job is a folder, and what is in it is all that there is to know: so another process of the platform, or this one after
//! a crash, finds every job as it is.
//!
//! | file | is |
//! |---|---|
//! | `job.json` | the job, its id, when it was made |
//! | `started` | a folder that exactly one can make: the right to start the job's process, or to say that it never will |
//! | `pid` | the wrapper's process id, which is that of its process group, and when it started by the system's clock |
//! | `status` | the exit status, once the process has ended |
//! | `stop` | the job was told to end |
//! | `log` | what the process has written |
//!
//! The job's process is the child of a small shell that writes down its exit status, in a process group of its own: neither
//! a signal to the platform nor its end reaches them.

mod files;
mod signals;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use time::OffsetDateTime;
use uuid::Uuid;

use self::files::JobFolder;
use super::{Change, Cluster, ClusterError, Deployed, Job, JobName, JobState, Phase};

/// How often pending jobs are started, and changes looked for.
const TICK: Duration = Duration::from_millis(200);

/// A cluster of local processes. Cheap to clone; all that are opened on one folder are the same cluster.
#[derive(Clone, Debug)]
pub struct Processes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// What jobs without a command run.
    program: PathBuf,
    /// Processes at once.
    capacity: usize,
    /// One at a time counts what runs and starts what is next.
    starting: Mutex<()>,
}

impl Processes {
    /// A cluster in this folder. Jobs without a command run `program`, and not more than `capacity` processes run at once:
    /// the others wait.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn open(
        folder: impl Into<PathBuf>,
        program: impl Into<PathBuf>,
        capacity: usize,
    ) -> io::Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            inner: Arc::new(Inner {
                folder: folder.canonicalize()?,
                program: program.into(),
                capacity: capacity.max(1),
                starting: Mutex::new(()),
            }),
        })
    }

    /// Starts jobs that wait, as room comes free, for as long as it is polled.
    pub async fn keep_starting(&self) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            if let Err(error) = self.on_disk(Inner::start_pending).await {
                tracing::warn!(%error, "jobs that wait cannot be started");
            }
        }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| ClusterError::retryable(error.to_string()))?
            .map_err(|error| ClusterError::retryable(format!("local processes: {error}")))
    }
}

impl Inner {
    fn job(&self, name: &JobName) -> JobFolder {
        JobFolder::new(self.folder.join(name.as_str()))
    }

    /// All jobs, in the order of their making.
    fn states(&self, prefix: &str) -> io::Result<Vec<(JobFolder, JobState)>> {
        let mut states = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) else {
                continue;
            };
            let Ok(name) = name.parse::<JobName>() else {
                continue;
            };
            let job = self.job(&name);
            if let Some(mut state) = job.state()? {
                if state.phase == Phase::Pending {
                    state.pending = Some(self.waits());
                }
                states.push((job, state));
            }
        }
        states.sort_by(|(_, one), (_, other)| {
            (one.created_at, &one.name).cmp(&(other.created_at, &other.name))
        });
        Ok(states)
    }

    fn waits(&self) -> super::Pending {
        super::Pending {
            reason: "Unschedulable".to_owned(),
            message: format!("{0} of {0} processes are taken", self.capacity),
            unschedulable: true,
        }
    }

    fn start_pending(&self) -> io::Result<()> {
        let _one_at_a_time = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let states = self.states("")?;
        let running = states
            .iter()
            .filter(|(_, state)| state.phase == Phase::Running)
            .count();
        let pending = states
            .into_iter()
            .filter(|(_, state)| state.phase == Phase::Pending);
        for (job, _) in pending.take(self.capacity.saturating_sub(running)) {
            job.start(&self.program)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Cluster for Processes {
    async fn deploy(&self, job: &Job) -> Result<Deployed, ClusterError> {
        let job = job.clone();
        let deployed = self
            .on_disk(move |inner| {
                let deployed = inner.job(&job.name).make(&job)?;
                inner.start_pending()?;
                Ok(deployed)
            })
            .await?;
        Ok(deployed)
    }

    async fn state(&self, name: &JobName) -> Result<Option<JobState>, ClusterError> {
        let name = name.clone();
        self.on_disk(move |inner| {
            let state = inner.job(&name).state()?;
            Ok(state.map(|mut state| {
                if state.phase == Phase::Pending {
                    state.pending = Some(inner.waits());
                }
                state
            }))
        })
        .await
    }

    async fn states(&self, run: Uuid) -> Result<Vec<JobState>, ClusterError> {
        let prefix = format!("crawl-{}-", run.simple());
        let states = self.on_disk(move |inner| inner.states(&prefix)).await?;
        Ok(states
            .into_iter()
            .map(|(_, state)| state)
            .filter(|state| state.run == Some(run))
            .collect())
    }

    async fn stop(&self, name: &JobName, grace: Duration) -> Result<bool, ClusterError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.job(&name).stop(grace)).await
    }

    async fn delete_pod(&self, name: &JobName) -> Result<bool, ClusterError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.job(&name).kill()).await
    }

    async fn remove(&self, name: &JobName) -> Result<bool, ClusterError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.job(&name).remove()).await
    }

    async fn log_tail(&self, name: &JobName, lines: usize) -> Result<String, ClusterError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.job(&name).log_tail(lines)).await
    }

    async fn all(&self) -> Result<Vec<JobState>, ClusterError> {
        let states = self.on_disk(|inner| inner.states("")).await?;
        Ok(states.into_iter().map(|(_, state)| state).collect())
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let cluster = self.clone();
        let watch = Watch {
            cluster,
            known: None,
            heard: Vec::new(),
            tick: tokio::time::interval(TICK),
        };
        futures::stream::unfold(watch, |mut watch| async move {
            let change = watch.next().await;
            Some((change, watch))
        })
        .boxed()
    }
}

/// Looks at all jobs now and then, and tells which have changed.
struct Watch {
    cluster: Processes,
    known: Option<HashMap<JobName, (Phase, bool)>>,
    heard: Vec<Change>,
    tick: tokio::time::Interval,
}

impl Watch {
    async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.heard.pop() {
                return change;
            }
            self.tick.tick().await;
            let Ok(jobs) = self.cluster.all().await else {
                continue;
            };
            let seen: HashMap<_, _> = jobs
                .iter()
                .map(|job| (job.name.clone(), (job.phase, job.stopping)))
                .collect();
            if let Some(known) = &self.known {
                for job in &jobs {
                    if let Some(run) = job.run
                        && known.get(&job.name) != seen.get(&job.name)
                    {
                        self.heard.push(Change {
                            job: job.name.clone(),
                            run,
                        });
                    }
                }
            }
            self.known = Some(seen);
        }
    }
}

/// The time of a file's making, as far as the system knows it.
fn modified(path: &Path) -> Option<OffsetDateTime> {
    Some(std::fs::metadata(path).ok()?.modified().ok()?.into())
}
