//! What a reconciliation costs: the calls to cluster and database do not grow with the tasks that are done.

use std::time::Duration;

use segno_crawl_platform::{
    cluster::Phase,
    lifecycle::rules::Intervals,
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

/// Many runs at once, and what they cost; bounded by the intervals that it counts. By default 1,000 runs of 20 tasks:
/// `SEGNO_CRAWL_RUNS`, `SEGNO_CRAWL_TASKS`; the report is on standard error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes minutes and a quiet machine"]
async fn what_many_runs_cost() {
    let number =
        |name: &str, otherwise: u32| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (runs, tasks) = (number("SEGNO_CRAWL_RUNS", 1_000), number("SEGNO_CRAWL_TASKS", 20));
    let mut world = World::embedded().await;
    let mut timing = timing();
    timing.intervals = Intervals::every(Duration::from_secs(60));
    world.set_timing(timing);
    let id = world
        .store
        .put_crawler(Uuid::new_v4(), &crawler(tasks))
        .await
        .unwrap()
        .id;
    let begin = Instant::now();
    let mut ids = Vec::new();
    for _ in 0..runs {
        ids.push(world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run);
    }
    let reconciled = async |times: u64| loop {
        let mut all = true;
        for run in &ids {
            let record = world.store.maybe_run(*run).await.unwrap();
            all &= record.is_some_and(|record| record.reconciled >= times);
        }
        if all {
            return;
        }
        sleep(Duration::from_secs(5)).await;
    };
    reconciled(1).await;
    let started = begin.elapsed();
    // From one round to the next: with all tasks alive, and with one left of each run.
    for (round, done) in [(2, 0), (4, tasks - 1)] {
        for run in &ids {
            for process in 0..done {
                world.cluster.set(&world.job(*run, process), Phase::Succeeded);
            }
        }
        reconciled(round).await;
        let (cluster, database, since) = (world.cluster.calls(), world.store.calls(), Instant::now());
        sleep(Duration::from_secs(120)).await;
        let per = |calls: u64| calls as f64 / f64::from(runs) / since.elapsed().as_secs_f64() * 60.0;
        report(&format!(
            "{runs} runs of {tasks} tasks, {done} of them done: {:.2} calls to the cluster and {:.2} to the database per run and \
            minute; all had begun within {:.0} s",
            per(world.cluster.calls() - cluster),
            per(world.store.calls() - database),
            started.as_secs_f64(),
        ));
    }
    world.stop().await;
}

fn report(text: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes()).unwrap();
}
