//! The activities: each is one call to a system, or a few that belong together, made so that it can be made again.
//!
//! | system | what makes a second call harmless |
//! |---|---|
//! | Jira | the comment's property has the key; it is looked for first |
//! | the platform's services | the metadata `idempotency-key` |
//! | HubSpot | contacts are upserted by their address |
//! | Algolia | the same attributes set again |
//! | Pusher | what is told is a state with its ids, which can be told again |
//! | files in Jira | a name that only this file of this mail has; it is looked for first |
//! | mail | the `Message-ID`, and a record of what was sent: see [`mail`](self::send_mail) |

mod jira;
mod send_mail;
mod services;
mod systems;
mod types;

use std::{future::Future, sync::Arc, time::Duration};

use segno_crawl_clients::{Error, Failure};
use serde::{Deserialize, Serialize};
use temporalio_macros::activities;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};
use tokio::time::{Instant, interval_at};

pub(super) use jira::size;
pub(super) use send_mail::LEFT;
pub use send_mail::{About, Claim, Letter, Posted, SentMails};
pub use systems::{SetUpError, Systems};
pub use types::*;

use super::{
    audience::{InternalDomains, Member},
    mail_files::MailFiles,
    settings::{Retry, Settings},
    thread::Threads,
};
use crate::crash::{self, Moment};

/// How often an attempt shows that it is alive.
const BEAT: Duration = Duration::from_secs(4);

/// Makes attempts fail after they have had their effect: how a test sees what a worker's death at that place leaves. Told the
/// activity's type and the attempt's number, from 1.
pub type Fault = Arc<dyn Fn(&str, u32) -> bool + Send + Sync>;

/// On which terms an event's steps are carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// How they are tried.
    pub retry: Retry,
    /// The domains of the platform's own people.
    pub internal_domains: InternalDomains,
    /// The domain that mails are from.
    pub mail_domain: String,
    /// How many bytes of files may go along with a mail.
    #[serde(default = "super::settings::largest_files")]
    pub largest_files: u64,
}

impl Terms {
    /// The address in whose name the platform makes tickets.
    pub fn operations(&self) -> String {
        format!("operations@{}", self.mail_domain)
    }
}

/// What the activities need.
pub struct BusinessActivities {
    systems: Systems,
    settings: Settings,
    threads: Threads,
    sent: Arc<dyn SentMails>,
    files: MailFiles,
    fault: Option<Fault>,
}

impl BusinessActivities {
    /// The activities on these systems; `sent` remembers which mails were sent, and `files` has what came with mails.
    pub fn new(systems: Systems, settings: Settings, sent: Arc<dyn SentMails>, files: MailFiles) -> Self {
        Self {
            threads: systems.threads(&settings),
            systems,
            settings,
            sent,
            files,
            fault: None,
        }
    }

    /// The same, where this decides which attempts fail after their effect.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Whether this place is to fail now.
    fn faulty(&self, place: &str, attempt: u32) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault(place, attempt))
    }

    /// One attempt, with signs of life while it lasts.
    async fn attempt<T>(
        &self,
        ctx: &ActivityContext,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, ActivityError> {
        let (name, attempt) = (&ctx.info().activity_type, ctx.info().attempt);
        crash::at(Moment::Before, name);
        tokio::pin!(work);
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = ctx.cancelled() => return Err(ActivityError::cancelled()),
                _ = beat.tick() => ctx.record_heartbeat(()).await?,
            }
        };
        crash::at(Moment::After, name);
        match outcome {
            Ok(done) if !self.faulty(name, attempt) => Ok(done),
            Ok(_) => Err(ActivityError::application(
                ApplicationFailure::builder("the attempt is made to fail after its effect".to_owned())
                    .build(),
            )),
            Err(failure) => {
                tracing::warn!(activity = %name, attempt, reason = %failure, "attempt failed");
                Err(ActivityError::application(translate(failure)))
            }
        }
    }
}

/// A failure as the engine knows them: it decides by this whether and when there is another attempt.
fn translate(failure: Failure) -> ApplicationFailure {
    let builder = ApplicationFailure::builder(failure.to_string()).type_name("System".to_owned());
    match failure {
        Failure::Retryable { retry_after, .. } => builder.maybe_next_retry_delay(retry_after).build(),
        Failure::Permanent { .. } => builder.non_retryable(true).build(),
    }
}

