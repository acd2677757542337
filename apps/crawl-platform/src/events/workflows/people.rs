//! People: users, and those who may become some.

use serde_json::json;
use temporalio_sdk::WorkflowTermination;

use super::steps::Steps;
use crate::events::{
    activities::{BusinessActivities, ContactUpdate, NewTicket, Push},
    payloads::{
        ContactFormSubmitted, InactiveUserDetected, LoginEmailDelivered, MeetingScheduled,
        PasswordResetRequested, Person, UserCreated, UserTeamInvited,
    },
};

type Done = Result<(), WorkflowTermination>;

/// The board for leads.
const LEADS: &str = "MC";

/// Writes a contact of HubSpot's, which is made if it is not there.
pub(super) async fn contact<W: 'static>(
    steps: &Steps<W>,
    person: &Person,
    more: impl IntoIterator<Item = (&'static str, String)>,
) -> Done {
    let mut properties: std::collections::BTreeMap<String, String> = more
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if let Some(name) = &person.name {
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        properties.insert("firstname".to_owned(), first.to_owned());
        if !last.is_empty() {
            properties.insert("lastname".to_owned(), last.to_owned());
        }
    }
    let update = ContactUpdate {
        email: person.email.clone(),
        properties,
    };
    steps.run(BusinessActivities::upsert_contact, update).await?;
    steps.note("the contact in HubSpot");
    Ok(())
}

fn company(company: Option<String>) -> impl Iterator<Item = (&'static str, String)> {
    company.into_iter().map(|company| ("company", company))
}

/// A user has signed up: sales see them, and they are welcomed.
pub(in crate::events) async fn user_created<W: 'static>(steps: &Steps<W>, event: UserCreated) -> Done {
    let more = company(event.company).chain([
        ("platform_user_id", event.user),
        ("lifecyclestage", "customer".to_owned()),
    ]);
    contact(steps, &event.person, more).await?;
    let data = json!({ "name": event.person.name });
    steps
        .post(vec![steps.letter(&event.person, "welcome", data)])
        .await
}

/// Somebody is invited to a team.
pub(in crate::events) async fn user_team_invited<W: 'static>(
    steps: &Steps<W>,
    event: UserTeamInvited,
) -> Done {
    let data = json!({
        "name": event.person.name,
        "team": event.team,
        "invited_by": event.invited_by.name.as_ref().unwrap_or(&event.invited_by.email),
        "link": event.link,
    });
    steps
        .post(vec![steps.letter(&event.person, "invitation", data)])
        .await
}

/// A user wants a new password: they, and nobody else, get the link.
pub(in crate::events) async fn password_reset_requested<W: 'static>(
    steps: &Steps<W>,
    event: PasswordResetRequested,
) -> Done {
    let data = json!({
        "name": event.person.name,
        "link": event.link,
        "valid_minutes": event.valid_minutes,
    });
    steps
        .post(vec![steps.letter(&event.person, "password-reset", data)])
        .await
}

/// A user has not been seen for long: sales see it, and the user is reminded if they take such mails.
pub(in crate::events) async fn inactive_user_detected<W: 'static>(
    steps: &Steps<W>,
    event: InactiveUserDetected,
) -> Done {
    let days = ("days_inactive", event.days.to_string());
    contact(steps, &event.person, [days]).await?;
    if !event.subscribed {
        steps.note("no mail: the user has unsubscribed");
        return Ok(());
    }
    let data = json!({ "name": event.person.name, "days": event.days });
    steps
        .post(vec![steps.letter(&event.person, "inactive", data)])
        .await
}

/// The mail for signing in has arrived: the page that waits for it says so, and sales see when the user last came.
pub(in crate::events) async fn login_email_delivered<W: 'static>(
    steps: &Steps<W>,
    event: LoginEmailDelivered,
) -> Done {
    let push = Push {
        channel: format!("private-user-{}", event.user),
        event: "login-email-delivered".to_owned(),
        data: json!({ "message_id": event.message_id, "delivered_at": event.delivered_at }),
    };
    steps.run(BusinessActivities::push, push).await?;
    steps.note("the front end");
    let last = ("last_login_email_at", event.delivered_at);
    contact(steps, &event.person, [last]).await
}

/// Somebody has filled in the contact form: sales have them as a contact and a ticket, and they hear that it has arrived.
pub(in crate::events) async fn contact_form_submitted<W: 'static>(
    steps: &Steps<W>,
    event: ContactFormSubmitted,
) -> Done {
    let more = company(event.company.clone()).chain([("lifecyclestage", "lead".to_owned())]);
    contact(steps, &event.person, more).await?;
    let who = event.company.as_ref().unwrap_or(&event.person.email);
    let ticket = NewTicket {
        key: steps.key("contact-form"),
        board: LEADS.to_owned(),
        summary: format!("Contact form: {who}"),
        description: event.message.clone(),
        reporter: event.person.clone(),
        labels: vec!["contact-form".to_owned()],
        properties: [("submission".to_owned(), event.submission)].into(),
    };
    let ticket = steps.run(BusinessActivities::create_ticket, ticket).await?;
    steps.note(format!("ticket {ticket}"));
    let data = json!({ "name": event.person.name, "message": event.message });
    steps
        .post(vec![steps.letter(&event.person, "contact-received", data)])
        .await
}

/// Somebody has chosen a time for a meeting on the web site: a ticket on the board for leads.
pub(in crate::events) async fn meeting_scheduled<W: 'static>(
    steps: &Steps<W>,
    event: MeetingScheduled,
) -> Done {
    let who = event.person.name.as_ref().unwrap_or(&event.person.email);
    let company = event
        .company
        .as_ref()
        .map(|company| format!(" ({company})"))
        .unwrap_or_default();
    let mut description = format!("Begins at {}", event.starts_at);
    if let Some(notes) = &event.notes {
        description = format!("{description}\n\n{notes}");
    }
    let ticket = NewTicket {
        key: steps.key("meeting"),
        board: LEADS.to_owned(),
        summary: format!("Meeting with {who}{company}"),
        description,
        reporter: event.person.clone(),
        labels: vec!["lead".to_owned(), "meeting".to_owned()],
        properties: [("meeting".to_owned(), event.meeting)].into(),
    };
    let ticket = steps.run(BusinessActivities::create_ticket, ticket).await?;
    steps.note(format!("ticket {ticket}"));
    Ok(())
}
