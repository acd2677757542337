//! Projects.

use serde_json::json;
use temporalio_sdk::WorkflowTermination;

use super::{people::contact, steps::Steps, tickets::sync_properties};
use crate::events::{
    activities::{BusinessActivities, ProjectView, RecordUpdate, SyncProject, Target},
    payloads::{
        CustomerProjectTransferred, MetadataUpdated, Person, ProjectCreated, ProjectUpdated, UserProjectAdded,
    },
};

type Done = Result<(), WorkflowTermination>;

async fn project<W: 'static>(steps: &Steps<W>, id: &str) -> Result<ProjectView, WorkflowTermination> {
    steps.run(BusinessActivities::project, id.to_owned()).await
}

/// Has the report service write a project to the search index.
async fn sync_project<W: 'static>(steps: &Steps<W>, project: &str) -> Done {
    let asked = SyncProject {
        key: steps.key("sync-project"),
        project: project.to_owned(),
    };
    steps.run(BusinessActivities::sync_project, asked).await?;
    steps.note("the project in the search index");
    Ok(())
}

/// A project was made: it is found by searching, sales know whose it is, and who looks after the account is told.
pub(in crate::events) async fn project_created<W: 'static>(steps: &Steps<W>, event: ProjectCreated) -> Done {
    sync_project(steps, &event.project).await?;
    if let Some(person) = &event.created_by {
        contact(steps, person, [("latest_project_id", event.project.clone())]).await?;
    }
    let project = project(steps, &event.project).await?;
    let Some(manager) = project.manager else {
        steps.note("nobody looks after the account");
        return Ok(());
    };
    let data = json!({
        "project": project.name,
        "account": project.account,
        "created_by": event.created_by.map(|person| person.name.unwrap_or(person.email)),
    });
    let manager = Person {
        name: None,
        email: manager,
    };
    steps
        .post(vec![steps.letter(&manager, "project-created", data)])
        .await
}

/// A project was changed: the report service writes it to the search index.
pub(in crate::events) async fn project_updated<W: 'static>(steps: &Steps<W>, event: ProjectUpdated) -> Done {
    sync_project(steps, &event.project).await
}

/// Metadata were changed: they are found by searching, and the project's ticket and its record in HubSpot have them.
pub(in crate::events) async fn metadata_updated<W: 'static>(
    steps: &Steps<W>,
    event: MetadataUpdated,
) -> Done {
    let project = project(steps, &event.project).await?;
    let update = RecordUpdate {
        object: event.project,
        attributes: json!({ "metadata": project.metadata }),
    };
    steps.run(BusinessActivities::update_record, update).await?;
    steps.note("the project's metadata in the search index");
    match project.ticket {
        Some(ticket) => sync_properties(steps, ticket, vec![Target::Jira, Target::Hubspot]).await,
        None => Ok(()),
    }
}

/// A user may work on a project now: they hear of it, and sales see it.
pub(in crate::events) async fn user_project_added<W: 'static>(
    steps: &Steps<W>,
    event: UserProjectAdded,
) -> Done {
    let project = project(steps, &event.project).await?;
    contact(steps, &event.person, [("latest_project_id", event.project)]).await?;
    let data = json!({
        "name": event.person.name,
        "project": project.name,
        "added_by": event.added_by.map(|person| person.name.unwrap_or(person.email)),
    });
    steps
        .post(vec![steps.letter(&event.person, "project-added", data)])
        .await
}

/// A project belongs to another customer: search, ticket and HubSpot say so, and both sides hear of it.
pub(in crate::events) async fn customer_project_transferred<W: 'static>(
    steps: &Steps<W>,
    event: CustomerProjectTransferred,
) -> Done {
    sync_project(steps, &event.project).await?;
    let project = project(steps, &event.project).await?;
    if let Some(ticket) = project.ticket {
        sync_properties(steps, ticket, vec![Target::Jira, Target::Hubspot]).await?;
    }
    let named = |person: &Person| person.name.clone().unwrap_or_else(|| person.email.clone());
    let data = json!({ "project": project.name, "from": named(&event.from), "to": named(&event.to) });
    let letters = vec![
        steps.letter(&event.from, "project-given", data.clone()),
        steps.letter(&event.to, "project-received", data),
    ];
    steps.post(letters).await
}
