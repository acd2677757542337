use std::{
    ops::{Deref, DerefMut},
    path::Path,
};

use reqwest::Client;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{Launch, PATIENCE, POLL, Server, texts};
use crate::{Pair, free_port, node};

/// A mail server, maildev, that keeps what it gets to be looked at. It keeps mails when it is killed.
#[derive(Debug)]
pub struct Maildev {
    server: Server,
    smtp: u16,
}

impl Maildev {
    /// Starts one that takes mails from everybody.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        let maildev = Self::with(|_| Vec::new()).await;
        maildev.takes_mails().await;
        maildev
    }

    /// Starts one with TLS from the first byte, where one has to sign in. It may serve its pages a moment before it takes
    /// mails: a connection that is only tried and is no TLS would end it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn secure(pair: &Pair, user: &str, password: &str) -> Self {
        Self::with(|folder| {
            let (certificate, key) = pair.write(folder, "server");
            texts([
                "--incoming-secure",
                "--incoming-cert",
                &certificate.to_string_lossy(),
                "--incoming-key",
                &key.to_string_lossy(),
                "--incoming-user",
                user,
                "--incoming-pass",
                password,
            ])
        })
        .await
    }

    async fn with(options: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let smtp = free_port();
        let server = Server::start(folder, |port, folder| {
            let script = node::packages().join("node_modules/maildev/bin/maildev");
            let mails = folder.join("mails");
            let mut arguments = texts([
                &script.to_string_lossy(),
                "--ip",
                "127.0.0.1",
                "--web-ip",
                "127.0.0.1",
                "--smtp",
                &smtp.to_string(),
                "--web",
                &port.to_string(),
                "--mail-directory",
                &mails.to_string_lossy(),
            ]);
            arguments.extend(options(folder));
            Launch {
                program: node::program(),
                arguments,
                hello: b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
                answer: b"HTTP/1.1 200",
            }
        });
        Self {
            server: server.await,
            smtp,
        }
    }

    /// Waits until it takes mails too, and not only serves its pages. For one without TLS.
    ///
    /// # Panics
    ///
    /// When it does not within a minute.
    pub async fn takes_mails(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.smtp)).await.is_err() {
            assert!(Instant::now() < deadline, "maildev takes no mails");
            sleep(POLL).await;
        }
    }

    /// The port on 127.0.0.1 that takes mails.
    pub fn smtp(&self) -> u16 {
        self.smtp
    }

    /// What it got, the oldest first, in its own JSON.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn mails(&self) -> Vec<Value> {
        self.get("email").await.as_array().expect("a list").clone()
    }

    /// A mail as it came.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn source(&self, mail: &Value) -> String {
        let id = mail["id"].as_str().expect("an id");
        let url = format!("http://127.0.0.1:{}/email/{id}/source", self.server.port());
        let answer = Client::new().get(url).send().await.expect("an answer");
        answer.text().await.expect("a text")
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/{path}", self.server.port());
        let answer = Client::new().get(url).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }
}

impl Deref for Maildev {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Maildev {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
