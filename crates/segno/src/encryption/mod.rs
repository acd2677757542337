//! Payload encryption at rest: what the engine keeps of events is bytes that only those can read who have a key.
//!
//! It is done where Temporal's clients do it, in a *codec* between values and the engine: each payload becomes another one
//! with the encoding `binary/encrypted`, as Temporal's own samples write it, so that their tools can be told to decode it.
//! Both engines then store the same. What is searched by is not encrypted, as the engine has to read it.
//!
//! The SDK's client and worker call the [`Codec`] by themselves; requests that Segno makes without them pass through
//! [`seal`], and what it reads through [`open`].

mod check;
mod codec;
mod keyring;
mod wire;

pub use check::Error;
pub(crate) use check::check;
pub(crate) use codec::data_converter;
pub use keyring::{KeyError, Keyring};
pub(crate) use wire::{open, seal, unreadable};
