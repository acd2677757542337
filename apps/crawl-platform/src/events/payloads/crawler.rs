//! Crawlers and their runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payload;

/// A run of a crawler has begun to work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrawlerRunStarted {
    /// The run's id.
    #[schemars(length(min = 1))]
    pub run: String,
    /// The crawler's id.
    pub crawler: String,
    /// The report's id.
    pub report: String,
    /// UUID of the project that the report belongs to.
    pub project: String,
    /// When, as in RFC 3339.
    pub started_at: String,
}
payload!(
    CrawlerRunStarted,
    "CrawlerRunStartedEvent",
    "vortex-backend",
    run,
    Self {
        run: "run-1".to_owned(),
        crawler: "c-1".to_owned(),
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        started_at: "2026-03-02T09:00:00Z".to_owned(),
    }
);

/// How far a run is; it comes again and again while the run works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryStatsAdded {
    /// The run's id.
    #[schemars(length(min = 1))]
    pub run: String,
    /// The report's id.
    pub report: String,
    /// UUID of the project that the report belongs to.
    pub project: String,
    /// Counts the run's statistics, from 1: each is handled once.
    pub sequence: u64,
    /// Records so far.
    pub records: u64,
    /// Pages so far.
    pub pages: u64,
    /// Pages that failed so far.
    #[serde(default)]
    pub errors: u64,
}
payload!(
    HistoryStatsAdded,
    "HistoryStatsAddedEvent",
    "vortex-backend",
    run,
    Self {
        run: "run-1".to_owned(),
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        sequence: 2,
        records: 600,
        pages: 30,
        errors: 1,
    }
);

/// A run has ended, and what it brought is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrawlerSummaryCalculated {
    /// The run's id.
    #[schemars(length(min = 1))]
    pub run: String,
    /// The crawler's id.
    pub crawler: String,
    /// The report's id.
    pub report: String,
    /// UUID of the project that the report belongs to.
    pub project: String,
    /// The run's status, such as `COMPLETED`.
    pub status: String,
    /// Records in all.
    pub records: u64,
    /// Pages in all.
    pub pages: u64,
    /// Pages that failed.
    #[serde(default)]
    pub errors: u64,
    /// How long the run took.
    pub seconds: u64,
}
payload!(
    CrawlerSummaryCalculated,
    "CrawlerSummaryCalculatedEvent",
    "eq-processor",
    run,
    Self {
        run: "run-1".to_owned(),
        crawler: "c-1".to_owned(),
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        status: "COMPLETED".to_owned(),
        records: 1200,
        pages: 60,
        errors: 1,
        seconds: 95,
    }
);

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look at it.
    Warning,
    /// Data are missing or late.
    Critical,
}

/// Something is wrong with a crawler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrawlerIncident {
    /// The incident's id.
    #[schemars(length(min = 1))]
    pub incident: String,
    /// The crawler's id.
    pub crawler: String,
    /// The run's id, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// UUID of the project that the crawler works for.
    pub project: String,
    /// How bad it is.
    pub severity: Severity,
    /// What has happened.
    pub summary: String,
}
payload!(
    CrawlerIncident,
    "CrawlerIncidentEvent",
    "vortex-backend",
    incident,
    Self {
        incident: "inc-2".to_owned(),
        crawler: "c-1".to_owned(),
        run: Some("run-1".to_owned()),
        project: "p-1".to_owned(),
        severity: Severity::Critical,
        summary: "The pod has been pending for 20 minutes: 0/3 nodes are available".to_owned(),
    }
);
