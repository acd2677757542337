//! The mistakes that people can meet, by their codes.

use std::fmt;

/// A kind of mistake. `Display` gives the code, such as `SG0017`; `docs/errors/SG0017.md` has its cause and remedy.
/// Codes are never given a second meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// A file cannot be read.
    Unreadable,
    /// The file is not TOML.
    Syntax,
    /// A key that means nothing where it stands.
    UnknownKey,
    /// A value of a type that the key does not take.
    Type,
    /// A key that has to be there is not.
    Missing,
    /// A value of the right type that is too small, too big, empty, or none of those that there are.
    Value,
    /// A text that is no duration.
    Duration,
    /// A text that is no address to listen on.
    Address,
    /// A text that is no URL to send to.
    Url,
    /// A text that is no webhook secret.
    Secret,
    /// A header that cannot be sent.
    Header,
    /// A sink of no kind, or of several.
    SinkKind,
    /// A text that cannot be a name.
    Name,
    /// A name that is given twice.
    DuplicateName,
    /// An action delivers to a sink that there is not.
    UnknownSink,
    /// A text that is no event type pattern.
    Pattern,
    /// A filter that is not CEL.
    Filter,
    /// A transform that is not jq.
    Transform,
    /// A route with nothing to run, or with several things.
    Handler,
    /// A retry policy that makes no sense.
    Retry,
    /// A webhook to a private address that is not allowed.
    PrivateAddress,
    /// A file that holds no CloudEvent.
    Event,
    /// A source of no kind, or of several.
    SourceKind,
    /// A source whose options do not go together.
    SourceOptions,
    /// A database's URL of no kind that an outbox can be in.
    OutboxDatabase,
    /// A key of an outbox that encrypts nothing.
    OutboxKey,
    /// A table of Debezium's layout that cannot be connected.
    OutboxTable,
    /// A JSON Schema that is none, or that an example does not fit.
    Schema,
    /// Files to be included that cannot be.
    Include,
    /// A schedule that names no times, or a time zone that there is not.
    Schedule,
    /// A key that is not CEL.
    Key,
    /// A text that is no rate.
    Rate,
    /// A route that debounces and batches.
    FlowConflict,
    /// Two keys for one route.
    Keys,
    /// Limits that limit nothing.
    NoLimit,
    /// A debouncing that makes no sense.
    Debounce,
    /// A role that there is not.
    Role,
    /// A way to sign in that cannot work.
    Oidc,
    /// A configuration that a running process cannot take on.
    Reload,
    /// A key that payloads cannot be encrypted with.
    EncryptionKey,
    /// A path that redacts nothing.
    RedactPath,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 41] = [
        Self::Unreadable,
        Self::Syntax,
        Self::UnknownKey,
        Self::Type,
        Self::Missing,
        Self::Value,
        Self::Duration,
        Self::Address,
        Self::Url,
        Self::Secret,
        Self::Header,
        Self::SinkKind,
        Self::Name,
        Self::DuplicateName,
        Self::UnknownSink,
        Self::Pattern,
        Self::Filter,
        Self::Transform,
        Self::Handler,
        Self::Retry,
        Self::PrivateAddress,
        Self::Event,
        Self::SourceKind,
        Self::SourceOptions,
        Self::OutboxDatabase,
        Self::OutboxKey,
        Self::OutboxTable,
        Self::Schema,
        Self::Include,
        Self::Schedule,
        Self::Key,
        Self::Rate,
        Self::FlowConflict,
        Self::Keys,
        Self::NoLimit,
        Self::Debounce,
        Self::Role,
        Self::Reload,
        Self::Oidc,
        Self::EncryptionKey,
        Self::RedactPath,
    ];

    /// The number in the code.
    pub fn number(self) -> u16 {
        match self {
            Self::Unreadable => 1,
            Self::Syntax => 2,
            Self::UnknownKey => 3,
            Self::Type => 4,
            Self::Missing => 5,
            Self::Value => 6,
            Self::Duration => 7,
            Self::Address => 8,
            Self::Url => 9,
            Self::Secret => 10,
            Self::Header => 11,
            Self::SinkKind => 12,
            Self::Name => 13,
            Self::DuplicateName => 14,
            Self::UnknownSink => 15,
            Self::Pattern => 16,
            Self::Filter => 17,
            Self::Transform => 18,
            Self::Handler => 19,
            Self::Retry => 20,
            Self::PrivateAddress => 21,
            Self::Event => 22,
            Self::SourceKind => 40,
            Self::SourceOptions => 41,
            Self::OutboxDatabase => 50,
            Self::OutboxKey => 51,
            Self::OutboxTable => 52,
            Self::Schema => 67,
            Self::Include => 68,
            Self::Schedule => 69,
            Self::Key => 80,
            Self::Rate => 61,
            Self::FlowConflict => 62,
            Self::Keys => 63,
            Self::NoLimit => 64,
            Self::Debounce => 65,
            Self::Role => 100,
            Self::Reload => 110,
            Self::Oidc => 111,
            Self::EncryptionKey => 120,
            Self::RedactPath => 123,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SG{:04}", self.number())
    }
}
