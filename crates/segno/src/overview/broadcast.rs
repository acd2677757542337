//! The figures again and again, for everybody who looks: read once, however many look, and not at all while nobody does.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Overview, Reader};

/// How often they are read.
const PERIOD: Duration = Duration::from_secs(1);
/// How much of the time may go into reading them at most: where an engine takes long to count, it is asked less often.
const SHARE: u32 = 4;
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is told: figures, or that there are none.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    Overview(Box<Overview>),
    /// Why they cannot be read.
    Unavailable(String),
}

/// The figures as they change. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Broadcast {
    reader: Reader,
    told: watch::Sender<Option<Arc<Told>>>,
    /// Whether somebody reads them.
    reading: Arc<Mutex<bool>>,
    stopping: CancellationToken,
}

impl Broadcast {
    /// Reads until it is stopped.
    pub(crate) fn new(reader: Reader, stopping: CancellationToken) -> Self {
        Self {
            reader,
            told: watch::Sender::new(None),
            reading: Arc::default(),
            stopping,
        }
    }

    /// What is told from now on.
    pub(crate) fn look(&self) -> watch::Receiver<Option<Arc<Told>>> {
        let mut reading = self.reading.lock();
        if !*reading {
            *reading = true;
            // What was told to somebody before may be old.
            self.told.send_replace(None);
            tokio::spawn(self.clone().read());
        }
        let mut looking = self.told.subscribe();
        // What was told last is told to whoever comes now.
        looking.mark_changed();
        looking
    }

    /// Cancelled once nothing more is told.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// How many look.
    pub(crate) fn lookers(&self) -> usize {
        self.told.receiver_count()
    }

    /// What takes the figures.
    pub(crate) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The figures now.
    pub(crate) async fn now(&self) -> Result<Overview, temporalio_client::tonic::Status> {
        self.reader.read().await
    }

    async fn read(self) {
        loop {
            let began = Instant::now();
            let told = match tokio::time::timeout(PATIENCE, self.reader.read()).await {
                Ok(Ok(overview)) => Told::Overview(Box::new(overview)),
                Ok(Err(status)) => Told::Unavailable(status.message().to_owned()),
                Err(_) => Told::Unavailable("the engine does not answer".to_owned()),
            };
            self.told.send_replace(Some(Arc::new(told)));
            let took = began.elapsed();
            let pause = PERIOD.saturating_sub(took).max(took * (SHARE - 1));
            let stopped = self
                .stopping
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none();
            let mut reading = self.reading.lock();
            if stopped || self.told.receiver_count() == 0 {
                *reading = false;
                return;
            }
        }
    }
}
