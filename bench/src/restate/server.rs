//! Restate's server in a process of its own, with the job's handler registered on it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use restate_sdk::{endpoint::Endpoint, http_server::HttpServer};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{
    handler::{Deliver, OneStep},
    ingress::Ingress,
};
use crate::{
    process::Pid,
    settings::Settings,
    target::{ServerProcess, free_port},
};

/// Where the program is, if it is installed.
pub(crate) fn program(settings: &Settings) -> Option<PathBuf> {
    crate::target::find_program(settings.restate_bin.as_deref(), "restate-server")
}

/// A running server. Dropping it ends it and removes its files.
pub(crate) struct Server {
    process: ServerProcess,
    ingress: Ingress,
    /// Serves the handler.
    _handler: tokio::task::JoinHandle<()>,
    _folder: TempDir,
}

impl Server {
    /// Starts it on files of its own, and registers the handler.
    pub(super) async fn start(settings: &Settings) -> Result<Self> {
        Self::delivering(settings, "").await
    }

    /// The same, with a handler that delivers to this URL.
    pub(super) async fn delivering(settings: &Settings, receiver: &str) -> Result<Self> {
        let folder = TempDir::with_prefix_in("segno-bench-", settings.folder())?;
        let (ingress, admin) = (free_port()?, free_port()?);
        let config = folder.path().join("restate.toml");
        std::fs::write(
            &config,
            configuration(folder.path(), ingress, admin, free_port()?),
        )?;
        let mut command = Command::new(program(settings).context("no `restate-server` program")?);
        command.args(["--no-logo", "--config-file"]).arg(&config);
        let mut process = ServerProcess::spawn(command)?;

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let handler = format!("http://{}", listener.local_addr()?);
        let deliver = Deliver {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: receiver.to_owned(),
        };
        let endpoint = Endpoint::builder().bind(OneStep).bind(deliver).build();
        let serve = HttpServer::new(endpoint).serve_with_cancel(listener, std::future::pending::<()>());
        let serve = tokio::spawn(serve);

        let http = reqwest::Client::builder().no_proxy().build()?;
        let admin = format!("http://127.0.0.1:{admin}");
        let ingress = format!("http://127.0.0.1:{ingress}");
        let began = Instant::now();
        while let Err(error) = register(&http, &admin, &ingress, &handler).await {
            process.check_running()?;
            if began.elapsed() > settings.limit() {
                bail!("restate does not come up: {error:#}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Self {
            process,
            ingress: Ingress::new(http, ingress),
            _handler: serve,
            _folder: folder,
        })
    }

    pub(super) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Where a one-way call of a handler, `Service/handler`, is handed over.
    pub(crate) fn send_url(&self, handler: &str) -> String {
        self.ingress.send_url(handler)
    }

    pub(super) fn ingress(&self) -> Ingress {
        self.ingress.clone()
    }
}

async fn register(http: &reqwest::Client, admin: &str, ingress: &str, handler: &str) -> Result<()> {
    http.get(format!("{ingress}/restate/health"))
        .send()
        .await?
        .error_for_status()?;
    let deployment = http
        .post(format!("{admin}/deployments"))
        .json(&json!({ "uri": handler, "force": true }));
    deployment.send().await?.error_for_status()?;
    Ok(())
}

/// Its defaults, but for where it listens and that it stays quiet.
fn configuration(folder: &Path, ingress: u16, admin: u16, node: u16) -> String {
    format!(
        "bind-ip = \"127.0.0.1\"\nbind-port = {node}\nlisten-mode = \"tcp\"\nbase-dir = {folder:?}\n\
         disable-telemetry = true\nlog-filter = \"off\"\n\
         [ingress]\nbind-port = {ingress}\n[admin]\nbind-port = {admin}\ndisable-web-ui = true\n"
    )
}
