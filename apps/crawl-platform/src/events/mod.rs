//! The business events of the platform: their payloads, and the workflow that each sets off.
//!
//! An event comes in by Segno's front door like any other, on a route with `workflow = "…EventWorkflow"`, so it is durable before
//! it is acknowledged, and seen, retried and replayed as all events are.
//!
//! | module | what it does |
//! |---|---|
//! | [`payloads`] | what the data of each event is |
//! | [`registry`] | all events in one table, with their workflows |
//! | `workflows` | what each event sets off |
//! | [`activities`] | one call to one system each |
//! | [`audience`] | who is mailed about a comment |
//! | [`thread`] | how mails about a ticket hang together |
//! | [`mail_in`] | what was written in a mail |
//! | [`mail_files`] | the files that came with a mail |
//! | [`inbound`] | mails come in over HTTP, and become events |
//! | [`settings`] | where the systems are, retry policies, mails |
//! | [`templates`] | what mails say |

pub mod activities;
pub mod audience;
pub mod inbound;
pub mod mail_files;
pub mod mail_in;
pub mod payloads;
pub mod registry;
pub mod settings;
pub mod templates;
pub mod thread;
mod workflows;

use std::{path::PathBuf, sync::Arc};

use segno::{Builder, intake::Intake};

pub use activities::{BusinessActivities, SetUpError, Systems};
pub use settings::Settings;
pub use workflows::Outcome;

use crate::{
    archive::Archive,
    events::{inbound::Inbound, mail_files::MailFiles},
    store::Store,
};

/// Adds the workflows of all business events, and their activities, to a program.
pub fn register(builder: Builder, activities: BusinessActivities) -> Builder {
    registry::workflows(builder).activities(activities)
}

/// The business events as a part of the platform: their settings, and where relative paths in these start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The settings.
    pub settings: Settings,
    /// The folder of their file.
    pub base: PathBuf,
}

impl Options {
    /// The activities, which remember the mails that were sent in this store; and where mails come in, once there is an intake,
    /// whose files are kept in this archive.
    ///
    /// # Errors
    /// [`SetUpError`].
    pub fn set_up(
        self,
        store: Store,
        archive: Archive,
    ) -> Result<(BusinessActivities, impl FnOnce(Intake) -> Inbound), SetUpError> {
        let systems = Systems::new(&self.settings, &self.base)?;
        let threads = systems.threads(&self.settings);
        let token = self.settings.mail.inbound_token.clone();
        let files = MailFiles::new(archive);
        let activities = BusinessActivities::new(systems, self.settings, Arc::new(store), files.clone());
        Ok((activities, move |intake| {
            Inbound::new(intake, threads, files, token)
        }))
    }
}
