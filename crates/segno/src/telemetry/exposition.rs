//! The metrics as Prometheus reads them.

use std::fmt::Write;

use prometheus::{Encoder, TextEncoder};

use super::metrics::{DEFINITIONS, Metrics};

/// The text format, version 0.0.4.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric there is: one that nothing was counted in yet is named too, so that people find what they may ask for.
pub(crate) fn text(metrics: &Metrics) -> String {
    let families = metrics.gather();
    let mut bytes = Vec::new();
    let mut text = match TextEncoder::new().encode(&families, &mut bytes) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_default(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            String::new()
        }
    };
    for definition in DEFINITIONS {
        if !families.iter().any(|family| family.name() == definition.name) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {} {}", definition.name, definition.help);
            let _ = writeln!(text, "# TYPE {} {}", definition.name, definition.kind);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The list for people: names in the first column of its tables, then type and labels.
    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");

    #[test]
    fn the_list_for_people_is_the_table() {
        let document = std::fs::read_to_string(DOCUMENT).unwrap();
        let mut listed = BTreeSet::new();
        for line in document.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 7, "name, type, labels, unit, meaning: {line}");
            let name = cells[1].trim_matches('`');
            let definition = DEFINITIONS.iter().find(|definition| definition.name == name);
            let definition = definition.unwrap_or_else(|| panic!("{name} is listed, and there is none"));
            assert!(listed.insert(name.to_owned()), "{name} is listed twice");
            assert_eq!(cells[2], definition.kind, "{name}");
            let labels: Vec<_> = cells[3]
                .split(',')
                .map(|label| label.trim().trim_matches('`'))
                .filter(|label| !label.is_empty())
                .collect();
            assert_eq!(labels, definition.labels, "{name}");
            assert!(!cells[5].is_empty(), "{name} has no meaning");
        }
        for definition in DEFINITIONS {
            assert!(
                listed.contains(definition.name),
                "{} is not listed",
                definition.name
            );
        }
    }

    #[test]
    fn names_are_as_prometheus_wants_them() {
        for Definition { name, kind, .. } in DEFINITIONS {
            assert_eq!(*kind == "counter", name.ends_with("_total"), "{name}");
            assert!(
                name.starts_with("segno_") || name.starts_with("process_"),
                "{name}"
            );
            assert!(*kind != "histogram" || name.ends_with("_seconds"), "{name}");
        }
    }

    use super::super::metrics::Definition;

    #[test]
    fn what_nothing_was_counted_in_is_named() {
        let text = text(Metrics::global());
        for Definition { name, kind, .. } in DEFINITIONS {
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
        }
    }
}
