//! The scheduler: puts the jobs of runs on the cluster.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, ClusterError, Job, JobName},
    crash::{self, Moment},
    output::Outputs,
    store::{CrawlerDefinition, Run, Store, StoreError, TaskStatus},
};

/// The job is not on the cluster.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The database does not answer, or does not know the run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cluster does not answer, or refuses the job.
    #[error("the cluster does not take the job {job}: {source}")]
    Cluster {
        /// The job.
        job: JobName,
        /// What the cluster says.
        source: ClusterError,
    },
}

impl DeployError {
    /// Whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Cluster { source, .. } => source.is_retryable(),
        }
    }
}

/// What a deployment came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainDeployment {
    /// The main job.
    pub job: JobName,
    /// The id that the cluster gave it.
    pub job_id: Option<String>,
    /// Whether it was put there now; false if it was there, or had been.
    pub created: bool,
}

/// Deploys jobs. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    store: Store,
    cluster: Arc<dyn Cluster>,
    outputs: Outputs,
}

impl Scheduler {
    /// A scheduler of this cluster.
    pub fn new(store: Store, cluster: Arc<dyn Cluster>, outputs: Outputs) -> Self {
        Self {
            store,
            cluster,
            outputs,
        }
    }

    /// Deploys a run's main job, and as many of the others as may run beside it; attempt `number`, from 1, of them.
    ///
    /// What the database has as deployed is not deployed again, whether or not the cluster still has it: so a workflow that
    /// goes on with a run of before starts nothing twice.
    ///
    /// # Errors
    ///
    /// [`DeployError`].
    pub async fn deploy(&self, run: Uuid, number: u32) -> Result<MainDeployment, DeployError> {
        let record = self.store.run(run).await?;
        let main = self.store.task_of(run, 0).await?;
        let name = JobName::of(run, 0, number);
        let begun = matches!(main.status, TaskStatus::Queued | TaskStatus::Pending);
        if !begun || (main.job_name == name && main.status == TaskStatus::Pending) {
            self.note(run, number, main.job_id.as_deref()).await?;
            return Ok(MainDeployment {
                job: main.job_name,
                job_id: main.job_id,
                created: false,
            });
        }
        self.store
            .begin_deployment(run, number, &name, self.store.now())
            .await?;
        if main.job_name != name {
            self.store.requeue(main.id, &main.job_name, &name).await?;
        }
        let crawler = self.store.crawler(record.crawler_id).await?.definition;
        let deployed = self.deploy_task(&record, &crawler, main.id, 0, &name).await;
        let (job_id, created) = match deployed {
            Ok(deployed) => deployed,
            Err(error) => {
                let text = error.to_string();
                self.store
                    .end_deployment(run, number, None, &text, self.store.now())
                    .await?;
                return Err(error);
            }
        };
        self.store
            .end_deployment(run, number, job_id.as_deref(), "deployed", self.store.now())
            .await?;
        self.dispatch(run).await?;
        Ok(MainDeployment {
            job: name,
            job_id,
            created,
        })
    }

    /// Notes that a deployment is done whose end was not noted, as the process ended in between.
    async fn note(&self, run: Uuid, number: u32, job_id: Option<&str>) -> Result<(), DeployError> {
        let deployments = self.store.deployments(run).await?;
        let this = deployments.iter().find(|it| it.number == number);
        if this.is_some_and(|it| it.outcome.is_none()) {
            let now = self.store.now();
            self.store
                .end_deployment(run, number, job_id, "deployed", now)
                .await?;
        }
        Ok(())
    }

    /// Deploys the next tasks of a run that wait, as far as it may run them side by side; returns how many.
    ///
    /// # Errors
    ///
    /// [`DeployError`].
    pub async fn dispatch(&self, run: Uuid) -> Result<u32, DeployError> {
        let active = self.store.active_tasks(run).await?;
        let (queued, deployed): (Vec<_>, Vec<_>) = active
            .into_iter()
            .partition(|task| task.status == TaskStatus::Queued);
        if queued.is_empty() {
            return Ok(0);
        }
        let record = self.store.run(run).await?;
        if record.stop_requested.is_some() || record.status.is_final() {
            return Ok(0);
        }
        let crawler = self.store.crawler(record.crawler_id).await?.definition;
        let room = crawler.parallel.map_or(usize::MAX, |parallel| parallel as usize);
        let mut count = 0;
        for task in queued.iter().take(room.saturating_sub(deployed.len())) {
            self.deploy_task(&record, &crawler, task.id, task.process, &task.job)
                .await?;
            count += 1;
        }
        Ok(count)
    }

    /// Deploys one task: the job's id, and whether it was made now.
    async fn deploy_task(
        &self,
        run: &Run,
        crawler: &CrawlerDefinition,
        task: Uuid,
        process: u32,
        name: &JobName,
    ) -> Result<(Option<String>, bool), DeployError> {
        let job = self.job(run, crawler, task, process, name);
        let refused = |source| DeployError::Cluster {
            job: name.clone(),
            source,
        };
        let deployed = self.cluster.deploy(&job).await.map_err(refused)?;
        crash::at(Moment::After, "deploy");
        let now = self.store.now();
        let kept = self.store.set_deployed(task, name, &deployed.id, now).await?;
        let stopped = self.store.run(run.id).await?.stop_requested.is_some();
        if !kept && stopped {
            // Cancelled in the meantime: nobody waits for it.
            self.cluster.stop(name, Duration::ZERO).await.map_err(refused)?;
        }
        Ok((Some(deployed.id), deployed.created))
    }

    fn job(&self, run: &Run, crawler: &CrawlerDefinition, task: Uuid, process: u32, name: &JobName) -> Job {
        let mut env = crawler.env.clone();
        let output = self.outputs.of(run.id, process);
        env.extend([
            ("CRAWL_RUN".to_owned(), run.id.to_string()),
            ("CRAWL_TASK".to_owned(), task.to_string()),
            ("CRAWL_PROCESS".to_owned(), process.to_string()),
            ("CRAWL_PROCESSES".to_owned(), run.processes.to_string()),
            ("CRAWL_OUTPUT".to_owned(), output.to_string_lossy().into_owned()),
        ]);
        let crawls = crawler.command.is_empty() && crawler.args.is_empty();
        Job {
            name: name.clone(),
            run: run.id,
            task,
            image: crawler.image.clone(),
            command: crawler.command.clone(),
            args: if crawls {
                vec!["crawl".to_owned()]
            } else {
                crawler.args.clone()
            },
            env,
            labels: BTreeMap::new(),
        }
    }
}
