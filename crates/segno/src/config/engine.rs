//! `[engine]`: the embedded engine, or a Temporal cluster.

use std::path::Path;

use toml::de::DeValue;

use super::grpc::{self, Grpc};
use super::reader::{Reader, text_of};
use super::section::Section;
use super::{Code, Mistake};

/// The keys of `tls` in Temporal's own configuration file that are strings.
const TLS_STRINGS: [&str; 7] = [
    "client_cert_path",
    "client_cert_data",
    "client_key_path",
    "client_key_data",
    "server_ca_cert_path",
    "server_ca_cert_data",
    "server_name",
];

/// The cluster as a profile of Temporal's own configuration file, if there is one; and the embedded engine's port.
/// The variables of the environment decide in the end which of the two is used, so both may stand there.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Option<Section<'_>>,
    base: &Path,
) -> (Option<toml::Table>, Grpc) {
    let Some(mut section) = section else {
        return (None, Grpc::default());
    };
    let port = section.table(reader, "grpc", "engine.grpc");
    let port = grpc::read(reader, port, base);
    (cluster(reader, section), port)
}

fn cluster(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<toml::Table> {
    let value = section.take("temporal");
    let span = section.key_span("temporal");
    section.finish(reader);
    let value = value?;
    match value.get_ref() {
        DeValue::String(_) => {
            let address = text_of(reader, "temporal", value)?;
            let mut profile = toml::Table::new();
            profile.insert("address".to_owned(), address.text.into());
            check_address(reader, &profile, address.span);
            Some(profile)
        }
        DeValue::Table(_) => {
            let section = Section::of(reader, "temporal", value, "engine.temporal")?;
            let profile = profile(reader, section);
            check_address(reader, &profile, span.unwrap_or_default());
            Some(profile)
        }
        _ => {
            reader.wrong_type("temporal", "an address or a table", value);
            None
        }
    }
}

fn profile(reader: &mut Reader<'_>, mut section: Section<'_>) -> toml::Table {
    let mut profile = toml::Table::new();
    strings(
        reader,
        &mut section,
        &["address", "namespace", "api_key"],
        &mut profile,
    );
    if let Some(mut tls) = section.table(reader, "tls", "engine.temporal.tls") {
        let mut table = toml::Table::new();
        strings(reader, &mut tls, &TLS_STRINGS, &mut table);
        for key in ["disabled", "disable_host_verification"] {
            if let Some(value) = tls.bool(reader, key) {
                table.insert(key.to_owned(), value.into());
            }
        }
        tls.finish(reader);
        profile.insert("tls".to_owned(), table.into());
    }
    if let Some(meta) = section.table(reader, "grpc_meta", "engine.temporal.grpc_meta") {
        let entries = meta.entries().filter_map(|(key, value)| {
            let value = text_of(reader, "grpc_meta", value)?;
            Some((key.text.to_owned(), toml::Value::from(value.text)))
        });
        let table: toml::Table = entries.collect();
        profile.insert("grpc_meta".to_owned(), table.into());
    }
    section.finish(reader);
    profile
}

fn strings(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    keys: &[&'static str],
    into: &mut toml::Table,
) {
    for key in keys {
        if let Some(text) = section.string(reader, key) {
            into.insert((*key).to_owned(), text.text.into());
        }
    }
}

/// An address, where there is one, is a host and a port. Without one it comes from `TEMPORAL_ADDRESS`.
fn check_address(reader: &mut Reader<'_>, profile: &toml::Table, span: std::ops::Range<usize>) {
    let Some(address) = profile.get("address").and_then(|address| address.as_str()) else {
        return;
    };
    let host_and_port = address
        .rsplit_once("://")
        .map_or(address, |(_, rest)| rest)
        .rsplit_once(':');
    let fits = host_and_port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !fits {
        let help = "write the host and the port of its frontend, such as \"temporal.example.com:7233\"";
        let mistake = Mistake::new(
            Code::Address,
            "the address of the Temporal cluster is not HOST:PORT",
            help,
        );
        reader.report(mistake.at(span, "not HOST:PORT"));
    }
}
