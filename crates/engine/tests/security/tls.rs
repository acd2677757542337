//! TLS and client certificates.

use segno_engine::Tls;
use segno_test_support::{Authority, Pair, write_file};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    bed::{Port, eventually, tls},
    sdk,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_works_over_tls() {
    let authority = Authority::new("ours");
    let port = Port::open(|server, folder| server.with_tls(tls(folder, &authority, None))).await;
    let connection = port.secure(&authority, None, None).await.expect("a connection");
    sdk::works(connection, "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_works_with_a_client_certificate() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let port = Port::open(|server, folder| server.with_tls(tls(folder, &authority, Some(&clients)))).await;
    let identity = clients.client();
    let connection = port.secure(&authority, Some(&identity), None).await;
    sdk::works(connection.expect("a connection"), "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_with_a_good_certificate_get_in() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let port = Port::open(|server, folder| server.with_tls(tls(folder, &authority, Some(&clients)))).await;
    let good = clients.client();
    let refused: [(&str, Option<Pair>); 4] = [
        ("none", None),
        ("of another authority", Some(Authority::new("clients").client())),
        ("expired", Some(clients.expired_client())),
        ("of a server", Some(clients.server())),
    ];
    for (what, identity) in refused {
        let connected = port.secure(&authority, identity.as_ref(), None).await;
        assert!(connected.is_err(), "a certificate that is no good: {what}");
        // And it has done no harm to others.
        let connected = port.secure(&authority, Some(&good), None).await;
        assert!(connected.is_ok(), "{:?}", connected.err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_know_a_port_that_is_not_ours() {
    let authority = Authority::new("ours");
    let port = Port::open(|server, folder| server.with_tls(tls(folder, &authority, None))).await;
    let error = port.secure(&Authority::new("ours"), None, None).await.err();
    let error = error.expect("another authority's certificate is refused");
    assert!(
        error.contains("UnknownIssuer") || error.contains("BadSignature"),
        "{error}"
    );
    port.secure(&authority, None, None).await.expect("a connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_speaks_in_plain_to_a_port_with_tls() {
    let authority = Authority::new("ours");
    let port = Port::open(|server, folder| server.with_tls(tls(folder, &authority, None))).await;
    assert!(port.plain(None).await.is_err());
    // The preface of HTTP/2, as it is: answered with an alert of TLS or not at all, and closed.
    let mut socket = tokio::net::TcpStream::connect(port.address)
        .await
        .expect("a connection");
    socket
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .expect("a preface");
    let mut answer = Vec::new();
    // It may also be reset, as what was sent was not read to its end.
    let _ = socket.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    port.secure(&authority, None, None).await.expect("a connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_without_tls_is_not_taken_for_one_with() {
    let port = Port::open(|server, _| server).await;
    let error = port.secure(&Authority::new("ours"), None, None).await.err();
    assert!(error.is_some(), "there is no TLS");
    port.plain(None).await.expect("a connection");
}

/// Certificates are renewed by whoever replaces their files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_taken_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let port = Port::open(|server, folder| server.with_tls(tls(folder, &old, None))).await;
    let before = port.secure(&old, None, None).await.expect("a connection");

    // What cannot be used changes nothing.
    write_file(port.folder.path(), "server.pem", "no certificate");
    port.secure(&old, None, None).await.expect("a connection");

    new.server().write(port.folder.path(), "server");
    eventually("the new certificate is shown", || async {
        port.secure(&new, None, None).await.is_ok()
    })
    .await;
    assert!(
        port.secure(&old, None, None).await.is_err(),
        "the old one is gone"
    );
    // Connections from before go on.
    sdk::works(before, "default").await;
}

#[test]
fn files_that_cannot_be_used_are_told_with_the_remedy() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    let authority = Authority::new("ours");
    let (certificate, key) = authority.server().write(folder, "good");
    let (_, other_key) = authority.server().write(folder, "other");
    let nothing = folder.join("nothing.pem");
    let text = write_file(folder, "text.pem", "this is no PEM");
    let cut = write_file(folder, "cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    let garbage = write_file(
        folder,
        "garbage.pem",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    );
    let not_base64 = write_file(
        folder,
        "not-base64.key",
        "-----BEGIN PRIVATE KEY-----\n$ecret$\n-----END PRIVATE KEY-----\n",
    );
    let encrypted = write_file(
        folder,
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let error = |certificate: &std::path::Path, key: &std::path::Path, clients: Option<&std::path::Path>| {
        let tls = Tls::from_files(certificate, key, clients.map(std::path::Path::to_owned));
        tls.expect_err("it cannot be used").to_string()
    };
    let cases = [
        (
            error(&nothing, &key, None),
            ["certificate", "nothing.pem", "check the path"],
        ),
        (
            error(&certificate, &nothing, None),
            ["key", "nothing.pem", "check the path"],
        ),
        (
            error(&text, &key, None),
            ["certificate", "text.pem", "BEGIN CERTIFICATE"],
        ),
        (
            error(&cut, &key, None),
            ["certificate", "cut.pem", "does not end"],
        ),
        (
            error(&garbage, &key, None),
            ["certificate", "garbage.pem", "cannot be used"],
        ),
        (
            error(&certificate, &certificate, None),
            ["key", "good.pem", "BEGIN PRIVATE KEY"],
        ),
        (
            error(&certificate, &not_base64, None),
            ["key", "not-base64.key", "not base64"],
        ),
        (
            error(&certificate, &encrypted, None),
            ["key", "encrypted.key", "openssl pkey"],
        ),
        (
            error(&certificate, &other_key, None),
            ["other.key", "good.pem", "does not belong"],
        ),
        (
            error(&certificate, &key, Some(&nothing)),
            ["client authorities", "nothing.pem", "check the path"],
        ),
        (
            error(&certificate, &key, Some(&text)),
            ["client authorities", "text.pem", "BEGIN CERTIFICATE"],
        ),
        (
            error(&certificate, &key, Some(&garbage)),
            ["client authorities", "garbage.pem", "damaged"],
        ),
    ];
    for (error, parts) in &cases {
        for part in parts {
            assert!(error.contains(part), "{part} is missing: {error}");
        }
        assert!(!error.contains("$ecret$"), "{error}");
    }
}
