//! `segno demo`: `segno up` with something to see.

use std::net::SocketAddr;

use clap::Args;
use miette::IntoDiagnostic;

use super::RunFlags;
use crate::{builder::DEFAULT_DATA, config::Config, demo};

/// Flags of `segno demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    flags: RunFlags,
    /// Address of the receiver that shows what arrives.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090")]
    receiver: SocketAddr,
}

impl Demo {
    pub(super) async fn run(self) -> miette::Result<()> {
        let data = self.flags.data.clone().unwrap_or_else(|| DEFAULT_DATA.into());
        // The built-in configuration's file sink writes there, whatever the engine.
        std::fs::create_dir_all(&data).into_diagnostic()?;
        let given = self.flags.config.clone();
        demo::Demo {
            builder: self.flags.without_config(),
            receiver: self.receiver,
            configure: Box::new(move |text| match given {
                Some(path) => Ok(Config::load(&path)?),
                None => Ok(Config::parse("demo.toml", text, &data)?),
            }),
        }
        .run()
        .await
    }
}
