//! The front door: how the platform's own business events come in, as everybody else's do.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use segno::{Event, intake::Intake};

use crate::{
    crash::{self, Moment},
    events::payloads::Payload,
};

/// An event was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// It may be later.
    #[error("the event is not taken in now: {0}")]
    Retryable(String),
    /// It is refused for good.
    #[error("the event is refused: {0}")]
    Permanent(String),
}

/// Takes events in; when it returns they are durable.
#[async_trait]
pub trait FrontDoor: Send + Sync + 'static {
    /// Takes an event in. One that was taken in before is taken in again without an effect.
    ///
    /// # Errors
    ///
    /// [`EmitError`].
    async fn take(&self, event: Event) -> Result<(), EmitError>;
}

/// The intake of the Segno in this process. It is there once that has started: until then events are refused for now.
#[derive(Clone, Default)]
pub struct InProcess(Arc<OnceLock<Intake>>);

impl InProcess {
    /// Opens the door. A second time changes nothing.
    pub fn open(&self, intake: Intake) {
        drop(self.0.set(intake));
    }
}

#[async_trait]
impl FrontDoor for InProcess {
    async fn take(&self, event: Event) -> Result<(), EmitError> {
        let intake = self
            .0
            .get()
            .ok_or_else(|| EmitError::Retryable("the process is starting".to_owned()))?;
        match intake.accept(std::slice::from_ref(&event)).await {
            Ok(_) => Ok(()),
            Err(error) if error.stays() => Err(EmitError::Permanent(error.to_string())),
            Err(error) => Err(EmitError::Retryable(error.to_string())),
        }
    }
}

/// Lets an event in that tells of this; the id is made of what happened, so that telling it again is telling it once.
///
/// # Errors
///
/// [`EmitError`].
pub async fn emit<P: Payload>(door: &dyn FrontDoor, id: String, payload: &P) -> Result<(), EmitError> {
    let event = payload
        .event(id)
        .map_err(|error| EmitError::Permanent(error.to_string()))?;
    crash::at(Moment::Before, P::TYPE);
    door.take(event).await?;
    crash::at(Moment::After, P::TYPE);
    Ok(())
}
