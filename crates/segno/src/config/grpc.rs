//! `[engine.grpc]`: the embedded engine's port.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::http::{address, positive};
use super::key_source::{Elsewhere, KeySource};
use super::reader::{Reader, Text, given};
use super::section::Section;
use super::{Code, Mistake};

/// More of anything than a machine has.
const MOST: i64 = 1 << 30;

/// `[engine.grpc]`: where the embedded engine serves Temporal's gRPC API, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grpc {
    /// The address it listens on.
    pub listen: Option<SocketAddr>,
    /// The certificate, and whose certificates clients show. None: without TLS.
    pub tls: Option<TlsFiles>,
    /// Who may call. Empty: whoever reaches the port.
    pub api_keys: Vec<ApiKey>,
    /// How much clients may hold.
    pub limits: GrpcLimits,
}

/// Files in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The port's certificate, and those of its authorities after it.
    pub certificate: PathBuf,
    /// The key of it.
    pub private_key: PathBuf,
    /// The authorities whose certificates clients have to show (mTLS). None: clients show none.
    pub client_ca: Option<PathBuf>,
}

/// An API key, which stands elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// What logs and errors call it.
    pub name: String,
    /// Where the key is.
    pub source: KeySource,
    /// The namespaces that it is good for. None: all.
    pub namespaces: Option<BTreeSet<String>>,
    /// Whether it may also register, change and delete them, and use the operator's service.
    pub admin: bool,
}

/// How much clients may hold of the port. What is `None` has the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcLimits {
    /// Connections at the same time.
    pub max_connections: Option<usize>,
    /// Bytes of one request.
    pub max_message_bytes: Option<usize>,
    /// Requests that wait for the engine's thread.
    pub max_queued_requests: Option<usize>,
    /// Long polls of one connection at the same time.
    pub max_connection_polls: Option<usize>,
    /// Long polls of one namespace at the same time.
    pub max_namespace_polls: Option<usize>,
    /// Calls a second on one namespace.
    pub requests_per_second: Option<u32>,
}

/// A text that says no API key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not [admin:]NAMESPACES=env:VARIABLE or [admin:]NAMESPACES=file:PATH, where NAMESPACES are names between \
     commas, or * for all"
)]
pub struct NoApiKey;

/// As flags have it: `orders,billing=env:ORDERS_KEY`, `admin:*=file:/run/secrets/admin`. An error never quotes it, as
/// it may be the key itself.
impl FromStr for ApiKey {
    type Err = NoApiKey;

    fn from_str(text: &str) -> Result<Self, NoApiKey> {
        let (holder, source) = text.split_once('=').ok_or(NoApiKey)?;
        let (admin, namespaces) = match holder.strip_prefix("admin:") {
            Some(namespaces) => (true, namespaces),
            None => (false, holder),
        };
        let source = match source.split_once(':') {
            Some(("env", variable)) if !variable.is_empty() => KeySource::Env(variable.to_owned()),
            Some(("file", path)) if !path.is_empty() => KeySource::File(path.into()),
            _ => return Err(NoApiKey),
        };
        let namespaces = match namespaces {
            "*" => None,
            names => Some(names.split(',').map(str::to_owned).collect::<BTreeSet<_>>()),
        };
        if namespaces.as_ref().is_some_and(|names| names.contains("")) {
            return Err(NoApiKey);
        }
        Ok(Self {
            name: source.to_string(),
            source,
            namespaces,
            admin,
        })
    }
}

