//! TLS of the gRPC port: certificates from PEM files, and what is wrong with them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::RwLock;
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::WebPkiClientVerifier,
};

/// What HTTP/2 is called in the handshake; a client that speaks nothing else is refused there.
const HTTP2: &[u8] = b"h2";

/// The certificate of the gRPC port, and whose certificates it takes.
///
/// Files are read once when this is made, and again when they have changed: the port looks every ten seconds.
/// A change that cannot be used is logged, and the certificates from before stay.
pub struct Tls {
    files: Files,
    current: RwLock<Current>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// When each file was last changed, as far as the system says.
    changed: Vec<Option<SystemTime>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.files.certificate)
            .field("key", &self.files.key)
            .field("client_ca", &self.files.client_ca)
            .finish_non_exhaustive()
    }
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("the {what} {} cannot be read: {source}; check the path, and that this user may read the file", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not PEM, or what is in it is not what it says.
    #[error("the {what} {} is damaged: {problem}; write it anew from its source, in PEM form", path.display())]
    Damaged {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file holds nothing of the kind that is needed.
    #[error("the {what} {} holds no {needed}; {help}", path.display())]
    Empty {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is missing in it.
        needed: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// The key is of another certificate.
    #[error(
        "the key {} does not belong to the certificate {}; give the two that were made together, the port's own \
         certificate first in its file and those of its authorities after it",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate or the key is of a kind that cannot be used.
    #[error("the certificate {} with the key {} cannot be used: {problem}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Tls {
    /// The certificate chain in the PEM file `certificate` (the port's own certificate first) with the private
    /// key in `key`. With `client_ca`, clients have to show a certificate that one of the authorities in this
    /// file has signed (mTLS).
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn from_files(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        client_ca: Option<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = Files {
            certificate: certificate.into(),
            key: key.into(),
            client_ca,
        };
        let current = RwLock::new(files.load()?);
        Ok(Self { files, current })
    }

    /// Whether clients have to show a certificate.
    pub fn authenticates_clients(&self) -> bool {
        self.files.client_ca.is_some()
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.read().config.clone()
    }

    /// Reads the files again if one of them has changed. Blocks.
    pub(super) fn refresh(&self) {
        if self.current.read().changed == self.files.changed() {
            return;
        }
        match self.files.load() {
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

impl Files {
    fn changed(&self) -> Vec<Option<SystemTime>> {
        let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(changed)
            .collect()
    }

    fn load(&self) -> Result<Current, TlsError> {
        // Before the files are read: what changes while they are is a change for the next look.
        let changed = self.changed();
        let chain = certificates("certificate", &self.certificate)?;
        let key = private_key(&self.key)?;
        // Chosen by hand, so that it does not matter what else in the process has chosen one.
        let provider = Arc::new(ring::default_provider());
        let unusable = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
            other => TlsError::Unusable {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                problem: other.to_string(),
            },
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match &self.client_ca {
            Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Current {
            config: Arc::new(config),
            changed,
        })
    }
}

/// What judges clients' certificates by the authorities in this file.
fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let damaged = |problem: String| TlsError::Damaged {
        what: "file of client authorities",
        path: path.to_owned(),
        problem,
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates("file of client authorities", path)? {
        roots.add(authority).map_err(|error| damaged(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| damaged(error.to_string()))
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    })
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(what, path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| TlsError::Damaged {
        what,
        path: path.to_owned(),
        problem: explain(&error),
    })?;
    if found.is_empty() {
        return Err(TlsError::Empty {
            what,
            path: path.to_owned(),
            needed: "certificate",
            help: "it is a file in PEM form, with \"-----BEGIN CERTIFICATE-----\" in it",
        });
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const WHAT: &str = "key";
    let bytes = read(WHAT, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let is_encrypted = String::from_utf8_lossy(&bytes).contains("ENCRYPTED");
        match error {
            pem::Error::NoItemsFound => TlsError::Empty {
                what: WHAT,
                path: path.to_owned(),
                needed: if is_encrypted {
                    "private key that is not encrypted"
                } else {
                    "private key"
                },
                help: if is_encrypted {
                    "decrypt it, as by: openssl pkey -in ENCRYPTED -out KEY"
                } else {
                    "it is a file in PEM form, with \"-----BEGIN PRIVATE KEY-----\" in it"
                },
            },
            other => TlsError::Damaged {
                what: WHAT,
                path: path.to_owned(),
                problem: explain(&other),
            },
        }
    })
}

/// What is wrong with a PEM file. The parser's own texts quote the file, and it may be a key.
fn explain(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section that begins in it does not end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "the line that begins a section is malformed".to_owned(),
        pem::Error::Base64Decode(_) => "what it holds is not base64".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        _ => "it is not in PEM form".to_owned(),
    }
}
