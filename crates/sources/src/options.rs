//! A source in the configuration: a table with one of the kinds.
#![cfg_attr(
    not(any(
        feature = "eventbridge",
        feature = "nats",
        feature = "redis",
        feature = "sqs",
        feature = "webhook"
    )),
    allow(unused_variables, reason = "a build without any kind reads and makes none")
)]

use std::{path::Path, sync::Arc};

use serde::Deserializer;

use crate::{
    Intake,
    source::{Built, Error},
};

/// One source in the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is.
    pub kind: Kind,
}

/// Makes the kinds of one list: `"key" (feature) => Variant(module)`. A module has an `Options` and
/// `build(Options, name, base, intake) -> Result<Built, Error>`.
macro_rules! kinds {
    ($($key:literal ($feature:literal) => $variant:ident($module:ident),)+) => {
        /// What a source is, with its options.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Kind {
            $(
                #[doc = concat!("`", $key, "`.")]
                #[cfg(feature = $feature)]
                $variant(Box<crate::$module::Options>),
            )+
        }

        impl Kind {
            /// The kinds that this build has, as the configuration names them.
            pub const NAMES: &'static [&'static str] = &[$(#[cfg(feature = $feature)] $key,)+];
            /// The kinds that there are.
            pub const ALL: &'static [&'static str] = &[$($key,)+];

            /// How the configuration names it.
            pub fn name(&self) -> &'static str {
                match *self {
                    $(#[cfg(feature = $feature)] Self::$variant(_) => $key,)+
                }
            }

            /// Reads the options of the kind `name`; none for a kind that this build has not.
            ///
            /// # Errors
            ///
            /// The deserializer's.
            pub fn read<'de, D: Deserializer<'de>>(name: &str, deserializer: D) -> Result<Option<Self>, D::Error> {
                match name {
                    $(
                        #[cfg(feature = $feature)]
                        $key => serde::Deserialize::deserialize(deserializer).map(|options| Some(Self::$variant(Box::new(options)))),
                    )+
                    _ => Ok(None),
                }
            }
        }

        impl Options {
            /// Makes the source `name`; a relative path in its options is taken from `base`. Nothing is connected to before it runs.
            ///
            /// # Errors
            ///
            /// When its options do not go together.
            pub fn build(self, name: &str, base: &Path, intake: &Arc<dyn Intake>) -> Result<Built, Error> {
                match self.kind {
                    $(#[cfg(feature = $feature)] Kind::$variant(options) => crate::$module::build(*options, name, base, intake),)+
                }
            }
        }
    };
}

kinds! {
    "eventbridge" ("eventbridge") => EventBridge(eventbridge),
    "nats" ("nats") => Nats(nats),
    "redis" ("redis") => Redis(redis),
    "sqs" ("sqs") => Sqs(sqs),
    "webhook" ("webhook") => Webhook(webhook),
}
