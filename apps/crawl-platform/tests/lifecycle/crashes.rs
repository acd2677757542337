//! The built program, killed before and after each of a run's activities and between the steps inside of them. Whatever was
//! done or not at that moment: the run, its jobs, rows, files, events and what front ends were told are as they would have been.
//!
//! By default a share of the places for some time, such as `SEGNO_CRAWL_PLACES_SEED` chooses; all with
//! `SEGNO_CRAWL_PLACES_ALL=1`.

use std::{path::Path, time::Duration};

use reqwest::Method;
use segno_crawl_platform::site;
use segno_test_support::{Receiver, TemporalServer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    installation::{Installation, Program, Share},
    program::{TIMING, mails, mails_to_folder},
    world::eventually,
};

/// How long the cases of one engine take, unless all are tried.
const SHARE: Duration = Duration::from_secs(20);
const BOOKS: u32 = 6;

/// What is done with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Nothing: it goes to its end.
    Completes,
    /// A schedule has begun it.
    Scheduled,
    /// Somebody stops it.
    Stopped,
    /// Somebody stops it by force.
    Forced,
}

/// Where each activity is met, and the steps inside of activities; with how often these come.
const PLACES: [(Story, &[&str]); 4] = [
    (
        Story::Completes,
        &[
            "create_history_id",
            "add_workflow_id",
            "run_onetime_crawler",
            "get_main_job_status",
            "update_run_started",
            "signal_pusher_started",
            "get_active_running_tasks",
            "get_history_statuses_to_sync",
            "get_bulk_task_history_data",
            "reconcile_tasks",
            "sync_statuses",
            "count_alive_tasks",
            "update_run_status",
            "initiate_export_signal",
            "export_supporting_files",
            "CrawlerRunStartedEvent",
            "HistoryStatsAddedEvent",
            "CrawlerSummaryCalculatedEvent",
            "ReportDeliveryInitiatedEvent",
        ],
    ),
    (Story::Scheduled, &["run_scheduled_crawler"]),
    (
        Story::Stopped,
        &[
            "cancel_queued_tasks",
            "k8_stop_task",
            "add_cancellation_log_to_db",
            "signal_pusher_stopped",
            "ReportRunStoppedEvent",
        ],
    ),
    (Story::Forced, &["k8_stop_pod"]),
];

/// Steps inside of activities, and the second time of some.
const BETWEEN: [&str; 7] = [
    "after deploy",
    "after deploy 2",
    "after add_records",
    "after keep",
    "after sync_statuses 2",
    "before reconcile_tasks 2",
    "after count_alive_tasks 2",
];

fn cases() -> Vec<(Story, String)> {
    let sides = |story: Story, place: &str| {
        [
            (story, format!("before {place}")),
            (story, format!("after {place}")),
        ]
    };
    let places = PLACES
        .iter()
        .flat_map(|(story, places)| places.iter().flat_map(move |place| sides(*story, place)));
    let between = BETWEEN
        .iter()
        .map(|place| (Story::Completes, (*place).to_owned()));
    places.chain(between).collect()
}

struct Bed<'a> {
    installation: &'a Installation,
    folder: &'a Path,
    site: &'a str,
    pusher: &'a Receiver,
}

