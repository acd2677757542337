use std::{
    env, fs,
    ops::{Deref, DerefMut},
    path::PathBuf,
};

use serde_json::Value;

use super::{Launch, Server, texts};
use crate::Pair;

/// The Python that has it; without it the one on `PATH`.
const PYTHON: &str = "SEGNO_SMTP_PYTHON";
const SCRIPT: &str = include_str!("../../python/mail_server.py");

/// A mail server, aiosmtpd, that takes mails from one who has begun TLS by `STARTTLS` and signed in. It keeps mails when it is
/// killed.
#[derive(Debug)]
pub struct Aiosmtpd(Server);

impl Aiosmtpd {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start(pair: &Pair, user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (certificate, key) = pair.write(folder.path(), "server");
        let mails = folder.path().join("mails");
        fs::create_dir(&mails).expect("a folder");
        let server = Server::start(folder, |port, _| Launch {
            program: env::var_os(PYTHON).map_or_else(|| PathBuf::from("python3"), PathBuf::from),
            arguments: texts([
                "-c",
                SCRIPT,
                &port.to_string(),
                &mails.to_string_lossy(),
                &certificate.to_string_lossy(),
                &key.to_string_lossy(),
                user,
                password,
            ]),
            hello: b"",
            answer: b"220 ",
        });
        Self(server.await)
    }

    /// What it got, the oldest first: `tls`, `user`, `from`, `to` and `content`.
    ///
    /// # Panics
    ///
    /// When its folder cannot be read.
    pub fn mails(&self) -> Vec<Value> {
        let files = fs::read_dir(self.folder().join("mails")).expect("its folder");
        let paths = files.map(|file| file.expect("a file").path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        paths.sort();
        let read = |path| serde_json::from_slice(&fs::read(path).expect("a mail")).expect("JSON");
        paths.into_iter().map(read).collect()
    }
}

impl Deref for Aiosmtpd {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Aiosmtpd {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
