use std::ops::{Deref, DerefMut};

use super::{Launch, Server, program, texts};

/// A Redis server that writes each command to its log on disk before it answers.
#[derive(Debug)]
pub struct Redis(Server);

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start(folder, |port, folder| Launch {
            program: program("redis-server", &["/usr/bin"]),
            arguments: texts([
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
            ]),
            hello: b"PING\r\n",
            answer: b"+PONG",
        });
        Self(server.await)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
