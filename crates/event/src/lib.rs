//! Events: CloudEvents 1.0, and the three questions routing asks of one.
//!
//! | question | type |
//! |---|---|
//! | is the event's type one of these? | [`TypePattern`] (`order.*`) |
//! | does the event satisfy a condition? | [`Filter`] (CEL: `event.data.total > 100`) |
//! | what does a receiver get to see of it? | [`Transform`] (jq: `{id: .data.id}`) |
//!
//! Everything here is pure: no file, network, clock or environment is read, but where a configuration says that a
//! [`Confidential`] text is in one. [`http::parse`] decodes what came over HTTP; the caller does the I/O.
//!
//! Sections named in these pages are those of
//! [CloudEvents 1.0.2](https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents) and its JSON event format and
//! HTTP protocol binding.
//!
//! ```
//! use segno_event::{Event, Filter, Transform, TypePattern};
//!
//! let event: Event = serde_json::from_str(
//!     r#"{"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed", "data": {"total": 150.5}}"#,
//! )?;
//! assert!("order.*".parse::<TypePattern>()?.matches(&event.ty));
//! assert!(Filter::compile("event.data.total > 100")?.matches(&event)?);
//! assert_eq!(Transform::compile(".data.total")?.apply(&event)?, [150.5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod confidential;
mod error;
mod event;
mod filter;
pub mod http;
mod json;
mod objects;
mod pattern;
mod rule;
mod stack;
mod transform;
mod validate;

pub use confidential::Confidential;
pub use error::{CompileError, EvalError};
pub use event::{Data, Event};
pub use filter::{Filter, Key};
pub use objects::Objects;
pub use pattern::{PatternError, TypePattern};
pub use rule::{Rule, Violation};
pub use transform::{MAX_OUTPUTS, Transform};
