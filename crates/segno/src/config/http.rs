//! `[http]`.

use std::net::SocketAddr;
use std::path::Path;

use super::access::{self, Token};
use super::grpc::{TlsFiles, tls};
use super::oidc::{self, Oidc};
use super::reader::{Int, Reader, Text};
use super::section::Section;
use super::{Code, Mistake};

/// The biggest event that any engine takes: a Temporal server takes 2 MiB in a payload, and the plan is around it.
const BIGGEST_EVENT: i64 = 1 << 20;
/// More requests at once than any machine serves.
const MOST_CONCURRENT: i64 = 1 << 20;

/// `[http]`: where the HTTP API listens and how much it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// The address it listens on.
    pub listen: Option<SocketAddr>,
    /// The size of the biggest event, in bytes of its JSON or its body.
    pub max_event_bytes: Option<usize>,
    /// How many requests are served at once.
    pub max_concurrent: Option<usize>,
    /// The certificate, and whose certificates clients show. None: without TLS.
    pub tls: Option<TlsFiles>,
    /// Who may call. Empty: whoever reaches the port.
    pub tokens: Vec<Token>,
    /// Where people sign in.
    pub oidc: Option<Oidc>,
}

pub(super) fn read(reader: &mut Reader<'_>, section: Option<Section<'_>>, base: &Path) -> Http {
    let Some(mut section) = section else {
        return Http::default();
    };
    let listen = section
        .string(reader, "listen")
        .and_then(|text| address(reader, &text));
    let mut within = |key, most| {
        let int = section.int(reader, key)?;
        positive(reader, key, &int, most)
    };
    let max_event_bytes = within("max_event_bytes", BIGGEST_EVENT);
    let max_concurrent = within("max_concurrent", MOST_CONCURRENT);
    let tls = section
        .table(reader, "tls", "http.tls")
        .and_then(|section| tls(reader, section, base));
    let tokens = section.tables(reader, "tokens", "a token");
    let tokens = access::tokens(reader, tokens, base);
    let oidc = section.table(reader, "oidc", "http.oidc");
    let oidc = oidc::read(reader, oidc);
    section.finish(reader);
    Http {
        listen,
        max_event_bytes,
        max_concurrent,
        tls,
        tokens,
        oidc,
    }
}

pub(super) fn address(reader: &mut Reader<'_>, text: &Text<'_>) -> Option<SocketAddr> {
    let parsed = text.text.parse();
    if parsed.is_err() {
        let help = "write an IP address and a port, such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for all addresses";
        let mistake = Mistake::new(Code::Address, "`listen` is not an address to listen on", help);
        reader.report(mistake.at(text.span.clone(), "not ADDRESS:PORT"));
    }
    parsed.ok()
}

pub(super) fn positive(reader: &mut Reader<'_>, key: &str, int: &Int, most: i64) -> Option<usize> {
    if (1..=most).contains(&int.value) {
        return usize::try_from(int.value).ok();
    }
    let message = format!("`{key}` must be from 1 to {most}");
    let help = "leave it out for the default";
    reader.report(Mistake::new(Code::Value, message, help).at(int.span.clone(), "out of range"));
    None
}
