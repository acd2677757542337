//! `segno up`: everything in one process.

use clap::Args;
use miette::IntoDiagnostic;

use super::RunFlags;

/// Flags of `segno up`.
#[derive(Debug, Args)]
pub(super) struct Up {
    #[command(flatten)]
    flags: RunFlags,
}

impl Up {
    pub(super) async fn run(self) -> miette::Result<()> {
        self.flags.builder()?.run().await.into_diagnostic()
    }
}
