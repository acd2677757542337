//! The business events that a run's life sets off, and its end.

use temporalio_sdk::activities::ActivityError;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    StopRequest,
    activities::store_failure,
    rules::{Ending, ending},
};
use crate::{
    events::payloads::{
        CrawlerIncident, CrawlerRunStarted, CrawlerSummaryCalculated, HistoryStatsAdded, ReportRunFailed,
        ReportRunStopped, Severity,
    },
    store::{CrawlerDefinition, Run, RunStatus, Store},
};

/// Makes the payloads of a run's events.
pub(super) struct Completion<'a> {
    pub(super) store: &'a Store,
}

/// What a run has come to.
pub(super) struct Concluded {
    pub(super) ending: Ending,
    pub(super) summary: CrawlerSummaryCalculated,
    /// None if it has not failed, or was stopped, which is told otherwise.
    pub(super) failed: Option<ReportRunFailed>,
}

/// The report of a crawler's records; one without has that of its own id.
pub(crate) fn report_of(run: &Run, crawler: &CrawlerDefinition) -> String {
    crawler
        .report_id
        .clone()
        .unwrap_or_else(|| run.crawler_id.to_string())
}

/// The project that a crawler works for; one without is its own.
pub(crate) fn project_of(run: &Run, crawler: &CrawlerDefinition) -> String {
    crawler
        .project_id
        .clone()
        .unwrap_or_else(|| run.crawler_id.to_string())
}

fn written(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

impl Completion<'_> {
    async fn run(&self, run: Uuid) -> Result<(Run, CrawlerDefinition), ActivityError> {
        let run = self.store.run(run).await.map_err(store_failure)?;
        let crawler = self.store.crawler(run.crawler_id).await.map_err(store_failure)?;
        Ok((run, crawler.definition))
    }

    pub(super) async fn started(&self, run: Uuid) -> Result<CrawlerRunStarted, ActivityError> {
        let (run, crawler) = self.run(run).await?;
        Ok(CrawlerRunStarted {
            run: run.id.to_string(),
            crawler: run.crawler_id.to_string(),
            report: report_of(&run, &crawler),
            project: project_of(&run, &crawler),
            started_at: written(run.started_at.unwrap_or(run.created_at)),
        })
    }

    pub(super) async fn saturation(&self, run: Uuid, reason: &str) -> Result<CrawlerIncident, ActivityError> {
        let (run, crawler) = self.run(run).await?;
        Ok(CrawlerIncident {
            incident: format!("{}/saturation", run.id),
            crawler: run.crawler_id.to_string(),
            run: Some(run.id.to_string()),
            project: project_of(&run, &crawler),
            severity: Severity::Warning,
            summary: format!("the run's job waits for too long: {reason}"),
        })
    }

    pub(super) async fn stats(&self, run: Uuid, number: u64) -> Result<HistoryStatsAdded, ActivityError> {
        let summary = self.store.summary(run).await.map_err(store_failure)?;
        let (run, crawler) = self.run(run).await?;
        Ok(HistoryStatsAdded {
            run: run.id.to_string(),
            report: report_of(&run, &crawler),
            project: project_of(&run, &crawler),
            sequence: number,
            records: summary.records,
            pages: summary.pages,
            errors: summary.errors,
        })
    }

    pub(super) async fn stopped(
        &self,
        run: Uuid,
        stop: &StopRequest,
    ) -> Result<ReportRunStopped, ActivityError> {
        let (run, crawler) = self.run(run).await?;
        Ok(ReportRunStopped {
            run: run.id.to_string(),
            report: report_of(&run, &crawler),
            project: project_of(&run, &crawler),
            stopped_by: Some(stop.by.clone()),
            forced: stop.force,
        })
    }

    /// Gives a run its final status. One that has it already keeps it.
    pub(super) async fn conclude(
        &self,
        run: Uuid,
        stop: Option<&StopRequest>,
        undeployed: Option<&str>,
    ) -> Result<Concluded, ActivityError> {
        let summary = self.store.summary(run).await.map_err(store_failure)?;
        let mut end = ending(&summary, stop.map(|stop| stop.by.as_str()));
        if let (None, Some(reason)) = (stop, undeployed) {
            end = Ending {
                status: RunStatus::Failed,
                reason: Some(reason.to_owned()),
            };
        }
        let now = self.store.now();
        self.store
            .conclude(run, end.status, end.reason.as_deref(), now)
            .await
            .map_err(store_failure)?;
        let (run, crawler) = self.run(run).await?;
        let (report, project) = (report_of(&run, &crawler), project_of(&run, &crawler));
        let took = run.ended_at.unwrap_or(now) - run.started_at.unwrap_or(run.created_at);
        let failed = (run.status == RunStatus::Failed && stop.is_none()).then(|| ReportRunFailed {
            run: run.id.to_string(),
            report: report.clone(),
            project: project.clone(),
            reason: run.reason.clone().unwrap_or_default(),
        });
        Ok(Concluded {
            ending: Ending {
                status: run.status,
                reason: run.reason.clone(),
            },
            summary: CrawlerSummaryCalculated {
                run: run.id.to_string(),
                crawler: run.crawler_id.to_string(),
                report,
                project,
                status: run.status.name().to_owned(),
                records: summary.records,
                pages: summary.pages,
                errors: summary.errors,
                seconds: u64::try_from(took.whole_seconds()).unwrap_or(0),
            },
            failed,
        })
    }
}
