//! Enumerations that rows and JSON have by name.

/// Defines an enumeration whose variants have names: in JSON, in rows, and when shown.
macro_rules! named {
    ($(#[$meta:meta])* pub enum $ty:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            utoipa::ToSchema,
        )]
        pub enum $ty {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl $ty {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl std::fmt::Display for $ty {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $ty {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|known| known.name() == name).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|known| known.name()).collect();
                    format!("{name:?} is none of {}", names.join(", "))
                })
            }
        }

        impl From<$ty> for super::db::Value {
            fn from(value: $ty) -> Self {
                value.name().into()
            }
        }
    };
}

pub(crate) use named;
