//! The embedded engine's gRPC port with TLS, client certificates and API keys, as the program is told to.

use segno_test_support::{Authority, Pair, free_port, write_file};
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, TlsOptions, UntypedWorkflow,
    WorkflowStartOptions,
};
use temporalio_common::data_converters::RawValue;
use tokio::time::{Instant, sleep};

use crate::support::{DEADLINE, Launch, Program, TestEngine, order};

const KEY: &str = "the-key-of-orders-0123";
const ADMIN: &str = "the-key-of-the-admin-0";

/// A connection to the program's port with TLS, as soon as there is one.
async fn connect(
    program: &mut Program,
    launch: &Launch,
    authority: &Authority,
    identity: &Pair,
    key: Option<&str>,
) -> Result<Connection, String> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let client = ClientTlsOptions::builder()
            .client_cert(identity.certificate.clone().into_bytes())
            .client_private_key(identity.key.clone().into_bytes())
            .build();
        let tls = TlsOptions::builder()
            .server_root_ca_cert(authority.pem().into_bytes())
            .client_tls_options(client)
            .build();
        let url = format!("https://localhost:{}", launch.grpc.port());
        let options = ConnectionOptions::new(url.parse::<reqwest::Url>().unwrap())
            .tls_options(tls)
            .maybe_api_key(key.map(str::to_owned))
            .build();
        let error = match Connection::connect(options).await {
            Ok(connection) => return Ok(connection),
            Err(error) => format!("{error:?}"),
        };
        // Until the port is there nothing else can be said.
        if error.contains("Unauthenticated") || Instant::now() >= deadline {
            return Err(error);
        }
        assert!(!program.has_ended(), "{}", program.log());
        sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn start(connection: Connection, namespace: &str, id: &str) -> Result<(), String> {
    let client = Client::new(connection, ClientOptions::new(namespace).build()).unwrap();
    let options = WorkflowStartOptions::new("nobody", id).build();
    client
        .start_workflow(UntypedWorkflow::new("Any"), RawValue::default(), options)
        .await
        .map(drop)
        .map_err(|error| format!("{error:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_alone_by_flags() {
    let engine = TestEngine::embedded();
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let (certificate, private_key) = authority.server().write(engine.folder(), "server");
    let client_ca = write_file(engine.folder(), "clients.pem", &clients.pem());
    let admin = write_file(engine.folder(), "admin.key", &format!("{ADMIN}\n"));
    let mut launch = Launch::engine(&engine);
    for (flag, value) in [
        ("--tls-cert", certificate.display().to_string()),
        ("--tls-key", private_key.display().to_string()),
        ("--tls-client-ca", client_ca.display().to_string()),
        ("--api-key", "default=env:ORDERS_KEY".to_owned()),
        ("--api-key", format!("admin:*=file:{}", admin.display())),
    ] {
        launch.argument(flag);
        launch.argument(&value);
    }
    launch.variable("ORDERS_KEY", KEY);
    let mut program = launch.spawn();
    let identity = clients.client();
    let with_key = connect(&mut program, &launch, &authority, &identity, Some(KEY)).await;
    let with_key = with_key.unwrap();
    start(with_key.clone(), "default", "w").await.unwrap();
    let refused = start(with_key, "temporal-system", "w").await.unwrap_err();
    assert!(refused.contains("Request unauthorized"), "{refused}");
    for key in [None, Some("another-key-0123456789")] {
        let refused = connect(&mut program, &launch, &authority, &identity, key).await;
        assert!(
            refused.is_err_and(|error| error.contains("Unauthenticated")),
            "{key:?}"
        );
    }
    let admin = connect(&mut program, &launch, &authority, &identity, Some(ADMIN)).await;
    start(admin.unwrap(), "temporal-system", "w").await.unwrap();

    program.signal("TERM").await;
    assert!(program.ended().await.success(), "{}", program.log());
    let log = program.log() + &program.output();
    assert!(!log.contains(KEY) && !log.contains(ADMIN), "{log}");
}

/// By the configuration, and with what Segno itself runs: that needs no key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_by_the_configuration() {
    let engine = TestEngine::embedded();
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    authority.server().write(engine.folder(), "server");
    write_file(engine.folder(), "clients.pem", &clients.pem());
    write_file(engine.folder(), "orders.key", KEY);
    let config = r#"
        [engine.grpc]
        tls = { certificate = "server.pem", private_key = "server.key", client_ca = "clients.pem" }
        max_connections = 100
        [[engine.grpc.api_keys]]
        name = "orders"
        file = "orders.key"
        namespaces = "default"

        [sinks.log]
        file = { path = "deliveries.jsonl" }
        [[routes]]
        name = "all"
        on = "*"
        actions = [{ name = "keep", to = "log" }]
    "#;
    let mut launch = Launch::up(&engine, config);
    let mut program = launch.start().await;
    let event = order("1", 250);
    let response = reqwest::Client::new()
        .post(program.url("/events"))
        .header("content-type", "application/cloudevents+json")
        .body(event.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), reqwest::StatusCode::ACCEPTED);
    let execution = program.closed("all//shop/1").await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");

    let identity = clients.client();
    let refused = connect(&mut program, &launch, &authority, &identity, None).await;
    assert!(refused.is_err_and(|error| error.contains("Unauthenticated")));
    let connection = connect(&mut program, &launch, &authority, &identity, Some(KEY)).await;
    start(connection.unwrap(), "default", "from-outside")
        .await
        .unwrap();
    assert!(!program.log().contains(KEY), "{}", program.log());
}

