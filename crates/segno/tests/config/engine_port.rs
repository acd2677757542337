//! `[engine.grpc]`.

use super::*;

#[test]
fn the_engines_port_is_read() {
    use segno::config::{ApiKey, Grpc, GrpcLimits, KeySource, TlsFiles};
    let config = parse(
        r#"
        [engine.grpc]
        listen = "127.0.0.1:7234"
        tls = { certificate = "server.pem", private_key = "/etc/server.key", client_ca = "clients.pem" }
        max_connections = 100
        requests_per_second = 50
        [[engine.grpc.api_keys]]
        name = "orders"
        env = "ORDERS_KEY"
        namespaces = ["orders", "billing"]
        [[engine.grpc.api_keys]]
        name = "admin"
        file = "admin.key"
        namespaces = "*"
        admin = true
        "#,
    )
    .expect("no mistakes");
    let keys = [
        ApiKey {
            name: "orders".into(),
            source: KeySource::Env("ORDERS_KEY".into()),
            namespaces: Some(["billing".to_owned(), "orders".to_owned()].into()),
            admin: false,
        },
        ApiKey {
            name: "admin".into(),
            source: KeySource::File("base/admin.key".into()),
            namespaces: None,
            admin: true,
        },
    ];
    let expected = Grpc {
        listen: Some("127.0.0.1:7234".parse().unwrap()),
        tls: Some(TlsFiles {
            certificate: "base/server.pem".into(),
            private_key: "/etc/server.key".into(),
            client_ca: Some("base/clients.pem".into()),
        }),
        api_keys: keys.into(),
        limits: GrpcLimits {
            max_connections: Some(100),
            requests_per_second: Some(50),
            ..Default::default()
        },
    };
    assert_eq!(config.grpc, expected);
    assert!(config.engine.is_none());
}

#[test]
fn mistakes_in_the_engines_port() {
    let text = r#"
        [engine.grpc]
        listen = "everywhere"
        tls = { certificate = "server.pem", client_ca = "" }
        max_connections = 0
        max_conections = 1
        [[engine.grpc.api_keys]]
        name = ""
        env = "A"
        file = "a.key"
        namespaces = []
        [[engine.grpc.api_keys]]
        name = "b"
        [[engine.grpc.api_keys]]
        name = "c"
        key = "T0KEN"
        namespaces = "*"
    "#;
    let found: Vec<_> = found(text)
        .into_iter()
        .map(|(code, line, _)| (code, line))
        .collect();
    assert_eq!(
        found,
        [
            (Code::Address, 3),
            (Code::Missing, 4),
            (Code::Value, 4),
            (Code::Value, 5),
            (Code::UnknownKey, 6),
            (Code::Value, 8),
            (Code::Value, 10),
            (Code::Value, 11),
            (Code::Missing, 12),
            (Code::Missing, 12),
            (Code::UnknownKey, 16),
        ]
    );
    let mistakes = parse(text).expect_err("mistakes");
    for mistake in &mistakes {
        assert!(!format!("{:?}", miette::Report::new(mistake.clone())).contains("T0KEN"));
    }
}
