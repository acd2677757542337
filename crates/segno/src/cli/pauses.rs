//! `segno routes` and `segno sinks`: what there is, and pausing and resuming it, through a running program's API.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::{api::Api, output::Output};

/// Flags of both.
#[derive(Debug, Args)]
pub(super) struct Pauses {
    #[command(flatten)]
    api: Api,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, and which are paused.
    List,
    /// Hold one up: events are taken in and wait.
    Pause {
        /// Its name.
        name: String,
    },
    /// Let one go on.
    Resume {
        /// Its name.
        name: String,
    },
}

impl Pauses {
    /// Does what is asked, `of` routes or sinks.
    pub(super) async fn run(self, of: &str) -> miette::Result<()> {
        let (name, verb, done, already) = match &self.command {
            Command::List => return self.list(of).await,
            Command::Pause { name } => (name, "pause", "is paused", "was paused already"),
            Command::Resume { name } => (name, "resume", "goes on", "was not paused"),
        };
        let answer = self.api.call(Method::POST, &[of, name, verb], &[], None).await?;
        let what = if answer["changed"] == true { done } else { already };
        self.output.show(&answer, |out| writeln!(out, "{name} {what}"))
    }

    async fn list(&self, of: &str) -> miette::Result<()> {
        let mut answer = self.api.call(Method::GET, &[of], &[], None).await?;
        let listed = answer[of].take();
        self.output.show(&listed, |out| {
            let mut listed = listed.as_array().into_iter().flatten();
            listed.try_for_each(|one| line(one, out))
        })
    }
}

fn line(one: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    write!(out, "{}", one["name"].as_str().unwrap_or_default())?;
    if let Some(since) = one["paused"].as_str() {
        write!(out, "  paused since {since}")?;
    }
    if one["configured"] == false {
        write!(out, "  not in the configuration")?;
    }
    writeln!(out)
}
