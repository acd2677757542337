use std::{
    ops::{Deref, DerefMut},
    path::Path,
};

use super::{Launch, Server, program, texts};
use crate::{Pair, write_file};

mod operator;

pub use operator::NatsOperator;

/// A NATS server with JetStream.
#[derive(Debug)]
pub struct Nats(Server);

impl Nats {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        Self(
            Self::with(
                |_| Vec::new(),
                b"CONNECT {\"verbose\":false}\r\nPING\r\n",
                b"PONG\r\n",
            )
            .await,
        )
    }

    /// Starts one that takes connections with TLS alone, where one has to sign in: with a name and a password, or as the owner of a
    /// public NKey.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn secure(pair: &Pair, user: &str, password: &str, nkey: &str) -> Self {
        let options = |folder: &Path| {
            let (certificate, key) = pair.write(folder, "server");
            let config = format!(
                "tls {{ cert_file: {certificate:?}, key_file: {key:?} }}\n\
                authorization {{ users: [ {{ user: {user:?}, password: {password:?} }}, {{ nkey: {nkey:?} }} ] }}\n"
            );
            let config = write_file(folder, "server.conf", &config);
            texts(["-c", &config.to_string_lossy()])
        };
        Self(Self::with(options, b"", b"INFO {").await)
    }

    /// Starts one in operator mode, where one signs in with [`NatsOperator::credentials`].
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn operated(operator: &NatsOperator) -> Self {
        let options = |folder: &Path| {
            let config = write_file(folder, "server.conf", &operator.config());
            texts(["-c", &config.to_string_lossy()])
        };
        Self(Self::with(options, b"", b"INFO {").await)
    }

    async fn with(
        options: impl Fn(&Path) -> Vec<String>,
        hello: &'static [u8],
        answer: &'static [u8],
    ) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let launch = |port: u16, folder: &Path| {
            let mut arguments = texts([
                "-a",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-js",
                "-sd",
                &folder.to_string_lossy(),
            ]);
            arguments.extend(options(folder));
            Launch {
                program: program("nats-server", &["/usr/sbin", "/usr/bin"]),
                arguments,
                hello,
                answer,
            }
        };
        Server::start(folder, launch).await
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }
}

impl Deref for Nats {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Nats {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
