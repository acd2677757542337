//! The business events of the platform: their payloads, and the workflow that each sets off.

pub mod payloads;
