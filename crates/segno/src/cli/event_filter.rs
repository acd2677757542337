//! Which events a command is about.

use clap::Args;

/// What is asked of their attributes. What is left out allows all.
#[derive(Debug, Default, Args)]
pub(super) struct EventFilter {
    /// Of events of this type.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Of events of this source.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Of events about this subject.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
}

impl EventFilter {
    /// The attributes with their names, as the API has them and the CloudEvents specification.
    pub(super) fn attributes(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("type", self.ty.as_deref()),
            ("source", self.source.as_deref()),
            ("subject", self.subject.as_deref()),
        ]
    }

    #[cfg(test)]
    pub(super) fn of_type(ty: &str) -> Self {
        Self {
            ty: Some(ty.to_owned()),
            ..Self::default()
        }
    }
}
