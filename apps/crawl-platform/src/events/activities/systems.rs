//! The systems that events change, one client each.

use std::{path::Path, sync::Arc};

use segno_crawl_clients::{
    Error,
    algolia::Algolia,
    hubspot::HubSpot,
    jira::Jira,
    mail::{self, Mailer, OptionsError, Templates, TemplatesError},
    platform::Platform,
    pusher::Pusher,
    reports::Reports,
    support::Support,
};

use crate::events::{settings::Settings, templates::SOURCES, thread::Threads};

/// Clients of all systems.
#[derive(Clone, Debug)]
pub struct Systems {
    /// Jira and its service desk.
    pub jira: Jira,
    /// HubSpot's CRM.
    pub hubspot: HubSpot,
    /// Algolia's search.
    pub algolia: Algolia,
    /// Pusher's channels, which the front end listens on.
    pub pusher: Pusher,
    /// Mails.
    pub mail: Arc<Mailer>,
    /// The platform's records.
    pub platform: Platform,
    /// The support service.
    pub support: Support,
    /// The report service.
    pub reports: Reports,
    /// Whether a mail that is sent again replaces itself, as in a folder.
    pub(super) mail_replaces: bool,
}

/// Why the systems cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A client cannot be made.
    #[error(transparent)]
    Client(#[from] Error),
    /// Mails cannot be made.
    #[error(transparent)]
    Templates(#[from] TemplatesError),
    /// Mails cannot be sent.
    #[error("mail: {0}")]
    Mail(#[from] OptionsError),
}

impl Systems {
    /// Clients with these settings; relative paths are taken from `base`. They connect to nothing yet.
    ///
    /// # Errors
    /// [`SetUpError`].
    pub fn new(settings: &Settings, base: &Path) -> Result<Self, SetUpError> {
        let options = mail::Options {
            from: settings.mail.from.clone(),
            smtp: settings.mail.smtp.clone(),
            folder: settings.mail.folder.clone(),
        };
        let mut templates = Templates::new(SOURCES.iter().copied())?;
        if let Some(folder) = &settings.mail.templates {
            templates = templates.with_folder(&base.join(folder))?;
        }
        let systems = &settings.systems;
        Ok(Self {
            jira: Jira::new(&systems.jira)?,
            hubspot: HubSpot::new(&systems.hubspot)?,
            algolia: Algolia::new(&systems.algolia)?,
            pusher: Pusher::new(&systems.pusher)?,
            mail: Arc::new(Mailer::new(&options, templates, base)?),
            platform: Platform::new(&systems.platform)?,
            support: Support::new(&systems.support)?,
            reports: Reports::new(&systems.reports)?,
            mail_replaces: settings.mail.smtp.is_none(),
        })
    }

    /// How mails of these systems are known again.
    pub fn threads(&self, settings: &Settings) -> Threads {
        Threads::new(self.mail.domain(), settings.mail.secret.expose())
    }
}
