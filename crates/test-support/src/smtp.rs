//! A mail server that answers as programmed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::Pair;

/// What to answer to a command (`.` stands for the end of a mail's content); none for what a willing server says.
type Answers = dyn Fn(&str) -> Option<String> + Send + Sync;

struct State {
    answers: Box<Answers>,
    tls: Option<TlsAcceptor>,
    commands: Mutex<Vec<String>>,
    mails: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

/// A mail server on a free loopback port, which records what it is told.
pub struct SmtpStandIn {
    state: Arc<State>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for SmtpStandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SmtpStandIn {
    /// One that answers a command by `answers`, or, where that says nothing, as a server that takes everything. With a pair it
    /// offers `STARTTLS`.
    ///
    /// # Panics
    ///
    /// When there is no port, or the pair is none.
    pub async fn start(
        tls: Option<&Pair>,
        answers: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            answers: Box::new(answers),
            tls: tls.map(acceptor),
            commands: Mutex::default(),
            mails: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    state.connections.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(connection(Arc::clone(&state), stream));
                }
            }
        });
        Self { state, address, task }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All commands, in the order they came; those inside TLS begin with `TLS `.
    pub fn commands(&self) -> Vec<String> {
        self.state.commands.lock().clone()
    }

    /// All mails that it took.
    pub fn mails(&self) -> Vec<String> {
        self.state.mails.lock().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }
}

fn acceptor(pair: &Pair) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    TlsAcceptor::from(Arc::new(config))
}

async fn connection(state: Arc<State>, mut stream: TcpStream) {
    let greeting = (state.answers)("").unwrap_or_else(|| "220 ready".to_owned());
    let _ = stream.write_all(format!("{greeting}\r\n").as_bytes()).await;
    let Some(stream) = talk(&state, stream, false).await else {
        return;
    };
    let Some(acceptor) = &state.tls else { return };
    if let Ok(stream) = acceptor.accept(stream).await {
        talk(&state, stream, true).await;
    }
}

/// Talks until the end, or until TLS is to begin: then it gives the stream back.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(state: &State, stream: S, secure: bool) -> Option<S> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let command = line.trim_end();
        let told = if secure {
            format!("TLS {command}")
        } else {
            command.to_owned()
        };
        state.commands.lock().push(told);
        let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let usual = match verb.as_str() {
            "EHLO" if state.tls.is_some() && !secure => "250-stand-in\r\n250 STARTTLS",
            "EHLO" => "250-stand-in\r\n250 AUTH PLAIN LOGIN",
            "STARTTLS" => "220 go ahead",
            "AUTH" => "235 welcome",
            "DATA" => "354 go ahead",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        let answer = (state.answers)(command).unwrap_or_else(|| usual.to_owned());
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        match verb.as_str() {
            "QUIT" => return None,
            "STARTTLS" if answer.starts_with('2') => return Some(stream.into_inner()),
            "DATA" if answer.starts_with('3') => {
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail).await.ok()? == 0 {
                        return None;
                    }
                }
                let answer = (state.answers)(".").unwrap_or_else(|| "250 taken".to_owned());
                if answer.starts_with('2') {
                    state.mails.lock().push(mail);
                }
                stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
                stream.flush().await.ok()?;
            }
            _ => {}
        }
    }
}
