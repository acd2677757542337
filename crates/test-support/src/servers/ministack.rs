use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
};

use serde_json::{Value, json};

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

    /// Calls an operation whose protocol is JSON, such as `AmazonSQS.CreateQueue`, and gives the answer.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn call(&self, operation: &str, request: Value) -> Value {
        let request = reqwest::Client::new()
            .post(self.url())
            .header("x-amz-target", operation)
            .header("content-type", "application/x-amz-json-1.0")
            .body(request.to_string());
        let (status, text) = Self::answer(request).await;
        assert!(status.is_success(), "{operation}: {status} {text}");
        match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).expect("JSON"),
        }
    }

    /// Calls an operation of a service that takes forms, such as SNS, and gives the text of an element of the answer.
    ///
    /// # Panics
    ///
    /// When it is refused, or there is no such element.
    pub async fn form(&self, fields: &[(&str, &str)], element: &str) -> String {
        let request = reqwest::Client::new().post(self.url()).form(fields);
        let (status, text) = Self::answer(request).await;
        let inner = text
            .split_once(&format!("<{element}>"))
            .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")));
        assert!(status.is_success(), "{fields:?}: {status} {text}");
        let (inner, _) = inner.unwrap_or_else(|| panic!("no {element} in {text}"));
        inner.to_owned()
    }

    async fn answer(request: reqwest::RequestBuilder) -> (reqwest::StatusCode, String) {
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a whole answer"))
    }

    /// Makes a queue; one whose name ends with `.fifo` is one. Gives its URL.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn queue(&self, name: &str) -> String {
        let mut request = json!({ "QueueName": name });
        if name.ends_with(".fifo") {
            request["Attributes"] = json!({ "FifoQueue": "true" });
        }
        let answer = self.call("AmazonSQS.CreateQueue", request).await;
        answer["QueueUrl"].as_str().expect("a URL").to_owned()
    }

    /// Takes the messages that are in the queue at this moment, with all their attributes, and deletes them.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn drain(&self, queue: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let request = json!({
                "QueueUrl": queue, "MaxNumberOfMessages": 10,
                "MessageAttributeNames": ["All"], "AttributeNames": ["All"],
            });
            let answer = self.call("AmazonSQS.ReceiveMessage", request).await;
            let Some(received) = answer["Messages"].as_array().filter(|some| !some.is_empty()) else {
                return messages;
            };
            for message in received {
                let request = json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] });
                self.call("AmazonSQS.DeleteMessage", request).await;
            }
            messages.extend(received.iter().cloned());
        }
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
