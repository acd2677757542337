//! docs follow
pub mod clock;
pub mod core;
pub mod rpc;
