//! Reports, their runs, and the delivery of their data.

use serde_json::{Value, json};
use temporalio_sdk::WorkflowTermination;

use super::steps::Steps;
use crate::events::{
    activities::{
        BusinessActivities, NewTicket, Push, RecordUpdate, ReportView, RunView, SetRun, SyncSchema, Topic,
    },
    payloads::{
        DataDeliveryFailed, Person, ReportCanceled, ReportCreated, ReportDeliveryInitiated, ReportRunFailed,
        ReportRunStopped, ReportSchemaGenerated, ReportUpdated,
    },
};

type Done = Result<(), WorkflowTermination>;

/// The board of those who keep crawlers and deliveries going.
pub(super) const OPERATIONS: &str = "OPS";
/// How often the list of reports is written again because it was changed meanwhile.
const MOST_WRITES: u32 = 5;

/// Tells the page of a report what has happened.
pub(super) async fn push<W: 'static>(steps: &Steps<W>, report: &str, event: &str, data: Value) -> Done {
    let push = Push {
        channel: format!("private-report-{report}"),
        event: event.to_owned(),
        data,
    };
    steps.run(BusinessActivities::push, push).await?;
    steps.note("the front end");
    Ok(())
}

/// Sets what a report's page shows of its latest run.
pub(super) async fn set_run<W: 'static>(steps: &Steps<W>, report: &str, run: RunView) -> Done {
    let set = SetRun {
        key: steps.key("set-run"),
        report: report.to_owned(),
        run,
    };
    steps.run(BusinessActivities::set_report_run, set).await?;
    steps.note("the report's latest run on the platform");
    Ok(())
}

/// Writes the list of a project's reports, and nothing else, to the project's object in the search index.
///
/// Two events about one project may be handled at once, and the one that has read first may write last. So who has written
/// reads once more, and writes again what has changed meanwhile: then the last one to write has seen everything.
async fn index_reports<W: 'static>(steps: &Steps<W>, project: &str) -> Done {
    let mut reports = reports(steps, project).await?;
    for _ in 0..MOST_WRITES {
        let update = RecordUpdate {
            object: project.to_owned(),
            attributes: json!({ "reports": reports }),
        };
        steps.run(BusinessActivities::update_record, update).await?;
        let now = self::reports(steps, project).await?;
        if now == reports {
            break;
        }
        reports = now;
    }
    steps.note(format!(
        "{} reports of the project in the search index",
        reports.len()
    ));
    Ok(())
}

async fn reports<W: 'static>(
    steps: &Steps<W>,
    project: &str,
) -> Result<Vec<ReportView>, WorkflowTermination> {
    steps
        .run(BusinessActivities::project_reports, project.to_owned())
        .await
}

/// A report was made: it is found by searching.
pub(in crate::events) async fn report_created<W: 'static>(steps: &Steps<W>, event: ReportCreated) -> Done {
    index_reports(steps, &event.project).await
}

/// A report was changed: of the project that it belongs to, the list of reports goes to the search index.
pub(in crate::events) async fn report_updated<W: 'static>(steps: &Steps<W>, event: ReportUpdated) -> Done {
    let project = steps
        .run(BusinessActivities::project_of_report, event.report)
        .await?;
    index_reports(steps, &project.id).await
}

/// A report will not be made any more: search and the front end know it, and the project's users are told.
pub(in crate::events) async fn report_canceled<W: 'static>(steps: &Steps<W>, event: ReportCanceled) -> Done {
    index_reports(steps, &event.project).await?;
    push(
        steps,
        &event.report,
        "report-canceled",
        json!({ "reason": event.reason }),
    )
    .await?;
    let report = steps.run(BusinessActivities::report, event.report).await?;
    let data = json!({
        "report": report.name,
        "reason": event.reason,
        "canceled_by": event.canceled_by.as_ref().map(|person| person.name.as_ref().unwrap_or(&person.email)),
    });
    let but = event.canceled_by.map(|person| person.email);
    let templates = (Some("report-canceled"), Some("report-canceled"));
    steps
        .tell(&event.project, Topic::Project, but.as_deref(), templates, &data)
        .await
}

/// A report's schema was found out: the report service takes it.
pub(in crate::events) async fn report_schema_generated<W: 'static>(
    steps: &Steps<W>,
    event: ReportSchemaGenerated,
) -> Done {
    let asked = SyncSchema {
        key: steps.key("sync-schema"),
        report: event.report,
        version: event.version,
        schema: event.schema,
    };
    let version = steps.run(BusinessActivities::sync_schema, asked).await?;
    steps.note(format!("schema {version} in the report service"));
    Ok(())
}

/// A run has failed: the report's page shows it, our own people hear why, and customers that we look after it.
pub(in crate::events) async fn report_run_failed<W: 'static>(
    steps: &Steps<W>,
    event: ReportRunFailed,
) -> Done {
    let run = RunView::new(&event.run, "FAILED").because(&event.reason);
    set_run(steps, &event.report, run).await?;
    push(steps, &event.report, "run-failed", json!({ "run": event.run })).await?;
    let report = steps.run(BusinessActivities::report, event.report).await?;
    let data = json!({ "report": report.name, "run": event.run, "reason": event.reason });
    let templates = (Some("run-failed-internal"), Some("run-failed-external"));
    steps
        .tell(&event.project, Topic::Runs, None, templates, &data)
        .await
}

/// A run was stopped: the front end's progress bar ends.
pub(in crate::events) async fn report_run_stopped<W: 'static>(
    steps: &Steps<W>,
    event: ReportRunStopped,
) -> Done {
    let data = json!({ "run": event.run, "stopped_by": event.stopped_by, "forced": event.forced });
    push(steps, &event.report, "report-stop-progress", data).await
}

/// Data are on their way: the report's page shows it.
pub(in crate::events) async fn report_delivery_initiated<W: 'static>(
    steps: &Steps<W>,
    event: ReportDeliveryInitiated,
) -> Done {
    let data = json!({
        "delivery": event.delivery,
        "run": event.run,
        "destination": event.destination,
        "records": event.records,
    });
    push(steps, &event.report, "delivery-initiated", data).await
}

/// Data could not be delivered: operations have a ticket, the report's page shows it, our own people hear why, and customers
/// that their data are late.
pub(in crate::events) async fn data_delivery_failed<W: 'static>(
    steps: &Steps<W>,
    event: DataDeliveryFailed,
) -> Done {
    let ticket = NewTicket {
        key: steps.key("delivery"),
        board: OPERATIONS.to_owned(),
        summary: format!("Delivery {} of report {} failed", event.delivery, event.report),
        description: format!("To {}: {}", event.destination, event.reason),
        reporter: Person::new("Deliveries", steps.terms().operations()),
        labels: vec!["delivery-failed".to_owned()],
        properties: [
            ("delivery".to_owned(), event.delivery.clone()),
            ("run".to_owned(), event.run.clone()),
        ]
        .into(),
    };
    let ticket = steps.run(BusinessActivities::create_ticket, ticket).await?;
    steps.note(format!("ticket {ticket}"));
    let data = json!({ "delivery": event.delivery, "run": event.run });
    push(steps, &event.report, "delivery-failed", data).await?;
    let report = steps.run(BusinessActivities::report, event.report).await?;
    let data = json!({
        "report": report.name,
        "destination": event.destination,
        "reason": event.reason,
        "ticket": ticket,
    });
    let templates = (Some("delivery-failed-internal"), Some("delivery-failed-external"));
    steps
        .tell(&event.project, Topic::Deliveries, None, templates, &data)
        .await
}