impl Bed<'_> {
    /// Plays one story with one kill; yields the program that went on.
    async fn survives(&self, mut program: Program, (story, place): &(Story, String)) -> Program {
        // Each has a crawler of its own, so its runs are its.
        let pause = if matches!(story, Story::Stopped | Story::Forced) {
            "20000"
        } else {
            "50"
        };
        let definition = json!({
            "name": place, "processes": 2, "env": { "CRAWL_START_URL": self.site, "CRAWL_PAUSE_MS": pause },
        });
        let crawler = program.post("/crawlers", None, &definition).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.installation.arm(place);
        let begun = self.begin(&program, *story, &crawler).await;
        if begun && matches!(story, Story::Stopped | Story::Forced) {
            eventually(place, async || {
                program.has_ended()
                    || runs(&program, &crawler)
                        .await
                        .iter()
                        .any(|run| run["status"] == "PROCESSING")
            })
            .await;
            stop(&program, *story, &crawler).await;
        }
        program.is_killed(place).await;
        let program = self.installation.start().await;

        // Whoever had no answer asks again, and so does who had one.
        assert!(self.begin(&program, *story, &crawler).await, "{place}");
        eventually(place, async || !runs(&program, &crawler).await.is_empty()).await;
        if *story == Story::Scheduled {
            for schedule in program.get("/schedules").await.as_array().unwrap() {
                let url = format!("{}/schedules/{}", program.api, schedule["id"].as_str().unwrap());
                program.ask(Method::DELETE, &url, None, None).await.unwrap();
            }
        }
        if matches!(story, Story::Stopped | Story::Forced) {
            eventually(place, async || {
                let runs = runs(&program, &crawler).await;
                runs.iter().any(|run| run["status"] != "INITIALIZING")
            })
            .await;
            stop(&program, *story, &crawler).await;
        }
        let mut ended = Vec::new();
        eventually(place, async || {
            ended.clear();
            for run in runs(&program, &crawler).await {
                ended.push(
                    program
                        .get(&format!("/runs/{}", run["id"].as_str().unwrap()))
                        .await,
                );
            }
            ended.iter().all(|run| {
                run["supportingFile"].is_string()
                    && (run["status"] == "FAILED" || run["exportStatus"] == "DELIVERED")
            })
        })
        .await;
        if *story != Story::Scheduled {
            assert_eq!(ended.len(), 1, "{place}: one request is one run: {ended:#?}");
        }
        for run in &ended {
            self.check(&program, *story, place, run).await;
        }
        program
    }

    /// Has a run begin; false if the program ended before it answered.
    async fn begin(&self, program: &Program, story: Story, crawler: &str) -> bool {
        if story == Story::Scheduled {
            if !program
                .get("/schedules")
                .await
                .as_array()
                .is_none_or(Vec::is_empty)
            {
                return true;
            }
            let often = json!({ "crawlerId": crawler, "everySeconds": 1, "overlap": "skip" });
            return program.try_post("/schedules", None, &often).await.is_some();
        }
        let path = format!("/crawlers/{crawler}/runs");
        program.try_post(&path, Some("once"), &json!({})).await.is_some()
    }

    async fn check(&self, program: &Program, story: Story, place: &str, run: &Value) {
        let id = run["id"].as_str().unwrap();
        let said = format!("{place}: {run:#}");
        let completes = matches!(story, Story::Completes | Story::Scheduled);
        assert_eq!(
            run["status"],
            if completes { "COMPLETED" } else { "FAILED" },
            "{said}"
        );
        let attempts = run["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{said}");
        assert_eq!(attempts[0]["outcome"], "deployed", "{said}");

        // Each process is one job, and has one row, which has ended.
        let jobs = std::fs::read_dir(self.folder.join("jobs")).unwrap();
        let own = id.replace('-', "");
        let jobs = jobs
            .filter(|job| job.as_ref().unwrap().file_name().to_string_lossy().contains(&own))
            .count();
        assert_eq!(jobs, 2, "{said}");
        let tasks = run["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), 2, "{said}");
        for task in tasks {
            let expected: &[&str] = if completes {
                &["SUCCEEDED"]
            } else {
                &["FAILED", "CANCELLED"]
            };
            assert!(expected.contains(&task["status"].as_str().unwrap()), "{said}");
            // Each correction begins where the one before it ended.
            let steps = run["corrections"].as_array().unwrap().iter();
            let steps: Vec<_> = steps.filter(|step| step["taskId"] == task["id"]).collect();
            for pair in steps.windows(2) {
                assert_eq!(pair[0]["to"], pair[1]["from"], "{said}");
            }
        }

        // What is told is told once; of what front ends were told, once more if the kill came between.
        let logs = run["logs"].as_array().unwrap();
        let lines = |text: &str| {
            let is = |line: &&Value| line["message"].as_str().unwrap().contains(text);
            logs.iter().filter(is).count()
        };
        assert_eq!(lines("deployed as the job"), 1, "{said}");
        assert_eq!(lines("was stopped"), usize::from(!completes), "{said}");
        let told = |name: &str| {
            let requests = self.pusher.requests();
            let bodies = requests.iter().map(segno_test_support::Received::json);
            let channel = json!([format!("private-run-{id}")]);
            bodies
                .filter(|body| body["channels"] == channel && body["name"] == name)
                .count()
        };
        for (name, activity, event, wanted) in [
            (
                "report-run-started",
                "signal_pusher_started",
                "CrawlerRunStartedEvent",
                1,
            ),
            (
                "report-run-stopped",
                "signal_pusher_stopped",
                "ReportRunStoppedEvent",
                usize::from(!completes),
            ),
        ] {
            let again = place.contains(event) || place == format!("after {activity}");
            assert_eq!(told(name), wanted + usize::from(again), "{name}: {said}");
        }
        for (event, wanted) in [
            ("CrawlerRunStartedEvent", true),
            ("CrawlerSummaryCalculatedEvent", true),
            ("ReportDeliveryInitiatedEvent", completes),
            ("ReportRunStoppedEvent", !completes),
            ("ReportRunFailedEvent", false),
            ("DataDeliveryFailedEvent", false),
            ("CrawlerIncidentEvent", false),
        ] {
            let wanted = usize::from(wanted);
            eventually(event, async || mails(self.folder, event, id) >= wanted).await;
            assert_eq!(mails(self.folder, event, id), wanted, "{event}: {said}");
        }

        // Rows and files.
        let archive = self.folder.join("archives").join(format!("{id}.zip"));
        assert!(archive.exists(), "{said}");
        if completes {
            assert_eq!(run["records"], BOOKS, "{said}");
            let records = program.get(&format!("/runs/{id}/records?limit=500")).await;
            let records = records.as_array().unwrap();
            let mut names: Vec<_> = records
                .iter()
                .map(|record| record["properties"]["name"].as_str().unwrap())
                .collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(
                (names.len(), records.len()),
                (BOOKS as usize, BOOKS as usize),
                "{said}"
            );
        }
    }
}

