//! The certificates of the authorities that a server is trusted by.

use std::path::Path;

use crate::Error;

/// The certificates, in PEM form.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let pem = std::fs::read(path).map_err(|error| {
        Error(format!(
            "the certificates in {} cannot be read: {error}",
            path.display()
        ))
    })?;
    // The libraries take a file without any for an authority that nobody is trusted by, and say nothing.
    if String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Ok(pem);
    }
    Err(Error(format!(
        "{} holds no certificate in PEM form (it has a line `-----BEGIN CERTIFICATE-----`)",
        path.display()
    )))
}
