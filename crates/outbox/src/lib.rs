//! A transactional outbox: events that are published if and only if the change they tell of is committed.
//!
//! A service writes its change and the events that tell of it in one transaction: the events as rows of the table
//! `segno_outbox` of its own database, [`PostgreSQL`](sqlx::Postgres), [MySQL or MariaDB](sqlx::MySql), or
//! [SQLite](sqlx::Sqlite). A [`Relay`], in the same process or another, publishes the rows and marks them only when the
//! [`Publisher`] has confirmed them.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use segno_event::Event;
//! use segno_outbox::{Outbox, process_events};
//!
//! # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
//! # let pool = options.connect("sqlite::memory:").await?;
//! let outbox = Outbox::<sqlx::Sqlite>::new();
//! outbox.migrate(&pool).await?;
//! sqlx::query("CREATE TABLE family (id INTEGER PRIMARY KEY, name TEXT)").execute(&pool).await?;
//!
//! let mut event = Event::new("/families", "1", "family.created").with_data(serde_json::json!({"familyId": 100}));
//! event.subject = Some("family/100".to_owned());
//! outbox
//!     .action_with_events(&pool, [event], async |tx| {
//!         sqlx::query("INSERT INTO family VALUES (100, 'Quill')").execute(tx).await.map_err(segno_outbox::Error::from)
//!     })
//!     .await?;
//!
//! // In a test; a program runs a `Relay`.
//! let processed = process_events(&outbox, &pool, async |event: &Event| {
//!     assert_eq!(event.ty, "family.created");
//!     Ok::<_, std::convert::Infallible>(())
//! });
//! assert_eq!(processed.await?.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What is guaranteed
//!
//! - An event is published if its transaction was committed, and not if it was rolled back.
//! - Events of one key ([`Entry::key`]; by default the event's subject) are published in the order in which their
//!   transactions were committed, and within one in the order in which they were emitted. A transaction that emits an
//!   event holds a lock of its key until it ends: who comes later waits, so no position is given out below one that
//!   others may have seen already. Positions may have gaps; nothing is concluded from them. A transaction that writes
//!   several keys should do so in one [`Outbox::emit_all`], which takes the locks in one order for all.
//! - It is published again only if a relay or the database died, or an answer got lost, between publishing and marking;
//!   then under the same source and id.
//! - A row that cannot be published is parked with the reason, and holds back its own key alone.

mod backend;
mod cipher;
mod debezium;
mod emit;
mod error;
mod inline;
mod origin;
mod parked;
mod process;
pub mod publisher;
mod relay;
mod row;
mod stats;

pub use backend::Backend;
pub use cipher::{Cipher, CipherError, Keyring, Sealed};
pub use debezium::Debezium;
pub use emit::{Entry, Outbox, action_with_events};
pub use error::Error;
pub use inline::{InlineConsumer, InlineError};
pub use origin::Origin;
pub use parked::Parked;
pub use process::{ProcessError, process_events};
pub use publisher::{Batch, Outgoing, PublishError, Publisher};
pub use relay::{Relay, RelayOptions};
pub use stats::{Counters, Stats};