/// What keeps each of these from starting, with the words that are in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_safe_or_cannot_be_read_is_told_with_the_remedy() {
    let engine = TestEngine::embedded();
    let (certificate, private_key) = Authority::new("ours").server().write(engine.folder(), "server");
    let (certificate, private_key) = (
        certificate.display().to_string(),
        private_key.display().to_string(),
    );
    let key = write_file(engine.folder(), "orders.key", KEY);
    let by_file = format!("default=file:{}", key.display());
    let short = write_file(engine.folder(), "short.key", "swordfish");
    let by_short = format!("default=file:{}", short.display());
    let everywhere = format!("0.0.0.0:{}", free_port());
    let here = format!("127.0.0.1:{}", free_port());
    let tls = ["--tls-cert", &certificate, "--tls-key", &private_key];
    let refused: [(&str, &[&str], &[&str]); 8] = [
        (
            &everywhere,
            &[],
            &[
                "other machines",
                "--api-key",
                "--tls-client-ca",
                "--allow-unauthenticated",
            ],
        ),
        (&everywhere, &tls, &["authenticates who calls", "--tls-client-ca"]),
        (
            &everywhere,
            &["--api-key", &by_file],
            &["without TLS", "--tls-cert", "--allow-plaintext"],
        ),
        (
            &here,
            &["--tls-cert", &private_key, "--tls-key", &private_key],
            &["server.key", "holds no certificate"],
        ),
        (
            &here,
            &["--tls-cert", &certificate, "--tls-key", "none.key"],
            &["none.key", "check the path"],
        ),
        (
            &here,
            &["--api-key", "default=env:NOT_SET"],
            &["NOT_SET", "not set"],
        ),
        (
            &here,
            &["--api-key", &by_short],
            &["fewer than 16", "openssl rand"],
        ),
        (
            &here,
            &["--api-key", "swordfish-swordfish"],
            &["--api-key", "NAMESPACES=env:VARIABLE"],
        ),
    ];
    for (address, flags, words) in refused {
        let mut launch = Launch::engine_at(&engine, address);
        flags.iter().for_each(|flag| launch.argument(flag));
        let mut program = launch.spawn();
        assert!(!program.ended().await.success());
        let log = program.log();
        for word in words {
            assert!(log.contains(word), "{word} is missing: {log}");
        }
        assert!(!log.contains(KEY) && !log.contains("swordfish"), "{log}");
    }
    // And what is safe, or allowed expressly.
    let both: Vec<&str> = tls
        .iter()
        .copied()
        .chain(["--api-key", by_file.as_str()])
        .collect();
    let allowed: [&[&str]; 3] = [
        &both,
        &["--api-key", &by_file, "--allow-plaintext"],
        &["--allow-unauthenticated"],
    ];
    for flags in allowed {
        let mut launch = Launch::engine_at(&engine, &everywhere);
        flags.iter().for_each(|flag| launch.argument(flag));
        let mut program = launch.spawn();
        let deadline = Instant::now() + DEADLINE;
        while !program.log().contains("serving") {
            assert!(
                !program.has_ended() && Instant::now() < deadline,
                "{}",
                program.log()
            );
            sleep(std::time::Duration::from_millis(20)).await;
        }
        program.signal("TERM").await;
        assert!(program.ended().await.success(), "{}", program.log());
    }
}

/// The engine's port of `segno up` is refused as that of the engine alone is, whatever the HTTP API's is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_beside_the_http_api_is_looked_at_as_well() {
    let engine = TestEngine::embedded();
    let mut launch = Launch::up(&engine, "");
    launch.grpc = format!("0.0.0.0:{}", free_port()).parse().unwrap();
    let mut program = launch.spawn();
    assert!(!program.ended().await.success());
    assert!(program.log().contains("--api-key"), "{}", program.log());

    // That nobody has to be authenticated does not say that keys may be read on their way.
    launch.argument("--allow-unauthenticated");
    launch.argument("--api-key");
    launch.argument("default=env:ORDERS_KEY");
    launch.variable("ORDERS_KEY", KEY);
    let mut program = launch.spawn();
    assert!(!program.ended().await.success());
    assert!(program.log().contains("--allow-plaintext"), "{}", program.log());

    launch.argument("--allow-plaintext");
    launch.start().await;
}
