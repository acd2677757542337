//! Flags of the embedded engine's gRPC port.

use std::path::PathBuf;

use clap::Args;

use crate::config::{ApiKey, NoApiKey, TlsFiles};

/// Who may call the embedded engine's gRPC API, over what `engine.grpc` of the configuration says.
#[derive(Clone, Debug, Default, Args)]
pub struct GrpcFlags {
    /// Certificate of the gRPC port, in PEM form: TLS.
    #[arg(long, value_name = "FILE", env = "SEGNO_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate.
    #[arg(long, value_name = "FILE", env = "SEGNO_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Authorities whose certificates clients have to show: mTLS.
    #[arg(long, value_name = "FILE", env = "SEGNO_TLS_CLIENT_CA", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// API key for these namespaces (names between commas, or * for all), by the place where it is; "admin:" before
    /// them if it may also register, change and delete them. Can be given several times.
    #[arg(long = "api-key", value_name = "[admin:]NAMESPACES=env:VARIABLE|file:PATH")]
    pub api_keys: Vec<String>,
    /// Allow API keys without TLS on an address that other machines can reach.
    #[arg(long)]
    pub allow_plaintext: bool,
}

impl GrpcFlags {
    /// The certificate, if the flags name one.
    pub(super) fn tls(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: self.tls_cert.clone()?,
            private_key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }

    /// The keys. They are read here and not by the parser of the command line, which quotes what it cannot read: and
    /// that may be a key.
    pub(super) fn api_keys(&self) -> impl Iterator<Item = Result<ApiKey, NoApiKey>> {
        self.api_keys.iter().map(|key| key.parse())
    }
}
