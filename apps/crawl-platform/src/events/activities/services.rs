//! What is asked of the platform's services, of search, sales and the front end.

use segno_crawl_clients::{
    Failure,
    hubspot::{ObjectType, Upsert},
    platform::{self, Project, ReportRun},
    proto::Timestamp,
    pusher, support,
};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    BusinessActivities, ContactUpdate, NewTicket, ProjectUsers, ProjectView, Push, RecordUpdate, ReportView,
    SetRun, SyncProperties, Target, Topic, told,
};
use crate::events::audience::Member;

/// The status of a run that works.
pub(in crate::events) const BEGUN: &str = "PROCESSING";
/// The search index of projects.
const PROJECTS: &str = "projects";

impl BusinessActivities {
    pub(super) async fn get_ticket_project(&self, ticket: &str) -> Result<Option<ProjectView>, Failure> {
        let project = self
            .systems
            .platform
            .project_of_ticket(ticket)
            .await
            .map_err(told)?;
        Ok(project.map(|project| view(project, None)))
    }

    pub(super) async fn get_project(&self, id: &str) -> Result<ProjectView, Failure> {
        let platform = &self.systems.platform;
        let project = platform.project(id).await.map_err(told)?;
        let account = match project.account_id.as_str() {
            "" => None,
            id => Some(platform.account(id).await.map_err(told)?),
        };
        Ok(view(project, account))
    }

    pub(super) async fn get_project_of_report(&self, report: &str) -> Result<ProjectView, Failure> {
        let report = self.systems.platform.report(report).await.map_err(told)?;
        self.get_project(&report.project_id).await
    }

    pub(super) async fn get_project_users(&self, asked: &ProjectUsers) -> Result<Vec<Member>, Failure> {
        let users = self
            .systems
            .platform
            .project_users(&asked.project)
            .await
            .map_err(told)?;
        let topic = i32::from(match asked.topic {
            Topic::Tickets => platform::Topic::Tickets,
            Topic::Runs => platform::Topic::Runs,
            Topic::Deliveries => platform::Topic::Deliveries,
            Topic::Project => platform::Topic::Project,
        });
        let member = |one: platform::ProjectUser| {
            let subscribed = one.subscriptions.contains(&topic);
            let user = one.user?;
            Some(Member {
                user: user.id,
                name: user.name,
                email: user.email,
                active: user.active,
                subscribed,
            })
        };
        Ok(users.into_iter().filter_map(member).collect())
    }

    pub(super) async fn get_project_reports(&self, project: &str) -> Result<Vec<ReportView>, Failure> {
        let reports = self.systems.platform.reports(project).await.map_err(told)?;
        Ok(reports.into_iter().map(report_view).collect())
    }

    pub(super) async fn get_report(&self, id: &str) -> Result<ReportView, Failure> {
        self.systems
            .platform
            .report(id)
            .await
            .map(report_view)
            .map_err(told)
    }

    /// Events of a run may be handled in another order than they happened: a run that has ended does not begin again, and keeps
    /// the time that it began at, by which the platform knows older runs from newer ones.
    pub(super) async fn put_report_run(&self, set: &SetRun) -> Result<(), Failure> {
        let platform = &self.systems.platform;
        let report = platform.report(&set.report).await.map_err(told)?;
        let shown = report.latest_run.filter(|shown| shown.run_id == set.run.run);
        let begins = set.run.status == BEGUN;
        if begins && shown.as_ref().is_some_and(|shown| shown.status != BEGUN) {
            return Ok(());
        }
        let now = OffsetDateTime::now_utc();
        let began = match &set.run.started_at {
            None => shown
                .and_then(|shown| shown.started_at)
                .unwrap_or_else(|| timestamp(now)),
            Some(text) => {
                let at = OffsetDateTime::parse(text, &Rfc3339);
                timestamp(at.map_err(|_| Failure::permanent(format!("{text:?} is no time as in RFC 3339")))?)
            }
        };
        let run = ReportRun {
            run_id: set.run.run.clone(),
            status: set.run.status.clone(),
            reason: set.run.reason.clone(),
            records: set.run.records,
            started_at: Some(began),
            ended_at: (!begins).then(|| timestamp(now)),
        };
        platform
            .set_report_run(&set.key, &set.report, run)
            .await
            .map(drop)
            .map_err(told)
    }

    pub(super) async fn put_properties(&self, asked: &SyncProperties) -> Result<(), Failure> {
        let target = |target: &Target| match target {
            Target::Jira => support::Target::Jira,
            Target::Hubspot => support::Target::Hubspot,
        };
        let targets: Vec<_> = asked.targets.iter().map(target).collect();
        let done = self
            .systems
            .support
            .sync_properties(&asked.key, &asked.ticket, &targets)
            .await;
        done.map(drop).map_err(told)
    }

    pub(super) async fn put_ticket(&self, ticket: NewTicket) -> Result<String, Failure> {
        let new = support::NewTicket {
            board: ticket.board,
            issue_type: "Task".to_owned(),
            summary: ticket.summary,
            description: ticket.description,
            reporter_email: ticket.reporter.email,
            reporter_name: ticket.reporter.name.unwrap_or_default(),
            labels: ticket.labels,
            properties: ticket.properties.into_iter().collect(),
        };
        self.systems
            .support
            .create_ticket(&ticket.key, new)
            .await
            .map_err(told)
    }

    /// The object is made if it is not there: what comes first about a project is not lost, and the next sync of the project
    /// adds the rest.
    pub(super) async fn put_record(&self, update: RecordUpdate) -> Result<(), Failure> {
        let Value::Object(attributes) = update.attributes else {
            return Err(Failure::permanent("attributes are an object"));
        };
        let done = self
            .systems
            .algolia
            .partial_update(PROJECTS, &update.object, &attributes, true)
            .await;
        done.map(drop).map_err(told)
    }

    pub(super) async fn put_push(&self, push: &Push) -> Result<(), Failure> {
        let event = pusher::Event::new(&push.channel, &push.event, push.data.clone());
        self.systems.pusher.trigger(&event).await.map_err(told)
    }

    pub(super) async fn put_contact(&self, update: ContactUpdate) -> Result<(), Failure> {
        let mut upsert = Upsert::new(&update.email);
        upsert.properties = update.properties;
        let done = self
            .systems
            .hubspot
            .upsert(ObjectType::Contacts, "email", &[upsert])
            .await
            .map_err(told)?;
        match done.refused.into_iter().next() {
            None => Ok(()),
            Some(refused) => Err(Failure::permanent(format!(
                "HubSpot refuses the contact: {refused}"
            ))),
        }
    }
}

fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: at.unix_timestamp(),
        nanos: 0,
    }
}

fn view(project: Project, account: Option<platform::Account>) -> ProjectView {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let (account, manager) = account
        .map(|account| (account.name, account.manager_email))
        .unzip();
    ProjectView {
        id: project.id,
        name: project.name,
        ticket: some(project.ticket_key),
        metadata: project.metadata.into_iter().collect(),
        account: account.and_then(some),
        manager: manager.and_then(some),
    }
}

fn report_view(report: platform::Report) -> ReportView {
    ReportView {
        id: report.id,
        name: report.name,
        status: report.status,
    }
}
