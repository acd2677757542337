//! TLS of the HTTP port: certificates from PEM files, read again when they change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::RwLock;
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::config::TlsFiles;

/// What is spoken over it.
const HTTP1: &[u8] = b"http/1.1";

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not what it is for.
    #[error("the {what} {} cannot be used: {problem}", path.display())]
    File {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The certificate and the key do not go together, or are of a kind that cannot be used.
    #[error(
        "the certificate {} with the key {} cannot be used: {problem}; give the two that were made together, the port's own \
         certificate first in its file and those of its authorities after it",
        certificate.display(), key.display()
    )]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// The certificate of the port, and whose certificates it takes.
pub(crate) struct Tls {
    files: TlsFiles,
    current: RwLock<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// When each file was last changed, as far as the system says.
    changed: Vec<Option<SystemTime>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or used.
    pub(crate) fn from_files(files: TlsFiles) -> Result<Self, TlsError> {
        let current = RwLock::new(load(&files)?);
        Ok(Self { files, current })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current.read().config.clone()
    }

    /// Reads the files again if one of them has changed. One that cannot be used leaves the certificates from before. Blocks.
    pub(crate) fn refresh(&self) {
        if self.current.read().changed == changed(&self.files) {
            return;
        }
        match load(&self.files) {
            Ok(current) => {
                *self.current.write() = current;
                tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
            }
            // Told each time: it has to be mended before the old certificate expires.
            Err(error) => {
                tracing::warn!(%error, "the certificate has changed and cannot be used; the one before stays");
            }
        }
    }
}

fn changed(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    [
        Some(&files.certificate),
        Some(&files.private_key),
        files.client_ca.as_ref(),
    ]
    .into_iter()
    .flatten()
    .map(changed)
    .collect()
}

fn load(files: &TlsFiles) -> Result<Current, TlsError> {
    // Before the files are read: what changes while they are is a change for the next look.
    let changed = changed(files);
    let chain = certificates("certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.private_key)
        .map_err(|error| unusable("key", &files.private_key, &error))?;
    // Chosen by hand, so that it does not matter what else in the process has chosen one.
    let provider = Arc::new(ring::default_provider());
    let pair = |error: rustls::Error| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.private_key.clone(),
        problem: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            const WHAT: &str = "file of client authorities";
            let damaged = |problem: String| TlsError::File {
                what: WHAT,
                path: path.clone(),
                problem,
            };
            let mut roots = RootCertStore::empty();
            for authority in certificates(WHAT, path)? {
                roots.add(authority).map_err(|error| damaged(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| damaged(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(Current {
        config: Arc::new(config),
        changed,
    })
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| unusable(what, path, &error))?;
    if found.is_empty() {
        return Err(unusable(what, path, &pem::Error::NoItemsFound));
    }
    Ok(found)
}

/// What is wrong with a PEM file. The parser's own texts quote the file, and it may be a key.
fn unusable(what: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    let problem = match error {
        pem::Error::Io(error) => format!("{error}; check the path, and that this user may read the file"),
        pem::Error::NoItemsFound => {
            "there is none in it; it is a file in PEM form, and a key in it is not encrypted".to_owned()
        }
        _ => "it is damaged; write it anew from its source, in PEM form".to_owned(),
    };
    TlsError::File {
        what,
        path: path.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use segno_test_support::{Authority, write_file};

    use super::*;

    #[test]
    fn certificates_are_read_again_when_they_change_and_kept_when_they_break() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("Test");
        let (certificate, private_key) = authority.server().write(folder.path(), "port");
        let files = TlsFiles {
            certificate,
            private_key,
            client_ca: None,
        };
        let tls = Tls::from_files(files.clone()).unwrap();
        let first = tls.config();
        tls.refresh();
        assert!(Arc::ptr_eq(&first, &tls.config()));
        authority.server().write(folder.path(), "port");
        tls.refresh();
        let second = tls.config();
        assert!(!Arc::ptr_eq(&first, &second));
        write_file(folder.path(), "port.pem", "-----BEGIN CERTIFICATE-----\nnone");
        tls.refresh();
        assert!(Arc::ptr_eq(&second, &tls.config()));
        let error = Tls::from_files(files).err().unwrap().to_string();
        assert!(error.contains("port.pem") && error.contains("damaged"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_files_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Authority::new("One").server(), Authority::new("Other").server());
        let (certificate, _) = one.write(folder.path(), "one");
        let (_, private_key) = other.write(folder.path(), "other");
        let files = |private_key: &Path| TlsFiles {
            certificate: certificate.clone(),
            private_key: private_key.to_owned(),
            client_ca: None,
        };
        let error = |key: &Path| Tls::from_files(files(key)).err().unwrap().to_string();
        assert!(error(&private_key).contains("made together"));
        assert!(error(&folder.path().join("none")).contains("check the path"));
        assert!(error(&certificate).contains("there is none in it"));
    }
}
