use std::ops::{Deref, DerefMut};

use super::{Launch, Server, texts};
use crate::node;

/// A server of Azure Blob Storage's protocol, azurite, with its one account.
#[derive(Debug)]
pub struct Azurite(Server);

impl Azurite {
    /// The account's name.
    pub const ACCOUNT: &str = "devstoreaccount1";
    /// The account's key, which is public: every emulator has it.
    pub const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start(folder, |port, folder| {
            let script = node::packages().join("node_modules/azurite/dist/src/blob/main.js");
            let data = folder.join("data");
            Launch {
                program: node::program(),
                arguments: texts([
                    &script.to_string_lossy(),
                    "--blobHost",
                    "127.0.0.1",
                    "--blobPort",
                    &port.to_string(),
                    "--location",
                    &data.to_string_lossy(),
                    // Clients are newer than it is.
                    "--skipApiVersionCheck",
                    "--silent",
                ]),
                hello: b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
                // It knows no such request, and says so.
                answer: b"HTTP/1.1 400",
            }
        });
        Self(server.await)
    }

    /// The account's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port(), Self::ACCOUNT)
    }
}

impl Deref for Azurite {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Azurite {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