async fn runs(program: &Program, crawler: &str) -> Vec<Value> {
    let listed = program.get(&format!("/runs?crawler={crawler}&limit=500")).await;
    listed["runs"].as_array().cloned().unwrap_or_default()
}

/// Stops the crawler's runs; the program may end before it answers.
async fn stop(program: &Program, story: Story, crawler: &str) {
    let request = json!({ "by": "ada", "force": story == Story::Forced });
    for run in runs(program, crawler).await {
        let url = format!("{}/runs/{}/stop", program.api, run["id"].as_str().unwrap());
        // One that has ended by now is stopped no more.
        program.ask(Method::POST, &url, None, Some(&request)).await;
    }
}

async fn wherever_it_is_killed(engine: &str, cases: Vec<(Story, String)>, share: Share) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, site::router(BOOKS)).await });
    let pusher = Receiver::answering(|_| segno_test_support::Answer::status(200).body("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let segno = mails_to_folder(folder.path(), engine);
    let more = format!(
        "[pusher]\napp_id = '1'\nkey = 'k'\nsecret = 's'\nurl = '{}'\n{TIMING}",
        pusher.url("")
    );
    let installation = Installation::new(folder.path(), &segno, &more);
    let bed = Bed {
        installation: &installation,
        folder: folder.path(),
        site: &site,
        pusher: &pusher,
    };
    let mut program = installation.start().await;
    let mut count = 0;
    for case in &cases {
        if count > 0 && !share.goes_on() {
            break;
        }
        program = bed.survives(program, case).await;
        count += 1;
    }
    eprintln!("killed at {count} places of {}", cases.len());
    program.kill().await;
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_it_is_killed_the_run_goes_on() {
    let share = Share::of("SEGNO_CRAWL_PLACES", SHARE);
    wherever_it_is_killed("", share.order(cases()), share).await;
}

/// There the server waits for the killed worker's heartbeat, and each case takes longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_on_temporal() {
    let server = TemporalServer::start().await;
    let engine = format!(
        "engine = {{ temporal = {{ address = {:?}, namespace = {:?} }} }}\n",
        server.address(),
        server.namespace().await,
    );
    let share = Share::of("SEGNO_CRAWL_PLACES", SHARE);
    wherever_it_is_killed(&engine, share.order(cases()), share).await;
}
