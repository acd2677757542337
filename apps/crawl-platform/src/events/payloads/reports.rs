//! Reports of projects, their runs, and the delivery of their data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Person, payload};

/// A report was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportCreated {
    /// The report's id.
    #[schemars(length(min = 1))]
    pub report: String,
    /// UUID of the project that it belongs to.
    pub project: String,
}
payload!(
    ReportCreated,
    "ReportCreatedEvent",
    "phoenix-api",
    report,
    Self {
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
    }
);

/// A report was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportUpdated {
    /// The report's id.
    #[schemars(length(min = 1))]
    pub report: String,
    /// Counts the report's changes: each is handled once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}
payload!(
    ReportUpdated,
    "ReportUpdatedEvent",
    "phoenix-webhooks",
    report,
    Self {
        report: "rep-1".to_owned(),
        revision: Some(2),
    }
);

/// A report will not be made any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportCanceled {
    /// The report's id.
    #[schemars(length(min = 1))]
    pub report: String,
    /// UUID of the project that it belongs to.
    pub project: String,
    /// Who has cancelled it, if a person has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canceled_by: Option<Person>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
payload!(
    ReportCanceled,
    "ReportCanceledEvent",
    "phoenix-projects-service",
    report,
    Self {
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        canceled_by: None,
        reason: Some("The shop has closed".to_owned()),
    }
);

/// The schema of a report's data was found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportSchemaGenerated {
    /// The report's id.
    #[schemars(length(min = 1))]
    pub report: String,
    /// Counts the report's schemas.
    pub version: u64,
    /// The schema: a JSON Schema of one record.
    pub schema: Value,
}
payload!(
    ReportSchemaGenerated,
    "ReportSchemaGeneratedEvent",
    "phoenix-webhooks",
    report,
    Self {
        report: "rep-1".to_owned(),
        version: 3,
        schema: json!({ "type": "object", "properties": { "price": { "type": "number" } } }),
    }
);

/// A run of a report has failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportRunFailed {
    /// The run's id.
    #[schemars(length(min = 1))]
    pub run: String,
    /// The report's id.
    pub report: String,
    /// UUID of the project that the report belongs to.
    pub project: String,
    /// Why.
    pub reason: String,
}
payload!(
    ReportRunFailed,
    "ReportRunFailedEvent",
    "phoenix-flink-crawler-events",
    run,
    Self {
        run: "run-1".to_owned(),
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        reason: "3 of 4 tasks failed: connection refused".to_owned(),
    }
);

/// A run of a report was stopped before its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportRunStopped {
    /// The run's id.
    #[schemars(length(min = 1))]
    pub run: String,
    /// The report's id.
    pub report: String,
    /// UUID of the project that the report belongs to.
    pub project: String,
    /// Who has stopped it, if a person has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// Whether the run was ended without waiting for it.
    #[serde(default)]
    pub forced: bool,
}
payload!(
    ReportRunStopped,
    "ReportRunStoppedEvent",
    "vortex-backend",
    run,
    Self {
        run: "run-1".to_owned(),
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        stopped_by: Some("carla@shop.example".to_owned()),
        forced: false,
    }
);

/// The data of a run are on their way to the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportDeliveryInitiated {
    /// The delivery's id.
    #[schemars(length(min = 1))]
    pub delivery: String,
    /// The run's id.
    pub run: String,
    /// The report's id.
    pub report: String,
    /// UUID of the project that the report belongs to.
    pub project: String,
    /// Where the data go, such as `s3` or `database`.
    pub destination: String,
    /// Records that are delivered.
    pub records: u64,
}
payload!(
    ReportDeliveryInitiated,
    "ReportDeliveryInitiatedEvent",
    "vortex-backend",
    delivery,
    Self {
        delivery: "d-1".to_owned(),
        run: "run-1".to_owned(),
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        destination: "s3".to_owned(),
        records: 1200,
    }
);

/// The data of a run could not be delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataDeliveryFailed {
    /// The delivery's id.
    #[schemars(length(min = 1))]
    pub delivery: String,
    /// The run's id.
    pub run: String,
    /// The report's id.
    pub report: String,
    /// UUID of the project that the report belongs to.
    pub project: String,
    /// Where the data were to go.
    pub destination: String,
    /// Why they do not.
    pub reason: String,
}
payload!(
    DataDeliveryFailed,
    "DataDeliveryFailedEvent",
    "vortex-backend",
    delivery,
    Self {
        delivery: "d-1".to_owned(),
        run: "run-1".to_owned(),
        report: "rep-1".to_owned(),
        project: "p-1".to_owned(),
        destination: "s3".to_owned(),
        reason: "1200 records were counted, and 1180 are stored".to_owned(),
    }
);
