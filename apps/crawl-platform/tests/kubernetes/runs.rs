//! Whole runs on a cluster on which things go wrong, made up from seeds: requests that fail before or after they are done,
//! events that are lost, late, doubled or out of order, watches that are cut or too old, an API server that is killed and
//! started again, jobs that go without a word. Whatever comes, a run ends as its jobs have, and each correction says why.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segno_crawl_platform::{
    cluster::{JobName, kubernetes::Kubernetes},
    lifecycle::{
        StopRequest, Timing,
        rules::{Intervals, f64_seconds::Seconds},
    },
    output::Outputs,
    platform::{Options, Platform},
    store::{CrawlerDefinition, ExportTo, Run, RunStatus, TaskStatus, Trigger},
};
use segno_crawl_stand_ins::kubernetes::{Course, Delivery, End, Failure, Plan, Start};
use uuid::Uuid;

use crate::place::{Place, Where, within};

/// How many seeds are tried, unless this variable says another number.
const SEEDS: &str = "SEGNO_CRAWL_KUBERNETES_SEEDS";
/// The first of them; the same seed makes the same faults.
const SEED: &str = "SEGNO_CRAWL_KUBERNETES_SEED";

/// What a job comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Succeeds,
    Fails,
    RunsOutOfMemory,
    /// Somebody deletes it.
    Vanishes,
}

/// What the cluster is to do with the pods of each process of the run, and what pods there were.
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<(Vec<Plan>, Vec<String>)>>);

impl Plans {
    fn of(&self, pod: &serde_json::Value) -> Plan {
        let job = pod["metadata"]["labels"]["job-name"].as_str().unwrap().to_owned();
        // Its name is `crawl-RUN-PROCESS-ATTEMPT`.
        let process: usize = job.split('-').nth(2).unwrap().parse().unwrap();
        let mut plans = self.0.lock().unwrap();
        plans.1.push(job);
        plans.0[process].clone()
    }
}

