//! What a command shows to a running Segno: who calls, and whom it trusts.

use std::{path::PathBuf, time::Duration};

use miette::{IntoDiagnostic, WrapErr, miette};
use reqwest::{
    Certificate, Client,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

/// Where a token is, if no file is named. It has no flag: what stands on a command line can be read by others.
pub(super) const TOKEN: &str = "SEGNO_TOKEN";

/// Who calls a running Segno. The token is in the environment variable SEGNO_TOKEN, or in a file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Credentials {
    /// File with the token [default: the variable SEGNO_TOKEN holds the token itself, if it is set].
    #[arg(long, value_name = "FILE", env = "SEGNO_TOKEN_FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// File with the certificates of authorities, in PEM form, that are trusted besides the usual ones.
    #[arg(long, value_name = "FILE", env = "SEGNO_CA_FILE", global = true)]
    pub ca_file: Option<PathBuf>,
}

impl Credentials {
    /// A client that shows them with each call.
    ///
    /// # Errors
    /// When a file cannot be read, or holds something else.
    pub fn client(&self, timeout: Duration) -> miette::Result<Client> {
        let mut builder = Client::builder().timeout(timeout);
        if let Some(token) = self.token()? {
            let header = HeaderValue::from_str(&format!("Bearer {token}"));
            // What the parser says might quote the token.
            let mut header = header.map_err(|_| miette!("the token has characters that cannot be sent"))?;
            header.set_sensitive(true);
            builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, header)]));
        }
        if let Some(path) = &self.ca_file {
            let read = std::fs::read(path)
                .into_diagnostic()
                .and_then(|pem| Certificate::from_pem_bundle(&pem).into_diagnostic());
            let authorities =
                read.wrap_err_with(|| format!("--ca-file {} cannot be used", path.display()))?;
            if authorities.is_empty() {
                return Err(miette!(
                    "--ca-file {} holds no certificate: it is a file in PEM form",
                    path.display()
                ));
            }
            for authority in authorities {
                builder = builder.add_root_certificate(authority);
            }
        }
        builder.build().into_diagnostic()
    }

    fn token(&self) -> miette::Result<Option<String>> {
        let token = match &self.token_file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("--token-file {} cannot be read", path.display()))?,
            ),
            None => std::env::var(TOKEN).ok(),
        };
        let token = token.map(|token| token.trim().to_owned());
        Ok(token.filter(|token| !token.is_empty()))
    }
}
