//! What the timer service does, scenario by scenario.

pub(crate) mod api;
pub(crate) mod changing;
pub(crate) mod delivery;
pub(crate) mod firing;
