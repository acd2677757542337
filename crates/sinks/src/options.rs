//! A sink in the configuration: a table with one of the kinds, and limits.

use std::{fmt, path::Path, sync::Arc};

use serde::{Deserialize, Deserializer, de};

use crate::{Limits, Sink};

/// One sink in the configuration: a table with exactly one of the [kinds](Kind), and `limits` where it has any.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is.
    pub kind: Kind,
    /// How hard it may be used.
    pub limits: Limits,
}

/// Makes the kinds of one list: `"key" (feature) => Variant(module)`. A module has an `Options` and
/// `build(Options, name, base) -> Result<Arc<dyn Sink>, E>`.
macro_rules! kinds {
    ($($key:literal $(($feature:literal))? => $variant:ident($module:ident),)+) => {
        /// What a sink is, with its options.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Kind {
            $(
                #[doc = concat!("`", $key, "`: see [`", stringify!($module), "`](crate::", stringify!($module), ").")]
                $(#[cfg(feature = $feature)])?
                $variant(Box<crate::$module::Options>),
            )+
        }

        impl Kind {
            /// The kinds that this build has, as the configuration names them.
            pub const NAMES: &'static [&'static str] = &[$($(#[cfg(feature = $feature)])? $key,)+];
            /// The kinds that there are.
            pub const ALL: &'static [&'static str] = &[$($key,)+];

            /// How the configuration names it.
            pub fn name(&self) -> &'static str {
                match self {
                    $($(#[cfg(feature = $feature)])? Self::$variant(_) => $key,)+
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
                        $(#[cfg(feature = $feature)])?
                        $key => Deserialize::deserialize(deserializer).map(|options| Some(Self::$variant(Box::new(options)))),
                    )+
                    _ => Ok(None),
                }
            }

            pub(crate) fn build(
                self,
                name: &str,
                base: &Path,
            ) -> Result<Arc<dyn Sink>, Box<dyn std::error::Error + Send + Sync>> {
                match self {
                    $($(#[cfg(feature = $feature)])? Self::$variant(options) => Ok(crate::$module::build(*options, name, base)?),)+
                }
            }
        }
    };
}

/// Reads options and checks them, so that what cannot be meant is reported where it is written. The type has an inherent
/// `deserialize`, by serde's `remote = "Self"`, and a `check`.
#[cfg(any(
    feature = "eventbridge",
    feature = "mail",
    feature = "nats",
    feature = "pusher",
    feature = "redis",
    feature = "sns",
    feature = "sql",
    feature = "sqs"
))]
macro_rules! checked {
    ($options:ident) => {
        impl<'de> ::serde::Deserialize<'de> for $options {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let options = Self::deserialize(deserializer)?;
                options.check().map_err(::serde::de::Error::custom)?;
                Ok(options)
            }
        }
    };
}
#[cfg(any(
    feature = "eventbridge",
    feature = "mail",
    feature = "nats",
    feature = "pusher",
    feature = "redis",
    feature = "sns",
    feature = "sql",
    feature = "sqs"
))]
pub(crate) use checked;

kinds! {
    "eventbridge" ("eventbridge") => EventBridge(eventbridge),
    "file" => File(file),
    "grpc" ("grpc") => Grpc(grpc),
    "mail" ("mail") => Mail(mail),
    "nats" ("nats") => Nats(nats),
    "object-store" ("object-store") => ObjectStore(object_store),
    "pusher" ("pusher") => Pusher(pusher),
    "redis" ("redis") => Redis(redis),
    "slack" ("slack") => Slack(slack),
    "sns" ("sns") => Sns(sns),
    "sql" ("sql") => Sql(sql),
    "sqs" ("sqs") => Sqs(sqs),
    "webhook" => Webhook(webhook),
}

impl Options {
    /// A sink without limits.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            limits: Limits::default(),
        }
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Options;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a table with one of {}", Kind::NAMES.join(", "))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Options, A::Error> {
                let (mut kind, mut limits) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    if key == "limits" {
                        limits = Some(map.next_value()?);
                    } else if kind.is_some() {
                        return Err(de::Error::custom(format_args!(
                            "a sink has one kind, and {key:?} is another"
                        )));
                    } else {
                        kind = Some(map.next_value_seed(Seed(&key))?);
                    }
                }
                let kind = kind.ok_or_else(|| {
                    de::Error::custom(format_args!("a sink has one of {}", Kind::NAMES.join(", ")))
                })?;
                Ok(Options {
                    kind,
                    limits: limits.unwrap_or_default(),
                })
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

struct Seed<'a>(&'a str);

impl<'de> de::DeserializeSeed<'de> for Seed<'_> {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::read(self.0, deserializer)?
            .ok_or_else(|| de::Error::custom(format_args!("there is no kind of sink {:?}", self.0)))
    }
}
