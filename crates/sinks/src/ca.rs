//! The certificates of the authorities that a server is trusted by.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It cannot be read.
    #[error("the certificates in {path} cannot be read")]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are none in it.
    #[error("{0} holds no certificate in PEM form (it has a line `-----BEGIN CERTIFICATE-----`)")]
    None(PathBuf),
    /// They would not be asked for.
    #[error("`ca` is for a server that is reached with TLS: its URL begins with `{0}://`")]
    NoTls(&'static str),
}

/// The certificates, in PEM form; a relative path is taken from `base`.
pub(crate) fn read(base: &Path, path: &Path) -> Result<Vec<u8>, CaError> {
    let path = base.join(path);
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(CaError::Read { path, source }),
    };
    // The libraries take a file without any for an authority that nobody is trusted by, and say nothing.
    if String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        Ok(pem)
    } else {
        Err(CaError::None(path))
    }
}
