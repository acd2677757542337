//! The same on Restate: a one-way call for each event.

use anyhow::Result;

use super::{Entrance, Events, Platform, receiver::Receiver, through};
use crate::{restate, settings::Settings};

pub(super) async fn measure(settings: &Settings) -> Result<Events> {
    let receiver = Receiver::start().await?;
    let server = restate::delivering(settings, receiver.url()).await?;
    let entrance = Entrance::new(Platform::Restate, server.send_url("Deliver/run"))?;
    through(&entrance, &receiver, settings.events, settings).await
}
