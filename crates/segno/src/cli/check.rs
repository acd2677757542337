//! `segno check`: every mistake in the configuration at once.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output::{self, Output};
use crate::config::{Config, Mistakes};

/// Report every mistake in the configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", env = "SEGNO_CONFIG", default_value = "segno.toml")]
    pub config: PathBuf,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Runs the command: exit code 0 if there is no mistake, 1 if there is any.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: Args) -> miette::Result<ExitCode> {
    let checked = Config::load(&args.config);
    output::to_stdout(|out| print(&args, &checked, out, output::colors()))?;
    Ok(if checked.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints what [`Config::load`] made of the file.
///
/// # Errors
/// When it cannot be written.
pub fn print(
    args: &Args,
    checked: &Result<Config, Mistakes>,
    out: &mut dyn Write,
    colors: bool,
) -> io::Result<()> {
    match args.output {
        Output::Table => print_table(args, checked, out, colors),
        output => output.print(&report(args, checked), out, |_| Ok(())),
    }
}

fn print_table(
    args: &Args,
    checked: &Result<Config, Mistakes>,
    out: &mut dyn Write,
    colors: bool,
) -> io::Result<()> {
    let name = args.config.display();
    match checked {
        Ok(config) => {
            writeln!(out, "{name}: no mistakes")?;
            writeln!(out, "  sinks:  {}", list(&sinks(config)))?;
            writeln!(out, "  routes: {}", list(&routes(config)))?;
            if !config.sources.is_empty() {
                writeln!(out, "  sources: {}", list(&sources(config)))?;
            }
            Ok(())
        }
        Err(mistakes) => {
            for mistake in mistakes {
                output::diagnostic(out, mistake, colors)?;
                writeln!(out)?;
            }
            match mistakes.iter().len() {
                1 => writeln!(out, "{name}: 1 mistake"),
                count => writeln!(out, "{name}: {count} mistakes"),
            }
        }
    }
}

fn report(args: &Args, checked: &Result<Config, Mistakes>) -> serde_json::Value {
    let mistakes: Vec<_> = checked.as_ref().err().into_iter().flatten().collect();
    let mut report = json!({"file": args.config.display().to_string(), "mistakes": mistakes});
    if let Ok(config) = checked {
        report["sinks"] = json!(sinks(config));
        report["routes"] = json!(routes(config));
        if !config.sources.is_empty() {
            report["sources"] = json!(sources(config));
        }
    }
    report
}

fn sinks(config: &Config) -> Vec<&str> {
    let mut names: Vec<_> = config
        .sinks
        .keys()
        .chain(config.workflow_sinks.keys())
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

fn sources(config: &Config) -> Vec<&str> {
    config.sources.keys().map(String::as_str).collect()
}

fn routes(config: &Config) -> Vec<&str> {
    config.routes.iter().map(|route| route.name.as_str()).collect()
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
