//! The HTTP API, schedules and the sweeper, on a whole platform in this process.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, StatusCode};
use segno::config::Config;
use segno_crawl_platform::{
    cluster::{Cluster, JobName, JobState, Phase},
    lifecycle::Timing,
    platform::{Options, Platform},
    sweeper::{SweepSettings, sweep},
};
use segno_test_support::TemporalServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use temporalio_client::{
    WorkflowTerminateOptions,
    schedules::{ScheduleBackfill, ScheduleOverlapPolicy},
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::{
    cluster::Memory,
    world::{DEADLINE, eventually, timing},
};

pub(crate) struct Api {
    pub(crate) platform: Platform,
    pub(crate) cluster: Memory,
    pub(crate) http: reqwest::Client,
    /// Where the API is asked, and who asks.
    root: String,
    token: Option<&'static str>,
    /// Segno's configuration.
    config: String,
    folder: TempDir,
    _server: Option<TemporalServer>,
}

impl Api {
    pub(crate) async fn embedded() -> Self {
        Self::start(String::new(), None).await
    }

    pub(crate) async fn temporal() -> Self {
        let server = TemporalServer::start().await;
        let namespace = server.namespace().await;
        let address = server.address().to_owned();
        let config =
            format!("engine = {{ temporal = {{ address = {address:?}, namespace = {namespace:?} }} }}\n");
        Self::start(config, Some(server)).await
    }

    pub(crate) async fn start(config: String, server: Option<TemporalServer>) -> Self {
        Self::timed(&config, server, timing()).await
    }

    async fn timed(config: &str, server: Option<TemporalServer>, timing: Timing) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Memory::new();
        let options = Options {
            config: Config::parse("test", config, folder.path()).unwrap(),
            timing,
            ..Options::in_folder(folder.path(), Arc::new(cluster.clone()))
        };
        let platform = Platform::start(options).await.unwrap();
        Self {
            root: format!("http://{}", platform.address()),
            token: None,
            platform,
            cluster,
            http: reqwest::Client::new(),
            config: config.to_owned(),
            folder,
            _server: server,
        }
    }

    /// The same platform, started again with other settings of the sweeper.
    pub(crate) async fn started_again(self, sweep: SweepSettings) -> Self {
        self.platform.stop().await.unwrap();
        let options = Options {
            config: Config::parse("test", &self.config, self.folder.path()).unwrap(),
            timing: timing(),
            sweep,
            ..Options::in_folder(self.folder.path(), Arc::new(self.cluster.clone()))
        };
        let platform = Platform::start(options).await.unwrap();
        Self {
            root: format!("http://{}", platform.address()),
            platform,
            ..self
        }
    }

    /// Asks where callers sign in.
    pub(crate) fn signed_in(self, token: &'static str) -> Self {
        Self {
            root: format!("http://{}/app", self.platform.segno().http_address()),
            token: Some(token),
            ..self
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.root));
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn crawler(&self) -> String {
        let definition = json!({"name": "books", "command": ["crawl-books"], "processes": 2});
        let (status, body) = self.send(Method::POST, "/crawlers", None, definition).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn until(&self, run: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        eventually(what, async || {
            let path = format!("/runs/{run}");
            let (status, body) = self.send(Method::GET, &path, None, Value::Null).await;
            last = body;
            status == StatusCode::OK && is_so(&last)
        })
        .await;
        last
    }

    pub(crate) async fn stop(self) {
        self.platform.stop().await.unwrap();
    }
}

async fn runs_are_begun_listed_shown_and_stopped(api: Api) {
    let crawler = api.crawler().await;
    let path = format!("/crawlers/{crawler}/runs");
    let post = async |key: &str, body: Value| api.send(Method::POST, &path, Some(key), body).await;
    // A client that repeats itself, at once and later.
    let ((_, one), (_, two)) = tokio::join!(post("key", Value::Null), post("key", Value::Null));
    assert_eq!(one["runId"], two["runId"]);
    assert_ne!(one["duplicate"], two["duplicate"]);
    let run = one["runId"].as_str().unwrap().to_owned();
    api.until(&run, "it is processing", |run| run["status"] == "PROCESSING")
        .await;
    let (status, again) = post("key", Value::Null).await;
    assert_eq!((status, &again["runId"]), (StatusCode::ACCEPTED, &one["runId"]));
    let (status, other) = post("key", json!({"trigger": "manual"})).await;
    assert_eq!(
        (status, &other["code"]),
        (StatusCode::CONFLICT, &json!("idempotency-key-reused"))
    );
    let (status, body) = post("other", json!({"trigger": "scheduled"})).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid-trigger"))
    );
    let (status, body) = post("other", json!({"triger": "manual"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let (status, _) = api
        .send(
            Method::POST,
            &format!("/crawlers/{}/runs", Uuid::nil()),
            None,
            Value::Null,
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let (_, second) = post("second", json!({"trigger": "manual"})).await;
    let second = second["runId"].as_str().unwrap().to_owned();
    api.until(&second, "it is there", |run| run["status"] == "PROCESSING")
        .await;
    let listed = api.get("/runs?status=PROCESSING&limit=1").await;
    assert_eq!(listed["runs"][0]["id"], second.as_str(), "the newest first");
    let next = listed["next"].as_str().unwrap();
    let listed = api
        .get(&format!("/runs?status=PROCESSING&limit=1&cursor={next}"))
        .await;
    assert_eq!(listed["runs"][0]["id"], run.as_str());
    assert_eq!(listed.get("next"), None);
    let listed = api
        .get(&format!(
            "/runs?trigger=manual&crawler={crawler}&since=2020-01-01T00:00:00Z"
        ))
        .await;
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1);
    for query in ["status=DONE", "stat=x", "limit=0", "cursor=x", "since=yesterday"] {
        let (status, body) = api
            .send(Method::GET, &format!("/runs?{query}"), None, Value::Null)
            .await;
        assert_eq!(
            (status, body["status"].as_u64()),
            (StatusCode::BAD_REQUEST, Some(400)),
            "{query}"
        );
    }

    let shown = api.get(&format!("/runs/{run}")).await;
    assert_eq!(shown["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(shown["attempts"][0]["outcome"], "deployed");
    assert_eq!(shown["workflow"]["stage"], "reconciliation");
    let stop = async |run: &str, body: Value| {
        api.send(Method::POST, &format!("/runs/{run}/stop"), None, body)
            .await
    };
    assert_eq!(stop(&run, json!({"by": "ada"})).await.0, StatusCode::ACCEPTED);
    assert_eq!(
        stop(&second, json!({"by": "ada", "force": true})).await.0,
        StatusCode::ACCEPTED
    );
    let shown = api
        .until(&run, "it has ended", |run| run["status"] == "FAILED")
        .await;
    assert_eq!(shown["reason"], "stopped by ada");
    let shown = api
        .until(&run, "its end is complete", |run| {
            run["workflow"]["stage"] == "ended"
        })
        .await;
    assert!(!shown["corrections"].as_array().unwrap().is_empty());
    assert!(shown["logs"].to_string().contains("the run was stopped by ada"));
    let (status, body) = stop(&run, json!({"by": "ada"})).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::CONFLICT, &json!("run-has-ended"))
    );
    let (status, body) = api
        .send(Method::POST, &format!("/runs/{run}/resume"), None, Value::Null)
        .await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::CONFLICT, &json!("run-has-ended"))
    );
    api.until(&second, "it has ended", |run| run["status"] == "FAILED")
        .await;
    let words: Vec<_> = api.cluster.told().into_iter().map(|(_, word)| word).collect();
    assert_eq!(
        words.iter().filter(|word| **word == "kill").count(),
        2,
        "{words:?}"
    );
    assert_eq!(api.cluster.made().len(), 4);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_begun_listed_shown_and_stopped_on_embedded() {
    runs_are_begun_listed_shown_and_stopped(Api::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_begun_listed_shown_and_stopped_on_temporal() {
    runs_are_begun_listed_shown_and_stopped(Api::temporal().await).await;
}

async fn a_schedule_makes_runs_until_it_is_deleted(api: Api) {
    let crawler = api.crawler().await;
    let post = async |body: Value| api.send(Method::POST, "/schedules", None, body).await;
    for wrong in [
        json!({"crawlerId": crawler}),
        json!({"crawlerId": crawler, "cron": "* * *"}),
        json!({"crawlerId": crawler, "cron": "61 * * * *"}),
        json!({"crawlerId": crawler, "cron": "0 6 * * *", "timeZone": "Asia/Nowhere"}),
        json!({"crawlerId": crawler, "everySeconds": 5, "cron": "0 6 * * *"}),
    ] {
        let (status, body) = post(wrong.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {body}");
    }
    assert_eq!(
        api.get("/schedules").await,
        json!([]),
        "what is refused is not kept"
    );
    let kathmandu = json!({"crawlerId": crawler, "cron": "0 6 * * *", "timeZone": "Asia/Kathmandu"});
    assert_eq!(post(kathmandu).await.0, StatusCode::CREATED);
    let often = json!({"crawlerId": crawler, "everySeconds": 1, "overlap": "skip"});
    let (status, schedule) = post(often).await;
    assert_eq!(status, StatusCode::CREATED, "{schedule}");

    let mut run = Value::Null;
    eventually("a run is made", async || {
        let listed = api.get("/runs?trigger=scheduled&status=PROCESSING").await;
        run = listed["runs"][0]["id"].clone();
        run.is_string()
    })
    .await;
    let id = schedule["id"].as_str().unwrap();
    let (status, _) = api
        .send(Method::DELETE, &format!("/schedules/{id}"), None, Value::Null)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = api
        .send(Method::DELETE, &format!("/schedules/{id}"), None, Value::Null)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // While its run went on, none was made beside it.
    let listed = api.get("/runs?trigger=scheduled").await;
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "{listed}");
    let run = run.as_str().unwrap().to_owned();
    let (status, _) = api
        .send(
            Method::POST,
            &format!("/runs/{run}/stop"),
            None,
            json!({"by": "ada"}),
        )
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    api.until(&run, "it has ended", |run| run["status"] == "FAILED")
        .await;
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_makes_runs_until_it_is_deleted_on_embedded() {
    a_schedule_makes_runs_until_it_is_deleted(Api::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_makes_runs_until_it_is_deleted_on_temporal() {
    a_schedule_makes_runs_until_it_is_deleted(Api::temporal().await).await;
}

async fn a_run_that_its_schedule_terminates_is_closed(api: Api) {
    let crawler = api.crawler().await;
    let often = json!({"crawlerId": crawler, "everySeconds": 6, "overlap": "terminate_other"});
    let (status, schedule) = api.send(Method::POST, "/schedules", None, often).await;
    assert_eq!(status, StatusCode::CREATED, "{schedule}");
    let listed = async |query: &str| {
        let listed = api
            .get(&format!("/runs?trigger=scheduled&limit=500{query}"))
            .await;
        listed["runs"].as_array().unwrap().clone()
    };
    eventually("a run had started and was replaced", async || {
        let failed = listed("&status=FAILED").await;
        failed.iter().any(|run| run["startedAt"].is_string())
    })
    .await;
    let id = schedule["id"].as_str().unwrap();
    let (status, _) = api
        .send(Method::DELETE, &format!("/schedules/{id}"), None, Value::Null)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    eventually("one is left", async || {
        listed("")
            .await
            .iter()
            .filter(|run| run["status"] != "FAILED")
            .count()
            == 1
    })
    .await;
    // The latest goes on.
    let newest = listed("").await.swap_remove(0);
    assert_ne!(newest["status"], "FAILED", "{newest}");
    for run in listed("&status=FAILED").await {
        assert_eq!(
            run["reason"], "stopped by its schedule, as the next run was due",
            "{run}"
        );
        let id: Uuid = run["id"].as_str().unwrap().parse().unwrap();
        let jobs = api.cluster.jobs().into_iter().filter(|job| job.run == Some(id));
        assert!(jobs.into_iter().all(|job| job.phase.has_ended()), "{run}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_its_schedule_terminates_is_closed_on_embedded() {
    a_run_that_its_schedule_terminates_is_closed(Api::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_its_schedule_terminates_is_closed_on_temporal() {
    a_run_that_its_schedule_terminates_is_closed(Api::temporal().await).await;
}

async fn thirty_days_of_a_schedule_are_thirty_runs(api: Api) {
    api.cluster.jobs_begin(Phase::Succeeded);
    let crawler = api.crawler().await;
    let daily = json!({
        "crawlerId": crawler, "cron": "0 6 * * *", "timeZone": "Asia/Kathmandu", "overlap": "allow_all", "enabled": false,
    });
    let (status, schedule) = api.send(Method::POST, "/schedules", None, daily).await;
    assert_eq!(status, StatusCode::CREATED, "{schedule}");
    let client = api.platform.lifecycle().client();
    let id = format!("crawler-schedule/{}", schedule["id"].as_str().unwrap());
    // Six in the morning there is a quarter past midnight in UTC.
    let (from, to) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-01-31 0:00 UTC));
    let days = ScheduleBackfill::new(from.into(), to.into())
        .overlap_policy(ScheduleOverlapPolicy::AllowAll)
        .build();
    client
        .get_schedule_handle(id)
        .backfill([days], Default::default())
        .await
        .unwrap();
    let path = "/runs?trigger=scheduled&limit=500";
    let runs = async |query: &str| {
        api.get(&format!("{path}{query}")).await["runs"]
            .as_array()
            .unwrap()
            .clone()
    };
    eventually("thirty runs have ended", async || {
        runs("&status=COMPLETED").await.len() == 30
    })
    .await;
    let runs = runs("").await;
    assert_eq!(runs.len(), 30);
    let mut workflows: Vec<_> = runs
        .iter()
        .map(|run| run["workflowId"].as_str().unwrap())
        .collect();
    workflows.sort_unstable();
    workflows.dedup();
    assert_eq!(workflows.len(), 30);
    assert!(workflows[0].ends_with("2026-01-01T00:15:00Z"), "{}", workflows[0]);
    assert!(
        workflows[29].ends_with("2026-01-30T00:15:00Z"),
        "{}",
        workflows[29]
    );
    assert_eq!(api.cluster.made().len(), 60, "each process once");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_days_of_a_schedule_are_thirty_runs_on_embedded() {
    thirty_days_of_a_schedule_are_thirty_runs(Api::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_days_of_a_schedule_are_thirty_runs_on_temporal() {
    thirty_days_of_a_schedule_are_thirty_runs(Api::temporal().await).await;
}

async fn the_sweeper_ends_orphans_and_goes_on_with_stranded_runs(api: Api) {
    let crawler = api.crawler().await;
    let (_, begun) = api
        .send(
            Method::POST,
            &format!("/crawlers/{crawler}/runs"),
            None,
            Value::Null,
        )
        .await;
    let run: Uuid = begun["runId"].as_str().unwrap().parse().unwrap();
    api.until(&run.to_string(), "it is processing", |run| {
        run["status"] == "PROCESSING"
    })
    .await;
    let orphan = JobState {
        name: JobName::of(Uuid::from_u128(9), 0, 1),
        id: "uid".to_owned(),
        run: Some(Uuid::from_u128(9)),
        task: None,
        phase: Phase::Running,
        pending: None,
        stopping: false,
        pod: None,
        exit_code: None,
        failure: None,
        created_at: OffsetDateTime::now_utc() - time::Duration::hours(1),
        started_at: None,
        ended_at: None,
    };
    api.cluster.put(orphan.clone());
    let lifecycle = api.platform.lifecycle();
    let settings = SweepSettings {
        grace: Duration::ZERO,
        ..SweepSettings::default()
    };
    let swept = sweep(&api.cluster, lifecycle, settings).await.unwrap();
    assert_eq!(
        (swept.orphans, swept.resumed),
        (vec![orphan.name.clone()], vec![])
    );
    assert_eq!(api.cluster.state(&orphan.name).await.unwrap(), None);

    let workflow = begun["workflowId"].as_str().unwrap();
    let handle = lifecycle
        .client()
        .get_workflow_handle::<segno_crawl_platform::lifecycle::CrawlerRun>(workflow);
    handle
        .terminate(WorkflowTerminateOptions::builder().reason("a test").build())
        .await
        .unwrap();
    let swept = sweep(&api.cluster, lifecycle, settings).await.unwrap();
    assert_eq!((swept.orphans, swept.resumed), (vec![], vec![run]));
    for process in 0..2 {
        api.cluster.set(&JobName::of(run, process, 1), Phase::Failed);
    }
    api.until(&run.to_string(), "it has ended", |run| run["status"] == "FAILED")
        .await;
    assert_eq!(api.cluster.made().len(), 2);

    // By itself, at the interval that is set now and not the one of the schedule that is there.
    let settings = SweepSettings {
        every: Duration::from_secs(1),
        ..settings
    };
    let api = api.started_again(settings).await;
    api.cluster.put(orphan.clone());
    eventually("the sweeper comes by itself", async || {
        api.cluster.state(&orphan.name).await.unwrap().is_none()
    })
    .await;
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweeper_ends_orphans_and_goes_on_with_stranded_runs_on_embedded() {
    the_sweeper_ends_orphans_and_goes_on_with_stranded_runs(Api::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweeper_ends_orphans_and_goes_on_with_stranded_runs_on_temporal() {
    the_sweeper_ends_orphans_and_goes_on_with_stranded_runs(Api::temporal().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_tells_is_looked_at_before_the_interval_is_over() {
    let mut timing = timing();
    timing.intervals = Default::default();
    let api = Api::timed("", None, timing).await;
    let crawler = api.crawler().await;
    let (_, begun) = api
        .send(
            Method::POST,
            &format!("/crawlers/{crawler}/runs"),
            None,
            Value::Null,
        )
        .await;
    let run: Uuid = begun["runId"].as_str().unwrap().parse().unwrap();
    api.until(&run.to_string(), "it was reconciled and waits", |run| {
        run["workflow"]["reconciliations"] == 1 && run["workflow"]["nextLookAt"].is_string()
    })
    .await;
    for process in 0..2 {
        let job = JobName::of(run, process, 1);
        api.cluster.set(&job, Phase::Failed);
        api.cluster.tell(&job, run);
    }
    let begin = tokio::time::Instant::now();
    api.until(&run.to_string(), "it has ended", |run| run["status"] == "FAILED")
        .await;
    assert!(
        begin.elapsed() < DEADLINE,
        "the next interval would be a minute later"
    );
    api.stop().await;
}

#[tokio::test]
async fn the_document_describes_every_path() {
    let document = serde_json::to_value(segno_crawl_platform::api::document()).unwrap();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/crawlers",
            "/crawlers/{id}",
            "/crawlers/{id}/runs",
            "/runs",
            "/runs/{id}",
            "/runs/{id}/records",
            "/runs/{id}/resume",
            "/runs/{id}/stop",
            "/schedules",
            "/schedules/{id}",
        ]
    );
}
