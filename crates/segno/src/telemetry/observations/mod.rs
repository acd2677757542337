//! What happens, one struct each, by where it does.

mod actions;
mod configuration;
mod executions;
mod intake;
mod requests;
mod sources;
mod timers;

pub(crate) use actions::*;
pub(crate) use configuration::*;
pub(crate) use executions::*;
pub(crate) use intake::*;
pub(crate) use requests::*;
pub(crate) use sources::*;
pub(crate) use timers::*;

use super::metrics::NONE;
