//! Segno in a process of its own: one route, one action, a webhook.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use segno::{Segno, config::Config};
use tempfile::TempDir;

use super::{Entrance, Events, Platform, receiver::Receiver, through};
use crate::{
    settings::Settings,
    target::{Kind, ServerProcess, Target, free_port},
};

/// On its own engine.
pub(super) async fn embedded(settings: &Settings) -> Result<Events> {
    measure(Platform::Segno, None, settings.events, settings).await
}

/// On the dev server with a file.
pub(super) async fn on_dev_server(settings: &Settings) -> Result<Events> {
    let server = Target::start(Kind::DevServerFile, settings).await?;
    let address = server.address().context("a server with a port")?.to_owned();
    let platform = Platform::SegnoOnDevServer;
    let measured = measure(platform, Some(&address), settings.peer_events, settings).await;
    server.stop().await;
    measured
}

async fn measure(
    platform: Platform,
    cluster: Option<&str>,
    events: usize,
    settings: &Settings,
) -> Result<Events> {
    let receiver = Receiver::start().await?;
    let folder = TempDir::with_prefix_in("segno-bench-", settings.folder())?;
    let port = free_port()?;
    let config = folder.path().join("segno.toml");
    std::fs::write(
        &config,
        configuration(folder.path(), port, free_port()?, cluster, receiver.url()),
    )?;
    let mut process = ServerProcess::spawn(command(&config)?)?;
    wait_until_ready(&mut process, port, settings.limit()).await?;
    let entrance = Entrance::new(platform, format!("http://127.0.0.1:{port}/events"))?;
    through(&entrance, &receiver, events, settings).await
}

fn configuration(folder: &Path, http: u16, grpc: u16, cluster: Option<&str>, receiver: &str) -> String {
    let engine = match cluster {
        Some(address) => format!("[engine]\ntemporal = {address:?}\n"),
        None => format!(
            "data = {:?}\n[engine.grpc]\nlisten = \"127.0.0.1:{grpc}\"\n",
            folder.join("data")
        ),
    };
    format!(
        "{engine}\n[http]\nlisten = \"127.0.0.1:{http}\"\n\
         [sinks.null]\nwebhook = {{ url = {receiver:?}, allow_private = true }}\n\
         [[routes]]\nname = \"orders\"\non = \"order.*\"\n\
         actions = [{{ name = \"tell\", to = \"null\", transform = \".data\" }}]\n"
    )
}

/// This program again, as Segno.
fn command(config: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("serve-events").arg("--config").arg(config);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TEMPORAL_")) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Runs Segno until this process is killed.
pub(crate) async fn serve(settings: &Settings) -> Result<()> {
    let path = settings.config.as_deref().context("--config")?;
    let config = Config::load(path).map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
    Segno::builder()
        .config(config)
        .run()
        .await
        .context("running Segno")
}

async fn wait_until_ready(process: &mut ServerProcess, port: u16, limit: Duration) -> Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let began = Instant::now();
    loop {
        let ready = http.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
        if ready.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        process.check_running()?;
        if began.elapsed() > limit {
            bail!("segno does not come up");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
