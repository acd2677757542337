//! The `temporal` command line with TLS and an API key.

use segno_test_support::{Authority, write_file};
use tokio::process::Command;

use crate::bed::{Port, keys, tls};

const KEY: &str = "the-key-0123456789";

/// Runs `temporal …` on this port: whether it succeeded, and all that it printed.
async fn temporal(port: &Port, arguments: &[&str]) -> (bool, String) {
    let program = std::env::var("SEGNO_TEMPORAL_BIN").unwrap_or_else(|_| "temporal".to_owned());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TEMPORAL_")) {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .args(["--address", &format!("localhost:{}", port.address.port())])
        .args(["--command-timeout", "30s"])
        .output()
        .await
        .expect("the temporal program");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_works_with_tls_and_a_key() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let keys = keys(&[("default", KEY, &["default"], false)]);
    let port = Port::open(|server, folder| {
        server
            .with_tls(tls(folder, &authority, Some(&clients)))
            .with_api_keys(keys)
    })
    .await;
    let folder = port.folder.path();
    let authority = write_file(folder, "authority.pem", &authority.pem())
        .display()
        .to_string();
    let (certificate, key) = clients.client().write(folder, "client");
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let security = [
        "--tls",
        "--tls-ca-path",
        &authority,
        "--tls-cert-path",
        &certificate,
        "--tls-key-path",
        &key,
    ];
    let with_key = [&security[..], &["--api-key", KEY]].concat();

    let start = [
        "workflow",
        "start",
        "--type",
        "T",
        "--task-queue",
        "queue",
        "--workflow-id",
        "by-command-line",
    ];
    let (succeeded, printed) = temporal(&port, &[&start[..], &with_key].concat()).await;
    assert!(succeeded, "{printed}");
    let (succeeded, printed) = temporal(&port, &[&["workflow", "list"][..], &with_key].concat()).await;
    assert!(succeeded && printed.contains("by-command-line"), "{printed}");

    let other = [
        &["workflow", "list", "--namespace", "temporal-system"][..],
        &with_key,
    ]
    .concat();
    let (succeeded, printed) = temporal(&port, &other).await;
    assert!(!succeeded && printed.contains("unauthorized"), "{printed}");
    let (succeeded, printed) = temporal(&port, &[&["workflow", "list"][..], &security].concat()).await;
    assert!(!succeeded && printed.contains("unauthenticated"), "{printed}");
    let wrong = [
        &["workflow", "list", "--api-key", "another-key-0123456789"][..],
        &security,
    ]
    .concat();
    let (succeeded, printed) = temporal(&port, &wrong).await;
    assert!(!succeeded && printed.contains("unauthenticated"), "{printed}");
    let (succeeded, printed) = temporal(&port, &["workflow", "list", "--api-key", KEY, "--tls=false"]).await;
    assert!(!succeeded, "{printed}");
}