/// A client's error with its service and operation in the words.
fn told(error: Error) -> Failure {
    let words = error.to_string();
    match error.failure {
        Failure::Retryable {
            status, retry_after, ..
        } => Failure::Retryable {
            reason: words,
            status,
            retry_after,
        },
        Failure::Permanent { status, .. } => Failure::Permanent {
            reason: words,
            status,
        },
    }
}

#[activities]
impl BusinessActivities {
    /// On which terms an event of this type is handled, by the settings of now.
    #[activity(name = "terms")]
    pub async fn terms(self: Arc<Self>, _ctx: ActivityContext, ty: String) -> Result<Terms, ActivityError> {
        crash::at(Moment::Before, "terms");
        let terms = Terms {
            retry: self.settings.retry_of(&ty),
            internal_domains: self.settings.internal_domains(),
            mail_domain: self.threads.domain().to_owned(),
            largest_files: self.settings.mail.largest_files,
        };
        crash::at(Moment::After, "terms");
        Ok(terms)
    }

    /// A comment of a ticket, or the latest one.
    #[activity(name = "jira_comment")]
    pub async fn comment(
        self: Arc<Self>,
        ctx: ActivityContext,
        asked: CommentAsked,
    ) -> Result<Option<CommentView>, ActivityError> {
        self.attempt(&ctx, self.get_comment(&asked)).await
    }

    /// A ticket's title, its watchers and its participants.
    #[activity(name = "jira_people")]
    pub async fn ticket_people(
        self: Arc<Self>,
        ctx: ActivityContext,
        ticket: String,
    ) -> Result<TicketPeople, ActivityError> {
        self.attempt(&ctx, self.get_people(&ticket)).await
    }

    /// Adds somebody's answer to a ticket, once.
    #[activity(name = "jira_add_reply")]
    pub async fn add_reply(
        self: Arc<Self>,
        ctx: ActivityContext,
        reply: Reply,
    ) -> Result<CommentView, ActivityError> {
        self.attempt(&ctx, self.put_reply(&reply)).await
    }

    /// Attaches the files that came with an answer to its ticket, each once.
    #[activity(name = "jira_attach_files")]
    pub async fn attach_files(
        self: Arc<Self>,
        ctx: ActivityContext,
        asked: AttachFiles,
    ) -> Result<AttachedFiles, ActivityError> {
        self.attempt(&ctx, self.put_files(&asked)).await
    }

    /// The project that a ticket is about, if there is one.
    #[activity(name = "platform_project_of_ticket")]
    pub async fn ticket_project(
        self: Arc<Self>,
        ctx: ActivityContext,
        ticket: String,
    ) -> Result<Option<ProjectView>, ActivityError> {
        self.attempt(&ctx, self.get_ticket_project(&ticket)).await
    }

    /// A project, with who looks after its account.
    #[activity(name = "platform_project")]
    pub async fn project(
        self: Arc<Self>,
        ctx: ActivityContext,
        id: String,
    ) -> Result<ProjectView, ActivityError> {
        self.attempt(&ctx, self.get_project(&id)).await
    }

    /// The users of a project, and whether they are subscribed to a topic.
    #[activity(name = "platform_project_users")]
    pub async fn project_users(
        self: Arc<Self>,
        ctx: ActivityContext,
        asked: ProjectUsers,
    ) -> Result<Vec<Member>, ActivityError> {
        self.attempt(&ctx, self.get_project_users(&asked)).await
    }

    /// The reports of a project.
    #[activity(name = "platform_project_reports")]
    pub async fn project_reports(
        self: Arc<Self>,
        ctx: ActivityContext,
        project: String,
    ) -> Result<Vec<ReportView>, ActivityError> {
        self.attempt(&ctx, self.get_project_reports(&project)).await
    }

    /// A report.
    #[activity(name = "platform_report")]
    pub async fn report(
        self: Arc<Self>,
        ctx: ActivityContext,
        id: String,
    ) -> Result<ReportView, ActivityError> {
        self.attempt(&ctx, self.get_report(&id)).await
    }

