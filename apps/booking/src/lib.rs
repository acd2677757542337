//! A photo booking platform: services put what has happened on a queue, and this says who is told of it, over queues again.
//!
//! It is configuration alone, `segno.toml` with a file a family of events in `routes/`, and runs with the `segno` program.
//! The library has its place and its checks.
//!
//! | family | its events | what they are about |
//! |---|---|---|
//! | `lead` | 11 | somebody asks for photos |
//! | `quote` | 12 | what they would cost |
//! | `package_order` | 9 | photos bought in the shop, at a fixed price |
//! | `order` | 27 | photos that are ordered, until the customer takes them |
//! | `assignment` | 35 | one creative, one place, one time, until the photos are good |
//! | `laure` | 12 | what the check of the photos has found |
//! | `delivery` | 10 | the photos on their way to the customer |
//! | `comment` | 6 | what is said of orders and assignments |
//! | `user` | 16 | accounts |
//! | `creative` | 10 | who takes the photos |
//! | `customer` | 6 | who orders them |
//!
//! Each event has up to four actions, by weight: first messages to services (10), then what the application shows (50), mail
//! (100) and the team's chat (200). Events with the same actions share a route, whose transforms have their words in a
//! table; so a new step of a life cycle is a line or two. Events that nobody is told of are in `routes/quiet.toml` with a
//! schema each: they are known, archived, and in the catalogue. `tests/bindings.txt` lists all events with their actions,
//! and is held against the configuration.

use std::path::PathBuf;

use segno::config::{Config, Mistakes};

/// Where the configuration is.
pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("segno.toml")
}

/// The configuration.
///
/// # Errors
/// Every mistake in it.
pub fn config() -> Result<Config, Mistakes> {
    Config::load(&path())
}