struct World {
    place: Place,
    platform: Platform,
    outputs: Outputs,
    plans: Plans,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let place = Place::new(Where::Cluster).await.unwrap();
        let plans = Plans::default();
        let planned = plans.clone();
        let stand_in = place.stand_in.as_ref().unwrap();
        stand_in.world().plan(move |pod| planned.of(pod));
        let folder = tempfile::tempdir().unwrap();
        let mut kubernetes = place.options();
        kubernetes.call_timeout_seconds = 2;
        kubernetes.page_size = 3;
        let cluster = Kubernetes::connect(kubernetes).await.unwrap();
        let mut options = Options::in_folder(folder.path(), Arc::new(cluster));
        options.timing = Timing {
            status_poll_seconds: Seconds::from_millis(50),
            intervals: Intervals::every(Duration::from_millis(150)),
            stop_grace_seconds: Seconds::from_millis(1_000),
            pending_limit_seconds: Seconds::from_millis(300),
            lost_after_seconds: Seconds::from_millis(300),
            redeploy_pause_seconds: Seconds::from_millis(50),
            ..Timing::default()
        };
        let outputs = Outputs::new(folder.path().join("output"));
        Self {
            platform: Platform::start(options).await.unwrap(),
            place,
            outputs,
            plans,
            _folder: folder,
        }
    }

    async fn crawler(&self, processes: u32) -> Uuid {
        let crawler = CrawlerDefinition {
            name: "books".to_owned(),
            project_id: None,
            report_id: None,
            image: None,
            command: vec!["crawl".to_owned()],
            args: Vec::new(),
            env: Default::default(),
            processes,
            parallel: None,
            export: ExportTo::Database,
        };
        let store = self.platform.lifecycle().store();
        store.put_crawler(Uuid::new_v4(), &crawler).await.unwrap().id
    }

    /// What a process leaves behind.
    async fn leave_output(&self, run: Uuid, process: u32) {
        let folder = self.outputs.of(run, process);
        tokio::fs::create_dir_all(&folder).await.unwrap();
        for (file, text) in [
            ("records.jsonl", "{\"n\":1}\n"),
            ("metadata.json", "{\"records\":1}"),
            ("stats.json", "{\"pages\":1,\"records\":1,\"errors\":0}"),
        ] {
            tokio::fs::write(folder.join(file), text).await.unwrap();
        }
    }

    async fn until(&self, run: Uuid, what: &str, is_so: impl Fn(&Run) -> bool) -> Run {
        let store = self.platform.lifecycle().store();
        let mut last = None;
        let found = within(async {
            loop {
                last = store.maybe_run(run).await.unwrap();
                if let Some(record) = last.as_ref().filter(|record| is_so(record)) {
                    return record.clone();
                }
                // It can only be looked at.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let found = found.await;
        if let Some(record) = found {
            return record;
        }
        let tasks = store.tasks(run).await;
        panic!("the run is not {what}: {last:#?}: {tasks:#?}")
    }

    async fn end(self) {
        self.platform.stop().await.unwrap();
    }
}

fn plan(fate: Fate, random: &mut StdRng) -> Plan {
    let runs = Duration::from_millis(random.random_range(200..900));
    let course = match fate {
        Fate::Succeeds => Course::Ends(runs, End::Exits(0)),
        Fate::Fails => Course::Ends(runs, End::Exits(3)),
        Fate::RunsOutOfMemory => Course::Ends(runs, End::OutOfMemory),
        Fate::Vanishes => Course::UntilTold,
    };
    Plan {
        start: Start::After(Duration::from_millis(random.random_range(0..200))),
        course,
        on_stop: Some(143),
        log: "the last words\n".to_owned(),
    }
}

/// From now on requests and events go wrong.
fn disturb(world: &World, seed: u64) {
    let faults = world.place.stand_in.as_ref().unwrap().faults();
    let mut random = StdRng::seed_from_u64(seed);
    faults.on_requests(move |request| {
        let often = if request.is_watch() { 0.3 } else { 0.12 };
        if !random.random_bool(often) {
            return None;
        }
        let code = [500, 502, 504, 410, 409][random.random_range(0..5)];
        Some(match random.random_range(0..5) {
            0 => Failure::Refused(code),
            1 => Failure::DoneButRefused(500),
            2 => Failure::Cut,
            3 => Failure::DoneButCut,
            _ => Failure::Slow(Duration::from_millis(random.random_range(0..300))),
        })
    });
    let mut random = StdRng::seed_from_u64(seed + 1);
    faults.on_events(move |_| match random.random_range(0..5) {
        0 | 1 => Delivery::Never,
        2 => Delivery::Twice,
        3 => Delivery::Late(Duration::from_millis(random.random_range(0..600))),
        _ => Delivery::InTime,
    });
}

async fn play(world: &World, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let api = world.place.stand_in.as_ref().unwrap();
    let processes: u32 = random.random_range(1..=5);
    let fates = (0..processes)
        .map(|process| match random.random_range(0..10) {
            // The main job, deleted before it was seen to run, would be deployed again.
            0 if process > 0 => Fate::Vanishes,
            1 => Fate::Fails,
            2 => Fate::RunsOutOfMemory,
            _ => Fate::Succeeds,
        })
        .collect::<Vec<_>>();
    let plans = fates.iter().map(|fate| plan(*fate, &mut random)).collect();
    *world.plans.0.lock().unwrap() = (plans, Vec::new());
    let full = "0/3 nodes are available: 3 Insufficient cpu.";
    api.world().limit(0, full);
    let crawler = world.crawler(processes).await;
    let lifecycle = world.platform.lifecycle();
    let run = lifecycle.begin(crawler, Trigger::Api, None).await.unwrap().run;
    for process in 0..processes {
        world.leave_output(run, process).await;
    }
    disturb(world, seed);
    api.world().limit(usize::MAX, "");
    let mut vanishing = (0..processes)
        .filter(|process| fates[*process as usize] == Fate::Vanishes)
        .collect::<Vec<_>>();
    let store = lifecycle.store();
    let ended = within(async {
        loop {
            let record = store.maybe_run(run).await.unwrap();
            if record.is_some_and(|record| record.status.is_final()) {
                return;
            }
            match random.random_range(0..12) {
                0 => api.faults().cut_watches(),
                1 => api.compact(),
                2 => {
                    api.kill();
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
                    api.start_again().unwrap();
                }
                _ => {}
            }
            // One whose deployment had no answer yet would be, and is to be, deployed again.
            let tasks = store.tasks(run).await.unwrap();
            let deployed = |process: u32| {
                let mut own = tasks.iter().filter(|task| task.process == process);
                own.any(|task| task.job_id.is_some())
            };
            vanishing.retain(|process| {
                let name = JobName::of(run, *process, 1).to_string();
                let job = api.world().object("Job", &world.place.namespace, &name);
                let there = job.is_some() && deployed(*process);
                if there {
                    api.world().vanish("Job", &world.place.namespace, &name);
                }
                !there
            });
            // Between two faults the world goes on.
            tokio::time::sleep(Duration::from_millis(random.random_range(10..150))).await;
        }
    });
    let in_time = ended.await.is_some();
    api.faults().clear();
    let what = format!("at its end (seed {seed}: {fates:?})");
    let record = world.until(run, &what, |run| run.status.is_final()).await;
    assert!(in_time, "seed {seed}: it does not end by itself: {record:#?}");
    let good = fates.iter().all(|fate| *fate == Fate::Succeeds);
    let expected = if good {
        RunStatus::Completed
    } else {
        RunStatus::Failed
    };
    assert_eq!(record.status, expected, "seed {seed}: {fates:?}: {record:#?}");
    assert_eq!(record.reason.is_some(), !good, "seed {seed}: {record:#?}");
    check_tasks(world, run, &fates, seed).await;
    let mut pods = world.plans.0.lock().unwrap().1.clone();
    let count = pods.len();
    pods.sort();
    pods.dedup();
    assert_eq!(pods.len(), count, "seed {seed}: a job had two pods");
}

async fn check_tasks(world: &World, run: Uuid, fates: &[Fate], seed: u64) {
    let store = world.platform.lifecycle().store();
    let tasks = store.tasks(run).await.unwrap();
    let corrections = store.corrections(run).await.unwrap();
    assert_eq!(tasks.len(), fates.len());
    for (task, fate) in tasks.iter().zip(fates) {
        let expected = if *fate == Fate::Succeeds {
            TaskStatus::Succeeded
        } else {
            TaskStatus::Failed
        };
        assert_eq!(task.status, expected, "seed {seed}: {fate:?}: {task:#?}");
        let failure = task.failure.as_deref().unwrap_or_default();
        match fate {
            Fate::Succeeds => assert_eq!(failure, "", "seed {seed}"),
            Fate::Fails => assert_eq!(failure, "exit status 3", "seed {seed}"),
            Fate::RunsOutOfMemory => assert_eq!(failure, "OOMKilled", "seed {seed}"),
            Fate::Vanishes => {}
        }
        let of_task = corrections
            .iter()
            .filter(|correction| correction.task_id == task.id)
            .collect::<Vec<_>>();
        let last = of_task
            .last()
            .unwrap_or_else(|| panic!("seed {seed}: {task:#?} was never corrected"));
        assert_eq!(last.to, task.status, "seed {seed}: {of_task:#?}");
        for pair in of_task.windows(2) {
            assert_eq!(pair[0].to, pair[1].from, "seed {seed}: {of_task:#?}");
        }
        assert!(
            of_task.iter().all(|correction| !correction.reason.is_empty()),
            "seed {seed}: {of_task:#?}"
        );
    }
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_a_run_ends_as_its_jobs_have() {
    let (first, count) = (variable(SEED, 1), variable(SEEDS, 8));
    let world = World::new().await;
    for seed in first..first + count {
        play(&world, seed).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_of_a_task_that_has_failed_are_kept() {
    let world = World::new().await;
    let plan = Plan {
        course: Course::Ends(Duration::from_millis(100), End::Exits(3)),
        log: (1..=60).map(|line| format!("line {line}\n")).collect(),
        ..Plan::default()
    };
    *world.plans.0.lock().unwrap() = (vec![plan], Vec::new());
    // The first that is asked for a log says nothing: the task is looked at once more, and never again.
    let faults = world.place.stand_in.as_ref().unwrap().faults();
    faults.fail(1, "GET", "/log", Failure::Refused(503));
    let crawler = world.crawler(1).await;
    let lifecycle = world.platform.lifecycle();
    let run = lifecycle.begin(crawler, Trigger::Api, None).await.unwrap().run;
    world.until(run, "at its end", |run| run.status.is_final()).await;
    let task = &lifecycle.store().tasks(run).await.unwrap()[0];
    assert_eq!(task.failure.as_deref(), Some("exit status 3"));
    let words: String = (11..=60).map(|line| format!("line {line}\n")).collect();
    assert_eq!(task.log_tail, Some(words), "the last fifty lines");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_cluster_is_reported_and_a_stop_ends_what_waits() {
    let world = World::new().await;
    let api = world.place.stand_in.as_ref().unwrap();
    let forever = Plan {
        course: Course::UntilTold,
        ..Plan::default()
    };
    *world.plans.0.lock().unwrap() = (vec![forever; 3], Vec::new());
    let full = "0/3 nodes are available: 3 Insufficient cpu.";
    api.world().limit(0, full);
    let crawler = world.crawler(3).await;
    let lifecycle = world.platform.lifecycle();
    let run = lifecycle.begin(crawler, Trigger::Api, None).await.unwrap().run;
    let record = world
        .until(run, "saturated", |run| run.saturation.is_some())
        .await;
    assert!(record.saturation.unwrap().contains(full));
    api.world().limit(usize::MAX, "");
    world
        .until(run, "processing", |run| run.status == RunStatus::Processing)
        .await;
    let stop = StopRequest {
        force: false,
        by: "a test".to_owned(),
    };
    lifecycle.stop(run, &stop).await.unwrap();
    let record = world.until(run, "at its end", |run| run.status.is_final()).await;
    assert_eq!(record.status, RunStatus::Failed);
    assert_eq!(record.stopped_by.as_deref(), Some("a test"));
    let cluster = &world.place.cluster;
    let states = segno_crawl_platform::cluster::Cluster::states(cluster, run)
        .await
        .unwrap();
    assert!(states.iter().all(|state| state.phase.has_ended()), "{states:#?}");
    world.end().await;
}
