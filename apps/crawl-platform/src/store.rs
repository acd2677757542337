//! The platform's database: crawlers and their schedules, runs and their tasks, what was corrected and why.
//!
//! What it says about a task is what is wanted, or what was last known: the desired state. What is the case is the
//! [cluster](crate::cluster)'s to say, and reconciliation brings the first in line with the second.
//!
//! Every write may be made again after any outcome: it inserts what is not there, or changes only what still has the status
//! that it is to be changed from. So an activity that is tried again changes nothing twice.

mod crawlers;
pub(crate) mod db;
mod error;
mod export;
mod mails;
mod model;
mod names;
mod page;
mod runs;
mod sweep;
mod tasks;

use db::Db;
use time::OffsetDateTime;

use crate::clock::Clock;

pub use error::StoreError;
pub use export::RecordRow;
pub use model::{
    CorrectionRecord, Crawler, CrawlerDefinition, Deployment, ExportStatus, ExportTo, LogLine,
    MOST_PROCESSES, Overlap, Run, RunStatus, Schedule, ScheduleDefinition, StopMode, Task, TaskStatus,
    Trigger,
};
pub use page::{InvalidCursor, Page, RunFilter};
pub use runs::{NewRun, Summary};
pub use sweep::OpenRun;
pub use tasks::{Applied, TaskReport};

/// The platform's database.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    clock: Clock,
    calls: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Store {
    /// Connects to `sqlite:path`, `mysql://…`, `mariadb://…` or `postgres://…`, and makes the tables where they are missing.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let db = Db::connect(url).await?;
        db.migrate().await?;
        Ok(Self {
            db,
            clock: Clock::system(),
            calls: std::sync::Arc::default(),
        })
    }

    /// The same database with another clock than the machine's.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The time now, by the clock whose times are in the database: who compares it with them asks here.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// How many statements and transactions were sent to the database so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(std::sync::atomic::Ordering::Relaxed)
    }

    async fn rows(&self, statement: db::Statement) -> Result<Vec<db::Row>, StoreError> {
        self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.db.rows(statement).await
    }

    async fn execute(&self, statement: db::Statement) -> Result<u64, StoreError> {
        self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.db.execute(statement).await
    }

    async fn transaction(&self, steps: Vec<db::Step>) -> Result<Vec<u64>, StoreError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.db.transaction(steps).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.rows(db::Statement::new("SELECT 1")).await.map(drop)
    }
}
