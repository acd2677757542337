//! What the packages start, started: with their arguments, variables and configuration.

use std::{path::Path, process::Stdio, time::Duration};

use segno_test_support::free_port;
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{chart, file, tools::yaml};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the program as a container would be, with folders and ports of the test.
fn start(container: &Value, folder: &Path, port: u16, config: &str) -> Child {
    std::fs::write(folder.join("segno.toml"), config).unwrap();
    let arguments = container["args"].as_array().unwrap().iter();
    let arguments = arguments.map(|argument| {
        let argument = argument.as_str().unwrap();
        argument
            .replace("/etc/segno", &folder.display().to_string())
            .replace("0.0.0.0:8080", &format!("127.0.0.1:{port}"))
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_segno"));
    command
        .args(arguments)
        .arg(format!("--grpc=127.0.0.1:{}", free_port()))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    for variable in container["env"].as_array().unwrap() {
        let value = variable["value"].as_str().unwrap();
        let value = value.replace("/var/lib/segno", &folder.join("data").display().to_string());
        command.env(variable["name"].as_str().unwrap(), value);
    }
    command.spawn().expect("the program starts")
}

/// Waits until a probe of the chart is answered.
async fn probed(container: &Value, probe: &str, port: u16) {
    let path = container[probe]["httpGet"]["path"].as_str().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        assert!(Instant::now() < deadline, "{probe} is not answered");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The chart's pod runs, answers its probes, passes the chart's own test, and ends in time.
#[tokio::test]
async fn a_pod_of_the_chart_runs() {
    let objects = chart::rendered(&["--set", "config=[archive]"]);
    let spec = &chart::pod(&objects)["spec"];
    let container = &spec["containers"][0];
    let config = &chart::object(&objects, "ConfigMap").unwrap()["data"]["segno.toml"];
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut program = start(container, folder.path(), port, config.as_str().unwrap());
    probed(container, "livenessProbe", port).await;
    probed(container, "readinessProbe", port).await;

    let service = &chart::object(&objects, "Service").unwrap();
    let address = format!(
        "http://{}:{}",
        service["metadata"]["name"].as_str().unwrap(),
        service["spec"]["ports"][0]["port"]
    );
    let test = &chart::object(&objects, "Pod").unwrap()["spec"]["containers"][0]["args"];
    let arguments: Vec<_> = test
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap())
        .collect();
    assert!(arguments.contains(&address.as_str()), "{arguments:?}");
    let here = format!("http://127.0.0.1:{port}");
    let health = async || {
        let arguments = arguments.iter().map(|argument| argument.replace(&address, &here));
        let segno = Command::new(env!("CARGO_BIN_EXE_segno")).args(arguments).output();
        segno.await.unwrap()
    };
    let healthy = health().await;
    assert!(
        healthy.status.success(),
        "{}",
        String::from_utf8_lossy(&healthy.stderr)
    );

    let pid = program.id().unwrap().to_string();
    let asked = Command::new("kill").args(["-s", "TERM", &pid]).status().await;
    assert!(asked.unwrap().success());
    let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap();
    let ended = timeout(Duration::from_secs(grace), program.wait()).await;
    let ended = ended.expect("it ends in time").unwrap();
    assert!(ended.success(), "{ended}");
    assert!(!health().await.status.success(), "nothing answers any more");
    assert!(folder.path().join("data").join("engine.db").exists());
}

/// The compose file of the engine inside starts what it says, with the configuration that it mounts.
#[tokio::test]
async fn the_embedded_service_of_the_compose_file_runs() {
    let text = std::fs::read_to_string(file("packaging/compose.embedded.yaml")).unwrap();
    let service = &yaml(&text)[0]["services"]["segno"];
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut arguments = service["command"].as_array().unwrap().clone();
    // The image's variables, and its folder of the configuration.
    arguments.extend(["--config=/etc/segno/segno.toml", "--http=0.0.0.0:8080"].map(Value::from));
    let container = serde_json::json!({
        "args": arguments,
        "env": [{"name": "SEGNO_DATA", "value": "/var/lib/segno"}],
        "readinessProbe": {"httpGet": {"path": "/readyz"}},
    });
    let config = std::fs::read_to_string(file("packaging/segno.toml")).unwrap();
    let data = folder.path().join("data");
    let config = config.replace("/var/lib/segno", &data.display().to_string());
    let _program = start(&container, folder.path(), port, &config);
    probed(&container, "readinessProbe", port).await;
    let event =
        serde_json::json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"});
    let answer = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/events"))
        .header("content-type", "application/cloudevents+json")
        .body(event.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(data.join("deliveries.jsonl"))
        .is_ok_and(|text| text.contains("order.placed"))
    {
        assert!(Instant::now() < deadline, "it is not delivered");
        sleep(Duration::from_millis(20)).await;
    }
}
