//! A service of a test's own with the family of the behaviours.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use segno_consent::{Options, Reaction, Service};
use segno_test_support::{
    TemporalServer,
    servers::{Postgres, Redis},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A port that the system chooses.
const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Study 1; family 100 with the guardians 99 and 102 and the dependent 100; 98 is in no family.
pub(crate) struct World {
    service: Service,
    http: reqwest::Client,
    users: std::collections::BTreeMap<i64, i64>,
    _database: Postgres,
    pub(crate) redis: Redis,
    _temporal: Option<TemporalServer>,
    _folder: TempDir,
}

impl World {
    /// On the engine in the process.
    pub(crate) async fn new(reaction: Reaction) -> Self {
        Self::on(None, reaction, String::new()).await
    }

    /// In a namespace of its own of a Temporal server.
    pub(crate) async fn on_temporal(reaction: Reaction) -> Self {
        let server = TemporalServer::start().await;
        let (address, namespace) = (server.address().to_owned(), server.namespace().await);
        let config =
            format!("engine = {{ temporal = {{ address = {address:?}, namespace = {namespace:?} }} }}\n");
        Self::on(Some(server), reaction, config).await
    }

    async fn on(temporal: Option<TemporalServer>, reaction: Reaction, segno_config: String) -> Self {
        let (database, redis) = tokio::join!(Postgres::start(), Redis::start());
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            listen: FREE,
            segno: FREE,
            grpc: FREE,
            data: folder.path().join("data"),
            database: database.url(),
            redis: redis.url(),
            reaction,
            segno_config,
        };
        let mut world = Self {
            service: Service::start(options).await.unwrap(),
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(90))
                .build()
                .unwrap(),
            users: Default::default(),
            _database: database,
            redis,
            _temporal: temporal,
            _folder: folder,
        };
        for (id, ty) in [
            (99, "GUARDIAN"),
            (102, "GUARDIAN"),
            (100, "DEPENDENT"),
            (98, "STANDARD"),
        ] {
            world.profile(id, ty).await;
        }
        world
            .ok(Method::POST, "/studies", json!({"id": 1, "questions": 2}))
            .await;
        let family = json!({"id": 100, "memberProfileIds": [99, 102, 100]});
        world.ok(Method::POST, "/families", family).await;
        for profile in [99, 102, 100, 98] {
            world
                .change(
                    Method::PUT,
                    &format!("/studies/1/participants/{profile}"),
                    Value::Null,
                )
                .await;
        }
        world.answer(99, json!([false, "Choice 2"])).await;
        world.answer(102, json!([null, null])).await;
        world
    }

    pub(crate) async fn profile(&mut self, id: i64, ty: &str) {
        let new = json!({"id": id, "participantType": ty});
        let made = self.ok(Method::POST, "/profiles", new).await;
        if let Some(user) = made["userId"].as_i64() {
            self.users.insert(id, user);
        }
    }

    /// Has a profile's user answer study 1.
    pub(crate) async fn answer(&self, profile: i64, answers: Value) {
        let path = format!("/studies/1/answers/{}", self.users[&profile]);
        self.change(Method::PUT, &path, json!({"answers": answers, "step": "consent"}))
            .await;
    }

    /// Makes a change and waits for what follows.
    pub(crate) async fn change(&self, method: Method, path: &str, body: Value) {
        let answer = self.ok(method, &format!("{path}?wait=60"), body).await;
        assert_eq!(answer["recalculated"], true, "{answer}");
    }

    pub(crate) async fn request(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.service.address());
        let mut request = self.http.request(method, url);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (
            status,
            serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default(),
        )
    }

    async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.request(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// A profile's answers to study 1.
    pub(crate) async fn answers(&self, profile: i64) -> Value {
        self.ok(Method::GET, &format!("/studies/1/answers/{profile}"), Value::Null)
            .await["answers"]
            .clone()
    }

    /// The id of a profile's user.
    pub(crate) fn user(&self, profile: i64) -> i64 {
        self.users[&profile]
    }

    pub(crate) async fn stop(self) {
        self.service.stop().await.unwrap();
    }
}
