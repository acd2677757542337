//! Certificates of a test's own, in PEM form.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// An authority that signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM form.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// One of this name. Two of the same name have different keys.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a port on this machine.
    pub fn server(&self) -> Pair {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.sign(
            CertificateParams::new(names).expect("names"),
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// For a client.
    pub fn client(&self) -> Pair {
        self.sign(CertificateParams::default(), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// One that was good for a year, long ago.
    pub fn expired_client(&self) -> Pair {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Pair {
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        Pair {
            certificate: params.signed_by(&key, &self.0).expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// Writes both into this folder, under this name.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let certificate = write_file(folder, &format!("{name}.pem"), &self.certificate);
        (certificate, write_file(folder, &format!("{name}.key"), &self.key))
    }
}

/// Writes a file into this folder, and answers its path.
pub fn write_file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}