    /// The project that a report belongs to.
    #[activity(name = "platform_project_of_report")]
    pub async fn project_of_report(
        self: Arc<Self>,
        ctx: ActivityContext,
        report: String,
    ) -> Result<ProjectView, ActivityError> {
        self.attempt(&ctx, self.get_project_of_report(&report)).await
    }

    /// Sets what a report's page shows of its latest run.
    #[activity(name = "platform_set_report_run")]
    pub async fn set_report_run(
        self: Arc<Self>,
        ctx: ActivityContext,
        set: SetRun,
    ) -> Result<(), ActivityError> {
        self.attempt(&ctx, self.put_report_run(&set)).await
    }

    /// Has the support service read a ticket.
    #[activity(name = "jsm_sync_ticket")]
    pub async fn sync_ticket(
        self: Arc<Self>,
        ctx: ActivityContext,
        asked: SyncTicket,
    ) -> Result<(), ActivityError> {
        let work = async {
            let synced = self.systems.support.sync_ticket(&asked.key, &asked.ticket).await;
            synced.map(drop).map_err(told)
        };
        self.attempt(&ctx, work).await
    }

    /// Has the support service write a ticket's properties.
    #[activity(name = "jsm_sync_properties")]
    pub async fn sync_properties(
        self: Arc<Self>,
        ctx: ActivityContext,
        asked: SyncProperties,
    ) -> Result<(), ActivityError> {
        self.attempt(&ctx, self.put_properties(&asked)).await
    }

    /// Has the support service make a ticket, once. Its key.
    #[activity(name = "jsm_create_ticket")]
    pub async fn create_ticket(
        self: Arc<Self>,
        ctx: ActivityContext,
        ticket: NewTicket,
    ) -> Result<String, ActivityError> {
        self.attempt(&ctx, self.put_ticket(ticket)).await
    }

    /// Gives the report service a schema. The version that it has then.
    #[activity(name = "reports_sync_schema")]
    pub async fn sync_schema(
        self: Arc<Self>,
        ctx: ActivityContext,
        asked: SyncSchema,
    ) -> Result<u64, ActivityError> {
        let work = async {
            let reports = &self.systems.reports;
            let synced = reports
                .sync_schema(&asked.key, &asked.report, asked.version, &asked.schema)
                .await;
            synced.map_err(told)
        };
        self.attempt(&ctx, work).await
    }

    /// Has the report service write a project to the search index.
    #[activity(name = "reports_sync_project")]
    pub async fn sync_project(
        self: Arc<Self>,
        ctx: ActivityContext,
        asked: SyncProject,
    ) -> Result<(), ActivityError> {
        let work = async {
            let synced = self
                .systems
                .reports
                .sync_project(&asked.key, &asked.project)
                .await;
            synced.map(drop).map_err(told)
        };
        self.attempt(&ctx, work).await
    }

    /// Sets attributes of a project's object in the search index; the others stay.
    #[activity(name = "algolia_partial_update")]
    pub async fn update_record(
        self: Arc<Self>,
        ctx: ActivityContext,
        update: RecordUpdate,
    ) -> Result<(), ActivityError> {
        self.attempt(&ctx, self.put_record(update)).await
    }

    /// Tells the front end.
    #[activity(name = "pusher_trigger")]
    pub async fn push(self: Arc<Self>, ctx: ActivityContext, push: Push) -> Result<(), ActivityError> {
        self.attempt(&ctx, self.put_push(&push)).await
    }

    /// Makes or changes a contact in HubSpot.
    #[activity(name = "hubspot_upsert_contact")]
    pub async fn upsert_contact(
        self: Arc<Self>,
        ctx: ActivityContext,
        update: ContactUpdate,
    ) -> Result<(), ActivityError> {
        self.attempt(&ctx, self.put_contact(update)).await
    }

    /// Sends one mail to one person, at most once.
    #[activity(name = "send_mail")]
    pub async fn send_mail(
        self: Arc<Self>,
        ctx: ActivityContext,
        letter: Letter,
    ) -> Result<Posted, ActivityError> {
        let attempt = ctx.info().attempt;
        self.attempt(&ctx, self.post(&letter, attempt)).await
    }
}
