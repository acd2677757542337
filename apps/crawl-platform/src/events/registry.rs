//! All business events, in one table: each with its workflow, and with what people want to know of it.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use segno::{Builder, Event};
use serde_json::Value;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};

use super::{
    payloads::*,
    workflows::{self, Outcome, Steps, payload},
};

/// What is known of a business event.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The type of its events, such as `TicketCommentedEvent`.
    pub ty: &'static str,
    /// The services that emit it.
    pub sources: &'static [&'static str],
    /// The type of the workflow that handles it.
    pub workflow: &'static str,
    /// What two events of the same thing have in common, in CEL.
    pub key: &'static str,
    /// What it sets off.
    pub does: &'static str,
    /// The systems that have to do with it.
    pub with: &'static str,
    /// The JSON Schema of its data.
    pub schema: fn() -> Value,
    /// Its data, as they may come.
    pub example: fn() -> Value,
}

impl Definition {
    /// Its name: the type without `Event`.
    pub fn name(&self) -> &'static str {
        self.ty.strip_suffix("Event").unwrap_or(self.ty)
    }
}

/// The definition of an event of this type.
pub fn definition(ty: &str) -> Option<&'static Definition> {
    EVENTS.iter().find(|event| event.ty == ty)
}

/// The types of all events.
pub fn types() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().map(|event| event.ty)
}

/// The schemas by the names of their files.
pub fn schemas() -> BTreeMap<String, Value> {
    EVENTS
        .iter()
        .map(|event| (format!("{}.json", event.ty), (event.schema)()))
        .collect()
}

fn schema_of<P: Payload>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<P>()
        .to_value()
}

fn example_of<P: Payload>() -> Value {
    // Payloads are plain data: what cannot be written would be seen by the tests of the examples.
    serde_json::to_value(P::example()).unwrap_or_default()
}

/// For each event: its workflow, its definition, and its registration.
macro_rules! business_events {
    ($($workflow:ident, $name:tt = $run:ident($payload:ident) {
        sources: $sources:tt,
        key: $key:tt,
        does: $does:tt,
        with: $with:tt,
    })*) => {
        $(
            #[doc = concat!("The workflow of a `", stringify!($payload), "Event`: see its definition.")]
            #[workflow]
            #[derive(Debug, Default)]
            pub struct $workflow;

            #[workflow_methods]
            impl $workflow {
                /// Handles one event.
                #[run(name = $name)]
                pub async fn run(ctx: &mut WorkflowContext<Self>, event: Event) -> WorkflowResult<Outcome> {
                    let data: $payload = payload(&event)?;
                    let steps = Steps::begin(ctx, &event).await?;
                    workflows::$run(&steps, data).await?;
                    Ok(steps.outcome())
                }
            }
        )*

        /// All business events.
        pub const EVENTS: &[Definition] = &[$(
            Definition {
                ty: $payload::TYPE,
                sources: &$sources,
                workflow: $name,
                key: $key,
                does: $does,
                with: $with,
                schema: schema_of::<$payload>,
                example: example_of::<$payload>,
            },
        )*];

        /// Registers the workflow of each event.
        pub(super) fn workflows(builder: Builder) -> Builder {
            builder$(.workflow::<$workflow>())*
        }
    };
}

