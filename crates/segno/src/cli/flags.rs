//! Flags of everything that runs, for this program and for those built on the library.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::GrpcFlags;
use crate::{
    Builder, Segno,
    config::{Config, Mistakes},
};

/// Configuration file that is read where none is named.
const CONFIG: &str = "segno.toml";

/// Where the configuration and the data are, and what is listened on. A program of its own flattens it into its
/// command line:
///
/// ```no_run
/// use clap::Parser;
///
/// #[derive(Parser)]
/// struct Cli {
///     #[command(flatten)]
///     flags: segno::cli::RunFlags,
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     Ok(Cli::parse().flags.builder()?.run().await?)
/// }
/// ```
#[derive(Clone, Debug, Default, Args)]
pub struct RunFlags {
    /// Configuration file [default: segno.toml, if there is one].
    #[arg(long, value_name = "FILE", env = "SEGNO_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of the embedded engine's file [default: data].
    #[arg(long, value_name = "DIR", env = "SEGNO_DATA")]
    pub data: Option<PathBuf>,
    /// Address of the HTTP API [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR:PORT", env = "SEGNO_HTTP")]
    pub http: Option<SocketAddr>,
    /// Address of the embedded engine's gRPC API [default: 127.0.0.1:7233].
    #[arg(long, value_name = "ADDR:PORT", env = "SEGNO_GRPC")]
    pub grpc: Option<SocketAddr>,
    /// Allow addresses that other machines can reach although nothing here authenticates who calls.
    #[arg(long)]
    pub allow_unauthenticated: bool,
    /// Who may call the embedded engine's gRPC API.
    #[command(flatten)]
    pub port: GrpcFlags,
}

impl RunFlags {
    /// A builder that does what the configuration file says, over it what the environment says
    /// ([`Config::with_environment`]), and over that what the flags say.
    ///
    /// # Errors
    /// Every mistake in the configuration file, or else in the environment.
    pub fn builder(&self) -> Result<Builder, Mistakes> {
        let builder = self.without_config();
        match self.config_file() {
            Some(path) => builder.config_file(path),
            None => Ok(builder.config(Config::default().with_environment()?)),
        }
    }

    /// The configuration file, if there is one.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        let usual = || Some(PathBuf::from(CONFIG)).filter(|path| path.exists());
        self.config.clone().or_else(usual)
    }

    /// The settings that flags say, by the flags' names.
    pub(super) fn said(&self) -> Vec<(&'static str, String)> {
        let data = self.data.as_ref().map(|path| path.display().to_string());
        let http = self.http.as_ref().map(ToString::to_string);
        let grpc = self.grpc.as_ref().map(ToString::to_string);
        let said = [("--data", data), ("--http", http), ("--grpc", grpc)];
        said.into_iter()
            .filter_map(|(flag, value)| Some((flag, value?)))
            .collect()
    }

    /// A builder that does what the flags say, with no configuration.
    pub(super) fn without_config(&self) -> Builder {
        let mut builder = Segno::builder()
            .allow_unauthenticated(self.allow_unauthenticated)
            .allow_plaintext(self.port.allow_plaintext);
        if let Some(files) = self.port.tls() {
            builder = builder.grpc_tls(files);
        }
        builder.api_keys.extend(self.port.api_keys());
        if let Some(address) = self.http {
            builder = builder.http(address);
        }
        if let Some(address) = self.grpc {
            builder = builder.grpc(address);
        }
        if let Some(directory) = &self.data {
            builder = builder.data(directory);
        }
        builder
    }
}
