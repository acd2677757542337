//! The real thing: `temporal server start-dev`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::settings::Settings;

/// Where the program is, if it is installed.
pub(crate) fn program(settings: &Settings) -> Option<PathBuf> {
    super::find_program(settings.temporal_bin.as_deref(), "temporal")
}

/// How to start it: without its web pages, which nobody looks at here.
pub(crate) fn command(settings: &Settings, port: u16, file: Option<&Path>) -> Result<Command> {
    let mut command = Command::new(program(settings).context("no `temporal` program")?);
    command.args([
        "server",
        "start-dev",
        "--headless",
        "--ip",
        "127.0.0.1",
        "--log-level",
        "never",
    ]);
    command.args(["--port", &port.to_string()]);
    if let Some(file) = file {
        command.arg("--db-filename").arg(file);
    }
    Ok(command)
}
