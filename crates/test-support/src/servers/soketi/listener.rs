use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::super::PATIENCE;

/// A client that listens on channels, by as much of WebSocket (RFC 6455) as it takes.
#[derive(Debug)]
pub struct Listener {
    stream: BufReader<TcpStream>,
    socket_id: String,
}

impl Listener {
    pub(super) async fn on(port: u16, channels: &[&str]) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("a connection");
        let request = "GET /app/key?protocol=7 HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the request is sent");
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(stream.read_line(&mut line).await.expect("an answer"), 0);
        }
        let mut listener = Self {
            stream,
            socket_id: String::new(),
        };
        let hello = listener.next().await;
        assert_eq!(hello["event"], "pusher:connection_established");
        let data: Value = serde_json::from_str(hello["data"].as_str().expect("a text")).expect("JSON");
        listener.socket_id = data["socket_id"].as_str().expect("an id").to_owned();
        for channel in channels {
            let subscribe = json!({ "event": "pusher:subscribe", "data": { "channel": channel } });
            listener.send(&subscribe).await;
            assert_eq!(
                listener.next().await["event"],
                "pusher_internal:subscription_succeeded"
            );
        }
        listener
    }

    /// Its id, by which it can be left out.
    pub fn socket_id(&self) -> &str {
        &self.socket_id
    }

    async fn send(&mut self, message: &Value) {
        let text = message.to_string().into_bytes();
        // A short frame of text whose mask changes nothing.
        let length = u8::try_from(text.len()).expect("a short text");
        assert!(length < 126);
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(text);
        self.stream.write_all(&frame).await.expect("the frame is sent");
    }

    /// The next message that comes.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub async fn next(&mut self) -> Value {
        timeout(PATIENCE, self.read()).await.expect("something comes")
    }

    async fn read(&mut self) -> Value {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.expect("a frame");
        let length = match head[1] & 0x7f {
            126 => usize::from(self.stream.read_u16().await.expect("a length")),
            127 => usize::try_from(self.stream.read_u64().await.expect("a length")).expect("a length"),
            short => usize::from(short),
        };
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).await.expect("a whole frame");
        serde_json::from_slice(&text).expect("JSON")
    }
}