business_events! {
    TicketCommentedEventWorkflow, "TicketCommentedEventWorkflow" = ticket_commented(TicketCommented) {
        sources: ["phoenix-webhooks"],
        key: "event.data.ticket + '/' + event.data.comment",
        does: "Mails a comment to the ticket's watchers, participants and subscribed platform users, but never to its author; an internal note to internal users alone. A comment that came by mail is not mailed again.",
        with: "Jira, platform, mail",
    }
    ContactMessageRepliedEventWorkflow, "ContactMessageRepliedEventWorkflow" = contact_message_replied(ContactMessageReplied) {
        sources: ["phoenix-webhooks"],
        key: "event.data.message_id",
        does: "Adds an answer to such a mail to the ticket as a comment of the person who answered, and mails it as above.",
        with: "Jira, platform, mail",
    }
    TicketCreatedEventWorkflow, "TicketCreatedEventWorkflow" = ticket_created(TicketCreated) {
        sources: ["phoenix-webhooks"],
        key: "event.data.ticket",
        does: "Has the support service write the project's properties to the ticket and to HubSpot.",
        with: "support service (Jira, HubSpot)",
    }
    TicketUpdatedEventWorkflow, "TicketUpdatedEventWorkflow" = ticket_updated(TicketUpdated) {
        sources: ["phoenix-webhooks"],
        key: "event.data.ticket + '/' + event.data.change",
        does: "Has the support service read the ticket, and write its properties to HubSpot.",
        with: "support service (HubSpot)",
    }
    TicketTransitionedEventWorkflow, "TicketTransitionedEventWorkflow" = ticket_transitioned(TicketTransitioned) {
        sources: ["phoenix-webhooks"],
        key: "event.data.ticket + '/' + event.data.change",
        does: "Has the support service write the ticket's properties to HubSpot.",
        with: "support service (HubSpot)",
    }
    ReportCreatedEventWorkflow, "ReportCreatedEventWorkflow" = report_created(ReportCreated) {
        sources: ["phoenix-webhooks", "phoenix-api"],
        key: "event.data.report",
        does: "Writes the list of the project's reports to the project's object in the search index.",
        with: "platform, Algolia",
    }
    ReportUpdatedEventWorkflow, "ReportUpdatedEventWorkflow" = report_updated(ReportUpdated) {
        sources: ["phoenix-webhooks"],
        key: "event.data.report + '/' + string(event.data.revision)",
        does: "Finds the report's project, and writes the list of the project's reports, and nothing else, to its object in the search index.",
        with: "platform, Algolia",
    }
    ReportCanceledEventWorkflow, "ReportCanceledEventWorkflow" = report_canceled(ReportCanceled) {
        sources: ["phoenix-projects-service"],
        key: "event.data.report",
        does: "The same list; the report's page is told, and the project's subscribed users but for who cancelled it are mailed.",
        with: "platform, Algolia, Pusher, mail",
    }
    ReportSchemaGeneratedEventWorkflow, "ReportSchemaGeneratedEventWorkflow" = report_schema_generated(ReportSchemaGenerated) {
        sources: ["phoenix-webhooks"],
        key: "event.data.report + '/' + string(event.data.version)",
        does: "Gives the schema to the report service.",
        with: "report service",
    }
    ReportRunFailedEventWorkflow, "ReportRunFailedEventWorkflow" = report_run_failed(ReportRunFailed) {
        sources: ["phoenix-flink-crawler-events"],
        key: "event.data.run",
        does: "Sets the report's latest run to FAILED with the reason, tells the report's page, mails the reason to internal users who follow runs, and customers that it is looked after.",
        with: "platform, Pusher, mail",
    }
    ReportRunStoppedEventWorkflow, "ReportRunStoppedEventWorkflow" = report_run_stopped(ReportRunStopped) {
        sources: ["vortex-backend"],
        key: "event.data.run",
        does: "Tells the front end, whose stop-progress bar ends.",
        with: "Pusher",
    }
    ReportDeliveryInitiatedEventWorkflow, "ReportDeliveryInitiatedEventWorkflow" = report_delivery_initiated(ReportDeliveryInitiated) {
        sources: ["vortex-backend"],
        key: "event.data.delivery",
        does: "Tells the report's page that data are on their way.",
        with: "Pusher",
    }
    DataDeliveryFailedEventWorkflow, "DataDeliveryFailedEventWorkflow" = data_delivery_failed(DataDeliveryFailed) {
        sources: ["vortex-backend"],
        key: "event.data.delivery",
        does: "Makes a ticket on the board OPS, tells the report's page, mails the reason to internal users who follow deliveries, and customers that data are late.",
        with: "support service (Jira), platform, Pusher, mail",
    }
    CrawlerRunStartedEventWorkflow, "CrawlerRunStartedEventWorkflow" = crawler_run_started(CrawlerRunStarted) {
        sources: ["vortex-backend"],
        key: "event.data.run",
        does: "Sets the report's latest run to PROCESSING.",
        with: "platform",
    }
    HistoryStatsAddedEventWorkflow, "HistoryStatsAddedEventWorkflow" = history_stats_added(HistoryStatsAdded) {
        sources: ["vortex-backend"],
        key: "event.data.run + '/' + string(event.data.sequence)",
        does: "Tells the report's page how far the run is.",
        with: "Pusher",
    }
    CrawlerSummaryCalculatedEventWorkflow, "CrawlerSummaryCalculatedEventWorkflow" = crawler_summary_calculated(CrawlerSummaryCalculated) {
        sources: ["eq-processor"],
        key: "event.data.run + '/' + event.data.status",
        does: "Sets the report's latest run with its records, the project's last run in the search index, and mails the summary to users who follow runs.",
        with: "platform, Algolia, mail",
    }
    CrawlerIncidentEventWorkflow, "CrawlerIncidentEventWorkflow" = crawler_incident(CrawlerIncident) {
        sources: ["vortex-backend"],
        key: "event.data.incident",
        does: "Makes a ticket on the board OPS; of a critical incident internal users who follow runs are mailed.",
        with: "support service (Jira), platform, mail",
    }
    ProjectCreatedEventWorkflow, "ProjectCreatedEventWorkflow" = project_created(ProjectCreated) {
        sources: ["phoenix-projects-service"],
        key: "event.data.project",
        does: "Has the report service write the project to the search index, makes its maker a contact, and mails who looks after the account.",
        with: "report service (Algolia), HubSpot, platform, mail",
    }
    ProjectUpdatedEventWorkflow, "ProjectUpdatedEventWorkflow" = project_updated(ProjectUpdated) {
        sources: ["phoenix-projects-service"],
        key: "event.data.project + '/' + string(event.data.revision)",
        does: "Has the report service write the project to the search index.",
        with: "report service (Algolia)",
    }
    MetadataUpdatedEventWorkflow, "MetadataUpdatedEventWorkflow" = metadata_updated(MetadataUpdated) {
        sources: ["phoenix-projects-service"],
        key: "event.data.project + '/' + string(event.data.revision)",
        does: "Writes the project's metadata to the search index, and through the support service to the project's ticket and HubSpot.",
        with: "platform, Algolia, support service (Jira, HubSpot)",
    }
    UserProjectAddedEventWorkflow, "UserProjectAddedEventWorkflow" = user_project_added(UserProjectAdded) {
        sources: ["phoenix-account-service"],
        key: "event.data.project + '/' + event.data.user",
        does: "Mails the user, and notes the project with their contact.",
        with: "platform, HubSpot, mail",
    }
    CustomerProjectTransferredEventWorkflow, "CustomerProjectTransferredEventWorkflow" = customer_project_transferred(CustomerProjectTransferred) {
        sources: ["phoenix-projects-service"],
        key: "event.data.transfer",
        does: "Has the project written to the search index, its ticket and HubSpot, and mails both customers.",
        with: "report service (Algolia), support service (Jira, HubSpot), platform, mail",
    }
    UserCreatedEventWorkflow, "UserCreatedEventWorkflow" = user_created(UserCreated) {
        sources: ["phoenix-account-service"],
        key: "event.data.user",
        does: "Makes the user a contact, and welcomes them by mail.",
        with: "HubSpot, mail",
    }
    UserTeamInvitedEventWorkflow, "UserTeamInvitedEventWorkflow" = user_team_invited(UserTeamInvited) {
        sources: ["phoenix-account-service"],
        key: "event.data.invitation",
        does: "Mails the invitation.",
        with: "mail",
    }
    PasswordResetRequestedEventWorkflow, "PasswordResetRequestedEventWorkflow" = password_reset_requested(PasswordResetRequested) {
        sources: ["phoenix-account-service"],
        key: "event.data.request",
        does: "Mails the link to the user.",
        with: "mail",
    }
    InactiveUserDetectedEventWorkflow, "InactiveUserDetectedEventWorkflow" = inactive_user_detected(InactiveUserDetected) {
        sources: ["phoenix-account-service"],
        key: "event.data.user",
        does: "Notes the days with the contact, and reminds the user by mail if they take such mails; within a week once.",
        with: "HubSpot, mail",
    }
    LoginEmailDeliveredEventWorkflow, "LoginEmailDeliveredEventWorkflow" = login_email_delivered(LoginEmailDelivered) {
        sources: ["phoenix-account-service"],
        key: "event.data.message_id",
        does: "Tells the page that waits for the mail, and notes the time with the contact.",
        with: "Pusher, HubSpot",
    }
    ContactFormSubmittedEventWorkflow, "ContactFormSubmittedEventWorkflow" = contact_form_submitted(ContactFormSubmitted) {
        sources: ["phoenix-webhooks"],
        key: "event.data.submission",
        does: "Makes the sender a contact and a ticket on the board MC, and mails them that it has arrived.",
        with: "HubSpot, support service (Jira), mail",
    }
    MeetingScheduledEventWorkflow, "MeetingScheduledEventWorkflow" = meeting_scheduled(MeetingScheduled) {
        sources: ["phoenix-webhooks"],
        key: "event.data.meeting",
        does: "Has the support service make a ticket on the board MC, for tracking leads.",
        with: "support service (Jira)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_29_each_with_a_workflow_of_its_own() {
        assert_eq!(EVENTS.len(), 29);
        let mut names: Vec<_> = EVENTS.iter().map(|event| event.workflow).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 29);
        for event in EVENTS {
            assert_eq!(event.workflow, format!("{}Workflow", event.ty));
            assert!(event.ty.ends_with("Event") && !event.sources.is_empty() && !event.does.is_empty());
        }
        assert!(definition("ReportUpdatedEvent").is_some() && definition("ReportUpdated").is_none());
    }
}
