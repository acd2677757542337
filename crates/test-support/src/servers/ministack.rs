use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
};

use super::{Launch, Server, texts};

/// The `ministack` program; without it the one on `PATH`.
const PROGRAM: &str = "SEGNO_MINISTACK_BIN";

/// An emulator of AWS: SQS, SNS, EventBridge, S3 and others on one port. It keeps nothing when it is killed. Any keys
/// are right; the account is 000000000000.
#[derive(Debug)]
pub struct Ministack(Server);

impl Ministack {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from("ministack"), PathBuf::from);
        // It takes its settings from the environment alone.
        let server = Server::start(folder, |port, folder| Launch {
            program: PathBuf::from("/usr/bin/env"),
            arguments: texts([
                "-C",
                &folder.to_string_lossy(),
                "BIND_HOST=127.0.0.1",
                &format!("GATEWAY_PORT={port}"),
                &program.to_string_lossy(),
            ]),
            hello: b"GET /_ministack/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            answer: b"HTTP/1.1 200",
        });
        Self(server.await)
    }

    /// Its endpoint, for all services.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }
}

impl Deref for Ministack {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Ministack {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
