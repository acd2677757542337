//! Crawlers and their runs.

use serde_json::json;
use temporalio_sdk::WorkflowTermination;

use super::{
    reports::{OPERATIONS, push, set_run},
    steps::Steps,
};
use crate::events::{
    activities::{BusinessActivities, NewTicket, RecordUpdate, RunView, Topic},
    payloads::{
        CrawlerIncident, CrawlerRunStarted, CrawlerSummaryCalculated, HistoryStatsAdded, Person, Severity,
    },
};

type Done = Result<(), WorkflowTermination>;

/// A run works: the report's page shows it as its latest.
pub(in crate::events) async fn crawler_run_started<W: 'static>(
    steps: &Steps<W>,
    event: CrawlerRunStarted,
) -> Done {
    let run = RunView::new(&event.run, "PROCESSING").started(&event.started_at);
    set_run(steps, &event.report, run).await
}

/// How far a run is: the front end's numbers move. They have their sequence, so that older ones change nothing.
pub(in crate::events) async fn history_stats_added<W: 'static>(
    steps: &Steps<W>,
    event: HistoryStatsAdded,
) -> Done {
    let data = json!({
        "run": event.run,
        "sequence": event.sequence,
        "records": event.records,
        "pages": event.pages,
        "errors": event.errors,
    });
    push(steps, &event.report, "run-stats", data).await
}

/// A run has ended: the report's page shows what it brought, the project is found by it, and the project's users hear.
pub(in crate::events) async fn crawler_summary_calculated<W: 'static>(
    steps: &Steps<W>,
    event: CrawlerSummaryCalculated,
) -> Done {
    let run = RunView::new(&event.run, &event.status).with(event.records);
    set_run(steps, &event.report, run).await?;
    let update = RecordUpdate {
        object: event.project.clone(),
        attributes: json!({
            "last_run": { "run": event.run, "report": event.report, "status": event.status, "records": event.records },
        }),
    };
    steps.run(BusinessActivities::update_record, update).await?;
    steps.note("the project's last run in the search index");
    let report = steps.run(BusinessActivities::report, event.report).await?;
    let data = json!({
        "report": report.name,
        "run": event.run,
        "status": event.status,
        "records": event.records,
        "pages": event.pages,
        "errors": event.errors,
        "seconds": event.seconds,
    });
    let templates = (Some("run-summary"), Some("run-summary"));
    steps
        .tell(&event.project, Topic::Runs, None, templates, &data)
        .await
}

/// Something is wrong with a crawler: operations have a ticket, and if data are missing, our own people of the project hear.
pub(in crate::events) async fn crawler_incident<W: 'static>(
    steps: &Steps<W>,
    event: CrawlerIncident,
) -> Done {
    let critical = event.severity == Severity::Critical;
    let mut properties: std::collections::BTreeMap<String, String> = [
        ("incident".to_owned(), event.incident),
        ("crawler".to_owned(), event.crawler.clone()),
    ]
    .into();
    properties.extend(event.run.map(|run| ("run".to_owned(), run)));
    let severity = if critical { "critical" } else { "warning" };
    let ticket = NewTicket {
        key: steps.key("incident"),
        board: OPERATIONS.to_owned(),
        summary: format!("Crawler {}: {}", event.crawler, event.summary),
        description: event.summary.clone(),
        reporter: Person::new("Crawlers", steps.terms().operations()),
        labels: vec!["crawler-incident".to_owned(), severity.to_owned()],
        properties,
    };
    let ticket = steps.run(BusinessActivities::create_ticket, ticket).await?;
    steps.note(format!("ticket {ticket}"));
    if !critical {
        return Ok(());
    }
    let data = json!({ "crawler": event.crawler, "summary": event.summary, "ticket": ticket });
    steps
        .tell(&event.project, Topic::Runs, None, (Some("incident"), None), &data)
        .await
}
