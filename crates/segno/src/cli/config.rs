//! `segno config`: what holds, and having a running Segno take it on again.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::{
    RunFlags,
    api::Api,
    output::{self, Output},
    profiles,
};
use crate::config::show::{self, Entry};

/// Longest value that is shown whole in a table, in characters.
const WIDTH: usize = 80;

/// Flags of `segno config`.
#[derive(Debug, Args)]
pub(super) struct Config {
    /// What to print.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every setting that holds, and who says so: a default, a line of a file, a variable or a flag. Secrets are hidden.
    Show(Box<RunFlags>),
    /// Have a running Segno take its configuration file on again.
    Reload(Api),
    /// List the profiles that `--profile` can name.
    Profiles,
}

impl Config {
    /// `profile` is the one that is named.
    pub(super) async fn run(self, profile: Option<&str>) -> miette::Result<()> {
        match self.command {
            Command::Show(flags) => {
                let entries = show::entries(flags.config_file().as_deref(), &flags.said())?;
                self.output.show(&entries, |out| table(&entries, out))
            }
            Command::Reload(api) => {
                let done: Value = api.call(Method::POST, &["config", "reload"], &[], None).await?;
                self.output.show(&done, |out| reloaded(&done, out))
            }
            Command::Profiles => profiles::list(self.output, profile),
        }
    }
}

fn table(entries: &[Entry], out: &mut dyn Write) -> std::io::Result<()> {
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| {
            let mut value = output::one_line(&entry.value);
            if value.chars().count() > WIDTH {
                value = value.chars().take(WIDTH - 1).collect::<String>() + "…";
            }
            (&entry.setting, value, &entry.origin)
        })
        .collect();
    let setting = lines
        .iter()
        .map(|line| line.0.chars().count())
        .max()
        .unwrap_or(0)
        .max(7);
    let value = lines
        .iter()
        .map(|line| line.1.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    writeln!(out, "{:setting$}  {:value$}  ORIGIN", "SETTING", "VALUE")?;
    for (name, text, origin) in lines {
        writeln!(out, "{name:setting$}  {text:value$}  {origin}")?;
    }
    Ok(())
}

fn reloaded(done: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let names = |of: &str| {
        let names = done[of].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    for (of, what) in [
        ("routes", "routes"),
        ("sinks", "sinks"),
        ("needs_restart", "takes a restart"),
    ] {
        let names = names(of);
        writeln!(
            out,
            "{what}: {}",
            if names.is_empty() { "nothing" } else { &names }
        )?;
    }
    Ok(())
}
