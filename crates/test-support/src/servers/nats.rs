use std::ops::{Deref, DerefMut};

use super::{Launch, Server, program, texts};

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
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start(folder, |port, folder| Launch {
            program: program("nats-server", &["/usr/sbin", "/usr/bin"]),
            arguments: texts([
                "-a",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-js",
                "-sd",
                &folder.to_string_lossy(),
            ]),
            hello: b"CONNECT {\"verbose\":false}\r\nPING\r\n",
            answer: b"PONG\r\n",
        });
        Self(server.await)
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
