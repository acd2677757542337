//! A cluster in memory: what jobs do is what the test says, and what it tells of them may be held back, doubled or lost.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use segno_crawl_platform::{
    clock::Clock,
    cluster::{Change, Cluster, ClusterError, Deployed, Job, JobName, JobState, Pending, Phase, Pod},
};
use time::OffsetDateTime;
use tokio::sync::broadcast;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

struct Inner {
    jobs: Mutex<BTreeMap<JobName, JobState>>,
    /// Every deployment that made a job, in order: what must not happen twice.
    made: Mutex<Vec<JobName>>,
    /// What every pod was told.
    told: Mutex<Vec<(JobName, &'static str)>>,
    /// How often calls fail from now on.
    failing: AtomicU64,
    /// Deployments that are refused for good from now on.
    refusing: AtomicU64,
    /// Whether jobs end when they are told to.
    obedient: std::sync::atomic::AtomicBool,
    /// The phase that new jobs have.
    first: Mutex<Phase>,
    calls: AtomicU64,
    /// When each job's state was asked for by itself, as is done until a run has started.
    polls: Mutex<BTreeMap<JobName, Vec<OffsetDateTime>>>,
    /// When all jobs were asked for, as the sweeper does.
    sweeps: Mutex<Vec<OffsetDateTime>>,
    changes: broadcast::Sender<Change>,
    clock: Clock,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self::by(Clock::system())
    }

    /// One whose times are by this clock.
    pub(crate) fn by(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            jobs: Mutex::default(),
            made: Mutex::default(),
            told: Mutex::default(),
            failing: AtomicU64::new(0),
            refusing: AtomicU64::new(0),
            obedient: true.into(),
            first: Mutex::new(Phase::Running),
            calls: AtomicU64::new(0),
            polls: Mutex::default(),
            sweeps: Mutex::default(),
            changes: broadcast::channel(1024).0,
            clock,
        }))
    }

    /// New jobs begin so.
    pub(crate) fn jobs_begin(&self, phase: Phase) {
        *self.0.first.lock().unwrap() = phase;
    }

    /// The next calls fail, as if the cluster were not reached.
    pub(crate) fn fail(&self, calls: u64) {
        self.0.failing.store(calls, Ordering::SeqCst);
    }

    /// The next deployments are refused for good.
    pub(crate) fn refuse(&self, deployments: u64) {
        self.0.refusing.store(deployments, Ordering::SeqCst);
    }

    /// Jobs do not end when they are told to.
    pub(crate) fn disobey(&self) {
        self.0.obedient.store(false, Ordering::SeqCst);
    }

    pub(crate) fn made(&self) -> Vec<JobName> {
        self.0.made.lock().unwrap().clone()
    }

    pub(crate) fn told(&self) -> Vec<(JobName, &'static str)> {
        self.0.told.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn polls(&self, name: &JobName) -> Vec<OffsetDateTime> {
        self.0
            .polls
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn sweeps(&self) -> Vec<OffsetDateTime> {
        self.0.sweeps.lock().unwrap().clone()
    }

    pub(crate) fn jobs(&self) -> Vec<JobState> {
        self.0.jobs.lock().unwrap().values().cloned().collect()
    }

    /// Changes a job as the cluster would by itself; tells nobody.
    pub(crate) fn set(&self, name: &JobName, phase: Phase) {
        let now = self.0.clock.now();
        if let Some(job) = self.0.jobs.lock().unwrap().get_mut(name)
            && !job.phase.has_ended()
        {
            job.phase = phase;
            if phase != Phase::Pending {
                job.pending = None;
                job.started_at.get_or_insert(now);
            }
            if phase.has_ended() {
                job.ended_at = Some(now);
                job.exit_code = Some(i32::from(phase == Phase::Failed));
                job.failure = (phase == Phase::Failed).then(|| "exit status 1".to_owned());
            }
        }
    }

    /// A job that never starts.
    pub(crate) fn break_before_start(&self, name: &JobName, reason: &str) {
        if let Some(job) = self.0.jobs.lock().unwrap().get_mut(name) {
            job.phase = Phase::Failed;
            job.pending = None;
            job.failure = Some(reason.to_owned());
        }
    }

    /// The scheduler finds no node for it.
    pub(crate) fn saturate(&self, name: &JobName, message: &str, since: Duration) {
        if let Some(job) = self.0.jobs.lock().unwrap().get_mut(name) {
            job.phase = Phase::Pending;
            job.started_at = None;
            job.created_at = self.0.clock.now() - since;
            job.pending = Some(Pending {
                reason: "Unschedulable".to_owned(),
                message: message.to_owned(),
                unschedulable: true,
            });
        }
    }

    /// A job goes without a word.
    pub(crate) fn lose(&self, name: &JobName) {
        self.0.jobs.lock().unwrap().remove(name);
    }

    /// Tells of a change, whether there was one or not.
    pub(crate) fn tell(&self, name: &JobName, run: Uuid) {
        let change = Change {
            job: name.clone(),
            run,
        };
        // Nobody may be listening.
        drop(self.0.changes.send(change));
    }

    /// Puts a job there that nobody has deployed.
    pub(crate) fn put(&self, job: JobState) {
        self.0.jobs.lock().unwrap().insert(job.name.clone(), job);
    }

    fn call(&self) -> Result<(), ClusterError> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let failing = |left: u64| left.checked_sub(1);
        match self
            .0
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing)
        {
            Ok(_) => Err(ClusterError::Retryable {
                message: "the cluster is not reached".to_owned(),
                retry_after: Some(Duration::from_millis(20)),
            }),
            Err(_) => Ok(()),
        }
    }

    fn end(&self, name: &JobName, word: &'static str, obeys: bool) -> bool {
        let alive = {
            let mut jobs = self.0.jobs.lock().unwrap();
            match jobs.get_mut(name) {
                Some(job) if !job.phase.has_ended() => {
                    job.stopping = true;
                    true
                }
                _ => false,
            }
        };
        if alive {
            self.0.told.lock().unwrap().push((name.clone(), word));
            if obeys {
                self.set(name, Phase::Failed);
            }
        }
        alive
    }
}

