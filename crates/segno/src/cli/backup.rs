//! `segno backup`: a copy of the engine's file.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use miette::IntoDiagnostic;
use segno_engine::Copied;

use super::output;
use crate::engine::embedded::FILE;

/// Which engine's file.
#[derive(Debug, Args)]
pub(super) struct EngineFile {
    /// Directory of the embedded engine's file.
    #[arg(long, value_name = "DIR", env = "SEGNO_DATA", default_value = "data")]
    data: PathBuf,
    /// The engine's file itself, as `segno engine` is given it.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

impl EngineFile {
    pub(super) fn path(self) -> PathBuf {
        self.db.unwrap_or_else(|| self.data.join(FILE))
    }
}

/// Flags of `segno backup`.
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(flatten)]
    file: EngineFile,
    /// Where the copy goes. One that is there already is replaced once the new one is complete and checked.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Backup {
    pub(super) fn run(self) -> miette::Result<ExitCode> {
        let copied = segno_engine::backup(&self.file.path(), &self.to).into_diagnostic()?;
        say(&copied, &self.to)
    }
}

/// Tells what was copied to where.
pub(super) fn say(copied: &Copied, to: &Path) -> miette::Result<ExitCode> {
    let Copied { executions, bytes } = copied;
    output::to_stdout(|out| {
        writeln!(
            out,
            "{}: {executions} executions, {bytes} bytes, checked",
            to.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
