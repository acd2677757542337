//! Segno's engine, or the stub, on a port in a process of its own: this program, started again.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};
use segno_engine::{Engine, Options};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::settings::Settings;

/// How to start it.
pub(crate) fn command(port: u16, file: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--db"])
        .arg(file);
    Ok(command)
}

/// How to start the stub.
pub(crate) fn stub_command(port: u16) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve-stub", "--listen", &format!("127.0.0.1:{port}")]);
    Ok(command)
}

/// Serves the stub until standard input ends.
pub(crate) async fn run_stub(settings: &Settings) -> Result<()> {
    let listener = TcpListener::bind(settings.listen.context("--listen is missing")?).await?;
    crate::stub::grpc::serve(listener, end_of_input()).await
}

/// Serves until standard input ends, that is, until the program that started this one is gone.
pub(crate) async fn run(settings: &Settings) -> Result<()> {
    let listen = settings.listen.context("--listen is missing")?;
    let file = settings.db.as_ref().context("--db is missing")?;
    let engine = Engine::open(Options::new(file)).await?;
    let listener = TcpListener::bind(listen).await?;
    segno_engine::serve(&engine.handle(), listener, end_of_input()).await?;
    engine.shutdown().await;
    Ok(())
}

async fn end_of_input() {
    // Whatever this gives, there is no more input.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
}
