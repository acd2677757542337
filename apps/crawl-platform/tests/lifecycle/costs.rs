//! What a reconciliation costs: the calls to cluster and database do not grow with the tasks that are done.

use std::time::Duration;

use segno_crawl_platform::{
    cluster::Phase,
    lifecycle::{Timing, rules::Intervals},
    store::{RunStatus, Trigger},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::world::{World, crawler, eventually, timing};

/// Calls to the cluster and to the database for each of some reconciliations while nothing changes.
async fn cost(world: &World, run: Uuid) -> (f64, f64) {
    let reconciled = async || world.store.run(run).await.unwrap().reconciled;
    let view = world.store.run(run).await.unwrap();
    let begin = view.reconciled;
    let (cluster, database) = (world.cluster.calls(), world.store.calls());
    // The test's own looks are calls, too.
    let mut looks = 0;
    eventually("it is reconciled", async || {
        looks += 1;
        reconciled().await >= begin + 10
    })
    .await;
    let count = (reconciled().await - begin) as f64;
    looks += 1;
    (
        (world.cluster.calls() - cluster) as f64 / count,
        (world.store.calls() - database - looks) as f64 / count,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_costs_the_same_however_many_tasks_are_done() {
    let mut world = World::embedded().await;
    let mut timing = timing();
    timing.intervals = Intervals::every(Duration::from_millis(50));
    world.set_timing(timing);
    let id = world
        .store
        .put_crawler(Uuid::new_v4(), &crawler(40))
        .await
        .unwrap()
        .id;
    let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
    world
        .until(run, "processing", |run| run.status == RunStatus::Processing)
        .await;
    let before = cost(&world, run).await;
    for process in 0..39 {
        world.leave_output(run, process, 1, 1).await;
        world.cluster.set(&world.job(run, process), Phase::Succeeded);
    }
    eventually("39 are done", async || {
        world.store.count_alive(run).await.unwrap() == 1
    })
    .await;
    let after = cost(&world, run).await;
    // One look at the cluster each, and the boundaries of the counting.
    assert!(before.0 < 1.5 && after.0 < 1.5, "cluster: {before:?} {after:?}");
    assert!(after.1 <= before.1 + 1.0, "database: {before:?} {after:?}");
    assert!(after.1 < 12.0, "database: {after:?}");
    world.leave_output(run, 39, 1, 1).await;
    world.cluster.set(&world.job(run, 39), Phase::Succeeded);
    assert_eq!(world.ended(run).await.status, RunStatus::Completed);
    world.stop().await;
}

/// What was counted in some time.
struct Cost {
    reconciliations: f64,
    cluster: f64,
    database: f64,
    /// Seconds of all processors.
    processor: f64,
    seconds: f64,
}

/// Many runs on a clock of their own.
struct Many {
    world: World,
    runs: Vec<Uuid>,
    interval: Duration,
}

impl Many {
    /// Reconciliations so far, of all runs.
    async fn reconciled(&self) -> u64 {
        let mut all = 0;
        for run in &self.runs {
            all += self
                .world
                .store
                .maybe_run(*run)
                .await
                .unwrap()
                .map_or(0, |run| run.reconciled);
        }
        all
    }

    /// Waits until each run is past so many reconciliations; false if that takes too long.
    async fn until_each_is_past(&self, counts: &[u64], long: Duration) -> bool {
        let deadline = Instant::now() + long;
        for (run, count) in self.runs.iter().zip(counts) {
            let is_past = async || {
                let record = self.world.store.maybe_run(*run).await.unwrap();
                record.is_some_and(|record| record.reconciled > *count)
            };
            while !is_past().await {
                if Instant::now() > deadline {
                    return false;
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
        true
    }

    async fn counts(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        for run in &self.runs {
            let record = self.world.store.maybe_run(*run).await.unwrap();
            counts.push(record.map_or(0, |record| record.reconciled));
        }
        counts
    }

    /// Counts for one interval, in which the test itself asks nothing.
    async fn measure(&self) -> Cost {
        let before = self.reconciled().await;
        let (cluster, database) = (self.world.cluster.calls(), self.world.store.calls());
        let (begin, processor) = (Instant::now(), processor());
        sleep(self.interval).await;
        let seconds = begin.elapsed().as_secs_f64();
        let (cluster_after, database_after) = (self.world.cluster.calls(), self.world.store.calls());
        let processor = self::processor() - processor;
        // The looks before and after take time, in which runs are reconciled too: what was between is in proportion.
        let after = self.reconciled().await;
        let all = begin.elapsed().as_secs_f64();
        Cost {
            reconciliations: (after - before) as f64 * seconds / all,
            cluster: (cluster_after - cluster) as f64,
            database: (database_after - database) as f64,
            processor,
            seconds,
        }
    }
}

/// Seconds of processor time that this process has had.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

/// Many runs at once, and what they cost as their tasks get done: at most some minutes. By default 1,000 runs of 20 tasks,
/// each reconciled every 40 s: `SEGNO_CRAWL_RUNS`, `SEGNO_CRAWL_TASKS`, `SEGNO_CRAWL_INTERVAL`. The report is on standard error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes minutes and a quiet machine"]
async fn what_many_runs_cost() {
    let number =
        |name: &str, otherwise: u32| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (count, tasks) = (number("SEGNO_CRAWL_RUNS", 1_000), number("SEGNO_CRAWL_TASKS", 20));
    let interval = Duration::from_secs(number("SEGNO_CRAWL_INTERVAL", 40).into());
    let mut world = World::embedded().await;
    let mut timing = timing();
    timing.intervals = Intervals::every(interval);
    // A run that is not looked at for a while, as there are many, has lost nothing.
    timing.status_poll_seconds = Timing::default().status_poll_seconds;
    timing.lost_after_seconds = Timing::default().lost_after_seconds;
    world.set_timing(timing);
    let id = world
        .store
        .put_crawler(Uuid::new_v4(), &crawler(tasks))
        .await
        .unwrap()
        .id;
    let begin = Instant::now();
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run);
    }
    let many = Many {
        world,
        runs,
        interval,
    };
    let long = interval * 3;
    assert!(
        many.until_each_is_past(&vec![0; many.runs.len()], Duration::from_secs(240))
            .await
    );
    assert_eq!(
        many.world.cluster.made().len(),
        (count * tasks) as usize,
        "each task is one job"
    );
    report(&format!(
        "{count} runs of {tasks} tasks had all begun within {:.0} s: {:.1} calls to the database a task",
        begin.elapsed().as_secs_f64(),
        many.world.store.calls() as f64 / f64::from(count * tasks),
    ));
    report(
        "tasks done | reconciliations | calls to the cluster | to the database | processor, ms: per run and minute",
    );
    let mut costs = Vec::new();
    for done in [0, tasks / 2, tasks - 1] {
        let counts = many.counts().await;
        for run in &many.runs {
            for process in 0..done {
                many.world
                    .cluster
                    .set(&many.world.job(*run, process), Phase::Succeeded);
            }
        }
        // What has changed is written once; what is measured is what it costs from then on.
        assert!(many.until_each_is_past(&counts, long).await, "{done} done");
        let cost = many.measure().await;
        let per = |all: f64| all / f64::from(count) / cost.seconds * 60.0;
        report(&format!(
            "{done} | {:.2} | {:.2} | {:.2} | {:.1}",
            per(cost.reconciliations),
            per(cost.cluster),
            per(cost.database),
            per(cost.processor) * 1_000.0,
        ));
        costs.push(cost);
    }
    let last = |cost: &Cost| {
        (
            cost.cluster / cost.reconciliations,
            cost.database / cost.reconciliations,
        )
    };
    let (first, last) = (last(&costs[0]), last(&costs[2]));
    assert!(
        last.0 < first.0 + 0.2 && last.1 < first.1 + 0.5,
        "a reconciliation costs more: {first:?} {last:?}"
    );
    let begin = Instant::now();
    for run in &many.runs {
        many.world
            .cluster
            .set(&many.world.job(*run, tasks - 1), Phase::Succeeded);
    }
    for run in &many.runs {
        let record = many
            .world
            .until(*run, "at its end", |run| run.status.is_final())
            .await;
        assert_eq!(record.status, RunStatus::Completed);
    }
    report(&format!(
        "all had ended {:.0} s after their last task",
        begin.elapsed().as_secs_f64()
    ));
    many.world.stop().await;
}

fn report(text: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes()).unwrap();
}
