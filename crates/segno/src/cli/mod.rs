//! The command line.

mod api;
mod audit;
#[cfg(feature = "embedded")]
mod backup;
pub mod check;
mod config;
mod credentials;
mod dead_letters;
mod demo;
mod emit;
#[cfg(feature = "embedded")]
mod engine;
mod event_filter;
mod events;
mod executions;
pub mod explain;
mod flags;
mod grpc_flags;
mod health;
mod keys;
mod other;
pub mod output;
mod pages;
mod pauses;
mod profiles;
mod progress;
mod reference;
mod replay;
#[cfg(feature = "embedded")]
mod restore;
mod schedules;
#[cfg(feature = "embedded")]
mod soak;
mod story;
mod timers;
mod up;

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::{FromArgMatches, Parser, Subcommand};

pub use credentials::Credentials;
pub use flags::RunFlags;
pub use grpc_flags::GrpcFlags;

use crate::logging::{self, Format};

/// Takes events in, handles each one durably, and shows what became of it.
#[derive(Debug, Parser)]
#[command(
    name = "segno",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Another command NAME is the program segno-NAME, if the PATH has one."
)]
struct Cli {
    /// How logs are written.
    #[arg(long, global = true, value_enum, default_value_t, env = "SEGNO_LOG_FORMAT")]
    log_format: Format,
    /// A profile of ~/.config/segno/profiles.toml, which says what no flag does: where a running Segno is, and how to call it.
    #[arg(long, value_name = "NAME", global = true, env = profiles::VARIABLE)]
    profile: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take events and timers in and handle them, until told to stop.
    Up(up::Up),
    /// The same with a configuration of its own, sample events, a timer, and a receiver that shows what arrives.
    Demo(demo::Demo),
    #[cfg(feature = "embedded")]
    Soak(soak::Soak),
    /// Serve the engine alone: Temporal's gRPC API over one file.
    #[cfg(feature = "embedded")]
    Engine(engine::Engine),
    /// Copy the engine's file, also while Segno is running, and check the copy.
    #[cfg(feature = "embedded")]
    Backup(backup::Backup),
    /// Put a copy of the engine's file in its place, while Segno is not running.
    #[cfg(feature = "embedded")]
    Restore(restore::Restore),
    Emit(emit::Args),
    Check(check::Args),
    /// Show what is configured and who says so, or have a running Segno take its configuration on again.
    Config(config::Config),
    Explain(explain::Args),
    Events(events::Events),
    Executions(executions::Executions),
    DeadLetters(dead_letters::DeadLetters),
    Replay(Box<replay::Replay>),
    Keys(keys::Keys),
    Health(health::Health),
    Audit(audit::Audit),
    /// List the routes, pause them, and let them go on.
    Routes(pauses::Pauses),
    /// List the sinks, pause them, and let them go on.
    Sinks(pauses::Pauses),
    Schedules(schedules::Schedules),
    Timers(timers::Timers),
    Completions(reference::Completions),
    Man(reference::Man),
}

/// The whole command line, for what describes it.
pub fn command() -> clap::Command {
    let mut command = unbuilt();
    command.build();
    command
}

fn unbuilt() -> clap::Command {
    use clap::CommandFactory;
    Cli::command()
}

/// The command line, where a profile that is named says what no flag does.
fn parse(line: Vec<OsString>) -> miette::Result<Cli> {
    let command = match profiles::Chosen::find(line.iter().cloned())? {
        Some(profile) => profile.apply(unbuilt()),
        None => unbuilt(),
    };
    Ok(Cli::from_arg_matches(&command.get_matches_from(line)).unwrap_or_else(|error| error.exit()))
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    // Addresses and commands in errors are to be copied, not wrapped.
    let handler = || {
        miette::MietteHandlerOpts::new()
            .wrap_lines(false)
            .break_words(false)
            .build()
    };
    drop(miette::set_hook(Box::new(move |_| Box::new(handler()))));
    let line: Vec<_> = std::env::args_os().collect();
    if let Some(other) = other::Other::asked(unbuilt(), &line) {
        return other.run(unbuilt()).unwrap_or_else(|report| failed(&report));
    }
    let cli = match parse(line) {
        Ok(cli) => cli,
        Err(report) => return failed(&report),
    };
    let quiet = matches!(cli.command, Command::Demo(_)) && cli.log_format == Format::Human;
    logging::init(cli.log_format, quiet);
    let done = match cli.command {
        Command::Up(up) => block_on(up.run()),
        Command::Demo(demo) => block_on(demo.run()),
        #[cfg(feature = "embedded")]
        Command::Soak(soak) => outcome_of(soak.run()),
        #[cfg(feature = "embedded")]
        Command::Engine(engine) => block_on(engine.run()),
        #[cfg(feature = "embedded")]
        Command::Backup(backup) => backup.run(),
        #[cfg(feature = "embedded")]
        Command::Restore(restore) => restore.run(),
        Command::Emit(emit) => outcome_of(emit.run()),
        Command::Check(check) => check::run(check),
        Command::Config(config) => block_on(config.run(cli.profile.as_deref())),
        Command::Explain(explain) => match explain.of_an_event_taken_in() {
            Some(asked) => block_on(asked.run()),
            None => explain::run(explain),
        },
        Command::Events(events) => block_on(events.run()),
        Command::Executions(executions) => block_on(executions.run()),
        Command::DeadLetters(letters) => block_on(letters.run()),
        Command::Replay(replay) => block_on(replay.run()),
        Command::Audit(audit) => block_on(audit.run()),
        Command::Keys(keys) => block_on(keys.run()),
        Command::Health(health) => block_on(health.run()),
        Command::Routes(routes) => block_on(routes.run("routes")),
        Command::Sinks(sinks) => block_on(sinks.run("sinks")),
        Command::Schedules(schedules) => block_on(schedules.run()),
        Command::Timers(timers) => block_on(timers.run()),
        Command::Completions(completions) => completions.run(command()).map(|()| ExitCode::SUCCESS),
        Command::Man(man) => man.run(command()).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(report) => failed(&report),
    }
}

fn failed(report: &miette::Report) -> ExitCode {
    drop(writeln!(std::io::stderr(), "{report:?}"));
    ExitCode::FAILURE
}

fn block_on(command: impl Future<Output = miette::Result<()>>) -> miette::Result<ExitCode> {
    outcome_of(command).map(|()| ExitCode::SUCCESS)
}

/// The same for a command with exit codes of its own.
fn outcome_of<T>(command: impl Future<Output = miette::Result<T>>) -> miette::Result<T> {
    use miette::IntoDiagnostic;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .into_diagnostic()?;
    let done = runtime.block_on(command);
    // What is still at work by now was asked to end and is not worth waiting for: it ends with the process. The
    // runtime is not shut down first, because a worker's thread that is still at a timer then would panic.
    std::mem::forget(runtime);
    done
}
