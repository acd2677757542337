//! `segno restore`: a copy takes the place of the engine's file.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use miette::IntoDiagnostic;

use super::backup::{EngineFile, say};

/// Flags of `segno restore`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    file: EngineFile,
    /// The copy that `segno backup` made.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Replace a file that is there already, with all that is in it.
    #[arg(long)]
    yes: bool,
}

impl Restore {
    pub(super) fn run(self) -> miette::Result<ExitCode> {
        let to = self.file.path();
        let copied = segno_engine::restore(&self.from, &to, self.yes).into_diagnostic()?;
        say(&copied, &to)
    }
}
