//! Rows that services in other languages write, by the examples that show how.

use std::{path::Path, process::Output};

use segno_event::Data;
use segno_test_support::servers::Postgres;
use serde_json::json;
use tokio::process::Command;

use crate::support::{Db, Recorder, World};

/// What `./test` installs for it.
fn installed(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: ./test sets it"))
}

/// Has a program rename a family in three transactions, of which the second fails, and looks at what is published.
async fn renames(program: &str, script: &Path) {
    let world = World::<Postgres>::new().await;
    Postgres::execute(
        &world.pool,
        "CREATE TABLE family (id BIGINT PRIMARY KEY, name TEXT)",
    )
    .await;
    let run = Command::new(program)
        .arg(script)
        .args([world.server.url().as_str(), "100", "Quill", "FAIL", "Quince"])
        .output();
    let Output { status, stderr, .. } = run.await.unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{said}");
    assert!(said.contains("this family is not renamed"), "{said}");

    let recorder = Recorder::new();
    world.relay(&recorder).await.drain().await.unwrap();
    let published = recorder.published();
    let data: Vec<_> = published
        .iter()
        .map(|outgoing| outgoing.event.data.clone().unwrap())
        .collect();
    let renamed = |name: &str| Data::Json(json!({"familyId": 100, "name": name}));
    assert_eq!(data, [renamed("Quill"), renamed("Quince")]);
    for outgoing in published {
        assert_eq!(outgoing.key.as_deref(), Some("family/100"));
        assert_eq!(
            (outgoing.event.source.as_str(), outgoing.event.ty.as_str()),
            ("/families", "family.renamed")
        );
    }
    assert_eq!(
        world
            .count("SELECT COUNT(*) FROM family WHERE name = 'Quince'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python/emit.py");
    renames(&installed("SEGNO_OUTBOX_PYTHON"), &script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typescript() {
    let built = installed("SEGNO_OUTBOX_TYPESCRIPT");
    renames("node", &Path::new(&built).join("emit.js")).await;
}
