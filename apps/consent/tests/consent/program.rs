//! The built program: killed in the middle, and what it logs.

use std::{path::Path, process::Stdio, time::Duration};

use reqwest::StatusCode;
use segno_test_support::{
    free_port,
    servers::{Postgres, Redis},
};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

const DEADLINE: Duration = Duration::from_secs(60);

struct Program {
    child: Child,
    url: String,
}

/// Starts it with everything logged, and waits until it is healthy.
async fn start(folder: &Path, log: &str, database: &Postgres, redis: &Redis) -> Program {
    let address = || format!("127.0.0.1:{}", free_port());
    let listen = address();
    let file = std::fs::File::create(folder.join(log)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_consent"))
        .env(
            "RUST_LOG",
            "info,segno=trace,segno_consent=trace,segno_outbox=trace,segno_sinks=trace,segno_sources=trace,sqlx=debug",
        )
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("CONSENT_LISTEN", &listen)
        .env("CONSENT_SEGNO", address())
        .env("CONSENT_GRPC", address())
        .env("CONSENT_DATA", folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let program = Program {
        child,
        url: format!("http://{listen}"),
    };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let health = reqwest::get(format!("{}/healthz", program.url)).await;
        if health.is_ok_and(|health| health.status() == StatusCode::OK) {
            return program;
        }
        let log = || std::fs::read_to_string(folder.join(log)).unwrap();
        assert!(Instant::now() < deadline, "not healthy:\n{}", log());
        sleep(Duration::from_millis(30)).await;
    }
}

impl Program {
    async fn send(&self, method: &str, path: &str, body: Value) -> Value {
        let request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", self.url));
        let response = request.json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_a_change_it_follows_it_up_and_logs_no_answer() {
    let (database, redis) = tokio::join!(Postgres::start(), Redis::start());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut program = start(folder, "first.log", &database, &redis).await;
    let profile = async |id: i64, ty: &str| {
        let made = json!({"id": id, "participantType": ty});
        program.send("POST", "/profiles", made).await["userId"].as_i64()
    };
    let user = profile(99, "GUARDIAN").await.unwrap();
    profile(100, "DEPENDENT").await;
    program
        .send("POST", "/studies", json!({"id": 1, "questions": 1}))
        .await;
    program
        .send(
            "POST",
            "/families",
            json!({"id": 100, "memberProfileIds": [99, 100]}),
        )
        .await;
    program
        .send("PUT", "/studies/1/participants/99", Value::Null)
        .await;
    program
        .send("PUT", "/studies/1/participants/100?wait=60", Value::Null)
        .await;
    for round in 0..5 {
        let answer = format!("confidential answer {round}");
        let path = format!("/studies/1/answers/{user}");
        program
            .send("PUT", &path, json!({"answers": [answer], "step": "consent"}))
            .await;
    }
    program.child.kill().await.unwrap();

    let mut program = start(folder, "second.log", &database, &redis).await;
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answers = program.send("GET", "/studies/1/answers/100", Value::Null).await;
        if answers["answers"] == json!(["confidential answer 4"]) {
            break;
        }
        assert!(Instant::now() < deadline, "{answers}");
        sleep(Duration::from_millis(30)).await;
    }
    program.child.kill().await.unwrap();
    for log in ["first.log", "second.log"] {
        let log = std::fs::read_to_string(folder.join(log)).unwrap();
        assert!(log.contains("\"relaying\""), "it logs something");
        let told = log.lines().find(|line| line.contains("confidential answer"));
        assert_eq!(told, None);
    }
}
