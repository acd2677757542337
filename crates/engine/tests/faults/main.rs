//! Disks and files that are not as they should be: each is told by name, with what to do about it; nothing
//! that was acknowledged is lost; and the engine goes on where it can.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod bed;
mod damage;
mod disk;
mod files;
