//! The compose files.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    file, read,
    tools::{COMPOSE, yaml},
};

/// The file as docker-compose understands it.
fn config(name: &str) -> Value {
    let path = file(&format!("packaging/{name}")).display().to_string();
    yaml(&COMPOSE.run(&["--file", &path, "config"], "")).remove(0)
}

fn names(table: &Value) -> Vec<&str> {
    table.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_cluster_has_its_parts_and_each_waits_for_what_it_needs() {
    let config = config("compose.yaml");
    let services = &config["services"];
    assert_eq!(
        names(services),
        ["postgresql", "server", "temporal", "temporal-ui", "worker"]
    );
    let healthy = json!({"condition": "service_healthy"});
    for (service, needs) in [
        ("temporal", &["postgresql"][..]),
        ("temporal-ui", &["temporal"]),
        ("server", &["temporal"]),
        ("worker", &["server", "temporal"]),
    ] {
        let waits = &services[service]["depends_on"];
        assert_eq!(names(waits), needs, "{service}");
        assert!(
            waits
                .as_object()
                .unwrap()
                .values()
                .all(|condition| *condition == healthy),
            "{service}: {waits}"
        );
    }
    // What is waited for says when it is healthy: these here, the server in its image.
    for service in ["postgresql", "temporal"] {
        assert!(services[service]["healthcheck"]["test"].is_array(), "{service}");
    }
    assert!(read("packaging/Dockerfile").contains("\nHEALTHCHECK "));
    assert_eq!(config["networks"]["backend"]["internal"], true);
    assert_eq!(services["postgresql"]["networks"], json!({"backend": null}));
    assert_eq!(services["worker"]["ports"], json!([]));
}

#[test]
fn what_is_published_is_published_on_this_machine_alone() {
    for (name, ports) in [("compose.yaml", 2), ("compose.embedded.yaml", 1)] {
        let config = config(name);
        let services = config["services"].as_object().unwrap().values();
        let published: Vec<_> = services
            .filter_map(|service| service["ports"].as_array())
            .flatten()
            .map(|port| port.as_str().unwrap())
            .collect();
        assert_eq!(published.len(), ports, "{name}");
        assert!(
            published.iter().all(|port| port.starts_with("127.0.0.1:")),
            "{name}: {published:?}"
        );
    }
}

#[test]
fn segno_has_no_rights_that_it_does_not_need() {
    for (name, services) in [
        ("compose.yaml", &["server", "worker"][..]),
        ("compose.embedded.yaml", &["segno"]),
    ] {
        let config = config(name);
        for service in services {
            let service = &config["services"][service];
            assert_eq!(service["read_only"], true);
            assert_eq!(service["cap_drop"], json!(["ALL"]));
            assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]));
            assert_eq!(service["stop_grace_period"], "30s");
        }
    }
}

#[test]
fn their_configuration_has_no_mistakes() {
    let check = Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(["check", "--config"])
        .arg(file("packaging/segno.toml"))
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
}

/// Each variable of the files is in the example, and the other way round.
#[test]
fn the_example_has_every_variable() {
    let files = [
        read("packaging/compose.yaml"),
        read("packaging/compose.embedded.yaml"),
    ]
    .concat();
    let mut used: Vec<_> = files
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split([':', '}']).next())
        .collect();
    used.sort_unstable();
    used.dedup();
    let example = read("packaging/.env.example");
    let mut told: Vec<_> = example
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    told.sort_unstable();
    assert_eq!(used, told);
}