#[async_trait]
impl Cluster for Memory {
    async fn deploy(&self, job: &Job) -> Result<Deployed, ClusterError> {
        self.call()?;
        let refusing = |left: u64| left.checked_sub(1);
        if self
            .0
            .refusing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, refusing)
            .is_ok()
        {
            return Err(ClusterError::permanent("the image is not allowed"));
        }
        let mut jobs = self.0.jobs.lock().unwrap();
        let created = !jobs.contains_key(&job.name);
        if created {
            let phase = *self.0.first.lock().unwrap();
            let now = self.0.clock.now();
            let state = JobState {
                name: job.name.clone(),
                id: Uuid::new_v4().to_string(),
                run: Some(job.run),
                task: Some(job.task),
                phase,
                pending: None,
                stopping: false,
                pod: Some(Pod {
                    name: format!("{}-pod", job.name),
                    node: Some("node-1".to_owned()),
                    restarts: 0,
                }),
                exit_code: None,
                failure: None,
                created_at: now,
                started_at: (phase != Phase::Pending).then_some(now),
                ended_at: None,
            };
            jobs.insert(job.name.clone(), state);
            self.0.made.lock().unwrap().push(job.name.clone());
        }
        Ok(Deployed {
            id: jobs[&job.name].id.clone(),
            created,
        })
    }

    async fn state(&self, name: &JobName) -> Result<Option<JobState>, ClusterError> {
        self.call()?;
        let mut polls = self.0.polls.lock().unwrap();
        polls.entry(name.clone()).or_default().push(self.0.clock.now());
        Ok(self.0.jobs.lock().unwrap().get(name).cloned())
    }

    async fn states(&self, run: Uuid) -> Result<Vec<JobState>, ClusterError> {
        self.call()?;
        let jobs = self.0.jobs.lock().unwrap();
        Ok(jobs
            .values()
            .filter(|job| job.run == Some(run))
            .cloned()
            .collect())
    }

    async fn stop(&self, name: &JobName, _grace: Duration) -> Result<bool, ClusterError> {
        self.call()?;
        Ok(self.end(name, "stop", self.0.obedient.load(Ordering::SeqCst)))
    }

    async fn delete_pod(&self, name: &JobName) -> Result<bool, ClusterError> {
        self.call()?;
        Ok(self.end(name, "kill", true))
    }

    async fn remove(&self, name: &JobName) -> Result<bool, ClusterError> {
        self.call()?;
        self.end(name, "kill", true);
        Ok(self.0.jobs.lock().unwrap().remove(name).is_some())
    }

    async fn log_tail(&self, name: &JobName, lines: usize) -> Result<String, ClusterError> {
        self.call()?;
        Ok(format!("the last of at most {lines} lines of {name}"))
    }

    async fn all(&self) -> Result<Vec<JobState>, ClusterError> {
        self.call()?;
        self.0.sweeps.lock().unwrap().push(self.0.clock.now());
        Ok(self.jobs())
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        futures::stream::unfold(self.0.changes.subscribe(), |mut heard| async move {
            loop {
                match heard.recv().await {
                    Ok(change) => return Some((change, heard)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }
}
