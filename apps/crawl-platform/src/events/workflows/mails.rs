//! Mails to several people.

use serde_json::Value;
use temporalio_sdk::{WorkflowTermination, workflows::join_all};

use super::steps::{Steps, cause, failure};
use crate::events::{
    activities::{BusinessActivities, Letter, Posted, ProjectUsers, Topic},
    audience::{Audience, Author, Question, audience},
    payloads::Person,
    thread::address,
};

impl<W: 'static> Steps<W> {
    /// Sends letters side by side. All are tried; if some cannot be sent for good, the event fails and says so. When it is
    /// tried again, those that were sent are known as sent.
    pub(super) async fn post(&self, letters: Vec<Letter>) -> Result<(), WorkflowTermination> {
        let count = letters.len();
        let sending = letters.into_iter().map(|letter| async move {
            let sent = self.attempt(BusinessActivities::send_mail, letter).await;
            sent.map_err(|error| cause(&error))
        });
        let outcomes = join_all(sending.collect::<Vec<_>>()).await;
        if self.is_cancelled() {
            return Err(WorkflowTermination::cancelled());
        }
        let is = |wanted: Posted| outcomes.iter().filter(|outcome| **outcome == Ok(wanted)).count();
        let (doubtful, before) = (is(Posted::InDoubt), is(Posted::Before));
        let causes: Vec<String> = outcomes
            .iter()
            .filter_map(|outcome| outcome.clone().err())
            .collect();
        if causes.is_empty() {
            self.note(format!("{count} mails"));
        } else {
            let failed = causes.len();
            return Err(failure(format!(
                "{failed} of {count} mails failed: {}",
                causes.join("; ")
            )));
        }
        if before > 0 {
            self.note(format!("{before} of them were sent before"));
        }
        if doubtful > 0 {
            self.note(format!(
                "{doubtful} of them were being sent when a worker ended, and are not sent again"
            ));
        }
        Ok(())
    }

    /// A letter to one person, under a key of this event's.
    pub(super) fn letter(&self, to: &Person, template: &str, data: Value) -> Letter {
        Letter::single(self.key(template), to, template, data)
    }

    /// The subscribed users of a project: the platform's own people, and all others.
    pub(super) async fn subscribers(
        &self,
        project: &str,
        topic: Topic,
    ) -> Result<Audience, WorkflowTermination> {
        let asked = ProjectUsers {
            project: project.to_owned(),
            topic,
        };
        let members = self.run(BusinessActivities::project_users, asked).await?;
        let terms = self.terms();
        Ok(audience(&Question {
            author: &Author::default(),
            internal_note: false,
            contacts: &[],
            members: &members,
            domains: &terms.internal_domains,
            mail_domain: &terms.mail_domain,
        }))
    }

    /// Tells the subscribed users of a project, but for who did it: the platform's own people by one template, all others by
    /// another.
    pub(super) async fn tell(
        &self,
        project: &str,
        topic: Topic,
        but: Option<&str>,
        (internal, external): (Option<&str>, Option<&str>),
        data: &Value,
    ) -> Result<(), WorkflowTermination> {
        let told = self.subscribers(project, topic).await?;
        let letters = |people: Vec<Person>, template: Option<&str>| {
            let others = people
                .into_iter()
                .filter(|person| but.is_none_or(|but| address(but) != address(&person.email)));
            let letter =
                |person: Person| template.map(|template| self.letter(&person, template, data.clone()));
            others.filter_map(letter).collect::<Vec<_>>()
        };
        let mut all = letters(told.internal, internal);
        all.extend(letters(told.external, external));
        self.post(all).await
    }
}
