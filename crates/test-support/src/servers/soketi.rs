use std::ops::{Deref, DerefMut};

use serde_json::json;

use super::{Launch, Server, texts};
use crate::{free_port, node, write_file};

mod listener;

pub use listener::Listener;

/// A server of Pusher's protocols, soketi, with one app: id `app`, key `key`, secret `secret`.
#[derive(Debug)]
pub struct Soketi(Server);

impl Soketi {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start(folder, |port, folder| {
            // With points in the names: an object would take the place of all that is beside it.
            let config = json!({
                "host": "127.0.0.1",
                "port": port,
                // It opens this port too, whether it is enabled or not.
                "metrics.enabled": false,
                "metrics.host": "127.0.0.1",
                "metrics.port": free_port(),
                "appManager.array.apps": [{ "id": "app", "key": "key", "secret": "secret", "webhooks": [] }],
            });
            let config = write_file(folder, "soketi.json", &config.to_string());
            let script = node::packages().join("node_modules/@soketi/soketi/bin/server.js");
            Launch {
                program: node::program(),
                arguments: texts([
                    &script.to_string_lossy(),
                    "start",
                    &format!("--config={}", config.display()),
                ]),
                hello: b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
                answer: b"HTTP/1.1 200",
            }
        });
        Self(server.await)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// A client that listens on these channels.
    ///
    /// # Panics
    ///
    /// When the server does not let it.
    pub async fn listener(&self, channels: &[&str]) -> Listener {
        Listener::on(self.port(), channels).await
    }
}

impl Deref for Soketi {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Soketi {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