pub(super) fn read(reader: &mut Reader<'_>, section: Option<Section<'_>>, base: &Path) -> Grpc {
    let Some(mut section) = section else {
        return Grpc::default();
    };
    let listen = section
        .string(reader, "listen")
        .and_then(|text| address(reader, &text));
    let tls = section
        .table(reader, "tls", "engine.grpc.tls")
        .and_then(|section| tls(reader, section, base));
    let keys = section.tables(reader, "api_keys", "an API key");
    let api_keys = keys
        .into_iter()
        .filter_map(|section| api_key(reader, section, base))
        .collect();
    let mut within = |key, most| {
        let int = section.int(reader, key)?;
        positive(reader, key, &int, most)
    };
    let limits = GrpcLimits {
        max_connections: within("max_connections", MOST),
        max_message_bytes: within("max_message_bytes", MOST),
        max_queued_requests: within("max_queued_requests", MOST),
        max_connection_polls: within("max_connection_polls", MOST),
        max_namespace_polls: within("max_namespace_polls", MOST),
        requests_per_second: within("requests_per_second", MOST).and_then(|rate| u32::try_from(rate).ok()),
    };
    section.finish(reader);
    Grpc {
        listen,
        tls,
        api_keys,
        limits,
    }
}

/// A table of certificates, of any port.
pub(super) fn tls(reader: &mut Reader<'_>, mut section: Section<'_>, base: &Path) -> Option<TlsFiles> {
    let certificate = section.required(reader, "certificate");
    let private_key = section.required(reader, "private_key");
    let client_ca = section.string(reader, "client_ca");
    section.finish(reader);
    let mut path = |text: Text<'_>| Some(base.join(reader.path(&text)?));
    let (certificate, private_key) = (certificate.and_then(&mut path), private_key.and_then(&mut path));
    let client_ca = match client_ca {
        Some(text) => Some(path(text)?),
        None => None,
    };
    Some(TlsFiles {
        certificate: certificate?,
        private_key: private_key?,
        client_ca,
    })
}

const API_KEY: Elsewhere = Elsewhere {
    what: "an API key",
    word: "key",
    keys: &["key"],
    examples: ("ORDERS_API_KEY", "orders.key"),
};

fn api_key(reader: &mut Reader<'_>, mut section: Section<'_>, base: &Path) -> Option<ApiKey> {
    let (name, source) = API_KEY.read(reader, &mut section, base);
    let admin = section.bool(reader, "admin").unwrap_or_default();
    if !section.has("namespaces") {
        section.missing(reader, "namespaces");
    }
    let names = section.strings(reader, "namespaces", true);
    if section.is_empty_list("namespaces") {
        let span = section.key_span("namespaces").unwrap_or_default();
        let message = "an API key for no namespace is good for nothing";
        let help = "name the namespaces that it is for, or all: namespaces = \"*\"";
        reader.report(Mistake::new(Code::Value, message, help).at(span, "none"));
    }
    let is_all = matches!(names.as_slice(), [one] if one.text == "*");
    let namespaces = names
        .iter()
        .filter_map(|name| given(reader, "namespaces", name))
        .collect();
    section.finish(reader);
    if names.is_empty() {
        return None;
    }
    Some(ApiKey {
        name: name?,
        source: source?,
        namespaces: Some(namespaces).filter(|_| !is_all),
        admin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_where_a_key_is_and_what_it_is_for() {
        let key: ApiKey = "orders,billing=env:ORDERS_KEY".parse().unwrap();
        assert_eq!(key.source, KeySource::Env("ORDERS_KEY".into()));
        assert_eq!(
            key.namespaces,
            Some(["billing".to_owned(), "orders".to_owned()].into())
        );
        assert!(!key.admin && key.name == "env:ORDERS_KEY");
        let key: ApiKey = "admin:*=file:/run/secrets/admin=key".parse().unwrap();
        assert_eq!(key.source, KeySource::File("/run/secrets/admin=key".into()));
        assert!(key.admin && key.namespaces.is_none());
        for wrong in [
            "",
            "swordfish",
            "a=swordfish",
            "=env:A",
            "a,=env:A",
            "a=env:",
            "a=file:",
            "a=key:swordfish",
        ] {
            let error = wrong.parse::<ApiKey>().unwrap_err().to_string();
            assert!(!error.contains("swordfish"), "{error}");
        }
    }
}
