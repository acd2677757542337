//! Mails by SMTP.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        self, PoolConfig,
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls as Client, TlsParameters},
        extension::ClientId,
    },
};

use tokio::sync::Semaphore;

use crate::Failure;

use super::options::{SmtpOptions, Tls};

/// How long one exchange may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most connections, unless told otherwise.
const CONNECTIONS: u32 = 10;
/// How the failure of a mail begins whose server was not reached: it was not taken.
const NOT_REACHED: &str = "the mail server cannot be talked to";
/// How it begins when the server was reached, and did not answer to the end: nobody knows whether the mail was taken.
pub const BROKEN_OFF: &str = "the conversation with the mail server broke off";
/// Most characters of a server's answer that are told.
const LONGEST: usize = 300;

/// Why a server's options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// A name without a password, or a password without a name.
    #[error("`smtp` has one of `username` and `password`, and to sign in takes both")]
    HalfCredentials,
    /// The password could be read on its way.
    #[error("`smtp` would send its password in clear text: use `tls = \"starttls\"` or \"implicit\"")]
    ClearText,
    /// The certificates cannot be read.
    #[error("the certificates in {path} cannot be read")]
    Ca {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up with these options.
    #[error("TLS cannot be set up for `smtp`: {0}")]
    Tls(#[source] smtp::Error),
}

/// What can be told of options without a look at files.
pub(super) fn check(options: &SmtpOptions) -> Result<(), SmtpError> {
    match (&options.username, &options.password) {
        (None, None) => Ok(()),
        (Some(_), Some(_)) if mode(options) == Tls::None && !is_local(&options.host) => {
            Err(SmtpError::ClearText)
        }
        (Some(_), Some(_)) => Ok(()),
        _ => Err(SmtpError::HalfCredentials),
    }
}

fn mode(options: &SmtpOptions) -> Tls {
    options.tls.unwrap_or(match options.port {
        Some(465) => Tls::Implicit,
        _ if is_local(&options.host) => Tls::None,
        _ => Tls::StartTls,
    })
}

/// Connections to one server.
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// The transport keeps idle connections for others, and bounds only how many of these there are.
    connections: Semaphore,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Smtp")
    }
}

impl Smtp {
    pub(super) fn new(options: &SmtpOptions, base: &Path) -> Result<Self, SmtpError> {
        check(options)?;
        let mode = mode(options);
        let port = options.port.unwrap_or(match mode {
            Tls::None => 25,
            Tls::StartTls => 587,
            Tls::Implicit => 465,
        });
        let tls = match mode {
            Tls::None => Client::None,
            Tls::StartTls => Client::Required(parameters(options, base)?),
            Tls::Implicit => Client::Wrapper(parameters(options, base)?),
        };
        let connections = options.connections.map_or(CONNECTIONS, std::num::NonZeroU32::get);
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.host.as_str())
            .port(port)
            .tls(tls)
            .timeout(Some(options.timeout.unwrap_or(TIMEOUT)))
            .pool_config(PoolConfig::new().max_size(connections));
        if let (Some(name), Some(password)) = (&options.username, &options.password) {
            let credentials = Credentials::new(name.expose().to_owned(), password.expose().to_owned());
            transport = transport.credentials(credentials);
        }
        if let Some(name) = &options.hello {
            transport = transport.hello_name(ClientId::Domain(name.clone()));
        }
        Ok(Self {
            transport: transport.build(),
            connections: Semaphore::new(connections as usize),
        })
    }

    /// Sends one mail to all of its recipients, or to none.
    pub(super) async fn send(&self, mail: Message) -> Result<(), Failure> {
        let closing = |_| Failure::retryable("the sink is closing");
        let _permit = self.connections.acquire().await.map_err(closing)?;
        let formatted = mail.formatted();
        let sent = self.transport.send_raw(mail.envelope(), &formatted).await;
        sent.map(drop).map_err(|error| explain(&error, &mail))
    }
}

/// Whether this is the machine itself.
fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parameters(options: &SmtpOptions, base: &Path) -> Result<TlsParameters, SmtpError> {
    let mut builder = TlsParameters::builder(options.host.clone());
    if let Some(path) = &options.ca {
        let path = base.join(path);
        let pem = std::fs::read(&path).map_err(|source| SmtpError::Ca { path, source })?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem).map_err(SmtpError::Tls)?);
    }
    builder.build().map_err(SmtpError::Tls)
}

/// What a failed sending means: by the first digit of the server's answer (RFC 5321, 4.2.1), and without an answer
/// another attempt is worth it.
fn explain(error: &smtp::Error, mail: &Message) -> Failure {
    let Some(code) = error.status() else {
        let mut cause: &(dyn std::error::Error + 'static) = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        // The library tells its kinds of errors apart by their words alone.
        let reached = !error.is_tls() && !error.to_string().starts_with("Connection error");
        let what = if reached { BROKEN_OFF } else { NOT_REACHED };
        return Failure::retryable(format!("{what}: {cause}"));
    };
    let mut reason = format!("the mail server answered {code}");
    if let Some(text) = std::error::Error::source(error) {
        let envelope = mail.envelope();
        // Servers repeat addresses, which are the payload's.
        let mut text = text.to_string();
        for address in envelope.to().iter().chain(envelope.from()) {
            text = text.replace(AsRef::<str>::as_ref(address), "…");
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        reason = format!("{reason}: {text}");
    }
    if error.is_permanent() {
        Failure::permanent(reason)
    } else {
        Failure::retryable(reason)
    }
}
