//! Every command and every snippet in README.md and docs/, run as a reader would run it.
//!
//! A document is one session: a temporary folder, a shell, and ports of its own in place of those that the document
//! names. Its blocks run from top to bottom, by their language:
//!
//! | language | what is done with it |
//! |---|---|
//! | `sh` | it runs; each of its commands has to succeed. What serves (`segno up`) runs in the background once it is ready |
//! | `console` | the lines with `$` run; the others are what they print (`…` is anything, and times are any times) |
//! | `toml` | `segno check`; sinks that its routes name and it does not have are files |
//! | `json` | it is read |
//! | `yaml` | the tests of the packages try it, with `helm` or `docker-compose` |
//! | `sql` | it runs on the databases that its comments name, or is written to a file, which a later step runs |
//! | `rust` | it stands in a file that is compiled |
//! | `python`, others | it has to be written to a file, which a later step runs |
//! | `text`, `mermaid` | nothing: an output or a picture |
//!
//! A document in which `psql` works on `$ORDERS_DATABASE_URL` has a PostgreSQL of its own there.
//!
//! What more there is to say about a block is said in HTML comments before it, which readers do not see:
//!
//! | comment | means |
//! |---|---|
//! | `<!-- test: skip WHY -->` | the block does not run |
//! | `<!-- test: setup` and lines of shell `-->` | these run at this place |
//! | `<!-- test: file NAME -->` | the block is written to this file too |
//! | `<!-- test: after` and lines of TOML `-->` | the block is a part of a configuration, behind these lines |
//! | `<!-- test: with WORD = TEXT -->` | TEXT stands for WORD, which the reader replaces |
//! | `<!-- test: prints` and lines `-->` | each of the lines is in the output |
//! | `<!-- test: exit 1 -->` | the block ends with this status |
//! | `<!-- test: compiled in FILE -->` | of Rust: the block's lines stand in this file, indented or not |
//! | `<!-- test: checked by FILE -->` | of YAML: this test reads the document, finds the block, and tries it |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod document;
mod errors;
mod hook;
mod places;
mod reference;
mod session;
mod sql;
mod step;

use std::path::{Path, PathBuf};

use document::Document;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

macro_rules! documents {
    ($($name:ident: $path:literal,)+) => {
        const DOCUMENTS: &[&str] = &[$($path),+];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                session::run(&Document::read($path)).await;
            }
        )+
    };
}

documents! {
    readme: "README.md",
    bad_input: "docs/bad-input.md",
    concepts: "docs/concepts.md",
    configuration: "docs/configuration.md",
    dead_letters: "docs/dead-letters.md",
    encryption: "docs/encryption.md",
    flow_control: "docs/flow-control.md",
    from_a_hand_written_outbox: "docs/migrate/from-a-hand-written-outbox.md",
    from_cron_and_webhooks: "docs/migrate/from-cron-and-webhooks.md",
    from_temporal_dev_server: "docs/migrate/from-temporal-dev-server.md",
    helm_chart: "packaging/helm/segno/README.md",
    index: "docs/README.md",
    install: "docs/install.md",
    metrics: "docs/metrics.md",
    operations: "docs/operations.md",
    outbox: "docs/outbox.md",
    quick_start: "docs/quick-start.md",
    reload: "docs/reload.md",
    replay: "docs/replay.md",
    routes: "docs/routes.md",
    security: "docs/security.md",
    sinks: "docs/sinks.md",
    sources: "docs/sources.md",
}

/// Those that are listed nowhere above, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_document() {
    for path in found() {
        if !DOCUMENTS.contains(&path.as_str()) && !path.starts_with("docs/errors/") {
            session::run(&Document::read(&path)).await;
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let documents = found();
    let dead: Vec<_> = documents
        .iter()
        .flat_map(|path| Document::read(path).dead_links())
        .collect();
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

/// README.md and everything in `docs/`, by their paths.
fn found() -> Vec<String> {
    let folder = root().join("docs");
    let mut found = vec!["README.md".to_owned()];
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let relative = path.strip_prefix(root()).unwrap();
                found.push(relative.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
