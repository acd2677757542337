use std::{
    ops::{Deref, DerefMut},
    path::Path,
};

use super::{Launch, Server, program, texts};
use crate::{Pair, free_port};

/// A Redis server that writes each command to its log on disk before it answers.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    url: String,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        let server = Self::with(|_| Vec::new(), b"+PONG").await;
        let url = format!("redis://127.0.0.1:{}", server.port());
        Self { server, url }
    }

    /// Starts one that is reached with TLS, where one has to sign in.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn secure(pair: &Pair, user: &str, password: &str) -> Self {
        let tls = free_port();
        let server = Self::with(
            |folder| {
                let (certificate, key) = pair.write(folder, "server");
                texts([
                    "--tls-port",
                    &tls.to_string(),
                    "--tls-cert-file",
                    &certificate.to_string_lossy(),
                    "--tls-key-file",
                    &key.to_string_lossy(),
                    "--tls-ca-cert-file",
                    &certificate.to_string_lossy(),
                    "--tls-auth-clients",
                    "no",
                    // Nobody else may do anything.
                    "--requirepass",
                    &format!("not-{password}"),
                    "--user",
                    user,
                    "on",
                    &format!(">{password}"),
                    "~*",
                    "&*",
                    "+@all",
                ])
            },
            // The port without TLS is there to see that it serves.
            b"-NOAUTH",
        );
        let url = format!("rediss://{user}:{password}@localhost:{tls}");
        Self {
            server: server.await,
            url,
        }
    }

    async fn with(options: impl Fn(&Path) -> Vec<String>, answer: &'static [u8]) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let launch = |port: u16, folder: &Path| {
            let mut arguments = texts([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--dir",
                &folder.to_string_lossy(),
            ]);
            arguments.extend(options(folder));
            Launch {
                program: program("redis-server", &["/usr/bin"]),
                arguments,
                hello: b"PING\r\n",
                answer,
            }
        };
        Server::start(folder, launch).await
    }

    /// Its URL, with user and password where it has any.
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
