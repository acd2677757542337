//! Delivery of a run's records, once their count is the one that the crawler has made.

use std::sync::Arc;

use async_trait::async_trait;
use segno_sinks::{Delivered, Delivery, Failure, Sink, Sinks};
use serde_json::json;
use uuid::Uuid;

use crate::{
    crash::{self, Moment},
    events::payloads::{DataDeliveryFailed, Payload as _, ReportDeliveryInitiated},
    front_door::{EmitError, FrontDoor, emit},
    lifecycle::{project_of, report_of},
    output::Outputs,
    store::{ExportStatus, ExportTo, RecordRow, Store, StoreError},
};

/// Records that are read before they are written.
const BATCH: usize = 500;

/// Records were not delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records cannot be read.
    #[error("the records cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// EventBridge does not take the event.
    #[error("EventBridge: {0}")]
    Bus(Failure),
    /// No sink is configured for it.
    #[error("the crawler's records go to EventBridge, and the platform's settings have no [eventbridge]")]
    NoBus,
    /// There are not as many records as the crawler has counted.
    #[error("{0}")]
    Mismatch(String),
    /// A business event is not taken in.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

impl ExportError {
    /// Whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Read(error) => error.kind() != std::io::ErrorKind::InvalidData,
            Self::Bus(failure) => matches!(failure, Failure::Retryable { .. }),
            Self::Emit(error) => matches!(error, EmitError::Retryable(_)),
            Self::NoBus | Self::Mismatch(_) => false,
        }
    }
}

/// Delivers records. Cheap to clone.
#[derive(Clone)]
pub struct Exporter {
    store: Store,
    outputs: Outputs,
    bus: Option<Arc<dyn Sink>>,
}

impl Exporter {
    /// Delivers to the database, and where there is one to this bus.
    pub fn new(store: Store, outputs: Outputs, bus: Option<Arc<dyn Sink>>) -> Self {
        Self { store, outputs, bus }
    }

    /// Delivers a run's records, all or none that count.
    ///
    /// # Errors
    ///
    /// [`ExportError`]. One that stays is in the run's record, and a business event tells of it.
    pub async fn export(&self, run: Uuid, door: &dyn FrontDoor) -> Result<(), ExportError> {
        let exported = self.attempt(run, door).await;
        if let Err(error) = &exported
            && !error.is_retryable()
        {
            let reason = error.to_string();
            self.store
                .set_export(run, ExportStatus::Failed, Some(&reason), None)
                .await?;
            let record = self.store.run(run).await?;
            let crawler = self.store.crawler(record.crawler_id).await?.definition;
            let failed = DataDeliveryFailed {
                delivery: format!("{run}/delivery"),
                run: run.to_string(),
                report: report_of(&record, &crawler),
                project: project_of(&record, &crawler),
                destination: crawler.export.to_string(),
                reason,
            };
            emit(door, format!("{run}/delivery/failed"), &failed).await?;
        }
        exported
    }

    async fn attempt(&self, run: Uuid, door: &dyn FrontDoor) -> Result<(), ExportError> {
        let record = self.store.run(run).await?;
        if record.export_status == Some(ExportStatus::Delivered) {
            return Ok(());
        }
        let crawler = self.store.crawler(record.crawler_id).await?.definition;
        let counts = self.matched(run, record.processes).await?;
        self.store
            .set_export(run, ExportStatus::Initiated, None, Some((counts, counts)))
            .await?;
        let initiated = ReportDeliveryInitiated {
            delivery: format!("{run}/delivery"),
            run: run.to_string(),
            report: report_of(&record, &crawler),
            project: project_of(&record, &crawler),
            destination: crawler.export.to_string(),
            records: counts,
        };
        emit(door, format!("{run}/delivery/initiated"), &initiated).await?;
        match crawler.export {
            ExportTo::Database => self.to_database(run, record.processes, counts).await?,
            ExportTo::Eventbridge => {
                let bus = self.bus.as_ref().ok_or(ExportError::NoBus)?;
                let payload = json!({
                    "run": run, "crawler": record.crawler_id, "report": initiated.report, "project": initiated.project,
                    "records": counts, "location": self.outputs.of_run(run).to_string_lossy(),
                });
                let key = format!("{run}/delivery");
                // Where the sink's options say no source and no detail type, they are those of this business event.
                let event = initiated
                    .event(format!("{run}/delivery/initiated"))
                    .map_err(|error| EmitError::Permanent(error.to_string()))?;
                bus.deliver(Delivery::new(&key, &payload).of(&event))
                    .await
                    .map_err(ExportError::Bus)?;
                crash::at(Moment::After, "deliver");
            }
        }
        self.store
            .set_export(run, ExportStatus::Delivered, None, Some((counts, counts)))
            .await?;
        Ok(())
    }

    /// How many records there are, if that is what every process has counted.
    async fn matched(&self, run: Uuid, processes: u32) -> Result<u64, ExportError> {
        let mut all = 0;
        for process in 0..processes {
            let (mut records, mut stored) = (self.outputs.records(run, process).await?, 0);
            while records.next().await?.is_some() {
                stored += 1;
            }
            let counted = self.outputs.metadata(run, process).await?;
            match counted {
                Some(counted) if counted.records == stored => all += stored,
                Some(counted) => {
                    return Err(ExportError::Mismatch(format!(
                        "process {process} has counted {} records, and {stored} are stored",
                        counted.records
                    )));
                }
                None => {
                    return Err(ExportError::Mismatch(format!(
                        "process {process} has left no count of its records, and {stored} are stored"
                    )));
                }
            }
        }
        Ok(all)
    }

    async fn to_database(&self, run: Uuid, processes: u32, counts: u64) -> Result<(), ExportError> {
        self.store.clear_records(run).await?;
        let mut number = 0;
        let mut batch = Vec::with_capacity(BATCH);
        for process in 0..processes {
            let mut records = self.outputs.records(run, process).await?;
            while let Some(data) = records.next().await? {
                batch.push(RecordRow { number, data });
                number += 1;
                if batch.len() == BATCH {
                    self.store.add_records(run, &batch).await?;
                    batch.clear();
                }
            }
        }
        self.store.add_records(run, &batch).await?;
        crash::at(Moment::After, "add_records");
        let stored = self.store.count_records(run).await?;
        if stored == counts {
            Ok(())
        } else {
            Err(ExportError::Mismatch(format!(
                "{counts} records were to be stored, and {stored} are"
            )))
        }
    }
}

/// One of several sinks, by its name.
#[derive(Clone, Debug)]
pub struct Bus {
    sinks: Sinks,
    name: String,
}

impl Bus {
    /// The sink of this name.
    pub fn new(sinks: Sinks, name: impl Into<String>) -> Self {
        Self {
            sinks,
            name: name.into(),
        }
    }
}

#[async_trait]
impl Sink for Bus {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        self.sinks.deliver(&self.name, delivery).await
    }
}
