//! `segno health`: for supervisors that run a command, as a container's health check does.

use clap::Args;
use reqwest::Method;

use super::{api::Api, output};

/// Ask a running Segno whether it takes work: exit code 0 if it does.
#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    api: Api,
    /// Ask only whether the process lives.
    #[arg(long)]
    live: bool,
}

impl Health {
    pub(super) async fn run(self) -> miette::Result<()> {
        let probe = if self.live { "livez" } else { "readyz" };
        self.api.call(Method::GET, &[probe], &[], None).await?;
        output::to_stdout(|out| writeln!(out, "ok"))
    }
}
